def reversals(permutation, work, n):
    for i in range(n):
        work[i] = permutation[i]
    count = 0
    while True:
        first = work[0]
        if first == 1:
            return count
        low, high = 0, first - 1
        while low < high:
            work[low], work[high] = work[high], work[low]
            low += 1
            high -= 1
        count += 1


def run(n):
    permutation, work, counts = list(range(1, n + 1)), list(range(1, n + 1)), [0] * (n + 1)
    flips = checksum = index = 0
    level = n
    while True:
        while level > 1:
            counts[level] = level
            level -= 1
        count = reversals(permutation, work, n)
        flips = max(flips, count)
        checksum = checksum + count if index % 2 == 0 else checksum - count
        while True:
            level += 1
            if level > n:
                return checksum, flips
            first = permutation[0]
            for i in range(level - 1):
                permutation[i] = permutation[i + 1]
            permutation[level - 1] = first
            counts[level] -= 1
            if counts[level] > 0:
                break
        level -= 1
        index += 1


for each in run(9):
    print(each)
