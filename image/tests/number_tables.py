#!/usr/bin/env python3
"""Write the test classes whose expected values Python has worked out: IntegerTableTest, FloatTableTest, FractionTableTest.

    image/tests/number_tables.py

The numbers are chosen by a generator with a fixed seed, so the files stay the same.
"""
import os
import random
import struct
from decimal import Decimal, getcontext
from fractions import Fraction
from math import gcd, isqrt

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = 'Kernel-Numbers-Tests'
DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ'
choose = random.Random(20260101)


def write(name, comment, methods):
    parts = ["\"\n%s\n\"\nClass {\n\t#name : '%s',\n\t#superclass : 'TestCase',\n\t#category : '%s',\n\t#package : '%s'\n}\n"
             % (comment, name, PACKAGE, PACKAGE)]
    for protocol, pattern, body in methods:
        parts.append("\n{ #category : '%s' }\n%s >> %s [\n%s\n]\n" % (protocol, name, pattern, body))
    with open(os.path.join(HERE, PACKAGE, name + '.class.st'), 'w') as f:
        f.write(''.join(parts))


def rows(comment, items):
    return '\t"%s"\n\t^ #(\n%s )' % (comment, '\n'.join('\t\t( ' + ' '.join(item) + ' )' for item in items))


def quo(a, b):
    q = abs(a) // abs(b)
    return -q if (a < 0) != (b < 0) else q


def radix(n, base):
    if n == 0:
        return '0'
    digits, rest = '', abs(n)
    while rest:
        digits = DIGITS[rest % base] + digits
        rest //= base
    return ('-' if n < 0 else '') + digits


def edges():
    """Integers at the edges of words, SmallIntegers and LargeIntegers of one, two and three words, of both signs."""
    values = [0, 1, 2, 3, 7, 10, 255, 256]
    for bits in (30, 31, 32, 53, 59, 60, 61, 62, 63, 64, 65, 127, 128, 192):
        values += [2 ** bits - 1, 2 ** bits, 2 ** bits + 1]
    values += [10 ** 18, 10 ** 19, 10 ** 38, 3 ** 80]
    return [sign * v for v in values for sign in (1, -1) if v or sign == 1]


def test(table, steps):
    lines = ['\t\t' + step + ('' if step.startswith('|') or step is steps[-1] else '.') for step in steps]
    return '\tself %s do: [ :row |\n%s ]' % (table, '\n'.join(lines))


