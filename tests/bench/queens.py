n, found = 9, 0
columns, ups, downs = [True] * (n + 1), [True] * (2 * n + 1), [True] * (2 * n + 1)
def place(row):
    global found
    if row > n:
        found += 1
        return
    for c in range(1, n + 1):
        if columns[c] and ups[row + c - 1] and downs[row - c + n]:
            columns[c] = ups[row + c - 1] = downs[row - c + n] = False
            place(row + 1)
            columns[c] = ups[row + c - 1] = downs[row - c + n] = True
place(1)
print(found)
