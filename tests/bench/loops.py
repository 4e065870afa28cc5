def triples(n):
    sum = 0
    for i in range(1, n + 1):
        for j in range(1, n + 1):
            for k in range(1, n + 1):
                sum += i * j - k
    return sum


def matches(n):
    count = 0
    for i in range(n):
        for j in range(n - 1, -1, -1):
            if (i ^ j) % 7 == 3:
                count += 1
    return count


def divisions(n):
    i, sum = n, 0
    while i > 0:
        sum += n // i - (i & 15)
        i -= 1
    return sum


print(triples(300))
print(matches(2500))
print(divisions(8000000))
