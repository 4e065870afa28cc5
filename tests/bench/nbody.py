from math import sqrt


class Body:
    __slots__ = ('x', 'y', 'z', 'vx', 'vy', 'vz', 'mass')

    def __init__(self, *numbers):
        self.x, self.y, self.z, self.vx, self.vy, self.vz, self.mass = numbers

    def pull(self, dx, dy, dz, factor):
        self.vx += dx * factor
        self.vy += dy * factor
        self.vz += dz * factor

    def attract(self, other, dt):
        dx, dy, dz = self.x - other.x, self.y - other.y, self.z - other.z
        square = dx * dx + dy * dy + dz * dz
        magnitude = dt / (square * sqrt(square))
        self.pull(dx, dy, dz, 0.0 - other.mass * magnitude)
        other.pull(dx, dy, dz, self.mass * magnitude)

    def move(self, dt):
        self.x += dt * self.vx
        self.y += dt * self.vy
        self.z += dt * self.vz

    def kinetic(self):
        return 0.5 * self.mass * (self.vx * self.vx + self.vy * self.vy + self.vz * self.vz)

    def potential(self, other):
        dx, dy, dz = self.x - other.x, self.y - other.y, self.z - other.z
        return self.mass * other.mass / sqrt(dx * dx + dy * dy + dz * dz)


def advance(bodies, dt):
    for i in range(len(bodies)):
        a = bodies[i]
        for j in range(i + 1, len(bodies)):
            a.attract(bodies[j], dt)
    for b in bodies:
        b.move(dt)


def energy(bodies):
    e = 0.0
    for i in range(len(bodies)):
        e += bodies[i].kinetic()
        for j in range(i + 1, len(bodies)):
            e -= bodies[i].potential(bodies[j])
    return e


def main(steps):
    bodies = [Body(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.47), Body(4.84, -1.16, -0.10, 0.6, 2.81, -0.02, 0.037),
              Body(8.34, 4.12, -0.4, -1.01, 1.82, 0.008, 0.011), Body(12.89, -15.11, -0.22, 1.08, 0.86, -0.01, 0.0017),
              Body(15.37, -25.9, 0.179, 0.97, 0.59, -0.034, 0.002)]
    for _ in range(steps):
        advance(bodies, 0.001)
    return round(energy(bodies) * 1000000)


print(main(100000))
