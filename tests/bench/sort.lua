local seed, a = 42, {}
for i = 1, 200000 do seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF; a[i] = seed end
table.sort(a, function(x, y) return x < y end)
print(a[100000])
