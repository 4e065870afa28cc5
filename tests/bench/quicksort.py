def fill(n):
    seed, t = 42, []
    for _ in range(n):
        seed = (seed * 69069 + 12345) & 0x7FFFFFFF
        t.append(seed)
    return t


def sort(t, low, high):
    if low >= high:
        return
    i, j, pivot = low, high, t[(low + high) // 2]
    while i <= j:
        while t[i] < pivot:
            i += 1
        while pivot < t[j]:
            j -= 1
        if i <= j:
            t[i], t[j] = t[j], t[i]
            i += 1
            j -= 1
    sort(t, low, j)
    sort(t, i, high)


def main():
    sum = 0
    for _ in range(4):
        t = fill(200000)
        sort(t, 0, len(t) - 1)
        for i in range(0, len(t), 1000):
            sum += t[i]
    return sum


print(main())
