class IntKeys:
    def fill(self):
        self.table = {}
        for i in range(1, 200001):
            self.table[i * 7] = i

    def look_up(self):
        table = self.table
        for _ in range(24):
            for i in range(1, 200001):
                self.sum += table[i * 7]
        for i in range(1, 1400001):
            if i not in table:
                self.sum += 1

    def count(self):
        counts, seed = {}, 1
        for _ in range(8000000):
            seed = (seed * 1309 + 13849) & 65535
            key = seed % 5000
            counts[key] = counts.get(key, 0) + 1
        for key, value in counts.items():
            self.sum += key * value

    def remove(self):
        for i in range(1, 200001, 2):
            del self.table[i * 7]
        for each in self.table.values():
            self.sum += each

    def run(self):
        self.sum = 0
        self.fill()
        self.look_up()
        self.count()
        self.remove()
        print(self.sum)
        print(len(self.table))


IntKeys().run()
