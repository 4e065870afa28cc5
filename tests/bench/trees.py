class Tree:
    __slots__ = ('left', 'right')

    def __init__(self, left, right):
        self.left, self.right = left, right

    def count(self):
        return 1 if self.left is None else self.left.count() + self.right.count() + 1


def make(n):
    return Tree(None, None) if n == 0 else Tree(make(n - 1), make(n - 1))


def main(greatest):
    print(make(greatest + 1).count())
    kept = make(greatest)
    for depth in range(4, greatest + 1, 2):
        total = 0
        for _ in range(1 << (greatest - depth + 4)):
            total += make(depth).count()
        print(total)
    print(kept.count())


main(14)
