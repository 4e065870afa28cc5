// Plain primitives on Floats. An argument may be a Float or an Integer; comparisons with Integers are exact.
#include "vm/interpreter.h"
#include "vm/primitives.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

Oop float_object(VM *vm, double value) {
  Oop o;
  if (float_is_immediate(value, &o)) return o;
  o = heap_allocate(vm->heap, CLASS_Float, FORMAT_WORDS64, 1);
  if (o == OOP_NONE) return primitive_needs_collection(vm);
  memcpy(object_slots(o), &value, 8);
  return o;
}

static bool float_value(Oop o, double *out) {
  if (is_immediate_float(o)) *out = immediate_float_value(o);
  else if (is_pointer(o) && class_index_of(o) == CLASS_Float) memcpy(out, object_slots(o), 8);
  else return false;
  return true;
}

static bool number_value(Oop o, double *out) {
  if (float_value(o, out)) return true;
  if (!is_integer_object(o)) return false;
  *out = integer_to_double(o);
  return true;
}

static bool operands(VM *vm, Oop *args, double *a, double *b) {
  if (!float_value(args[0], a)) vm->failure = FAIL_BAD_RECEIVER;
  else if (!number_value(args[1], b)) vm->failure = FAIL_BAD_ARGUMENT;
  else return true;
  return false;
}

#define BINARY(name, expression)                                                   \
  static Oop name(VM *vm, Oop *args) {                                             \
    double a, b;                                                                   \
    return operands(vm, args, &a, &b) ? float_object(vm, (expression)) : OOP_NONE; \
  }
BINARY(float_add, a + b)
BINARY(float_subtract, a - b)
BINARY(float_multiply, a *b)
BINARY(float_raised_to, pow(a, b))
BINARY(float_arc_tan2, atan2(a, b))

static Oop float_divide(VM *vm, Oop *args) {
  double a, b;
  if (!operands(vm, args, &a, &b)) return OOP_NONE;
  return b == 0.0 ? primitive_fail(vm, FAIL_ZERO_DIVIDE) : float_object(vm, a / b);
}

// -1, 0, 1, or 2 where a NaN is involved.
static bool order_of(VM *vm, Oop *args, int *out) {
  double a, b;
  if (!float_value(args[0], &a)) {
    vm->failure = FAIL_BAD_RECEIVER;
    return false;
  }
  if (is_integer_object(args[1])) {
    int order = isnan(a) ? 2 : -integer_compare_double(args[1], a);
    *out = order == 2 ? 2 : (order > 0) - (order < 0);
    return true;
  }
  if (!float_value(args[1], &b)) {
    vm->failure = FAIL_BAD_ARGUMENT;
    return false;
  }
  *out = isnan(a) || isnan(b) ? 2 : (a > b) - (a < b);
  return true;
}

#define COMPARISON(name, condition)                                         \
  static Oop name(VM *vm, Oop *args) {                                      \
    int o;                                                                  \
    return order_of(vm, args, &o) ? oop_from_boolean(condition) : OOP_NONE; \
  }
COMPARISON(float_less, o == -1)
COMPARISON(float_less_equal, o == -1 || o == 0)
COMPARISON(float_greater, o == 1)
COMPARISON(float_greater_equal, o == 1 || o == 0)
COMPARISON(float_equal, o == 0)
COMPARISON(float_not_equal, o != 0)

#define UNARY(name, expression)                                                                               \
  static Oop name(VM *vm, Oop *args) {                                                                        \
    double a;                                                                                                 \
    return float_value(args[0], &a) ? float_object(vm, (expression)) : primitive_fail(vm, FAIL_BAD_RECEIVER); \
  }
UNARY(float_fraction_part, a - trunc(a))
UNARY(float_sqrt, sqrt(a))
UNARY(float_sin, sin(a))
UNARY(float_cos, cos(a))
UNARY(float_tan, tan(a))
UNARY(float_arc_sin, asin(a))
UNARY(float_arc_cos, acos(a))
UNARY(float_arc_tan, atan(a))
UNARY(float_exp, exp(a))
UNARY(float_ln, log(a))
UNARY(float_log10, log10(a))
UNARY(float_log2, log2(a))

static Oop float_truncated(VM *vm, Oop *args) {
  double a;
  if (!float_value(args[0], &a)) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  return isfinite(a) ? integer_from_double(vm, a) : primitive_fail(vm, FAIL_OUT_OF_RANGE);
}

static Oop float_exponent(VM *vm, Oop *args) {
  double a;
  if (!float_value(args[0], &a)) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  return isfinite(a) && a != 0 ? oop_from_integer(ilogb(a)) : primitive_fail(vm, FAIL_OUT_OF_RANGE);
}

static Oop float_times_two_power(VM *vm, Oop *args) {
  double a;
  if (!float_value(args[0], &a)) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!is_integer(args[1])) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  int64_t n = oop_to_integer(args[1]);
  return float_object(vm, ldexp(a, n > 10000 ? 10000 : n < -10000 ? -10000 : (int)n));
}

static Oop float_hash(VM *vm, Oop *args) {
  double a;
  if (!float_value(args[0], &a)) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (a == trunc(a) && fabs(a) < 1e18) return oop_from_integer((int64_t)a);  // as the equal SmallInteger
  if (isfinite(a) && a == trunc(a)) {
    Oop n = integer_from_double(vm, a);
    return n == OOP_NONE ? OOP_NONE : vm->primitives[primitives_index(vm, "integerHash", 11)]->plain(vm, &n);
  }
  uint64_t bits;
  memcpy(&bits, &a, 8);
  return oop_from_integer((int64_t)((bits * 0x9E3779B97F4A7C15u) >> 34));
}

