// The library for the tests of the C interface: functions that echo, weigh and sum what they get, call back, take their time, or crash.
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/ffi/testlib.h"

// --- scalars

#define ECHO(name, type) \
  type name(type value) { return value; }
ECHO(echo_bool, bool)
ECHO(echo_char, char)
ECHO(echo_int8, int8_t)
ECHO(echo_uint8, uint8_t)
ECHO(echo_int16, int16_t)
ECHO(echo_uint16, uint16_t)
ECHO(echo_int32, int32_t)
ECHO(echo_uint32, uint32_t)
ECHO(echo_int64, int64_t)
ECHO(echo_uint64, uint64_t)
ECHO(echo_float, float)
ECHO(echo_double, double)
ECHO(echo_long_double, long double)
ECHO(echo_pointer, void *)
ECHO(echo_string, const char *)
ECHO(echo_complex_float, float _Complex)
ECHO(echo_complex_double, double _Complex)
ECHO(echo_int128, __int128)
ECHO(echo_uint128, unsigned __int128)
ECHO(noisy_result, uint64_t)
ECHO(noop, int)

// --- arguments

void nothing(void) {}
int forty_two(void) { return 42; }
int add_ints(int a, int b) { return a + b; }
double add(double a, double b) { return a + b; }
float add_floats(float a, float b) { return a + b; }
long add_three(long a, long b, long c) { return a + b + c; }
long weigh_six(long a, long b, long c, long d, long e, long f) { return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f; }
long weigh_eight(long a, long b, long c, long d, long e, long f, long g, long h) { return weigh_six(a, b, c, d, e, f) + 7 * g + 8 * h; }

double weigh_eight_doubles(double a, double b, double c, double d, double e, double f, double g, double h) {
  return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h;
}

double weigh_ten_doubles(double a, double b, double c, double d, double e, double f, double g, double h, double i, double j) {
  return weigh_eight_doubles(a, b, c, d, e, f, g, h) + 9 * i + 10 * j;
}

double weigh_mixed(int a, double b, int c, double d, int e, double f, float g, long h) { return weigh_eight_doubles(a, b, c, d, e, f, (double)g, (double)h); }

double weigh_narrow(signed char a, unsigned char b, short c, unsigned short d, bool e, float f, char g) {
  return weigh_eight_doubles(a, b, c, d, e, (double)f, g, 0);
}

long weigh_ten_narrow(int8_t a, uint8_t b, int16_t c, uint16_t d, int e, unsigned f, int8_t g, uint16_t h, int i, bool j) {
  return weigh_eight(a, b, c, d, e, f, g, h) + 9L * i + 10L * j;
}

double weigh_twenty(int a, double b, short c, float d, long e, double f, char g, double h, int i, double j, long k, double l, int m, double n, int8_t o,
                    double p, uint16_t q, double r, int64_t s, float t) {
  return weigh_ten_doubles(a, b, c, (double)d, (double)e, f, g, h, i, j) + 11 * (double)k + 12 * l + 13 * m + 14 * n + 15 * o + 16 * p + 17 * q + 18 * r +
         19 * (double)s + 20 * (double)t;
}

#define SUM(name, result, type)                    \
  result name(int count, ...) {                    \
    va_list list;                                  \
    result sum = 0;                                \
    va_start(list, count);                         \
    while (count-- > 0) sum += va_arg(list, type); \
    va_end(list);                                  \
    return sum;                                    \
  }
SUM(sum_ints, long, int)
SUM(sum_longs, long, long)
SUM(sum_doubles, double, double)

int format_text(char *out, size_t size, const char *format, ...) {
  va_list list;
  va_start(list, format);
  int length = vsnprintf(out, size, format, list);
  va_end(list);
  return length;
}

// --- structs