def integers():
    values = edges()
    pairs = [(choose.choice(values), choose.choice(values)) for _ in range(150)]
    pairs += [(choose.getrandbits(choose.randrange(1, 200)) * choose.choice((1, -1)),
               choose.getrandbits(choose.randrange(1, 130)) * choose.choice((1, -1))) for _ in range(50)]
    divided = [(a, b) for a, b in pairs if b]
    s = str
    methods = [
        ('data', 'sums', rows('a b a+b a-b a*b', [map(s, (a, b, a + b, a - b, a * b)) for a, b in pairs])),
        ('data', 'quotients', rows('a b a//b a\\\\b a quo: b a rem: b',
                                   [map(s, (a, b, a // b, a % b, quo(a, b), a - quo(a, b) * b)) for a, b in divided])),
        ('data', 'divisors', rows('a b a gcd: b a lcm: b', [map(s, (a, b, gcd(a, b), abs(a * b) // gcd(a, b) if a and b else 0))
                                                            for a, b in pairs[::2]])),
        ('data', 'bits', rows('a b a bitAnd: b a bitOr: b a bitXor: b', [map(s, (a, b, a & b, a | b, a ^ b)) for a, b in pairs])),
        ('data', 'shifts', rows('a n a bitShift: n a bitShift: n negated', [
            map(s, (a, n, a << n, a >> n)) for a, n in ((choose.choice(values), choose.choice((0, 1, 29, 30, 31, 32, 59, 60, 61, 62, 63, 64, 65, 127, 128, 200)))
                                                        for _ in range(80))])),
        ('data', 'comparisons', rows('a b -1, 0 or 1', [map(s, (a, b, (a > b) - (a < b))) for a, b in pairs[::2] + [(a, a) for a in values[::7]]])),
        ('data', 'powers', rows('a n a raisedTo: n', [map(s, (a, n, a ** n)) for a, n in
                                                     ((choose.choice((0, 1, -1, 2, -2, 3, -7, 10, 2 ** 30, -2 ** 31, 2 ** 60 - 1, 2 ** 61)), choose.randrange(0, 12)) for _ in range(40))])),
        ('data', 'roots', rows('a sqrtFloor of a', [map(s, (a, isqrt(a))) for a in values if a >= 0])),
        ('data', 'digits', rows('a radix digits', [(s(a), s(b), "'" + radix(a, b) + "'") for a, b in
                                                  ((choose.choice(values), b) for b in list(range(2, 37)) * 3)])),
        ('data', 'highBits', rows('a highBit of the magnitude, lowBit', [map(s, (a, abs(a).bit_length(), (a & -a).bit_length())) for a in values])),
        ('data', 'floats', rows('a the bits of the nearest Float', [(s(a), s(struct.unpack('>Q', struct.pack('>d', float(a)))[0])) for a in
                                                                   values + [2 ** 53 + 1, 2 ** 54 + 2, 2 ** 54 + 3, 2 ** 54 + 6, 2 ** 100 + 2 ** 47, 2 ** 100 + 2 ** 47 + 1]])),
        ('tests', 'testSums', test('sums', [
            '| a b |', 'a := row at: 1', 'b := row at: 2', 'self assert: a + b equals: (row at: 3)', 'self assert: b + a equals: (row at: 3)',
            'self assert: a - b equals: (row at: 4)', 'self assert: b - a equals: (row at: 4) negated',
            'self assert: a * b equals: (row at: 5)', 'self assert: b * a equals: (row at: 5)'])),
        ('tests', 'testQuotients', test('quotients', [
            '| a b |', 'a := row at: 1', 'b := row at: 2', 'self assert: a // b equals: (row at: 3)', 'self assert: a \\\\ b equals: (row at: 4)',
            'self assert: (a quo: b) equals: (row at: 5)', 'self assert: (a rem: b) equals: (row at: 6)',
            'self assert: a / b * b equals: a'])),
        ('tests', 'testDivisionByZero', '\tself sums do: [ :row |\n\t\tself should: [ (row at: 1) // 0 ] raise: ZeroDivide.\n\t\tself should: [ (row at: 1) \\\\ 0 ] raise: ZeroDivide.\n\t\tself should: [ (row at: 1) / 0 ] raise: ZeroDivide ]'),
        ('tests', 'testDivisors', test('divisors', [
            'self assert: ((row at: 1) gcd: (row at: 2)) equals: (row at: 3)', 'self assert: ((row at: 2) gcd: (row at: 1)) equals: (row at: 3)',
            'self assert: ((row at: 1) lcm: (row at: 2)) equals: (row at: 4)'])),
        ('tests', 'testBits', test('bits', [
            '| a b |', 'a := row at: 1', 'b := row at: 2', 'self assert: (a bitAnd: b) equals: (row at: 3)', 'self assert: (a bitOr: b) equals: (row at: 4)',
            'self assert: (a bitXor: b) equals: (row at: 5)', 'self assert: (a bitClear: b) equals: a - (row at: 3)'])),
        ('tests', 'testShifts', test('shifts', [
            'self assert: ((row at: 1) bitShift: (row at: 2)) equals: (row at: 3)',
            'self assert: ((row at: 1) bitShift: (row at: 2) negated) equals: (row at: 4)',
            'self assert: (row at: 1) << (row at: 2) equals: (row at: 3)', 'self assert: (row at: 1) >> (row at: 2) equals: (row at: 4)'])),
        ('tests', 'testComparisons', test('comparisons', [
            '| a b order |', 'a := row at: 1', 'b := row at: 2', 'order := row at: 3', 'self assert: a < b equals: order < 0', 'self assert: a <= b equals: order <= 0',
            'self assert: a > b equals: order > 0', 'self assert: a >= b equals: order >= 0', 'self assert: a = b equals: order = 0',
            'self assert: a ~= b equals: order ~= 0', 'self assert: (a - b) sign equals: order'])),
        ('tests', 'testPowers', test('powers', ['self assert: ((row at: 1) raisedTo: (row at: 2)) equals: (row at: 3)'])),
        ('tests', 'testRoots', test('roots', [
            'self assert: (row at: 1) sqrtFloor equals: (row at: 2)', 'self assert: ((row at: 1) nthRootTruncated: 2) equals: (row at: 2)'])),
        ('tests', 'testDigits', test('digits', [
            'self assert: ((row at: 1) printString: (row at: 2)) equals: (row at: 3)',
            'self assert: (Integer readFrom: (row at: 3) radix: (row at: 2)) equals: (row at: 1)',
            'self assert: (Number readFrom: ((row at: 1) storeString: (row at: 2))) equals: (row at: 1)'])),
        ('tests', 'testHighBits', test('highBits', [
            'self assert: (row at: 1) abs highBit equals: (row at: 2)', 'self assert: (row at: 1) lowBit equals: (row at: 3)'])),
        ('tests', 'testFloats', test('floats', ['self assert: (row at: 1) asFloat asIEEE64BitWord equals: (row at: 2)'])),
        ('tests', 'testClasses', '\t"A result is a SmallInteger exactly if it fits."\n\tself sums do: [ :row |\n\t\trow do: [ :each |\n\t\t\tself\n\t\t\t\tassert: each class == SmallInteger\n\t\t\t\tequals: (each between: SmallInteger minVal and: SmallInteger maxVal) ].\n\t\tself assert: ((row at: 1) + (row at: 2)) class equals: (row at: 3) class.\n\t\tself assert: ((row at: 1) - (row at: 2)) class equals: (row at: 4) class.\n\t\tself assert: ((row at: 1) * (row at: 2)) class equals: (row at: 5) class ]'),
        ('tests', 'testHashes', '\tself sums do: [ :row |\n\t\tself assert: ((row at: 4) + (row at: 2)) hash equals: (row at: 1) hash ]'),
    ]
    write('IntegerTableTest', 'I compare integer arithmetic with tables that Python has worked out, at the edges of words above all.', methods)


def bits(x):
    return struct.unpack('>Q', struct.pack('>d', x))[0]


def unbits(n):
    return struct.unpack('>d', struct.pack('>Q', n))[0]


def shortest(x):
    """The shortest decimal that reads back, as Float>>printString writes it."""
    text = repr(x)
    if 'e' in text:
        mantissa, exponent = text.split('e')
    else:
        mantissa, exponent = text, '0'
    sign = '-' if mantissa.startswith('-') else ''
    whole, _, fraction = mantissa.lstrip('-').partition('.')
    digits = (whole + fraction).lstrip('0')
    point = len(whole) + int(exponent) - (len(whole + fraction) - len(digits))
    if x == 0:
        return sign + '0.0'
    digits = digits.rstrip('0')
    if -4 <= point - 1 < 16:
        if point <= 0:
            return sign + '0.' + '0' * -point + digits
        if point >= len(digits):
            return sign + digits + '0' * (point - len(digits)) + '.0'
        return sign + digits[:point] + '.' + digits[point:]
    return sign + digits[0] + '.' + (digits[1:] or '0') + 'e' + str(point - 1)


def doubles():
    values = [0.0, 1.0, 0.1, 0.2, 0.3, 0.5, 1.5, 123.456, 1e15, 1e16, 1e17, 9007199254740991.0, 9007199254740992.0, 9007199254740994.0, 1e21, 1e22, 1e23,
              1e100, 1.7976931348623157e308, 2.2250738585072014e-308, 2.225073858507201e-308, 5e-324, 1e-323, 1e-310, 4.35, 2.675, 1e-4, 1e-5, 1e-3, 0.001234,
              1 / 3, 2 / 3, 100.0, 1000000.0, 1234567890123456.0, 12345678901234567.0, 5e-5, 8.41e21, 2 ** 0.5, 1e308, 9.5e-8, 4.4501477170144023e-308]
    values += [2.0 ** n for n in range(-1074, 1024, 97)]
    values += [unbits(choose.getrandbits(63)) for _ in range(150)]
    values += [unbits(choose.getrandbits(52)) for _ in range(30)]
    values += [choose.random() * 10 ** choose.randrange(-6, 18) for _ in range(60)]
    values += [choose.randrange(10 ** 6) / 10 ** choose.randrange(1, 6) for _ in range(60)]
    result = []
    for x in values:
        if x == x and abs(x) != float('inf'):
            result.append(x if choose.random() < .7 or x == 0 else -x)
    return result


def floats():
    values = doubles()
    reading = []
    for x in values[::3]:
        exact = Decimal(x)
        getcontext().prec = 1100
        up = Decimal(unbits(bits(abs(x)) + 1)) if abs(x) < 1e308 else exact.copy_abs()
        half = (exact.copy_abs() + up) / 2
        for d in (half, half * (1 + Decimal(10) ** -40), half * (1 - Decimal(10) ** -40)):
            text = '%s' % d
            if len(text) < 60:
                reading.append((text.replace('E+', 'e').replace('E', 'e').lower(), float(text)))
    for text in ('1.0e400', '1.0e-400', '1.7976931348623158e308', '1.7976931348623159e308', '2.4703282292062327e-324', '2.4703282292062328e-324',
                 '0.1e1', '00012.500', '9007199254740993.0', '9007199254740993.00000000000000000000000000000001', '123456789012345678901234567890.0', '4.9e-324'):
        reading.append((text, float(text)))
    s = str
    methods = [
        ('data', 'printed', rows('bits and digits', [(s(bits(x)), "'" + shortest(x) + "'") for x in values])),
        ('data', 'read', rows('digits and bits; many lie just between two Floats', [("'" + (t if '.' in t else t.replace('e', '.0e') if 'e' in t else t + '.0') + "'", s(bits(f))) for t, f in reading])),
        ('data', 'truncations', rows('bits, truncated, rounded (halves away from zero), floor, ceiling', [
            map(s, (bits(x), int(x), int(Decimal(x).to_integral_value(rounding='ROUND_HALF_UP')), Decimal(x).to_integral_value(rounding='ROUND_FLOOR'), Decimal(x).to_integral_value(rounding='ROUND_CEILING')))
            for x in [v for v in values if abs(v) < 1e30][::2] + [0.5, -0.5, 1.5, 2.5, -2.5, 0.49999999999999994, 4503599627370497.5, -4503599627370497.5]])),
        ('data', 'fractions', rows('bits, numerator, denominator', [map(s, (bits(x),) + x.as_integer_ratio()) for x in values if abs(bits(abs(x)) // 2 ** 52 - 1023) < 200][:80])),
        ('data', 'arithmetic', rows('bits of a, b, a+b, a-b, a*b, a/b', [map(s, map(bits, (a, b, a + b, a - b, a * b, a / b))) for a, b in
                                    ((choose.choice(values), choose.choice(values)) for _ in range(120)) if b and abs(b) > 1e-150 and abs(a) < 1e150])),
        ('data', 'neighbours', rows('bits of a positive Float, of the next and of the one before', [map(s, (n, n + 1, n - 1)) for n in (bits(abs(x)) for x in values) if 1 < n < bits(1.7e308)][:60])),
        ('data', 'singles', rows('bits, the nearest 32 bits', [map(s, (bits(x), struct.unpack('>I', struct.pack('>f', x))[0])) for x in
                                 [v for v in values if abs(v) < 3.4e38] + [3.4028234663852886e38, 1e-45, 7e-46, 7.1e-46, 1.1754943508222875e-38, 1.1754942807573643e-38, 16777217.0, 16777219.0]])),
        ('tests', 'testPrinting', test('printed', [
            '| float |', 'float := Float fromIEEE64Bit: (row at: 1)', 'self assert: float printString equals: (row at: 2)'])),
        ('tests', 'testReading', test('printed', [
            'self assert: (Number readFrom: (row at: 2)) asFloat asIEEE64BitWord equals: (row at: 1)',
            'self assert: (row at: 2) asNumber asIEEE64BitWord equals: (row at: 1)'])),
        ('tests', 'testEvaluating', '\t"The compiler reads numbers as Number does."\n\tself printed doWithIndex: [ :row :index |\n\t\tindex \\\\ 10 = 0 ifTrue: [\n\t\t\tself assert: (Smalltalk evaluate: (row at: 2)) asIEEE64BitWord equals: (row at: 1) ] ]'),
        ('tests', 'testReadingExactly', test('read', [
            'self assert: (Float readFrom: (row at: 1)) asIEEE64BitWord equals: (row at: 2)'])),
        ('tests', 'testTruncations', test('truncations', [
            '| float |', 'float := Float fromIEEE64Bit: (row at: 1)', 'self assert: float truncated equals: (row at: 2)', 'self assert: float rounded equals: (row at: 3)',
            'self assert: float floor equals: (row at: 4)', 'self assert: float ceiling equals: (row at: 5)',
            'self assert: float integerPart + float fractionPart equals: float'])),
        ('tests', 'testFractions', test('fractions', [
            '| float fraction |', 'float := Float fromIEEE64Bit: (row at: 1)', 'fraction := float asTrueFraction', 'self assert: fraction numerator equals: (row at: 2)',
            'self assert: fraction denominator equals: (row at: 3)', 'self assert: fraction = float', 'self assert: float = fraction', 'self assert: fraction hash equals: float hash',
            'self assert: fraction asFloat asIEEE64BitWord equals: (fraction isZero ifTrue: [ 0 ] ifFalse: [ row at: 1 ])'])),
        ('tests', 'testArithmetic', test('arithmetic', [
            '| a b |', 'a := Float fromIEEE64Bit: (row at: 1)', 'b := Float fromIEEE64Bit: (row at: 2)', 'self assert: (a + b) asIEEE64BitWord equals: (row at: 3)',
            'self assert: (a - b) asIEEE64BitWord equals: (row at: 4)', 'self assert: (a * b) asIEEE64BitWord equals: (row at: 5)', 'self assert: (a / b) asIEEE64BitWord equals: (row at: 6)'])),
        ('tests', 'testNeighbours', test('neighbours', [
            '| float |', 'float := Float fromIEEE64Bit: (row at: 1)', 'self assert: float successor asIEEE64BitWord equals: (row at: 2)', 'self assert: float predecessor asIEEE64BitWord equals: (row at: 3)',
            'self assert: float negated predecessor negated asIEEE64BitWord equals: (row at: 2)', 'self assert: float successor > float', 'self assert: float predecessor < float'])),
        ('tests', 'testSingles', test('singles', [
            '| float |', 'float := Float fromIEEE64Bit: (row at: 1)', 'self assert: float asIEEE32BitWord equals: (row at: 2)',
            'self assert: (Float fromIEEE32Bit: (row at: 2)) asIEEE32BitWord equals: (row at: 2)'])),
        ('tests', 'testRandomRoundTrips', '\t"Whatever the bits, the digits read back, and those of radix 2 and 16 too."\n\t| random float |\n\trandom := Random seed: 1.\n\t700 timesRepeat: [\n\t\tfloat := Float fromIEEE64Bit: (random nextBits: 64).\n\t\tfloat isFinite ifTrue: [\n\t\t\tself assert: (Float fromDigits: float printString) asIEEE64BitWord equals: float asIEEE64BitWord ] ]'),
        ('tests', 'testRandomRadixRoundTrips', '\t| random float |\n\trandom := Random seed: 2.\n\t#( 2 3 8 16 36 ) do: [ :radix |\n\t\t10 timesRepeat: [\n\t\t\tfloat := (random between: -1000 and: 1000) / (random between: 1 and: 999) asFloat.\n\t\t\tself assert: (Number readFrom: (float storeString: radix)) equals: float ] ]'),
    ]
    write('FloatTableTest', 'I compare the printing, reading and arithmetic of Floats with tables that Python has worked out: shortest digits, ties, denormalized numbers.', methods)


def frac(f):
    return (str(f.numerator), str(f.denominator))


def fractions():
    def one():
        top = choose.choice((choose.randrange(-50, 50), choose.randrange(-10 ** 6, 10 ** 6), choose.choice(edges())))
        bottom = choose.choice((choose.randrange(1, 50), choose.randrange(1, 10 ** 6), abs(choose.choice(edges())) or 3))
        return Fraction(top, bottom)
    pairs = [(one(), one()) for _ in range(70)]
    s = str

    def flat(*numbers):
        return [part for n in numbers for part in frac(n)]

    def places(f, n):
        scaled = abs(f) * 10 ** n
        return scaled.numerator // scaled.denominator

    def scaled(f, n):
        digits = str(places(f, n)).rjust(n + 1, '0')
        text = digits[:len(digits) - n] + ('.' + digits[len(digits) - n:] if n else '')
        return "'" + ('-' if f < 0 else '') + text + 's' + str(n) + "'"

    def rounded(f):
        return (abs(f) * 2 + 1) // 2 * (1 if f >= 0 else -1)
    arithmetic = [flat(a, b, a + b, a - b, a * b, a / b) for a, b in pairs if b]
    methods = [
        ('data', 'arithmetic', rows('a b a+b a-b a*b a/b, as numerators and denominators', arithmetic)),
        ('data', 'divisions', rows('a b, a//b, a\\\\b, a quo: b', [flat(a, b) + [s(a // b)] + flat(a % b) + [s(int(a / b))] for a, b in pairs if b])),
        ('data', 'roundings', rows('a, truncated, rounded, floor, ceiling', [flat(a) + [s(int(a)), s(rounded(a)), s(a.__floor__()), s(a.__ceil__())] for a, _ in pairs + [(Fraction(1, 2), 0), (Fraction(-1, 2), 0), (Fraction(3, 2), 0), (Fraction(-5, 2), 0)]])),
        ('data', 'comparisons', rows('a b -1, 0 or 1', [flat(a, b) + [s((a > b) - (a < b))] for a, b in pairs + [(a, a) for a, _ in pairs[:10]]])),
        ('data', 'floats', rows('a, bits of the nearest Float', [flat(a) + [s(bits(float(a)))] for a, _ in pairs if a] + [flat(a) + [s(bits(float(a)))] for a in
                                (Fraction(2 ** 53 + 1, 2 ** 53), Fraction(2 ** 54 + 1, 2 ** 54), Fraction(2 ** 54 + 3, 2 ** 54), Fraction(1, 2 ** 1074), Fraction(3, 2 ** 1075), Fraction(1, 3 * 10 ** 310), Fraction(10 ** 400, 10 ** 395 + 1))])),
        ('data', 'powers', rows('a n a raisedTo: n', [flat(a) + [s(n)] + flat(a ** n) for a, n in ((Fraction(choose.randrange(-9, 10) or 1, choose.randrange(1, 12)), choose.randrange(-6, 9)) for _ in range(40))])),
        ('data', 'scaled', rows('a, places, digits of the ScaledDecimal', [flat(a) + [s(n), scaled(a, n)] for a, n in ((choose.choice(pairs)[0], choose.randrange(0, 9)) for _ in range(50))])),
        ('data', 'places', rows('a, places, digits rounded to these', [flat(a) + [s(n), "'" + ('-' if rounded(a * 10 ** n) < 0 else '') + (lambda d: d[:len(d) - n] + ('.' + d[len(d) - n:] if n else ''))(str(abs(rounded(a * 10 ** n))).rjust(n + 1, '0')) + "'"]
                            for a, n in ((choose.choice(pairs)[0], choose.randrange(0, 7)) for _ in range(50))])),
        ('private', 'in: row at: index', '\t"Answer the number whose numerator and denominator are at index and behind."\n\t^ (row at: index) / (row at: index + 1)'),
        ('tests', 'testArithmetic', test('arithmetic', [
            '| a b |', 'a := self in: row at: 1', 'b := self in: row at: 3', 'self assert: a + b equals: (self in: row at: 5)', 'self assert: a - b equals: (self in: row at: 7)',
            'self assert: a * b equals: (self in: row at: 9)', 'self assert: a / b equals: (self in: row at: 11)', 'self assert: (a + b) numerator equals: (row at: 5)',
            'self assert: (a * b) denominator equals: (row at: 10)'])),
        ('tests', 'testScaledArithmetic', test('arithmetic', [
            '| a b |', 'a := (self in: row at: 1) asScaledDecimal: 3', 'b := (self in: row at: 3) asScaledDecimal: 5', 'self assert: a + b equals: (self in: row at: 5)',
            'self assert: a - b equals: (self in: row at: 7)', 'self assert: a * b equals: (self in: row at: 9)', 'self assert: a / b equals: (self in: row at: 11)',
            'self assert: (a + b) scale equals: 5', 'self assert: (a * b) isScaledDecimal', 'self assert: (a / b) scale equals: 5'])),
        ('tests', 'testDivisions', test('divisions', [
            '| a b |', 'a := self in: row at: 1', 'b := self in: row at: 3', 'self assert: a // b equals: (row at: 5)', 'self assert: a \\\\ b equals: (self in: row at: 6)',
            'self assert: (a quo: b) equals: (row at: 8)', 'self assert: (a rem: b) + ((a quo: b) * b) equals: a'])),
        ('tests', 'testRoundings', test('roundings', [
            '| a |', 'a := self in: row at: 1', 'self assert: a truncated equals: (row at: 3)', 'self assert: a rounded equals: (row at: 4)', 'self assert: a floor equals: (row at: 5)',
            'self assert: a ceiling equals: (row at: 6)', 'self assert: (a asScaledDecimal: 2) rounded equals: (row at: 4)', 'self assert: (a asScaledDecimal: 2) floor equals: (row at: 5)'])),
        ('tests', 'testComparisons', test('comparisons', [
            '| a b order |', 'a := self in: row at: 1', 'b := self in: row at: 3', 'order := row at: 5', 'self assert: a < b equals: order < 0', 'self assert: a <= b equals: order <= 0',
            'self assert: a > b equals: order > 0', 'self assert: a >= b equals: order >= 0', 'self assert: a = b equals: order = 0',
            'self assert: (a asScaledDecimal: 2) < b equals: order < 0', 'self assert: a < (b asScaledDecimal: 2) equals: order < 0', 'self assert: (a asScaledDecimal: 2) = b equals: order = 0'])),
        ('tests', 'testHashes', test('comparisons', [
            '| a b |', 'a := self in: row at: 1', 'b := self in: row at: 3', 'a = b ifTrue: [ self assert: a hash equals: b hash ]', 'self assert: (a asScaledDecimal: 2) hash equals: a hash'])),
        ('tests', 'testFloats', test('floats', ['self assert: (self in: row at: 1) asFloat asIEEE64BitWord equals: (row at: 3)'])),
        ('tests', 'testPowers', test('powers', ['self assert: ((self in: row at: 1) raisedTo: (row at: 3)) equals: (self in: row at: 4)'])),
        ('tests', 'testScaledPrinting', test('scaled', ['self assert: ((self in: row at: 1) asScaledDecimal: (row at: 3)) printString equals: (row at: 4)'])),
        ('tests', 'testDecimalPlaces', test('places', ['self assert: ((self in: row at: 1) printShowingDecimalPlaces: (row at: 3)) equals: (row at: 4)'])),
        ('tests', 'testPrinting', '\tself arithmetic do: [ :row |\n\t\t| a |\n\t\ta := self in: row at: 1.\n\t\tself assert: a printString equals: (a isInteger\n\t\t\tifTrue: [ (row at: 1) printString ]\n\t\t\tifFalse: [ \'(\' , (row at: 1) printString , \'/\' , (row at: 2) printString , \')\' ]).\n\t\tself assert: (Fraction readFrom: a printString) equals: a ]'),
    ]
    write('FractionTableTest', 'I compare Fractions and ScaledDecimals with tables that Python has worked out.', methods)


integers()
floats()
fractions()
