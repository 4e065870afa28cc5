local function map(t, f)
  local r = {}
  for i = 1, #t do r[i] = f(t[i]) end
  return r
end
local function filter(t, f)
  local r = {}
  for i = 1, #t do
    if f(t[i]) then r[#r + 1] = t[i] end
  end
  return r
end
local function fold(t, a, f)
  for i = 1, #t do a = f(a, t[i]) end
  return a
end
local function detect(t, f, none)
  for i = 1, #t do
    if f(t[i]) then return t[i] end
  end
  return none()
end
local function each(t, f) for i = 1, #t do f(t[i]) end end

local function main()
  local numbers, sum = {}, 0
  for i = 1, 1000 do numbers[#numbers + 1] = i end
  for i = 1, 4000 do
    local even = filter(map(numbers, function(x) return x * 3 + i end), function(x) return x % 2 == 0 end)
    sum = sum + fold(even, 0, function(a, x) return a + x end)
    sum = sum + detect(numbers, function(x) return x * 4 > i end, function() return 0 end)
    each(even, function(x) sum = sum - 1 end)
  end
  return sum
end

print(main())
