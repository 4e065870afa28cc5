def collatz_length(n):
    length = 1
    while n > 1:
        n = 3 * n + 1 if n % 2 else n // 2
        length += 1
    return length


def main():
    best = longest = 0
    for start in range(1, 200001):
        length = collatz_length(start)
        if length > longest:
            best, longest = start, length
    print("%d->%d" % (best, longest))


main()
