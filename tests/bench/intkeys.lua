local t, sum = {}, 0

local function fill() for i = 1, 200000 do t[i * 7] = i end end

local function look_up()
  for _ = 1, 24 do
    for i = 1, 200000 do sum = sum + t[i * 7] end
  end
  for i = 1, 1400000 do if t[i] == nil then sum = sum + 1 end end
end

local function count()
  local counts, seed = {}, 1
  for _ = 1, 8000000 do
    seed = (seed * 1309 + 13849) & 65535
    local key = seed % 5000
    counts[key] = (counts[key] or 0) + 1
  end
  for key, value in pairs(counts) do sum = sum + key * value end
end

local function remove()
  for i = 1, 200000, 2 do t[i * 7] = nil end
  local size = 0
  for _, each in pairs(t) do
    sum = sum + each
    size = size + 1
  end
  return size
end

fill()
look_up()
count()
local size = remove()
print(sum)
print(size)
