class Node:
    __slots__ = ('left', 'operator', 'right')

    def __init__(self, left, operator, right):
        self.left, self.operator, self.right = left, operator, right


def evaluate(node):
    if isinstance(node, int):
        return node
    a, b, operator = evaluate(node.left), evaluate(node.right), node.operator
    if operator == '+':
        return a + b
    if operator == '-':
        return a - b
    if operator == '*':
        return a * b % 65521
    return a // (b % 7 + 1)


class Calculator:
    def __init__(self, text):
        self.text, self.position = text, 0

    def peek(self):
        return self.text[self.position] if self.position < len(self.text) else ''

    def next(self):
        c = self.text[self.position]
        self.position += 1
        return c

    def skip_blanks(self):
        while self.peek() == ' ':
            self.next()

    def expression(self):
        tree = self.term()
        self.skip_blanks()
        while self.peek() == '+' or self.peek() == '-':
            tree = Node(tree, self.next(), self.term())
            self.skip_blanks()
        return tree

    def term(self):
        tree = self.factor()
        self.skip_blanks()
        while self.peek() == '*' or self.peek() == '/':
            tree = Node(tree, self.next(), self.factor())
            self.skip_blanks()
        return tree

    def factor(self):
        self.skip_blanks()
        if self.peek() != '(':
            return self.number()
        self.next()
        tree = self.expression()
        self.skip_blanks()
        if self.next() != ')':
            raise ValueError('no )')
        return tree

    def number(self):
        value = 0
        while self.peek().isdigit():
            value = value * 10 + ord(self.next()) - 48
        return value


def sample_text(terms):
    parts, seed = [], 9
    for _ in range(terms):
        seed = (seed * 1309 + 13849) & 65535
        parts.append('(%d * %d - (%d / %d)) + ' % (seed, seed % 97, seed % 1000, seed % 11))
    return ''.join(parts) + '1'


def main():
    text, sum = sample_text(500), 0
    for _ in range(60):
        sum += evaluate(Calculator(text).expression())
    print(sum)


main()
