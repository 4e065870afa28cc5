class Body:
    __slots__ = ('x', 'y', 'z', 'vx', 'vy', 'vz', 'm')
def main():
    init = ((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.47), (4.84, -1.16, -0.10, 0.6, 2.81, -0.02, 0.037), (8.34, 4.12, -0.4, -1.01, 1.82, 0.008, 0.011), (12.89, -15.11, -0.22, 1.08, 0.86, -0.01, 0.0017), (15.37, -25.9, 0.179, 0.97, 0.59, -0.034, 0.002))
    bodies = []
    for s in init:
        b = Body()
        b.x, b.y, b.z, b.vx, b.vy, b.vz, b.m = s
        bodies.append(b)
    for _ in range(40000):
        for i in range(5):
            a = bodies[i]
            for j in range(i + 1, 5):
                b = bodies[j]
                dx, dy, dz = a.x - b.x, a.y - b.y, a.z - b.z
                d = dx * dx + dy * dy + dz * dz
                mag = 0.001 / (d * d ** 0.5)
                a.vx -= dx * b.m * mag; a.vy -= dy * b.m * mag; a.vz -= dz * b.m * mag
                b.vx += dx * a.m * mag; b.vy += dy * a.m * mag; b.vz += dz * a.m * mag
        for b in bodies:
            b.x += 0.001 * b.vx; b.y += 0.001 * b.vy; b.z += 0.001 * b.vz
    print(round(sum(b.m * (b.vx * b.vx + b.vy * b.vy + b.vz * b.vz) * 0.5 for b in bodies) * 1000))
main()
