from functools import reduce


def main():
    numbers, sum = [], 0
    for i in range(1, 1001):
        numbers.append(i)
    for i in range(1, 4001):
        even = [x for x in map(lambda x: x * 3 + i, numbers) if x % 2 == 0]
        sum += reduce(lambda a, x: a + x, even, 0)
        sum += next((x for x in numbers if x * 4 > i), 0)
        for x in even:
            sum -= 1
    return sum


print(main())
