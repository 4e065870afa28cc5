// Integers beyond the inlined paths: plain primitives on Small and LargeIntegers, by GMP.
//
// A LargeInteger's body is its magnitude in 64-bit limbs, least first; the highest limb is not zero, and no value that fits a
// SmallInteger is a LargeInteger. So a read-only mpz_t can be laid over it without a copy. GMP aborts when it has no memory,
// therefore results of more than MAX_BITS are refused beforehand.
#include "vm/interpreter.h"
#include "vm/primitives.h"
#include <ctype.h>
#include <gmp.h>
#include <math.h>
#include <stdlib.h>

enum { MAX_BITS = 1 << 30 };

typedef struct {
  mpz_t z;
  mp_limb_t limb;
} Operand;

bool is_integer_object(Oop o) {
  if (is_integer(o)) return true;
  uint32_t index = class_index_of(o);
  return index == CLASS_LargePositiveInteger || index == CLASS_LargeNegativeInteger;
}

// Lays an mpz over an Integer; valid until the next collection.
static bool load(Oop o, Operand *out) {
  if (is_integer(o)) {
    int64_t n = oop_to_integer(o);
    out->limb = n < 0 ? (mp_limb_t)-n : (mp_limb_t)n;
    mpz_roinit_n(out->z, &out->limb, n == 0 ? 0 : n < 0 ? -1 : 1);
    return true;
  }
  if (!is_integer_object(o)) return false;
  mp_size_t size = (mp_size_t)object_size(o);
  mpz_roinit_n(out->z, (const mp_limb_t *)object_slots(o), class_index_of(o) == CLASS_LargeNegativeInteger ? -size : size);
  return true;
}

static Oop store(VM *vm, const mpz_t z) {
  size_t size = mpz_size(z);
  bool negative = mpz_sgn(z) < 0;
  if (size <= 1) return integer_object(vm, size == 0 ? 0 : mpz_getlimbn(z, 0), negative);
  Oop o = heap_allocate(vm->heap, negative ? CLASS_LargeNegativeInteger : CLASS_LargePositiveInteger, FORMAT_WORDS64, size);
  if (o == OOP_NONE) return primitive_needs_collection(vm);
  memcpy(object_slots(o), mpz_limbs_read(z), 8 * size);
  return o;
}

static Oop store_and_clear(VM *vm, mpz_t z) {
  Oop o = store(vm, z);
  mpz_clear(z);
  return o;
}

typedef void Operation(mpz_t result, const mpz_t a, const mpz_t b);

static Oop apply(VM *vm, Oop *args, Operation *operation) {
  Operand a, b;
  if (!load(args[0], &a)) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!load(args[1], &b)) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  mpz_t result;
  mpz_init(result);
  operation(result, a.z, b.z);
  return store_and_clear(vm, result);
}

static Oop divide_by(VM *vm, Oop *args, Operation *operation) {
  if (args[1] == oop_from_integer(0)) return primitive_fail(vm, FAIL_ZERO_DIVIDE);
  return apply(vm, args, operation);
}

static void add(mpz_t r, const mpz_t a, const mpz_t b) { mpz_add(r, a, b); }
static void subtract(mpz_t r, const mpz_t a, const mpz_t b) { mpz_sub(r, a, b); }
static void multiply(mpz_t r, const mpz_t a, const mpz_t b) { mpz_mul(r, a, b); }
static void floor_divide(mpz_t r, const mpz_t a, const mpz_t b) { mpz_fdiv_q(r, a, b); }
static void modulo(mpz_t r, const mpz_t a, const mpz_t b) { mpz_fdiv_r(r, a, b); }
static void quotient(mpz_t r, const mpz_t a, const mpz_t b) { mpz_tdiv_q(r, a, b); }
static void remainder_of(mpz_t r, const mpz_t a, const mpz_t b) { mpz_tdiv_r(r, a, b); }
static void bit_and(mpz_t r, const mpz_t a, const mpz_t b) { mpz_and(r, a, b); }
static void bit_or(mpz_t r, const mpz_t a, const mpz_t b) { mpz_ior(r, a, b); }
static void bit_xor(mpz_t r, const mpz_t a, const mpz_t b) { mpz_xor(r, a, b); }
static void gcd(mpz_t r, const mpz_t a, const mpz_t b) { mpz_gcd(r, a, b); }

