local function make(n) if n == 0 then return {} end return {make(n - 1), make(n - 1)} end
local function count(t) if t[1] == nil then return 1 end return 1 + count(t[1]) + count(t[2]) end
local total = 0
for _ = 1, 20 do total = total + count(make(15)) end
print(total)
