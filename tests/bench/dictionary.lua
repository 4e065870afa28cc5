local d, sum = {}, 0
for i = 1, 300000 do d[i * 7] = i end
for _ = 1, 5 do for i = 1, 300000 do sum = sum + d[i * 7] end end
print(sum)
