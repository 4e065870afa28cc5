from functools import reduce
c, s = list(range(1, 200001)), 0
for _ in range(20):
    s += reduce(lambda a, x: a + x, filter(lambda x: x % 2 == 0, map(lambda x: x * 3, c)), 0)
print(s)
