class Literal:
    def __init__(self, number):
        self.number = number

    def value_at(self, x):
        return self.number


class Input:
    def value_at(self, x):
        return x


class Negation:
    def __init__(self, operand):
        self.operand = operand

    def value_at(self, x):
        return -self.operand.value_at(x)


class Binary:
    def __init__(self, left, right):
        self.left, self.right = left, right


class Sum(Binary):
    def value_at(self, x):
        return self.left.value_at(x) + self.right.value_at(x)


class Difference(Binary):
    def value_at(self, x):
        return self.left.value_at(x) - self.right.value_at(x)


class Product(Binary):
    def value_at(self, x):
        return self.left.value_at(x) * self.right.value_at(x) % 10007


class Remainder(Binary):
    def value_at(self, x):
        return self.left.value_at(x) % (self.right.value_at(x) % 97 + 1)


class Greatest(Binary):
    def value_at(self, x):
        a, b = self.left.value_at(x), self.right.value_at(x)
        return a if a > b else b


binaries = [Sum, Difference, Product, Remainder, Greatest]


def build(depth, n):
    if depth == 0:
        return Literal(n) if n % 2 == 0 else Input()
    kind = (n * 7 + depth) % 6
    if kind == 5:
        return Negation(build(depth - 1, (n * 3 + 1) % 1009))
    return binaries[kind](build(depth - 1, (n * 5 + 2) % 1009), build(depth - 1, (n * 11 + 3) % 1009))


def main():
    expression, sum = build(12, 1), 0
    for x in range(1, 4001):
        sum += expression.value_at(x)
    print(sum)


main()
