def iterations(cr, ci):
    zr = zi = 0.0
    n = 0
    while n < 50 and zr * zr + zi * zi <= 4.0:
        t = zr * zr - zi * zi + cr
        zi = 2.0 * zr * zi + ci
        zr = t
        n += 1
    return n


def main(size):
    inside = 0
    for y in range(size):
        for x in range(size):
            if iterations(2.0 * x / size - 1.5, 2.0 * y / size - 1.0) == 50:
                inside += 1
    return inside


print(main(700))
