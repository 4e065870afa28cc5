def make_text():
    words = ['the', 'quick', 'brown', 'fox', 'jumps', 'over', 'a', 'lazy', 'dog', 'and', 'sleeps']
    parts, seed = [], 3
    for _ in range(2000):
        seed = (seed * 1309 + 13849) & 65535
        parts.append(words[(seed >> 4) % 11])
    return ' '.join(parts) + ' end'


def occurrences(part, text):
    count, position = 0, text.find(part)
    while position >= 0:
        count += 1
        position = text.find(part, position + 1)
    return count


def main():
    text, letters, found, size = make_text(), 0, 0, 0
    for _ in range(600):
        words = text.split(' ')
        for word in words:
            if len(word) > 3:
                letters += len(word)
        found += occurrences('fox', text) + occurrences('lazy d', text)
        if 'never' in text:
            found = 0
        size += len(','.join(words)) + len(text.replace('dog', 'camel').upper())
        for word in words:
            if word.startswith('s'):
                size += len(word[1:])
    print(letters)
    print(found)
    print(size)


main()
