local rows, seed = {}, 11
for r = 1, 40 do
  rows[r] = {}
  for c = 1, 40 do
    seed = (seed * 1309 + 13849) & 65535
    rows[r][c] = seed % 400
  end
end

local function index_of(number, row)
  for i = 1, #row do if row[i] == number then return i end end
  return 0
end

local function first_above(number, row)
  for _, each in ipairs(row) do if each > number then return each end end
  return 0
end

local function includes(number)
  for _, row in ipairs(rows) do
    for _, each in ipairs(row) do if each == number then return true end end
  end
  return false
end

local function run()
  local found, sum = 0, 0
  for i = 1, 50000 do
    local row = rows[i % 40 + 1]
    sum = sum + index_of(i % 400, row)
    for _ = 1, 20 do sum = sum + first_above(60 + i % 300, row) end
  end
  for i = 1, 20000 do if includes(i % 450) then found = found + 1 end end
  print(sum)
  print(found)
end

run()