ECHO(echo_one_int, OneInt)
ECHO(echo_two_doubles, TwoDoubles)
ECHO(echo_float_int, FloatInt)
ECHO(echo_char_short_int, CharShortInt)
ECHO(echo_double_int, DoubleInt)
ECHO(echo_long_and_double, LongAndDouble)
ECHO(echo_three_longs, ThreeLongs)
ECHO(echo_three_floats, ThreeFloats)
ECHO(echo_four_floats, FourFloats)
ECHO(echo_nested, Nested)
ECHO(echo_with_array, WithArray)
ECHO(echo_five_bytes, FiveBytes)
ECHO(echo_big, Big)
ECHO(echo_number, Number)
ECHO(echo_real, Real)
ECHO(echo_tagged, Tagged)
ECHO(echo_bits, Bits)
ECHO(echo_packed, Packed)
ECHO(echo_extended, Extended)

double sum_one_int(OneInt v) { return v.a; }
double sum_two_doubles(TwoDoubles v) { return v.x + v.y; }
double sum_float_int(FloatInt v) { return (double)v.f + v.i; }
double sum_char_short_int(CharShortInt v) { return v.c + v.s + v.i; }
double sum_double_int(DoubleInt v) { return v.d + v.i; }
double sum_three_longs(ThreeLongs v) { return (double)(v.a + v.b + v.c); }
double sum_three_floats(ThreeFloats v) { return (double)(v.x + v.y + v.z); }
double sum_nested(Nested v) { return sum_one_int(v.head) + sum_three_floats(v.tail); }
double sum_with_array(WithArray v) { return v.count + v.values[0] + v.values[1] + v.values[2] + v.text[0] + v.text[1]; }
double sum_bits(Bits v) { return (double)v.a + (double)v.b + (double)v.c + (double)v.d; }
double sum_packed(Packed v) { return v.c + v.i + v.s; }
double sum_extended(Extended v) { return (double)v.value; }

double sum_big(Big v) {
  double sum = 0;
  for (int i = 0; i < 16; i++) sum += v.values[i];
  return sum;
}

double sum_several(int first, TwoDoubles a, DoubleInt b, ThreeLongs c, Packed d, FloatInt e, double last) {
  return first + sum_two_doubles(a) + sum_double_int(b) + sum_three_longs(c) + sum_packed(d) + sum_float_int(e) + last;
}

OneInt make_one_int(int a) { return (OneInt){a}; }
TwoDoubles make_two_doubles(double x, double y) { return (TwoDoubles){x, y}; }
DoubleInt make_double_int(double d, int i) { return (DoubleInt){d, i}; }
ThreeLongs make_three_longs(long a, long b, long c) { return (ThreeLongs){a, b, c}; }
Bits make_bits(unsigned a, int b, unsigned c, unsigned long d) { return (Bits){.a = a & 7, .b = b, .c = c & 0xFFFFFF, .d = d & 0xFFFFFFFFFF}; }

// --- layouts

