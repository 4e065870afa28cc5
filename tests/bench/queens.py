class Queens:
    def __init__(self, n):
        self.n, self.found = n, 0
        self.columns = [True] * n
        self.ups = [True] * (2 * n)
        self.downs = [True] * (2 * n)

    def is_free(self, row, column):
        return self.columns[column] and self.ups[row + column] and self.downs[row - column + self.n - 1]

    def set(self, row, column, value):
        self.columns[column] = value
        self.ups[row + column] = value
        self.downs[row - column + self.n - 1] = value

    def place_from(self, row):
        if row == self.n:
            self.found += 1
            return
        for column in range(self.n):
            if self.is_free(row, column):
                self.set(row, column, False)
                self.place_from(row + 1)
                self.set(row, column, True)


queens = Queens(12)
queens.place_from(0)
print(queens.found)
