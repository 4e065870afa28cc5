local n, count, flags = 2000000, 0, {}
for i = 1, n do flags[i] = true end
for i = 2, n do
  if flags[i] then
    count = count + 1
    local k = i + i
    while k <= n do flags[k] = false; k = k + i end
  end
end
print(count)