static const struct {
  const char *name;
  size_t size, alignment;
} types[] = {
#define TYPE(t) \
  { #t, sizeof(t), _Alignof(t) }
    TYPE(OneInt),      TYPE(TwoDoubles), TYPE(FloatInt), TYPE(CharShortInt), TYPE(DoubleInt), TYPE(LongAndDouble), TYPE(ThreeLongs),
    TYPE(ThreeFloats), TYPE(FourFloats), TYPE(Nested),   TYPE(WithArray),    TYPE(FiveBytes), TYPE(Big),           TYPE(Number),
    TYPE(Real),        TYPE(Tagged),     TYPE(Bits),     TYPE(Packed),       TYPE(Extended),
#undef TYPE
};

static const struct {
  const char *type, *member;
  size_t offset;
} members[] = {
#define MEMBER(t, m) \
  { #t, #m, offsetof(t, m) }
    MEMBER(OneInt, a),        MEMBER(TwoDoubles, x),     MEMBER(TwoDoubles, y),   MEMBER(FloatInt, f),      MEMBER(FloatInt, i),      MEMBER(CharShortInt, c),
    MEMBER(CharShortInt, s),  MEMBER(CharShortInt, i),   MEMBER(DoubleInt, d),    MEMBER(DoubleInt, i),     MEMBER(LongAndDouble, i), MEMBER(LongAndDouble, d),
    MEMBER(ThreeLongs, a),    MEMBER(ThreeLongs, b),     MEMBER(ThreeLongs, c),   MEMBER(ThreeFloats, x),   MEMBER(ThreeFloats, y),   MEMBER(ThreeFloats, z),
    MEMBER(FourFloats, r),    MEMBER(FourFloats, g),     MEMBER(FourFloats, b),   MEMBER(FourFloats, a),    MEMBER(Nested, head),     MEMBER(Nested, tail),
    MEMBER(WithArray, count), MEMBER(WithArray, values), MEMBER(WithArray, text), MEMBER(FiveBytes, bytes), MEMBER(Big, values),      MEMBER(Number, i),
    MEMBER(Number, d),        MEMBER(Number, bytes),     MEMBER(Real, f),         MEMBER(Real, d),          MEMBER(Tagged, kind),     MEMBER(Tagged, i),
    MEMBER(Tagged, f),        MEMBER(Packed, c),         MEMBER(Packed, i),       MEMBER(Packed, s),        MEMBER(Extended, value),
#undef MEMBER
};

long layout_size(const char *type) {
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (strcmp(types[i].name, type) == 0) return (long)types[i].size;
  return -1;
}

long layout_alignment(const char *type) {
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (strcmp(types[i].name, type) == 0) return (long)types[i].alignment;
  return -1;
}

long layout_offset(const char *type, const char *member) {
  for (size_t i = 0; i < sizeof members / sizeof *members; i++)
    if (strcmp(members[i].type, type) == 0 && strcmp(members[i].member, member) == 0) return (long)members[i].offset;
  return -1;
}

// --- memory and text

int global_int = 42;
unsigned char global_byte = 200;
double global_double = 2.5;
const char *global_text = "global";
int global_array[4] = {1, 2, 3, 4};
DoubleInt global_struct = {1.5, 7};
int (*kept_function)(int);

int get_global_int(void) { return global_int; }

void out_int(int *out) { *out = 42; }

void out_several(int *i, double *d, const char **text, void **pointer) {
  *i = -7;
  *d = 2.5;
  *text = "out";
  *pointer = i;
}

int divide(int dividend, int divisor, int *quotient, int *remainder) {
  if (divisor == 0) {
    errno = EDOM;
    return -1;
  }
  *quotient = dividend / divisor;
  *remainder = dividend % divisor;
  return 0;
}

void fill(void *bytes, size_t count, int value) { memset(bytes, value, count); }
size_t text_length(const char *text) { return text == NULL ? SIZE_MAX : strlen(text); }
const char *static_text(void) { return "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC"; }
const char *latin1_text(void) { return "gr\xFC\xDF"; }
const char *null_text(void) { return NULL; }
char *copied_text(const char *text) { return text == NULL ? NULL : strdup(text); }
void free_memory(void *memory) { free(memory); }

// --- callbacks

static int increment(int value) { return value + 1; }
int (*get_function(void))(int) { return increment; }

int call_back(int (*function)(int), int value) { return function(value); }
TwoDoubles call_back_struct(TwoDoubles (*function)(TwoDoubles), TwoDoubles value) { return function(value); }
void call_back_void(void (*function)(void)) { function(); }
int8_t call_back_narrow(int8_t (*function)(uint16_t), uint16_t value) { return function(value); }

double call_back_mixed(double (*function)(int8_t, double, const char *, void *, float), double value) {
  return function(-8, value, "called", &global_int, 0.5f);
}

typedef struct {
  pthread_t thread;
  int (*function)(int);
  int value, times, milliseconds;
  long sum;
} Job;

static void *run_job(void *context) {
  Job *job = context;
  for (int i = 0; i < job->times; i++) job->sum += job->function(job->value + i);
  return NULL;
}

int call_back_in_thread(int (*function)(int), int value) {
  Job job = {.function = function, .value = value, .times = 1};
  if (pthread_create(&job.thread, NULL, run_job, &job) != 0) return -1;
  pthread_join(job.thread, NULL);
  return (int)job.sum;
}

long call_back_from_threads(int (*function)(int), int threads, int times) {
  Job *jobs = calloc((size_t)threads, sizeof *jobs);
  long sum = 0;
  if (jobs == NULL) return -1;
  for (int i = 0; i < threads; i++) {
    jobs[i] = (Job){.function = function, .value = 0, .times = times};
    if (pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]) != 0) abort();
  }
  for (int i = 0; i < threads; i++) {
    pthread_join(jobs[i].thread, NULL);
    sum += jobs[i].sum;
  }
  free(jobs);
  return sum;
}

