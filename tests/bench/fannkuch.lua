local function reversals(permutation, work, n)
  for i = 1, n do work[i] = permutation[i] end
  local count, first = 0, work[1]
  while first ~= 1 do
    local low, high = 1, first
    while low < high do
      work[low], work[high] = work[high], work[low]
      low = low + 1
      high = high - 1
    end
    count = count + 1
    first = work[1]
  end
  return count
end

local function run(n)
  local permutation, work, counts = {}, {}, {}
  for i = 1, n do permutation[i], work[i], counts[i] = i, i, 0 end
  local flips, checksum, index, level = 0, 0, 0, n
  while true do
    while level > 1 do
      counts[level] = level
      level = level - 1
    end
    local count = reversals(permutation, work, n)
    flips = math.max(flips, count)
    checksum = index % 2 == 0 and checksum + count or checksum - count
    repeat
      level = level + 1
      if level > n then return checksum, flips end
      local first = permutation[1]
      for i = 1, level - 1 do permutation[i] = permutation[i + 1] end
      permutation[level] = first
      counts[level] = counts[level] - 1
    until counts[level] > 0
    level = level - 1
    index = index + 1
  end
end

local checksum, flips = run(9)
print(checksum)
print(flips)