static Oop integer_add(VM *vm, Oop *args) { return apply(vm, args, add); }
static Oop integer_subtract(VM *vm, Oop *args) { return apply(vm, args, subtract); }
static Oop integer_floor_divide(VM *vm, Oop *args) { return divide_by(vm, args, floor_divide); }
static Oop integer_modulo(VM *vm, Oop *args) { return divide_by(vm, args, modulo); }
static Oop integer_quotient(VM *vm, Oop *args) { return divide_by(vm, args, quotient); }
static Oop integer_remainder(VM *vm, Oop *args) { return divide_by(vm, args, remainder_of); }
static Oop integer_bit_and(VM *vm, Oop *args) { return apply(vm, args, bit_and); }
static Oop integer_bit_or(VM *vm, Oop *args) { return apply(vm, args, bit_or); }
static Oop integer_bit_xor(VM *vm, Oop *args) { return apply(vm, args, bit_xor); }
static Oop integer_gcd(VM *vm, Oop *args) { return apply(vm, args, gcd); }

static size_t bits_of(Oop o) { return is_integer(o) ? 64 : 64 * object_size(o); }

static Oop integer_multiply(VM *vm, Oop *args) {
  if (is_integer_object(args[0]) && is_integer_object(args[1]) && bits_of(args[0]) + bits_of(args[1]) > MAX_BITS) return primitive_fail(vm, FAIL_OUT_OF_MEMORY);
  return apply(vm, args, multiply);
}

static Oop integer_divide(VM *vm, Oop *args) {
  Operand a, b;
  if (!load(args[0], &a)) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!load(args[1], &b)) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  if (mpz_sgn(b.z) == 0) return primitive_fail(vm, FAIL_ZERO_DIVIDE);
  if (!mpz_divisible_p(a.z, b.z)) return primitive_fail(vm, FAIL_NOT_EXACT);
  mpz_t result;
  mpz_init(result);
  mpz_divexact(result, a.z, b.z);
  return store_and_clear(vm, result);
}

static Oop integer_bit_shift(VM *vm, Oop *args) {
  Operand a;
  if (!load(args[0], &a)) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!is_integer(args[1])) return primitive_fail(vm, is_integer_object(args[1]) ? FAIL_OUT_OF_RANGE : FAIL_BAD_ARGUMENT);
  int64_t n = oop_to_integer(args[1]);
  if (n > 0 && mpz_sgn(a.z) != 0 && (uint64_t)n + bits_of(args[0]) > MAX_BITS) return primitive_fail(vm, FAIL_OUT_OF_MEMORY);
  mpz_t result;
  mpz_init(result);
  if (n >= 0 && mpz_sgn(a.z) != 0) mpz_mul_2exp(result, a.z, (mp_bitcnt_t)n);
  else if (n < 0) mpz_fdiv_q_2exp(result, a.z, (mp_bitcnt_t)-n);
  return store_and_clear(vm, result);
}

static Oop integer_raised_to(VM *vm, Oop *args) {
  Operand a;
  if (!load(args[0], &a)) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!is_integer(args[1]) || oop_to_integer(args[1]) < 0) return primitive_fail(vm, is_integer_object(args[1]) ? FAIL_OUT_OF_RANGE : FAIL_BAD_ARGUMENT);
  uint64_t n = (uint64_t)oop_to_integer(args[1]);
  if (mpz_cmpabs_ui(a.z, 1) > 0 && (n > MAX_BITS || (double)n * (double)mpz_sizeinbase(a.z, 2) > MAX_BITS)) return primitive_fail(vm, FAIL_OUT_OF_MEMORY);
  if (mpz_cmpabs_ui(a.z, 1) <= 0) n = n > 0 ? 2 - (n & 1) : 0;  // 0, 1 and -1: only whether the exponent is 0, odd or even
  mpz_t result;
  mpz_init(result);
  mpz_pow_ui(result, a.z, n);
  return store_and_clear(vm, result);
}

