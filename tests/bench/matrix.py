class Matrix:
    def __init__(self, n, f):
        self.rows = [[f(r, c) for c in range(n)] for r in range(n)]

    def at(self, r, c):
        return self.rows[r][c]

    def trace(self):
        total = 0.0
        for i in range(len(self.rows)):
            total += self.at(i, i)
        return total

    def __mul__(self, other):
        def element(r, c):
            row, total = self.rows[r], 0.0
            for i in range(len(row)):
                total += row[i] * other.at(i, c)
            return total

        return Matrix(len(self.rows), element)


a = Matrix(200, lambda r, c: (r - c) / 16.0)
b = Matrix(200, lambda r, c: (r + c + 2) / 32.0)
print(round((a * b).trace()))