static void *run_later(void *context) {
  Job *job = context;
  sleep_milliseconds(job->milliseconds);
  job->function(job->value);
  free(job);
  return NULL;
}

int call_back_later(int (*function)(int), int value, int milliseconds) {
  Job *job = calloc(1, sizeof *job);
  if (job == NULL) return -1;
  *job = (Job){.function = function, .value = value, .milliseconds = milliseconds};
  if (pthread_create(&job->thread, NULL, run_later, job) != 0) {
    free(job);
    return -1;
  }
  pthread_detach(job->thread);
  return 0;
}

long call_back_often(int (*function)(int), int times) {
  long sum = 0;
  for (int i = 0; i < times; i++) sum += function(i);
  return sum;
}

int call_back_after(int (*function)(int), int value, int milliseconds) {
  sleep_milliseconds(milliseconds);
  return function(value);
}

void sort_ints(int *values, size_t count, int (*compare)(const void *, const void *)) { qsort(values, count, sizeof *values, compare); }

// --- time

static int64_t milliseconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static long checksum(const volatile unsigned char *bytes, size_t count) {
  unsigned long sum = 17;
  for (size_t i = 0; i < count; i++) sum = sum * 31 + bytes[i];
  return (long)(sum >> 1);
}

long checksum_slowly(const void *bytes, size_t count, int milliseconds) {
  int64_t end = milliseconds_now() + milliseconds;
  long first = checksum(bytes, count);
  do
    if (checksum(bytes, count) != first) return -1;
  while (milliseconds_now() < end);
  return first;
}

int sleep_milliseconds(int milliseconds) {
  struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
  return nanosleep(&time, NULL);
}

int64_t sleep_then_clock(int milliseconds) {
  struct timespec now;
  sleep_milliseconds(milliseconds);
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int spin_milliseconds(int milliseconds) {
  int64_t end = milliseconds_now() + milliseconds;
  while (milliseconds_now() < end) {
  }
  return milliseconds;
}

int never_return(void) {
  for (;;) pause();
}

int wait_for_signal(void) { return pause(); }

int set_errno(int value) {
  errno = value;
  return -1;
}

int get_errno(void) { return errno; }
int make_pipe(int ends[2]) { return pipe(ends); }
long wait_on_pipe(int end, void *bytes, size_t count) { return read(end, bytes, count); }
long put_in_pipe(int end, const void *bytes, size_t count) { return write(end, bytes, count); }

// --- faults

int crash_null(void) {
  int *volatile null = NULL;
  return *null;
}

int crash_divide(int divisor) {
  volatile int dividend = 1;
  return dividend / divisor;
}

int crash_illegal(void) { __builtin_trap(); }

// A page of a file that ends before it.
int crash_bus(void) {
  FILE *file = tmpfile();
  if (file == NULL) return -1;
  volatile char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fileno(file), 0);
  fclose(file);
  return page == MAP_FAILED ? -1 : *page;
}
