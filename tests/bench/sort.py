import functools
seed, a = 42, []
for i in range(200000):
    seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
    a.append(seed)
a.sort(key=functools.cmp_to_key(lambda x, y: x - y))
print(a[99999])
