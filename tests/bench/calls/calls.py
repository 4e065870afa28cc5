"""Calls of the tests' library by ctypes or cffi. Prints lines: what, nanoseconds, nanoseconds of the loop alone, times.

usage: calls.py ctypes|cffi-api|cffi-abi LIBRARY COUNT [DIRECTORY FOR WHAT IS COMPILED]
"""
import array, os, sys, time

way, path, count = sys.argv[1], os.path.abspath(sys.argv[2]), int(sys.argv[3])
now = time.perf_counter_ns

DECLARATIONS = '''
int noop(int value);
double add(double a, double b);
long call_back_often(int (*function)(int), int times);
void sort_ints(int *values, size_t count, int (*compare)(const void *, const void *));
'''


def tell(what, start, n, empty=None):
    spent = now() - start
    if empty is None:
        start = now()
        for _ in range(n):
            pass
        empty = now() - start
    print(what, spent, empty, n)


def calls(noop, add):
    start = now()
    for _ in range(count):
        noop(1)
    tell('noop', start, count)
    start = now()
    for _ in range(count):
        add(1.5, 2.5)
    tell('add', start, count)


def numbers():
    seed, result = 42, []
    for _ in range(100000):
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        result.append(seed >> 8)
    return result


def with_ctypes():
    import ctypes
    library = ctypes.CDLL(path)
    library.noop.argtypes, library.noop.restype = [ctypes.c_int], ctypes.c_int
    library.add.argtypes, library.add.restype = [ctypes.c_double, ctypes.c_double], ctypes.c_double
    calls(library.noop, library.add)
    pointer = ctypes.POINTER(ctypes.c_int)
    increment = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: x + 1)
    start = now()
    library.call_back_often(increment, count // 10)
    tell('callback', start, count // 10, 0)
    compare = ctypes.CFUNCTYPE(ctypes.c_int, pointer, pointer)(lambda a, b: a[0] - b[0])
    values = (ctypes.c_int * 100000)(*numbers())
    start = now()
    library.sort_ints(values, ctypes.c_size_t(100000), compare)
    tell('qsort', start, 1, 0)


def with_cffi():
    import cffi
    ffi = cffi.FFI()
    if way == 'cffi-abi':
        ffi.cdef(DECLARATIONS)
        library = ffi.dlopen(path)
    else:
        ffi.cdef(DECLARATIONS + 'extern "Python" int increment(int); extern "Python" int compare(const void *, const void *);')
        ffi.set_source('_calls', '#include <stddef.h>\n' + DECLARATIONS, extra_link_args=[path, '-Wl,-rpath,' + os.path.dirname(path)])
        ffi.compile(tmpdir=sys.argv[4])
        sys.path.insert(0, sys.argv[4])
        from _calls import ffi, lib as library
    calls(library.noop, library.add)

    def increment(x):
        return x + 1

    def compare(a, b):
        return ffi.cast('int *', a)[0] - ffi.cast('int *', b)[0]

    if way == 'cffi-abi':
        increment = ffi.callback('int(int)', increment)
        compare = ffi.callback('int(const void *, const void *)', compare)
    else:
        ffi.def_extern()(increment)
        ffi.def_extern()(compare)
        increment, compare = library.increment, library.compare
    start = now()
    library.call_back_often(increment, count // 10)
    tell('callback', start, count // 10, 0)
    values = ffi.new('int[]', numbers())
    start = now()
    library.sort_ints(values, 100000, compare)
    tell('qsort', start, 1, 0)


with_ctypes() if way == 'ctypes' else with_cffi()
