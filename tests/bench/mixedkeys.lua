local function main()
  local t, sum, seed = {}, 0, 1
  for i = 1, 20000 do t[i * 7] = i end
  for i = 0, 199 do t[i] = i end
  for _ = 1, 10000000 do
    seed = (seed * 1309 + 13849) & 65535
    sum = sum + t[seed % 200]
  end
  return sum
end

print(main())
