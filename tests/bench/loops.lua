local function triples(n)
  local sum = 0
  for i = 1, n do
    for j = 1, n do
      for k = 1, n do sum = sum + (i * j - k) end
    end
  end
  return sum
end

local function matches(n)
  local count = 0
  for i = 0, n - 1 do
    for j = n - 1, 0, -1 do
      if (i ~ j) % 7 == 3 then count = count + 1 end
    end
  end
  return count
end

local function divisions(n)
  local i, sum = n, 0
  while i > 0 do
    sum = sum + n // i - (i & 15)
    i = i - 1
  end
  return sum
end

print(triples(300))
print(matches(2500))
print(divisions(8000000))
