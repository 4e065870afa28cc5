import io
def main():
    out, count = io.StringIO(), 0
    for i in range(1, 300001):
        out.write('line '); out.write(str(i)); out.write('\n')
    for c in out.getvalue():
        if c == '1': count += 1
    print(count)
main()
