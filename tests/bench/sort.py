import functools


def numbers(n):
    seed, t = 42, []
    for _ in range(n):
        seed = (seed * 69069 + 12345) & 0x7FFFFFFF
        t.append(seed)
    return t


def main():
    sum = 0
    for _ in range(3):
        t = numbers(150000)
        t.sort(key=functools.cmp_to_key(lambda a, b: a - b))
        sum += t[99]
        t.sort(key=functools.cmp_to_key(lambda a, b: b % 10007 - a % 10007 or a - b))
        sum += t[74999]
    return sum


print(main())
