// What the library for the tests of the C interface has. Tests read this file with the declaration parser too, so it is plain declarations:
// who compiles it includes <stdbool.h>, <stddef.h> and <stdint.h> first, and once.

// --- every scalar type in and out

bool echo_bool(bool value);
char echo_char(char value);
int8_t echo_int8(int8_t value);
uint8_t echo_uint8(uint8_t value);
int16_t echo_int16(int16_t value);
uint16_t echo_uint16(uint16_t value);
int32_t echo_int32(int32_t value);
uint32_t echo_uint32(uint32_t value);
int64_t echo_int64(int64_t value);
uint64_t echo_uint64(uint64_t value);
float echo_float(float value);
double echo_double(double value);
long double echo_long_double(long double value);
void *echo_pointer(void *value);
const char *echo_string(const char *value);
float _Complex echo_complex_float(float _Complex value);
double _Complex echo_complex_double(double _Complex value);
__int128 echo_int128(__int128 value);
unsigned __int128 echo_uint128(unsigned __int128 value);

// All bits of the register but the lowest 8, 16 or 32 are noise, for those who declare a narrower result.
uint64_t noisy_result(uint64_t value);

// --- arguments

int noop(int value);
void nothing(void);
int forty_two(void);
int add_ints(int a, int b);
double add(double a, double b);
float add_floats(float a, float b);
long add_three(long a, long b, long c);
// Each argument times its place, from 1.
long weigh_six(long a, long b, long c, long d, long e, long f);
long weigh_eight(long a, long b, long c, long d, long e, long f, long g, long h);
double weigh_eight_doubles(double a, double b, double c, double d, double e, double f, double g, double h);
double weigh_ten_doubles(double a, double b, double c, double d, double e, double f, double g, double h, double i, double j);
double weigh_mixed(int a, double b, int c, double d, int e, double f, float g, long h);
double weigh_narrow(signed char a, unsigned char b, short c, unsigned short d, bool e, float f, char g);
// The last ones lie on the stack.
long weigh_ten_narrow(int8_t a, uint8_t b, int16_t c, uint16_t d, int e, unsigned f, int8_t g, uint16_t h, int i, bool j);
double weigh_twenty(int a, double b, short c, float d, long e, double f, char g, double h, int i, double j, long k, double l, int m, double n, int8_t o,
                    double p, uint16_t q, double r, int64_t s, float t);
long sum_ints(int count, ...);
long sum_longs(int count, ...);
double sum_doubles(int count, ...);
int format_text(char *out, size_t size, const char *format, ...);

// --- structs by value

typedef struct {
  int a;
} OneInt;

typedef struct {
  double x, y;
} TwoDoubles;

typedef struct {
  float f;
  int i;
} FloatInt;

typedef struct {
  char c;
  short s;
  int i;
} CharShortInt;

typedef struct {
  double d;
  int i;
} DoubleInt;

typedef struct {
  int64_t i;
  double d;
} LongAndDouble;

typedef struct {
  long a, b, c;
} ThreeLongs;

typedef struct {
  float x, y, z;
} ThreeFloats;

typedef struct {
  float r, g, b, a;
} FourFloats;

typedef struct {
  OneInt head;
  ThreeFloats tail;
} Nested;

typedef struct {
  int count;
  short values[3];
  char text[2];
} WithArray;

typedef struct {
  char bytes[5];
} FiveBytes;

typedef struct {
  double values[16];
} Big;

typedef union {
  int i;
  double d;
  unsigned char bytes[8];
} Number;

typedef union {
  float f;
  double d;
} Real;

typedef struct {
  int kind;
  union {
    int i;
    float f;
  };
} Tagged;

typedef struct {
  unsigned a : 3;
  int b : 5;
  unsigned c : 24;
  unsigned long d : 40;
} Bits;

typedef struct __attribute__((packed)) {
  char c;
  int i;
  short s;
} Packed;

typedef struct {
  long double value;
} Extended;

