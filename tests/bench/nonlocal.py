def fill():
    rows, seed = [], 11
    for _ in range(40):
        row = []
        for _ in range(40):
            seed = (seed * 1309 + 13849) & 65535
            row.append(seed % 400)
        rows.append(row)
    return rows


def index_of(number, row):
    for i in range(len(row)):
        if row[i] == number:
            return i + 1
    return 0


def first_above(number, row):
    for each in row:
        if each > number:
            return each
    return 0


def includes(number, rows):
    for row in rows:
        for each in row:
            if each == number:
                return True
    return False


def run():
    rows, found, sum = fill(), 0, 0
    for i in range(1, 50001):
        row = rows[i % 40]
        sum += index_of(i % 400, row)
        for _ in range(20):
            sum += first_above(60 + i % 300, row)
    for i in range(1, 20001):
        if includes(i % 450, rows):
            found += 1
    print(sum)
    print(found)


run()
