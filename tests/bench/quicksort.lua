local function fill(n)
  local seed, t = 42, {}
  for i = 1, n do
    seed = (seed * 69069 + 12345) & 0x7FFFFFFF
    t[i] = seed
  end
  return t
end

local function sort(t, low, high)
  if low >= high then return end
  local i, j, pivot = low, high, t[(low + high) // 2]
  while i <= j do
    while t[i] < pivot do i = i + 1 end
    while pivot < t[j] do j = j - 1 end
    if i <= j then
      t[i], t[j] = t[j], t[i]
      i = i + 1
      j = j - 1
    end
  end
  sort(t, low, j)
  sort(t, i, high)
end

local function main()
  local sum = 0
  for _ = 1, 4 do
    local t = fill(200000)
    sort(t, 1, #t)
    for i = 1, #t, 1000 do sum = sum + t[i] end
  end
  return sum
end

print(main())
