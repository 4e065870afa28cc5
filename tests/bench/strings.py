import io


def text(n):
    out = io.StringIO()
    for i in range(1, n + 1):
        out.write('line ')
        out.write(str(i))
        out.write('\n')
    return out.getvalue()


def main():
    s, ones, hash = text(300000), 0, 0
    for c in s:
        if c == '1':
            ones += 1
        hash = (hash * 31 + ord(c)) & 0xFFFFFF
    print(len(s))
    print(ones)
    print(hash)


main()
