local function map(t, f) local r = {} for i = 1, #t do r[i] = f(t[i]) end return r end
local function filter(t, f) local r = {} for i = 1, #t do if f(t[i]) then r[#r + 1] = t[i] end end return r end
local function fold(t, a, f) for i = 1, #t do a = f(a, t[i]) end return a end
local c, sum = {}, 0
for i = 1, 200000 do c[i] = i end
for _ = 1, 20 do
  sum = sum + fold(filter(map(c, function(x) return x * 3 end), function(x) return x % 2 == 0 end), 0, function(a, x) return a + x end)
end
print(sum)
