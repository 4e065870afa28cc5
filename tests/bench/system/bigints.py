import sys
from time import perf_counter_ns

if hasattr(sys, 'set_int_max_str_digits'):
    sys.set_int_max_str_digits(0)


def digits(digits, n):
    a = 7 ** (digits * 1183 // 1000) + 1
    b = 3 ** (digits * 2096 // 1000) + 2
    start = perf_counter_ns()
    for _ in range(n * 10):
        product = a * b
    multiply = (perf_counter_ns() - start) // (n * 10)
    start = perf_counter_ns()
    for _ in range(n):
        text = str(a)
    print(len(text), product % 1000000007, multiply, (perf_counter_ns() - start) // n)


digits(1000, 2000)
digits(10000, 50)