static Oop integer_sqrt_floor(VM *vm, Oop *args) {
  Operand a;
  if (!load(args[0], &a)) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (mpz_sgn(a.z) < 0) return primitive_fail(vm, FAIL_OUT_OF_RANGE);
  mpz_t result;
  mpz_init(result);
  mpz_sqrt(result, a.z);
  return store_and_clear(vm, result);
}

static Oop integer_high_bit(VM *vm, Oop *args) {
  Operand a;
  if (!load(args[0], &a)) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  return oop_from_integer(mpz_sgn(a.z) == 0 ? 0 : (int64_t)mpz_sizeinbase(a.z, 2));
}

// --- comparing

static bool compare(VM *vm, Oop *args, int *out) {
  Operand a, b;
  if (!load(args[0], &a)) vm->failure = FAIL_BAD_RECEIVER;
  else if (!load(args[1], &b)) vm->failure = FAIL_BAD_ARGUMENT;
  else {
    *out = mpz_cmp(a.z, b.z);
    return true;
  }
  return false;
}

#define COMPARISON(name, relation)                                                    \
  static Oop name(VM *vm, Oop *args) {                                                \
    int order;                                                                        \
    return compare(vm, args, &order) ? oop_from_boolean(order relation 0) : OOP_NONE; \
  }
COMPARISON(integer_less, <)
COMPARISON(integer_less_equal, <=)
COMPARISON(integer_greater, >)
COMPARISON(integer_greater_equal, >=)
COMPARISON(integer_equal, ==)
COMPARISON(integer_not_equal, !=)

// --- hashing, printing, reading, floats

