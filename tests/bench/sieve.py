n, count = 2000000, 0
def main():
    count = 0
    flags = [True] * (n + 1)
    for i in range(2, n + 1):
        if flags[i]:
            count += 1
            k = i + i
            while k <= n:
                flags[k] = False
                k += i
    print(count)
main()