static Oop float_bits(VM *vm, Oop *args) {
  double a;
  uint64_t bits;
  if (!float_value(args[0], &a)) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  memcpy(&bits, &a, 8);
  return integer_object(vm, bits, false);
}

static Oop float_from_bits(VM *vm, Oop *args) {
  uint64_t bits;
  bool negative;
  double a;
  if (!integer_magnitude(args[1], &bits, &negative) || negative) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  memcpy(&a, &bits, 8);
  return float_object(vm, a);
}

// The digits and decimal exponent of the shortest decimal that reads back as a (positive, finite): value = 0.d1d2... * 10^exponent.
// Where several shortest ones read back, %.*e gives the nearest, being correctly rounded.
static int shortest_digits(double a, char *digits) {
  char text[40];
  for (int precision = 0;; precision++) {
    snprintf(text, sizeof text, "%.*e", precision, a);
    if (precision >= 17 || strtod(text, NULL) == a) break;
  }
  size_t n = 0;
  char *p = text;
  for (; *p != 'e'; p++)
    if (*p != '.') digits[n++] = *p;
  while (n > 1 && digits[n - 1] == '0') n--;
  digits[n] = 0;
  return atoi(p + 1) + 1;
}

static void print_float(double a, char *out, size_t size) {
  if (isnan(a)) {
    snprintf(out, size, "nan");
    return;
  }
  const char *sign = signbit(a) ? "-" : "";
  if (isinf(a)) snprintf(out, size, "%sinf", sign);
  else if (a == 0) snprintf(out, size, "%s0.0", sign);
  else {
    char digits[40];
    int exponent = shortest_digits(fabs(a), digits), n = (int)strlen(digits);
    if (exponent > 16 || exponent < -3) snprintf(out, size, "%s%c.%se%d", sign, digits[0], n > 1 ? digits + 1 : "0", exponent - 1);
    else if (exponent <= 0) snprintf(out, size, "%s0.%.*s%s", sign, -exponent, "000", digits);
    else if (exponent >= n) snprintf(out, size, "%s%s%.*s.0", sign, digits, exponent - n, "0000000000000000");
    else snprintf(out, size, "%s%.*s.%s", sign, exponent, digits, digits + exponent);
  }
}

static Oop float_print_string(VM *vm, Oop *args) {
  double a;
  char text[80];
  if (!float_value(args[0], &a)) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  print_float(a, text, sizeof text);
  Oop o = string_from_utf8(vm, text, strlen(text));
  return o == OOP_NONE ? primitive_needs_collection(vm) : o;
}

static Oop float_from_string(VM *vm, Oop *args) {
  char *text = string_to_utf8(args[1], NULL), *end = NULL;
  if (text == NULL) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  double a = strtod(text, &end);
  bool plain = *text != 0 && *end == 0 && text[strspn(text, " \t\n\r")] == *text && strpbrk(text, "xXpP(") == NULL;
  free(text);
  return plain ? float_object(vm, a) : primitive_fail(vm, FAIL_BAD_ARGUMENT);
}

void float_primitives_register(VM *vm) {
  static const PrimitiveEntry entries[] = {
      {"floatAdd", 1, float_add, NULL, false},
      {"floatSubtract", 1, float_subtract, NULL, false},
      {"floatMultiply", 1, float_multiply, NULL, false},
      {"floatDivide", 1, float_divide, NULL, false},
      {"floatLess", 1, float_less, NULL, false},
      {"floatLessEqual", 1, float_less_equal, NULL, false},
      {"floatGreater", 1, float_greater, NULL, false},
      {"floatGreaterEqual", 1, float_greater_equal, NULL, false},
      {"floatEqual", 1, float_equal, NULL, false},
      {"floatNotEqual", 1, float_not_equal, NULL, false},
      {"floatTruncated", 0, float_truncated, NULL, false},
      {"floatFractionPart", 0, float_fraction_part, NULL, false},
      {"floatExponent", 0, float_exponent, NULL, false},
      {"floatTimesTwoPower", 1, float_times_two_power, NULL, false},
      {"floatSqrt", 0, float_sqrt, NULL, false},
      {"floatSin", 0, float_sin, NULL, false},
      {"floatCos", 0, float_cos, NULL, false},
      {"floatTan", 0, float_tan, NULL, false},
      {"floatArcSin", 0, float_arc_sin, NULL, false},
      {"floatArcCos", 0, float_arc_cos, NULL, false},
      {"floatArcTan", 0, float_arc_tan, NULL, false},
      {"floatArcTan2", 1, float_arc_tan2, NULL, false},
      {"floatExp", 0, float_exp, NULL, false},
      {"floatLn", 0, float_ln, NULL, false},
      {"floatLog10", 0, float_log10, NULL, false},
      {"floatLog2", 0, float_log2, NULL, false},
      {"floatRaisedTo", 1, float_raised_to, NULL, false},
      {"floatPrintString", 0, float_print_string, NULL, false},
      {"floatFromString", 1, float_from_string, NULL, false},
      {"floatHash", 0, float_hash, NULL, false},
      {"floatBits", 0, float_bits, NULL, false},
      {"floatFromBits", 1, float_from_bits, NULL, false},
  };
  primitives_register(vm, entries, sizeof entries / sizeof *entries);
}
