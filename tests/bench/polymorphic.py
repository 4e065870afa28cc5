class Shape:
    def is_larger_than(self, n):
        return self.area() > n


class Square(Shape):
    def __init__(self, side):
        self.side = side

    def area(self):
        return self.side * self.side

    def corners(self):
        return 4


class Oblong(Shape):
    def __init__(self, width, height):
        self.width, self.height = width, height

    def area(self):
        return self.width * self.height

    def corners(self):
        return 4


class Triangle(Shape):
    def __init__(self, base, height):
        self.base, self.height = base, height

    def area(self):
        return self.base * self.height // 2

    def corners(self):
        return 3


class Cross(Shape):
    def __init__(self, arm, thickness):
        self.arm, self.thickness = arm, thickness

    def area(self):
        return 4 * self.arm * self.thickness + self.thickness * self.thickness

    def corners(self):
        return 12


def make_shape(kind, n):
    if kind == 0:
        return Square(n)
    if kind == 1:
        return Oblong(n, n + 3)
    if kind == 2:
        return Triangle(n, n + 5)
    return Cross(n, 2)


def main():
    shapes, seed = [], 7
    for _ in range(1000):
        seed = (seed * 1309 + 13849) & 65535
        shapes.append(make_shape((seed >> 6) % 4, seed % 50 + 1))
    area = corners = large = 0
    for _ in range(2500):
        for shape in shapes:
            area += shape.area()
            corners += shape.corners()
            if shape.is_larger_than(500):
                large += 1
    print(area)
    print(corners)
    print(large)


main()
