class BenchError(Exception):
    def __init__(self, code):
        self.code = code


cleanups = 0


def fail(n):
    raise BenchError(n)


def deep(depth, n):
    if depth == 0:
        return fail(n)
    return deep(depth - 1, n) + 1


def protect(n):
    try:
        return n
    except BenchError:
        return 0


def clean(n):
    global cleanups
    try:
        return n + 1
    finally:
        cleanups += 1


def catch(n):
    try:
        return fail(n)
    except BenchError as e:
        return e.code


def catch_deep(n):
    try:
        return deep(10, n)
    except BenchError as e:
        return e.code


def catch_outer(n):
    try:
        try:
            return fail(n)
        except BenchError:
            raise
    except Exception as e:
        return e.code


def unwind(n):
    global cleanups
    try:
        try:
            return fail(n)
        finally:
            cleanups += 1
    except BenchError as e:
        return e.code


def run():
    sum = 0
    for i in range(1, 300001):
        sum += protect(i) + clean(i)
    for i in range(1, 100001):
        sum += catch(i) + catch_deep(i) + catch_outer(i) + unwind(i)
    print(sum)
    print(cleanups)


run()
