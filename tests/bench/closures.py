def counter_from(start):
    count = start

    def next():
        nonlocal count
        count += 1
        return count

    return next


def adder(n):
    return lambda x: x + n


def compose(f, g):
    return lambda x: f(g(x))


def fold(array, start, f):
    result = start
    for each in array:
        result = f(result, each)
    return result


def counters(n):
    sum = 0
    for i in range(1, n + 1):
        counter = counter_from(i)
        counter()
        counter()
        sum += counter()
    return sum


def compositions(n):
    f = lambda x: x
    for i in range(1, 11):
        f = compose(adder(i), f)
    sum = 0
    for i in range(1, n + 1):
        sum += f(i)
    return sum


def folds(n):
    array, sum = list(range(1, 101)), 0
    for i in range(1, n + 1):
        sum += fold(array, 0, lambda a, b: a + (b ^ i))
    return sum


print(counters(1200000))
print(compositions(200000))
print(folds(60000))
