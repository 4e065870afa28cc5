local function numbers(n)
  local seed, t = 42, {}
  for i = 1, n do
    seed = (seed * 69069 + 12345) & 0x7FFFFFFF
    t[i] = seed
  end
  return t
end

local function main()
  local sum = 0
  for _ = 1, 3 do
    local t = numbers(150000)
    table.sort(t, function(a, b) return a < b end)
    sum = sum + t[100]
    table.sort(t, function(a, b) return a % 10007 > b % 10007 or a % 10007 == b % 10007 and a < b end)
    sum = sum + t[75000]
  end
  return sum
end

print(main())
