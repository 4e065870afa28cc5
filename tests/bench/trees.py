class Tree:
    __slots__ = ('left', 'right')
    def __init__(self, l, r): self.left, self.right = l, r
    def count(self): return 1 if self.left is None else 1 + self.left.count() + self.right.count()
def make(n): return Tree(None, None) if n == 0 else Tree(make(n - 1), make(n - 1))
print(sum(make(15).count() for _ in range(20)))
