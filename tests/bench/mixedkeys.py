def main():
    table, sum, seed = {}, 0, 1
    for i in range(1, 20001):
        table[i * 7] = i
    for i in range(200):
        table[i] = i
    for _ in range(10000000):
        seed = (seed * 1309 + 13849) & 65535
        sum += table[seed % 200]
    return sum


print(main())
