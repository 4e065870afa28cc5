def main():
    size, inside = 300, 0
    for y in range(size):
        for x in range(size):
            cr, ci, zr, zi, n = 2.0 * x / size - 1.5, 2.0 * y / size - 1.0, 0.0, 0.0, 0
            while n < 50 and zr * zr + zi * zi <= 4.0:
                zr, zi = zr * zr - zi * zi + cr, 2.0 * zr * zi + ci
                n += 1
            if n == 50: inside += 1
    print(inside)
main()
