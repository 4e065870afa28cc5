// Calls of the tests' library in C: directly through a pointer, and by libffi. Prints lines: what, nanoseconds, nanoseconds of the loop alone, times.
#include <dlfcn.h>
#include <ffi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int64_t empty_loop(long count) {
  int64_t start = now();
  for (long i = 0; i < count; i++) __asm__ volatile("" ::"r"(i));
  return now() - start;
}

static void tell(const char *what, int64_t start, long count) {
  int64_t spent = now() - start;
  printf("%s %lld %lld %ld\n", what, (long long)spent, (long long)empty_loop(count), count);
}

static int increment(int value) { return value + 1; }

static int compare(const void *a, const void *b) {
  int x = *(const int *)a, y = *(const int *)b;
  return (x > y) - (x < y);
}

static void *find(void *library, const char *name) {
  void *found = dlsym(library, name);
  if (found == NULL) fprintf(stderr, "%s\n", dlerror()), exit(1);
  return found;
}

int main(int argc, char **argv) {
  void *library = argc < 3 ? NULL : dlopen(argv[1], RTLD_NOW);
  if (library == NULL) return fprintf(stderr, "usage: calls LIBRARY COUNT\n"), 1;
  long count = atol(argv[2]);
  int (*volatile noop)(int) = (int (*)(int))find(library, "noop");
  double (*volatile add)(double, double) = (double (*)(double, double))find(library, "add");
  volatile double sum = 0;

  int64_t start = now();
  for (long i = 0; i < count; i++) noop(1);
  tell("noop.pointer", start, count);
  start = now();
  for (long i = 0; i < count; i++) sum = add(1.5, 2.5);
  tell("add.pointer", start, count);

  ffi_cif cif;
  ffi_type *ints[] = {&ffi_type_sint}, *doubles[] = {&ffi_type_double, &ffi_type_double};
  int one = 1;
  double a = 1.5, b = 2.5, result;
  void *int_values[] = {&one}, *double_values[] = {&a, &b};
  ffi_arg int_result;
  ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 1, &ffi_type_sint, ints);
  start = now();
  for (long i = 0; i < count; i++) ffi_call(&cif, FFI_FN(noop), &int_result, int_values);
  tell("noop.libffi", start, count);
  ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 2, &ffi_type_double, doubles);
  start = now();
  for (long i = 0; i < count; i++) ffi_call(&cif, FFI_FN(add), &result, double_values);
  tell("add.libffi", start, count);

  long (*call_back_often)(int (*)(int), int) = (long (*)(int (*)(int), int))find(library, "call_back_often");
  start = now();
  call_back_often(increment, (int)count);
  tell("callback.pointer", start, count);

  enum { NUMBERS = 100000 };
  static int numbers[NUMBERS];
  uint32_t seed = 42;
  for (size_t i = 0; i < NUMBERS; i++) numbers[i] = (int)((seed = seed * 1664525 + 1013904223) >> 8);
  start = now();
  qsort(numbers, NUMBERS, sizeof *numbers, compare);
  tell("qsort.pointer", start, 1);
  return sum != 4;
}
