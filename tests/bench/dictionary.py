def main():
    d, s = {}, 0
    for i in range(1, 300001): d[i * 7] = i
    for _ in range(5):
        for i in range(1, 300001): s += d[i * 7]
    print(s)
main()