static Oop integer_hash(VM *vm, Oop *args) {
  if (is_integer(args[0])) return args[0];
  if (!is_integer_object(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  uint64_t h = class_index_of(args[0]);
  for (size_t i = 0; i < object_size(args[0]); i++) h = (h ^ object_slots(args[0])[i]) * 0x9E3779B97F4A7C15u;
  return oop_from_integer((int64_t)(h >> 34));
}

static bool is_odd(Oop o) { return (is_integer(o) ? o >> 3 : object_slots(o)[0]) & 1; }
static Oop integer_odd(VM *vm, Oop *args) { return is_integer_object(args[0]) ? oop_from_boolean(is_odd(args[0])) : primitive_fail(vm, FAIL_BAD_RECEIVER); }
static Oop integer_even(VM *vm, Oop *args) { return is_integer_object(args[0]) ? oop_from_boolean(!is_odd(args[0])) : primitive_fail(vm, FAIL_BAD_RECEIVER); }

static Oop integer_print_string(VM *vm, Oop *args) {
  Operand a;
  if (!load(args[0], &a)) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!is_integer(args[1]) || oop_to_integer(args[1]) < 2 || oop_to_integer(args[1]) > 36) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  char *text = mpz_get_str(NULL, -(int)oop_to_integer(args[1]), a.z);
  Oop o = string_from_utf8(vm, text, strlen(text));
  free(text);
  return o == OOP_NONE ? primitive_needs_collection(vm) : o;
}

static bool all_digits(const char *text, int radix) {
  if (*text == '-') text++;
  if (*text == 0) return false;
  for (; *text != 0; text++) {
    int c = (unsigned char)*text, value = isdigit(c) ? c - '0' : c >= 'A' && c <= 'Z' ? c - 'A' + 10 : c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
    if (value >= radix) return false;
  }
  return true;
}

static Oop integer_from_string(VM *vm, Oop *args) {
  char *text = string_to_utf8(args[1], NULL);
  int radix = is_integer(args[2]) && oop_to_integer(args[2]) >= 2 && oop_to_integer(args[2]) <= 36 ? (int)oop_to_integer(args[2]) : 0;
  if (text == NULL || radix == 0 || !all_digits(text, radix)) {
    free(text);
    return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  }
  mpz_t z;
  mpz_init_set_str(z, text, radix);
  free(text);
  return store_and_clear(vm, z);
}

// Rounds to the nearest double, ties to even: 64 leading bits, the lowest of them set when anything nonzero follows.
double integer_to_double(Oop o) {
  Operand a;
  if (!load(o, &a)) return NAN;
  size_t bits = mpz_sgn(a.z) == 0 ? 0 : mpz_sizeinbase(a.z, 2);
  if (bits <= 64) {
    double d = (double)(bits == 0 ? 0 : mpz_getlimbn(a.z, 0));
    return mpz_sgn(a.z) < 0 ? -d : d;
  }
  if (bits > 2000) return mpz_sgn(a.z) < 0 ? -INFINITY : INFINITY;
  mpz_t top;
  mpz_init(top);
  mpz_tdiv_q_2exp(top, a.z, bits - 64);
  uint64_t leading = mpz_getlimbn(top, 0);
  if (mpz_scan1(a.z, 0) < bits - 64) leading |= 1;
  mpz_clear(top);
  double d = ldexp((double)leading, (int)(bits - 64));
  return mpz_sgn(a.z) < 0 ? -d : d;
}

static Oop integer_as_float(VM *vm, Oop *args) {
  if (!is_integer_object(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  return float_object(vm, integer_to_double(args[0]));
}

Oop integer_from_double(VM *vm, double d) {
  mpz_t z;
  mpz_init_set_d(z, d);
  return store_and_clear(vm, z);
}

int integer_compare_double(Oop o, double d) {
  Operand a;
  if (!load(o, &a)) return 0;
  return mpz_cmp_d(a.z, d);
}

void integer_primitives_register(VM *vm) {
  static const PrimitiveEntry entries[] = {
      {"integerAdd", 1, integer_add, NULL, false},
      {"integerSubtract", 1, integer_subtract, NULL, false},
      {"integerMultiply", 1, integer_multiply, NULL, false},
      {"integerDivide", 1, integer_divide, NULL, false},
      {"integerFloorDivide", 1, integer_floor_divide, NULL, false},
      {"integerModulo", 1, integer_modulo, NULL, false},
      {"integerQuotient", 1, integer_quotient, NULL, false},
      {"integerRemainder", 1, integer_remainder, NULL, false},
      {"integerLess", 1, integer_less, NULL, false},
      {"integerLessEqual", 1, integer_less_equal, NULL, false},
      {"integerGreater", 1, integer_greater, NULL, false},
      {"integerGreaterEqual", 1, integer_greater_equal, NULL, false},
      {"integerEqual", 1, integer_equal, NULL, false},
      {"integerNotEqual", 1, integer_not_equal, NULL, false},
      {"integerBitAnd", 1, integer_bit_and, NULL, false},
      {"integerBitOr", 1, integer_bit_or, NULL, false},
      {"integerBitXor", 1, integer_bit_xor, NULL, false},
      {"integerBitShift", 1, integer_bit_shift, NULL, false},
      {"integerGcd", 1, integer_gcd, NULL, false},
      {"integerHighBit", 0, integer_high_bit, NULL, false},
      {"integerSqrtFloor", 0, integer_sqrt_floor, NULL, false},
      {"integerRaisedTo", 1, integer_raised_to, NULL, false},
      {"integerPrintString", 1, integer_print_string, NULL, false},
      {"integerFromString", 2, integer_from_string, NULL, false},
      {"integerAsFloat", 0, integer_as_float, NULL, false},
      {"integerHash", 0, integer_hash, NULL, false},
      {"integerOdd", 0, integer_odd, NULL, false},
      {"integerEven", 0, integer_even, NULL, false},
  };
  primitives_register(vm, entries, sizeof entries / sizeof *entries);
}
