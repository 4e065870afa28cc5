syllables = ['ba', 'do', 'ki', 'lu', 'me', 'no', 'ra', 'su', 'ti', 'wo']


def word(n):
    return syllables[n % 10] + syllables[n // 10 % 10] + syllables[n // 100 % 10] + syllables[n // 1000 % 10]


def main():
    counts, seed, hits, best = {}, 5, 0, ''
    for _ in range(1200000):
        seed = (seed * 1309 + 13849) & 65535
        w = word(seed)
        counts[w] = counts.get(w, 0) + 1
    for i in range(1, 600001):
        if word(i) in counts:
            hits += 1
    for w, count in counts.items():
        most = counts.get(best, 0)
        if count > most or count == most and w < best:
            best = w
    print(len(counts))
    print(hits)
    print(best)
    print(counts[best])


main()