OneInt echo_one_int(OneInt value);
TwoDoubles echo_two_doubles(TwoDoubles value);
FloatInt echo_float_int(FloatInt value);
CharShortInt echo_char_short_int(CharShortInt value);
DoubleInt echo_double_int(DoubleInt value);
LongAndDouble echo_long_and_double(LongAndDouble value);
ThreeLongs echo_three_longs(ThreeLongs value);
ThreeFloats echo_three_floats(ThreeFloats value);
FourFloats echo_four_floats(FourFloats value);
Nested echo_nested(Nested value);
WithArray echo_with_array(WithArray value);
FiveBytes echo_five_bytes(FiveBytes value);
Big echo_big(Big value);
Number echo_number(Number value);
Real echo_real(Real value);
Tagged echo_tagged(Tagged value);
Bits echo_bits(Bits value);
Packed echo_packed(Packed value);
Extended echo_extended(Extended value);

// The sum of the members.
double sum_one_int(OneInt value);
double sum_two_doubles(TwoDoubles value);
double sum_float_int(FloatInt value);
double sum_char_short_int(CharShortInt value);
double sum_double_int(DoubleInt value);
double sum_three_longs(ThreeLongs value);
double sum_three_floats(ThreeFloats value);
double sum_nested(Nested value);
double sum_with_array(WithArray value);
double sum_big(Big value);
double sum_bits(Bits value);
double sum_packed(Packed value);
double sum_extended(Extended value);
// More than the registers hold.
double sum_several(int first, TwoDoubles a, DoubleInt b, ThreeLongs c, Packed d, FloatInt e, double last);

OneInt make_one_int(int a);
TwoDoubles make_two_doubles(double x, double y);
DoubleInt make_double_int(double d, int i);
ThreeLongs make_three_longs(long a, long b, long c);
Bits make_bits(unsigned a, int b, unsigned c, unsigned long d);

// As C has it, by the names above and those of members; -1 for a name that is not there.
long layout_size(const char *type);
long layout_alignment(const char *type);
long layout_offset(const char *type, const char *member);

// --- memory and text

void out_int(int *out);
void out_several(int *i, double *d, const char **text, void **pointer);
int divide(int dividend, int divisor, int *quotient, int *remainder);
void fill(void *bytes, size_t count, int value);
size_t text_length(const char *text);
const char *static_text(void);
const char *latin1_text(void);
const char *null_text(void);
char *copied_text(const char *text);
void free_memory(void *memory);

extern int global_int;
extern unsigned char global_byte;
extern double global_double;
extern const char *global_text;
extern int global_array[4];
extern DoubleInt global_struct;
int get_global_int(void);

// --- callbacks

typedef int IntFunction(int);
int call_back(int (*function)(int), int value);
double call_back_mixed(double (*function)(int8_t, double, const char *, void *, float), double value);
TwoDoubles call_back_struct(TwoDoubles (*function)(TwoDoubles), TwoDoubles value);
void call_back_void(void (*function)(void));
int8_t call_back_narrow(int8_t (*function)(uint16_t), uint16_t value);
// Calls back in a thread made for it, and waits.
int call_back_in_thread(int (*function)(int), int value);
// So many threads call back so often each, all at once, with values from 0; answers the sum of the answers.
long call_back_from_threads(int (*function)(int), int threads, int times);
// Returns at once; a thread calls back after a while.
int call_back_later(int (*function)(int), int value, int milliseconds);
// Calls back so often with values from 0; answers the sum of the answers.
long call_back_often(int (*function)(int), int times);
// Sleeps, then calls back on the same thread.
int call_back_after(int (*function)(int), int value, int milliseconds);
void sort_ints(int *values, size_t count, int (*compare)(const void *, const void *));
int (*get_function(void))(int);
int (*kept_function)(int);

// --- time, and what may go wrong

// The checksum of the bytes, taken again and again for so long; -1 when they changed meanwhile.
long checksum_slowly(const void *bytes, size_t count, int milliseconds);
// 0, or -1 with errno EINTR when a signal came.
int sleep_milliseconds(int milliseconds);
// Sleeps, then answers the nanoseconds of the monotonic clock.
int64_t sleep_then_clock(int milliseconds);
// Computes for so long.
int spin_milliseconds(int milliseconds);
// Signals do not end it.
int never_return(void);
// Returns -1 with errno EINTR when a signal came.
int wait_for_signal(void);
int set_errno(int value);
int get_errno(void);
int make_pipe(int ends[2]);
long wait_on_pipe(int end, void *bytes, size_t count);
long put_in_pipe(int end, const void *bytes, size_t count);
int crash_null(void);
int crash_divide(int divisor);
int crash_illegal(void);
int crash_bus(void);
