// The C interface: descriptors, arguments, calls, results, callbacks' values and C's memory, against the library of tests/ffi.
#include <dlfcn.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "ffi/call.h"
#include "ffi/foreign.h"
#include "tests/ffi/testlib.h"
#include "tests/unit/unit.h"
#include "vm/layouts.h"
#include "vm/primitives.h"

typedef unsigned __int128 Wide;

static void *library;

static void open_library(void) {
  open_classes();
  char path[4096];
  snprintf(path, sizeof path, "%s%s/libbatontest.so", build_directory[0] == '/' || build_directory[0] == '.' ? "" : "./", build_directory);
  library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  ck_assert_msg(library != NULL, "%s", dlerror());
}

static void *address_of(const char *name) {
  void *address = dlsym(library, name);
  ck_assert_msg(address != NULL, "%s", name);
  return address;
}

// --- making functions

typedef struct {
  uint8_t bytes[4096];
  size_t length;
} Descriptor;

static void add_byte(Descriptor *d, int byte) {
  ck_assert_uint_lt(d->length, sizeof d->bytes);
  d->bytes[d->length++] = (uint8_t)byte;
}

static void add_number(Descriptor *d, size_t bytes, uint64_t n) {
  for (size_t i = 0; i < bytes; i++) add_byte(d, (int)(n >> 8 * i & 255));
}

// The flags and counts, then codes up to a negative number. Struct types are added by add_struct.
static Descriptor start_descriptor(int flags, int fixed, int count) {
  Descriptor d = {.length = 0};
  add_byte(&d, flags);
  add_byte(&d, fixed);
  add_byte(&d, count);
  return d;
}

static void add_struct(Descriptor *d, size_t size, size_t alignment, const char *codes, size_t count) {
  add_byte(d, C_STRUCT);
  add_number(d, 4, size);
  add_number(d, 1, alignment);
  add_number(d, 2, count);
  for (size_t i = 0; i < count; i++) add_byte(d, codes[i]);
}

static FailureReason try_prepare(const Descriptor *d, void *address, ForeignFunction **out) {
  // in memory of its exact size, so that the address sanitizer sees what is read beyond
  uint8_t *copy = malloc(d->length == 0 ? 1 : d->length);
  memcpy(copy, d->bytes, d->length);
  FailureReason reason = function_prepare(vm, copy, d->length, address, FUNCTION_DEFAULT, "tested", out);
  free(copy);
  return reason;
}

static ForeignFunction *prepared(const Descriptor *d, const char *name) {
  ForeignFunction *f = NULL;
  ck_assert_uint_eq(try_prepare(d, address_of(name), &f), FAIL_NONE);
  return f;
}

// A function of scalars: the codes of result and arguments are the characters of a string.
static ForeignFunction *scalar_function(const char *name, const char *codes, size_t count) {
  Descriptor d = start_descriptor(0, (int)count, (int)count);
  for (size_t i = 0; i <= count; i++) add_byte(&d, codes[i]);
  return prepared(&d, name);
}
#define FUNCTION(name, ...) scalar_function(name, (const char[]){__VA_ARGS__}, sizeof(const char[]){__VA_ARGS__} - 1)

// --- objects

static Oop integer(int64_t n) { return integer_object(vm, n < 0 ? -(uint64_t)n : (uint64_t)n, n < 0); }
static Oop real(double d) { return float_object(vm, d); }
static Oop string(const char *text) { return string_from_utf8(vm, text, strlen(text)); }

static Oop wide(TypeCode code, Wide n) {
  ForeignType type;
  type_of_code(code, &type);
  return value_load(vm, &type, &n);
}

static double real_value(Oop o) {
  double d = NAN;
  ck_assert(class_index_of(o) == CLASS_Float && value_double(o, &d));
  return d;
}

static void assert_same_integer(Oop a, Oop b) {
  if (a == b) return;
  ck_assert(is_pointer(a) && is_pointer(b) && is_integer_object(a));
  ck_assert_uint_eq(class_index_of(a), class_index_of(b));
  ck_assert_uint_eq(object_size(a), object_size(b));
  ck_assert_mem_eq(object_bytes(a), object_bytes(b), 8 * object_size(a));
}

static void assert_text(Oop o, const char *text) {
  char *got = string_to_utf8(o, NULL);
  ck_assert_ptr_nonnull(got);
  ck_assert_str_eq(got, text);
  free(got);
}

static Oop cpointer(const void *address, int64_t size) {
  Oop o = young_object(vm->heap, CLASS_CPointer, FORMAT_FIXED, NAMED_SLOTS(CPointer));
  AS(CPointer, o)->address = integer((int64_t)(intptr_t)address);
  if (size >= 0) AS(CPointer, o)->size = integer(size);
  return o;
}

static Oop raw_object(uint32_t class_index, size_t count, bool old) {
  size_t words;
  Format f = format_for_count(FORMAT_BYTES, count, &words);
  return old ? heap_allocate_old(vm->heap, class_index, f, words) : young_object(vm->heap, class_index, f, words);
}

// --- calling

static Oop call_with(ForeignFunction *f, size_t count, const Oop *args, int *error) {
  CallFrame c;
  size_t bad = 99;
  memset(&c, 0xA5, sizeof c);
  ck_assert_msg(call_marshal(vm, f, &c, args, count, &bad) == FAIL_NONE, "argument %zu is refused", bad);
  call_invoke(f, &c);
  Oop result = call_convert(vm, f, &c, OOP_TRUE);
  ck_assert(result != OOP_NONE);
  if (error != NULL) *error = c.saved_errno;
  call_release(&c);
  return result;
}
#define ANSWER(f, ...) call_with(f, sizeof((const Oop[]){__VA_ARGS__}) / sizeof(Oop), (const Oop[]){__VA_ARGS__}, NULL)

static void assert_refused_at(ForeignFunction *f, size_t count, const Oop *args, FailureReason reason, size_t at) {
  CallFrame c;
  size_t bad = 99;
  ck_assert_uint_eq(call_marshal(vm, f, &c, args, count, &bad), reason);
  ck_assert_uint_eq(bad, at);
}
#define REFUSED(f, reason, at, ...) assert_refused_at(f, sizeof((const Oop[]){__VA_ARGS__}) / sizeof(Oop), (const Oop[]){__VA_ARGS__}, reason, at)

// --- descriptors

// One with everything: variadic, two structs, a complex number.
static Descriptor rich_descriptor(void) {
  Descriptor d = start_descriptor(1, 3, 5);
  add_struct(&d, 16, 8, (const char[]){C_INT64, C_DOUBLE}, 2);
  add_byte(&d, C_STRING);
  add_struct(&d, 7, 1, (const char[]){C_INT8, C_INT32, C_INT16}, 3);
  add_byte(&d, C_COMPLEX_DOUBLE);
  add_byte(&d, C_FLOAT);
  add_byte(&d, C_INT128);
  return d;
}

START_TEST(every_truncated_descriptor_is_refused) {
  ForeignFunction *f;
  Descriptor d = rich_descriptor();
  ck_assert_uint_eq(try_prepare(&d, NULL, &f), FAIL_NONE);
  ck_assert(f->variadic && f->fixed == 3 && f->count == 5);
  ck_assert_uint_eq(f->arguments[3].type.code, C_DOUBLE);  // promoted
  add_byte(&d, 0);
  ck_assert_uint_eq(try_prepare(&d, NULL, &f), FAIL_BAD_ARGUMENT);
  for (d.length -= 2; d.length > 0; d.length--) ck_assert_uint_eq(try_prepare(&d, NULL, &f), FAIL_BAD_ARGUMENT);
  ck_assert_uint_eq(try_prepare(&d, NULL, &f), FAIL_BAD_ARGUMENT);
}
END_TEST

static const struct {
  size_t length;
  FailureReason reason;
  const char *bytes;
} malformed[] = {
    {4, FAIL_BAD_ARGUMENT, "\2\0\0\0"},                            // unknown flags
    {5, FAIL_BAD_ARGUMENT, "\0\0\1\0\6"},                          // not variadic, yet arguments beyond the fixed ones
    {4, FAIL_BAD_ARGUMENT, "\1\1\0\0"},                            // more fixed ones than all
    {4, FAIL_BAD_ARGUMENT, "\0\0\0\24"},                           // no such code
    {4, FAIL_BAD_ARGUMENT, "\0\0\0\377"},                          // no such code
    {5, FAIL_BAD_ARGUMENT, "\0\1\1\0\0"},                          // void argument
    {5, FAIL_BAD_ARGUMENT, "\0\1\1\0\24"},                         // no such code
    {12, FAIL_BAD_ARGUMENT, "\0\0\0\17\4\0\0\0\0\1\0\6"},          // alignment 0
    {12, FAIL_BAD_ARGUMENT, "\0\0\0\17\6\0\0\0\3\1\0\6"},          // alignment 3
    {12, FAIL_BAD_ARGUMENT, "\0\0\0\17\6\0\0\0\4\1\0\6"},          // size is no multiple of it
    {12, FAIL_UNSUPPORTED, "\0\0\0\17\100\0\0\0\40\1\0\6"},        // alignment 32
    {11, FAIL_UNSUPPORTED, "\0\0\0\17\0\0\0\0\1\0\0"},             // size 0
    {12, FAIL_UNSUPPORTED, "\0\0\0\17\377\377\377\377\1\1\0\6"},   // 4 GB
    {12, FAIL_BAD_ARGUMENT, "\0\0\0\17\4\0\0\0\4\1\0\0"},          // void in a struct
    {12, FAIL_BAD_ARGUMENT, "\0\0\0\17\10\0\0\0\10\1\0\16"},       // string in a struct
    {12, FAIL_BAD_ARGUMENT, "\0\0\0\17\10\0\0\0\10\1\0\17"},       // struct in a struct
    {13, FAIL_BAD_ARGUMENT, "\0\0\0\17\10\0\0\0\10\377\377\6\6"},  // 65,535 elements announced
    {68, FAIL_UNSUPPORTED,
     "\0\100\101\0\1\1\1\1\1\1\1\1\1\1"       // 65 arguments
     "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1"   //
     "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1"   //
     "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1"}  //
};

START_TEST(a_malformed_descriptor_is_refused) {
  ForeignFunction *f;
  Descriptor d = {.length = malformed[_i].length};
  memcpy(d.bytes, malformed[_i].bytes, d.length);
  if (d.bytes[1] == 64) d.bytes[0] = 1;  // the row of 65 arguments is variadic, so that its counts agree
  ck_assert_uint_eq(try_prepare(&d, NULL, &f), malformed[_i].reason);
}
END_TEST

START_TEST(descriptors_of_noise_are_survived) {
  uint64_t state = 88172645463325252u;
  ForeignFunction *f;
  for (int i = 0; i < 50000; i++) {
    Descriptor d = start_descriptor(i & 1, i % 5, i % 5);
    for (size_t n = (size_t)i % 40; d.length < n + 3;) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      add_byte(&d, (int)(state >> 20) % 21);
    }
    FailureReason reason = try_prepare(&d, NULL, &f);
    ck_assert(reason == FAIL_NONE || reason == FAIL_BAD_ARGUMENT || reason == FAIL_UNSUPPORTED);
  }
}
END_TEST

START_TEST(structs_that_would_fill_the_stack_are_refused) {
  ForeignFunction *f;
  Descriptor d = start_descriptor(0, 3, 3);
  add_byte(&d, C_VOID);
  for (int i = 0; i < 3; i++) add_struct(&d, 64 << 10, 8, (const char[]){C_INT64}, 1);
  ck_assert_uint_eq(try_prepare(&d, NULL, &f), FAIL_UNSUPPORTED);
}
END_TEST

START_TEST(a_function_is_made_once) {
  Descriptor d = rich_descriptor();
  ForeignFunction *a, *b;
  ck_assert_uint_eq(try_prepare(&d, &d, &a), FAIL_NONE);
  ck_assert_uint_eq(try_prepare(&d, &d, &b), FAIL_NONE);
  ck_assert_ptr_eq(a, b);
  ck_assert_ptr_eq(function_from_handle(function_handle(a)), a);
  ck_assert_uint_eq(try_prepare(&d, &b, &b), FAIL_NONE);
  ck_assert(a != b);
  ck_assert_uint_eq(function_prepare(vm, d.bytes, d.length, &d, FUNCTION_FAST, "tested", &b), FAIL_NONE);
  ck_assert(a != b && b->kind == FUNCTION_FAST);
}
END_TEST

START_TEST(thousands_of_functions_are_all_found) {
  enum { COUNT = 3000 };
  static ForeignFunction *made[COUNT];
  Descriptor d = start_descriptor(0, 1, 1);
  add_byte(&d, C_INT32);
  add_byte(&d, C_INT32);
  ForeignFunction *f;
  for (size_t i = 0; i < COUNT; i++) ck_assert_uint_eq(try_prepare(&d, (void *)(16 * (i + 1)), &made[i]), FAIL_NONE);
  for (size_t i = 0; i < COUNT; i++) {
    ck_assert_uint_eq(try_prepare(&d, (void *)(16 * (i + 1)), &f), FAIL_NONE);
    ck_assert_ptr_eq(f, made[i]);
  }
}
END_TEST

// --- scalars

static const struct {
  TypeCode code;
  const char *name;
  int bits;
  bool negative;
} integers[] = {{C_INT8, "echo_int8", 8, true},         {C_UINT8, "echo_uint8", 8, false},    {C_INT16, "echo_int16", 16, true},
                {C_UINT16, "echo_uint16", 16, false},   {C_INT32, "echo_int32", 32, true},    {C_UINT32, "echo_uint32", 32, false},
                {C_INT64, "echo_int64", 64, true},      {C_UINT64, "echo_uint64", 64, false}, {C_INT128, "echo_int128", 128, true},
                {C_UINT128, "echo_uint128", 128, false}};

START_TEST(integers_are_passed_up_to_their_limits_and_refused_beyond) {
  TypeCode code = integers[_i].code;
  int bits = integers[_i].bits;
  ForeignFunction *f = FUNCTION(integers[_i].name, (char)code, (char)code);
  Wide most = integers[_i].negative ? ((Wide)1 << (bits - 1)) - 1 : bits == 128 ? ~(Wide)0 : ((Wide)1 << bits) - 1;
  Oop high = wide(C_UINT128, most), low = integers[_i].negative ? wide(C_INT128, ~most) : integer(0);
  assert_same_integer(ANSWER(f, high), high);
  assert_same_integer(ANSWER(f, low), low);
  assert_same_integer(ANSWER(f, integer(1)), integer(1));
  if (bits < 128) REFUSED(f, FAIL_OUT_OF_RANGE, 1, wide(C_UINT128, most + 1));
  if (bits < 128 || !integers[_i].negative) REFUSED(f, FAIL_OUT_OF_RANGE, 1, integers[_i].negative ? wide(C_INT128, ~most - 1) : integer(-1));
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, OOP_NIL);
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, OOP_TRUE);
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, real(1.0));
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, string("1"));
  Oop huge = young_object(vm->heap, CLASS_LargePositiveInteger, FORMAT_WORDS64, 3);
  object_slots(huge)[2] = 1;
  REFUSED(f, FAIL_OUT_OF_RANGE, 1, huge);
}
END_TEST

START_TEST(the_limits_of_a_signed_128_bit_integer_hold) {
  ForeignFunction *f = FUNCTION("echo_int128", C_INT128, C_INT128);
  REFUSED(f, FAIL_OUT_OF_RANGE, 1, wide(C_UINT128, (Wide)1 << 127));
  Oop low = young_object(vm->heap, CLASS_LargeNegativeInteger, FORMAT_WORDS64, 2);
  object_slots(low)[0] = 1;
  object_slots(low)[1] = (uint64_t)1 << 63;
  REFUSED(f, FAIL_OUT_OF_RANGE, 1, low);
}
END_TEST

START_TEST(characters_are_passed_as_integers) {
  ForeignFunction *f = FUNCTION("echo_uint8", C_UINT8, C_UINT8);
  ck_assert_uint_eq(ANSWER(f, oop_from_character('a')), integer('a'));
  REFUSED(f, FAIL_OUT_OF_RANGE, 1, oop_from_character(0x20AC));
}
END_TEST

START_TEST(booleans_are_passed) {
  ForeignFunction *f = FUNCTION("echo_bool", C_BOOL, C_BOOL);
  ck_assert_uint_eq(ANSWER(f, OOP_TRUE), OOP_TRUE);
  ck_assert_uint_eq(ANSWER(f, OOP_FALSE), OOP_FALSE);
  ck_assert_uint_eq(ANSWER(f, integer(1)), OOP_TRUE);
  ck_assert_uint_eq(ANSWER(f, integer(0)), OOP_FALSE);
  REFUSED(f, FAIL_OUT_OF_RANGE, 1, integer(2));
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, oop_from_character(1));
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, OOP_NIL);
}
END_TEST

START_TEST(upper_bits_of_a_narrow_result_do_not_count) {
  uint64_t noise = 0xDEADBEEFCAFEF080;
  static const struct {
    char code;
    int64_t value;
  } rows[] = {{C_INT8, -128}, {C_UINT8, 128}, {C_INT16, -3968}, {C_UINT16, 0xF080}, {C_INT32, (int32_t)0xCAFEF080}, {C_UINT32, 0xCAFEF080}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    ForeignFunction *f = FUNCTION("noisy_result", rows[i].code, C_UINT64);
    ck_assert_uint_eq(ANSWER(f, integer_object(vm, noise, false)), integer(rows[i].value));
  }
  ck_assert_uint_eq(ANSWER(FUNCTION("noisy_result", C_BOOL, C_UINT64), integer(0x100)), OOP_FALSE);
}
END_TEST

static const double doubles[] = {0.0, -0.0, 1.0, -1.5, 1e300, -1e-300, 5e-324, 0.1, INFINITY, NAN};

START_TEST(floats_are_passed) {
  double d = doubles[_i];
  ForeignFunction *f = FUNCTION("echo_double", C_DOUBLE, C_DOUBLE), *g = FUNCTION("echo_float", C_FLOAT, C_FLOAT),
                  *h = FUNCTION("echo_long_double", C_LONG_DOUBLE, C_LONG_DOUBLE);
  double a = real_value(ANSWER(f, real(d))), b = real_value(ANSWER(g, real(d))), c = real_value(ANSWER(h, real(d)));
  ck_assert(memcmp(&a, &d, 8) == 0 && memcmp(&c, &d, 8) == 0);
  ck_assert(isnan(d) ? isnan(b) : b == (double)(float)d);
}
END_TEST

START_TEST(integers_are_passed_as_floats) {
  static const char *const names[] = {"echo_float", "echo_double", "echo_long_double"};
  Oop huge = young_object(vm->heap, CLASS_LargePositiveInteger, FORMAT_WORDS64, 17);
  object_slots(huge)[16] = 1;  // 2^1024
  for (int i = 0; i < 3; i++) {
    ForeignFunction *f = FUNCTION(names[i], (char)(C_FLOAT + i), (char)(C_FLOAT + i));
    ck_assert(real_value(ANSWER(f, integer(-3))) == -3.0);
    ck_assert(real_value(ANSWER(f, integer(0))) == 0.0);
    ck_assert(real_value(ANSWER(f, wide(C_UINT128, (Wide)1 << 100))) == 0x1p100);
    REFUSED(f, FAIL_OUT_OF_RANGE, 1, huge);
    REFUSED(f, FAIL_BAD_ARGUMENT, 1, OOP_NIL);
    REFUSED(f, FAIL_BAD_ARGUMENT, 1, string("1.0"));
  }
}
END_TEST

START_TEST(strings_are_copied_for_the_call) {
  ForeignFunction *f = FUNCTION("echo_string", C_STRING, C_STRING), *n = FUNCTION("text_length", C_UINT64, C_STRING);
  static const char *const texts[] = {"", "plain", "gr\xC3\xBC\xC3\x9F", "10 \xE2\x82\xAC", "\xF0\x9F\x98\x80"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    assert_text(ANSWER(f, string(texts[i])), texts[i]);
    ck_assert_uint_eq(ANSWER(n, string(texts[i])), integer((int64_t)strlen(texts[i])));
  }
  assert_text(ANSWER(f, symbol_intern(vm, "at:put:", 7)), "at:put:");
  ck_assert_uint_eq(ANSWER(f, OOP_NIL), OOP_NIL);
  assert_text(ANSWER(f, cpointer("in C", -1)), "in C");
  REFUSED(f, FAIL_NUL_IN_STRING, 1, string_from_utf8(vm, "a\0b", 3));
  REFUSED(f, FAIL_NUL_IN_STRING, 1, string_from_utf8(vm, "\xE2\x82\xAC\0", 4));
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, raw_object(CLASS_ByteArray, 4, true));
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, integer(4));
}
END_TEST

START_TEST(long_strings_are_freed_after_the_call) {
  ForeignFunction *f = FUNCTION("text_length", C_UINT64, C_STRING);
  Descriptor d = start_descriptor(0, 2, 2);
  add_byte(&d, C_INT32);
  add_byte(&d, C_STRING);
  add_byte(&d, C_INT8);
  ForeignFunction *g = prepared(&d, "noop");
  char *text = calloc(1, 3001);
  memset(text, 'x', 3000);
  Oop o = string(text);
  free(text);
  ck_assert_uint_eq(ANSWER(f, o), integer(3000));
  REFUSED(g, FAIL_OUT_OF_RANGE, 2, o, integer(128));  // the copy of the first argument is freed: the leak detector watches
}
END_TEST

START_TEST(texts_are_answered_as_strings) {
  assert_text(ANSWER(FUNCTION("static_text", C_STRING)), "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC");
  assert_text(ANSWER(FUNCTION("latin1_text", C_STRING)), "gr\xC3\xBC\xC3\x9F");
  ck_assert_uint_eq(ANSWER(FUNCTION("null_text", C_STRING)), OOP_NIL);
  Oop copy = ANSWER(FUNCTION("copied_text", C_POINTER, C_STRING), string("mine"));
  ck_assert_uint_eq(class_index_of(copy), CLASS_CPointer);
  assert_text(ANSWER(FUNCTION("echo_string", C_STRING, C_STRING), copy), "mine");
  ck_assert_uint_eq(ANSWER(FUNCTION("free_memory", C_VOID, C_POINTER), copy), OOP_TRUE);  // the receiver
}
END_TEST

START_TEST(a_fast_function_may_answer_a_text_that_moves) {
  Descriptor d = start_descriptor(0, 1, 1);
  add_byte(&d, C_STRING);
  add_byte(&d, C_POINTER);
  ForeignFunction *f;
  CallFrame c;
  size_t bad;
  ck_assert_uint_eq(function_prepare(vm, d.bytes, d.length, address_of("echo_string"), FUNCTION_FAST, "echo_string", &f), FAIL_NONE);
  Oop bytes = raw_object(CLASS_ByteArray, 4, false);
  memcpy(object_bytes(bytes), "abc", 4);
  ck_assert_uint_eq(call_marshal(vm, f, &c, &bytes, 1, &bad), FAIL_NONE);
  call_invoke(f, &c);
  memset(object_bytes(bytes), 'x', 4);
  assert_text(call_convert(vm, f, &c, OOP_NIL), "abc");
  call_release(&c);
}
END_TEST

// --- pointers

START_TEST(pointers_are_passed) {
  ForeignFunction *f = FUNCTION("echo_pointer", C_UINT64, C_POINTER), *g = FUNCTION("echo_pointer", C_POINTER, C_UINT64);
  Oop old = raw_object(CLASS_ByteArray, 10, true), young = raw_object(CLASS_ByteArray, 10, false);
  ck_assert_uint_eq(ANSWER(f, OOP_NIL), integer(0));
  ck_assert_uint_eq(ANSWER(f, cpointer(NULL, -1)), integer(0));
  ck_assert_uint_eq(ANSWER(f, cpointer(&old, 8)), integer((intptr_t)&old));
  ck_assert_uint_eq(ANSWER(f, old), integer((intptr_t)object_bytes(old)));
  REFUSED(f, FAIL_NEW_SPACE_ARGUMENT, 1, young);
  REFUSED(f, FAIL_NEW_SPACE_ARGUMENT, 1, string("young"));
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, integer(4096));
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, real(1e300));
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, wide(C_UINT128, (Wide)1 << 100));
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, OOP_TRUE);
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, young_object(vm->heap, CLASS_Array, FORMAT_INDEXABLE, 3));
  ck_assert_uint_eq(ANSWER(g, integer(0)), OOP_NIL);
  Oop all_ones = ANSWER(g, integer_object(vm, UINT64_MAX, false));
  assert_same_integer(AS(CPointer, all_ones)->address, integer_object(vm, UINT64_MAX, false));
  assert_same_integer(ANSWER(f, all_ones), integer_object(vm, UINT64_MAX, false));
}
END_TEST

START_TEST(a_fast_function_takes_young_objects) {
  Descriptor d = start_descriptor(0, 1, 1);
  add_byte(&d, C_UINT64);
  add_byte(&d, C_POINTER);
  ForeignFunction *f;
  ck_assert_uint_eq(function_prepare(vm, d.bytes, d.length, address_of("echo_pointer"), FUNCTION_FAST, "echo_pointer", &f), FAIL_NONE);
  Oop young = raw_object(CLASS_ByteArray, 10, false);
  ck_assert_uint_eq(ANSWER(f, young), integer((intptr_t)object_bytes(young)));
}
END_TEST

START_TEST(a_pointer_dies_with_its_owners) {
  ForeignFunction *f = FUNCTION("echo_pointer", C_UINT64, C_POINTER);
  Oop chain[20];
  for (int i = 0; i < 20; i++) {
    chain[i] = cpointer(&chain[i], 8);
    if (i > 0) AS(CPointer, chain[i])->owner = chain[i - 1];
  }
  ck_assert_uint_eq(ANSWER(f, chain[10]), integer((intptr_t)&chain[10]));
  AS(CPointer, chain[5])->address = OOP_NIL;
  REFUSED(f, FAIL_USE_AFTER_FREE, 1, chain[5]);
  REFUSED(f, FAIL_USE_AFTER_FREE, 1, chain[10]);
  ck_assert_uint_eq(ANSWER(f, chain[4]), integer((intptr_t)&chain[4]));
  AS(CPointer, chain[0])->owner = chain[4];  // a circle is no trouble
  ck_assert_uint_eq(ANSWER(f, chain[4]), integer((intptr_t)&chain[4]));
}
END_TEST

START_TEST(subclasses_of_cpointer_are_pointers) {
  Oop class = probe_class();
  Oop o = young_object(vm->heap, (uint32_t)oop_to_integer(AS(Class, class)->index), FORMAT_FIXED, 6);
  ForeignFunction *f = FUNCTION("echo_pointer", C_UINT64, C_POINTER);
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, o);
  AS(Class, class)->superclass = class_at(vm, CLASS_CPointer);
  AS(CPointer, o)->address = integer((intptr_t)&o);
  ck_assert_uint_eq(ANSWER(f, o), integer((intptr_t)&o));
}
END_TEST

START_TEST(functions_are_passed_as_their_code) {
  ForeignFunction *f = FUNCTION("call_back", C_INT32, C_POINTER, C_INT32);
  Oop function = young_object(vm->heap, CLASS_CFunction, FORMAT_FIXED, NAMED_SLOTS(CFunction));
  AS(CFunction, function)->address = integer((intptr_t)address_of("noop"));
  REFUSED(f, FAIL_NOT_LINKED, 1, function, integer(7));
  AS(CFunction, function)->session = integer(vm->session);
  ck_assert_uint_eq(ANSWER(f, function, integer(7)), integer(7));
  Oop callback = young_object(vm->heap, CLASS_CCallback, FORMAT_FIXED, NAMED_SLOTS(CCallback));
  AS(CCallback, callback)->address = AS(CFunction, function)->address;
  AS(CCallback, callback)->session = integer(vm->session);
  ck_assert_uint_eq(ANSWER(f, callback, integer(8)), integer(8));
  AS(CCallback, callback)->session = integer(vm->session + 1);
  REFUSED(f, FAIL_NOT_LINKED, 1, callback, integer(7));
}
END_TEST

// --- calls of several arguments

START_TEST(arguments_reach_their_places) {
  Oop o[20];
  for (int i = 0; i < 20; i++) o[i] = integer(i + 1);
  ck_assert_uint_eq(ANSWER(FUNCTION("forty_two", C_INT32)), integer(42));
  ck_assert_uint_eq(ANSWER(FUNCTION("nothing", C_VOID)), OOP_TRUE);
  ck_assert_uint_eq(ANSWER(FUNCTION("add_ints", C_INT32, C_INT32, C_INT32), integer(-3), integer(1)), integer(-2));
  ck_assert_uint_eq(ANSWER(FUNCTION("add_three", C_INT64, C_INT64, C_INT64, C_INT64), o[0], o[1], o[2]), integer(6));
  ForeignFunction *six = FUNCTION("weigh_six", C_INT64, C_INT64, C_INT64, C_INT64, C_INT64, C_INT64, C_INT64);
  ck_assert_uint_eq(call_with(six, 6, o, NULL), integer(91));
  ForeignFunction *eight = FUNCTION("weigh_eight", C_INT64, C_INT64, C_INT64, C_INT64, C_INT64, C_INT64, C_INT64, C_INT64, C_INT64);
  ck_assert_uint_eq(eight->stub, STUB_I12D8);
  ck_assert_uint_eq(call_with(eight, 8, o, NULL), integer(204));
  ck_assert(real_value(ANSWER(FUNCTION("add", C_DOUBLE, C_DOUBLE, C_DOUBLE), real(1.5), real(2.25))) == 3.75);
  ck_assert(real_value(ANSWER(FUNCTION("add_floats", C_FLOAT, C_FLOAT, C_FLOAT), real(1.5), real(2.25))) == 3.75);
}
END_TEST

START_TEST(narrow_integers_lie_on_the_stack) {
  ForeignFunction *f = FUNCTION("weigh_ten_narrow", C_INT64, C_INT8, C_UINT8, C_INT16, C_UINT16, C_INT32, C_UINT32, C_INT8, C_UINT16, C_INT32, C_BOOL);
  ck_assert_uint_eq(f->stub, STUB_I12D8);
  Oop o[] = {integer(-128),       integer(255),  integer(-32768), integer(65535),     integer(INT32_MIN),
             integer(UINT32_MAX), integer(-128), integer(65535),  integer(INT32_MIN), OOP_TRUE};
  int64_t sum = -128 + 2 * 255 - 3 * 32768 + 4 * 65535 + 5 * (int64_t)INT32_MIN + 6 * (int64_t)UINT32_MAX - 7 * 128 + 8 * 65535 + 9 * (int64_t)INT32_MIN + 10;
  ck_assert_uint_eq(call_with(f, 10, o, NULL), integer(sum));
}
END_TEST

START_TEST(integers_and_floats_mix) {
  Oop o[20];
  for (int i = 0; i < 20; i++) o[i] = integer(i + 1);
  enum { DBL = C_DOUBLE, FLT = C_FLOAT, INT = C_INT32, LONG = C_INT64, SHORT = C_INT16, BYTE = C_INT8 };
  ForeignFunction *f = FUNCTION("weigh_eight_doubles", DBL, DBL, DBL, DBL, DBL, DBL, DBL, DBL, DBL);
  ck_assert_uint_eq(f->stub, STUB_I6D8);
  ck_assert(real_value(call_with(f, 8, o, NULL)) == 204.0);
  ck_assert(real_value(call_with(FUNCTION("weigh_ten_doubles", DBL, DBL, DBL, DBL, DBL, DBL, DBL, DBL, DBL, DBL, DBL), 10, o, NULL)) == 385.0);
  f = FUNCTION("weigh_mixed", DBL, INT, DBL, INT, DBL, INT, DBL, FLT, LONG);
  ck_assert_uint_eq(f->stub, STUB_I6D8);
  ck_assert(real_value(call_with(f, 8, o, NULL)) == 204.0);
  f = FUNCTION("weigh_narrow", DBL, BYTE, C_UINT8, SHORT, C_UINT16, C_BOOL, FLT, BYTE);
  ck_assert(real_value(ANSWER(f, integer(-128), integer(255), integer(-32768), integer(65535), OOP_TRUE, real(0.5), oop_from_character('a'))) ==
            -128.0 + 510 - 98304 + 262140 + 5 + 3 + 679);
  f = FUNCTION("weigh_twenty", DBL, INT, DBL, SHORT, FLT, LONG, DBL, BYTE, DBL, INT, DBL, LONG, DBL, INT, DBL, BYTE, DBL, C_UINT16, DBL, LONG, FLT);
  ck_assert(real_value(call_with(f, 20, o, NULL)) == 2870.0);
}
END_TEST

START_TEST(the_argument_that_is_to_blame_is_told) {
  ForeignFunction *f = FUNCTION("add_three", C_INT64, C_INT64, C_INT64, C_INT64);
  REFUSED(f, FAIL_BAD_ARGUMENT, 2, integer(1), OOP_NIL, OOP_NIL);
  REFUSED(f, FAIL_BAD_ARGUMENT, 3, integer(1), integer(1), OOP_NIL);
  REFUSED(f, FAIL_WRONG_ARGUMENT_COUNT, 0, integer(1), integer(1));
  REFUSED(f, FAIL_WRONG_ARGUMENT_COUNT, 0, integer(1), integer(1), integer(1), integer(1));
}
END_TEST

static ForeignFunction *variadic(const char *name, char result, size_t fixed, size_t count, const char *codes) {
  Descriptor d = start_descriptor(1, (int)fixed, (int)count);
  add_byte(&d, result);
  for (size_t i = 0; i < count; i++) add_byte(&d, codes[i]);
  return prepared(&d, name);
}

START_TEST(variadic_functions_are_called) {
  Oop o[21];
  char codes[21];
  for (int i = 0; i <= 20; i++) o[i] = integer(i == 0 ? 20 : i), codes[i] = i == 0 ? C_INT32 : C_DOUBLE;
  ck_assert(real_value(call_with(variadic("sum_doubles", C_DOUBLE, 1, 21, codes), 21, o, NULL)) == 210.0);
  for (int i = 1; i <= 20; i++) codes[i] = C_FLOAT;
  ck_assert(real_value(call_with(variadic("sum_doubles", C_DOUBLE, 1, 21, codes), 21, o, NULL)) == 210.0);
  for (int i = 1; i <= 20; i++) codes[i] = C_INT8, o[i] = integer(-i);
  ck_assert_uint_eq(call_with(variadic("sum_ints", C_INT64, 1, 21, codes), 21, o, NULL), integer(-210));
  char text[40];
  ForeignFunction *f = variadic("format_text", C_INT32, 3, 6, (const char[]){C_POINTER, C_UINT64, C_STRING, C_DOUBLE, C_STRING, C_INT64});
  ck_assert_uint_eq(ANSWER(f, cpointer(text, -1), integer(40), string("%.2f %s %ld"), real(2.5), string("and"), integer(-1)), integer(11));
  ck_assert_str_eq(text, "2.50 and -1");
}
END_TEST

START_TEST(errno_is_kept) {
  int error = 99;
  Oop argument = integer(EINTR);
  ck_assert_uint_eq(call_with(FUNCTION("set_errno", C_INT32, C_INT32), 1, &argument, &error), integer(-1));
  ck_assert_int_eq(error, EINTR);
  errno = EDOM;
  ck_assert_uint_eq(call_with(FUNCTION("get_errno", C_INT32), 0, NULL, &error), integer(0));
  ck_assert_int_eq(error, 0);
}
END_TEST

START_TEST(a_result_is_converted_again_after_a_collection) {
  static const struct {
    const char *name;
    char code;
  } rows[] = {{"echo_uint64", C_UINT64}, {"echo_uint64", C_POINTER}, {"echo_double", C_DOUBLE}, {"static_text", C_STRING}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    Descriptor d = start_descriptor(0, 1, 1);
    add_byte(&d, rows[i].code);
    add_byte(&d, rows[i].code == C_DOUBLE ? C_DOUBLE : C_UINT64);
    ForeignFunction *f = prepared(&d, rows[i].name);
    CallFrame c;
    size_t bad;
    Oop value = rows[i].code == C_DOUBLE ? real(1e300) : integer_object(vm, UINT64_MAX, false);
    ck_assert_uint_eq(call_marshal(vm, f, &c, &value, 1, &bad), FAIL_NONE);
    call_invoke(f, &c);
    while (heap_allocate(vm->heap, CLASS_ByteArray, FORMAT_BYTES, 0) != OOP_NONE) {
    }
    ck_assert_uint_eq(call_convert(vm, f, &c, OOP_NIL), OOP_NONE);
    ck_assert_uint_eq(vm->failure, FAIL_NEEDS_COLLECTION);
    heap_make_room(vm->heap, 256 << 10);
    Oop result = call_convert(vm, f, &c, OOP_NIL);
    ck_assert(result != OOP_NONE);
    if (rows[i].code == C_DOUBLE) ck_assert(real_value(result) == 1e300);
    call_release(&c);
  }
}
END_TEST

// --- structs by value

static const struct {
  const char *name, *type;
  size_t count;
  char codes[16];
} shapes[] = {
    {"echo_one_int", "OneInt", 1, {C_INT32}},
    {"echo_two_doubles", "TwoDoubles", 2, {C_DOUBLE, C_DOUBLE}},
    {"echo_float_int", "FloatInt", 2, {C_FLOAT, C_INT32}},
    {"echo_char_short_int", "CharShortInt", 3, {C_INT8, C_INT16, C_INT32}},
    {"echo_double_int", "DoubleInt", 2, {C_DOUBLE, C_INT32}},
    {"echo_long_and_double", "LongAndDouble", 2, {C_INT64, C_DOUBLE}},
    {"echo_three_longs", "ThreeLongs", 3, {C_INT64, C_INT64, C_INT64}},
    {"echo_three_floats", "ThreeFloats", 3, {C_FLOAT, C_FLOAT, C_FLOAT}},
    {"echo_four_floats", "FourFloats", 4, {C_FLOAT, C_FLOAT, C_FLOAT, C_FLOAT}},
    {"echo_nested", "Nested", 4, {C_INT32, C_FLOAT, C_FLOAT, C_FLOAT}},
    {"echo_with_array", "WithArray", 6, {C_INT32, C_INT16, C_INT16, C_INT16, C_INT8, C_INT8}},
    {"echo_five_bytes", "FiveBytes", 5, {C_INT8, C_INT8, C_INT8, C_INT8, C_INT8}},
    {"echo_big",
     "Big",
     16,
     {C_DOUBLE, C_DOUBLE, C_DOUBLE, C_DOUBLE, C_DOUBLE, C_DOUBLE, C_DOUBLE, C_DOUBLE, C_DOUBLE, C_DOUBLE, C_DOUBLE, C_DOUBLE, C_DOUBLE, C_DOUBLE, C_DOUBLE,
      C_DOUBLE}},
    {"echo_number", "Number", 1, {C_INT64}},
    {"echo_tagged", "Tagged", 2, {C_INT32, C_INT32}},
    {"echo_bits", "Bits", 2, {C_UINT32, C_UINT64}},
    {"echo_packed", "Packed", 3, {C_INT8, C_INT32, C_INT16}},
    {"echo_packed", "Packed", 0, {0}},  // misaligned members may also be told by naming none
};

static size_t layout(const char *function, const char *type) {
  long (*ask)(const char *);
  *(void **)&ask = address_of(function);
  long n = ask(type);
  ck_assert_int_gt(n, 0);
  return (size_t)n;
}

static void add_shape(Descriptor *d, int row) {
  const char *type = shapes[row].type;
  add_struct(d, layout("layout_size", type), layout("layout_alignment", type), shapes[row].codes, shapes[row].count);
}

static int shape_named(const char *type) {
  for (int i = 0;; i++)
    if (strcmp(shapes[i].type, type) == 0) return i;
}

// Compares what is no padding: the elements at their natural places, or all where these do not fit.
static void assert_same_struct(int row, const uint8_t *a, const uint8_t *b, size_t size) {
  size_t at = 0;
  ForeignType type;
  for (size_t i = 0; i < shapes[row].count; i++, at += type.size) {
    type_of_code((unsigned)shapes[row].codes[i], &type);
    at = (at + type.size - 1) / type.size * type.size;
    if (at + type.size > size) break;
    ck_assert_mem_eq(a + at, b + at, type.size);
  }
  if (at > size || shapes[row].count == 0) ck_assert_mem_eq(a, b, size);
}

START_TEST(structs_are_passed_and_answered) {
  Descriptor d = start_descriptor(0, 1, 1);
  add_shape(&d, _i);
  add_shape(&d, _i);
  ForeignFunction *f = prepared(&d, shapes[_i].name);
  size_t size = f->result.size;
  uint8_t *bytes = malloc(size);
  for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(i + 1);
  Oop result = ANSWER(f, cpointer(bytes, (int64_t)size));
  ck_assert_uint_eq(class_index_of(result), CLASS_ByteArray);
  ck_assert_uint_eq(object_element_count(result), size);
  assert_same_struct(_i, object_bytes(result), bytes, size);
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, cpointer(bytes, (int64_t)size - 1));
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, cpointer(bytes, -1));
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, cpointer(NULL, (int64_t)size));
  REFUSED(f, FAIL_BAD_ARGUMENT, 1, OOP_NIL);
  free(bytes);
}
END_TEST

static double struct_sum(const char *function, const char *type, const void *value, size_t size) {
  Descriptor d = start_descriptor(0, 1, 1);
  add_byte(&d, C_DOUBLE);
  add_shape(&d, shape_named(type));
  return real_value(ANSWER(prepared(&d, function), cpointer(value, (int64_t)size)));
}

#define SUM_OF(function, type, ...) struct_sum(function, #type, &(type){__VA_ARGS__}, sizeof(type))

START_TEST(members_of_structs_reach_c) {
  ck_assert(SUM_OF("sum_one_int", OneInt, -5) == -5.0);
  ck_assert(SUM_OF("sum_two_doubles", TwoDoubles, 1.5, 2.5) == 4.0);
  ck_assert(SUM_OF("sum_float_int", FloatInt, 1.5f, 2) == 3.5);
  ck_assert(SUM_OF("sum_char_short_int", CharShortInt, 1, -2, 1000000) == 999999.0);
  ck_assert(SUM_OF("sum_double_int", DoubleInt, 0.25, 2) == 2.25);
  ck_assert(SUM_OF("sum_three_longs", ThreeLongs, 1, 2, 3) == 6.0);
  ck_assert(SUM_OF("sum_three_floats", ThreeFloats, 1, 2, 3.5f) == 6.5);
  ck_assert(SUM_OF("sum_nested", Nested, {1}, {2, 3, 4}) == 10.0);
  ck_assert(SUM_OF("sum_with_array", WithArray, 1, {2, 3, 4}, {5, 6}) == 21.0);
  ck_assert(SUM_OF("sum_big", Big, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}) == 136.0);
  ck_assert(SUM_OF("sum_bits", Bits, 5, -3, 100, 1000) == 1102.0);
  ck_assert(SUM_OF("sum_packed", Packed, 1, 100000, -3) == 99998.0);
}
END_TEST

START_TEST(several_structs_are_passed) {
  Descriptor d = start_descriptor(0, 7, 7);
  add_byte(&d, C_DOUBLE);
  add_byte(&d, C_INT32);
  static const char *const types[] = {"TwoDoubles", "DoubleInt", "ThreeLongs", "Packed", "FloatInt"};
  for (int i = 0; i < 5; i++) add_shape(&d, shape_named(types[i]));
  add_byte(&d, C_DOUBLE);
  TwoDoubles a = {1, 2};
  DoubleInt b = {3, 4};
  ThreeLongs c = {5, 6, 7};
  Packed p = {8, 9, 10};
  FloatInt e = {11, 12};
  ck_assert(real_value(ANSWER(prepared(&d, "sum_several"), integer(100), cpointer(&a, sizeof a), cpointer(&b, sizeof b), cpointer(&c, sizeof c),
                              cpointer(&p, sizeof p), cpointer(&e, sizeof e), real(0.5))) == 178.5);
}
END_TEST

START_TEST(a_long_double_in_a_struct_is_passed) {
  Extended value = {1.0L / 3};
  Descriptor d = start_descriptor(0, 1, 1);
  for (int i = 0; i < 2; i++) add_struct(&d, sizeof value, _Alignof(Extended), (const char[]){C_LONG_DOUBLE}, 1);
  Oop result = ANSWER(prepared(&d, "echo_extended"), cpointer(&value, sizeof value));
  long double got;
  memcpy(&got, object_bytes(result), sizeof got);
  ck_assert(got == value.value);
}
END_TEST

START_TEST(complex_numbers_are_passed_as_two_floats) {
  static const float floats[] = {1.5f, -2.5f};
  static const double pair[] = {0.1, -1e300};
  Oop a = ANSWER(FUNCTION("echo_complex_float", C_COMPLEX_FLOAT, C_COMPLEX_FLOAT), cpointer(floats, sizeof floats));
  ck_assert_mem_eq(object_bytes(a), floats, sizeof floats);
  Oop b = ANSWER(FUNCTION("echo_complex_double", C_COMPLEX_DOUBLE, C_COMPLEX_DOUBLE), cpointer(pair, sizeof pair));
  ck_assert_mem_eq(object_bytes(b), pair, sizeof pair);
  REFUSED(FUNCTION("echo_complex_double", C_COMPLEX_DOUBLE, C_COMPLEX_DOUBLE), FAIL_BAD_ARGUMENT, 1, real(1));
}
END_TEST

// --- callbacks

typedef struct {
  ForeignFunction *type;
  Oop arguments[8];
  Oop answer;
  bool converted;
} Callback;

static void called_back(ffi_cif *cif, void *result, void **values, void *context) {
  Callback *callback = context;
  for (unsigned i = 0; i < cif->nargs; i++) callback->arguments[i] = callback_argument(vm, callback->type, i, values[i]);
  callback->converted = callback_result(vm, callback->type, callback->answer, result);
}

// Calls a function of the library with a callback of the type given as its first argument.
static Oop with_callback(Callback *callback, const Descriptor *type, ForeignFunction *f, Oop argument) {
  void *code;
  ffi_closure *closure = ffi_closure_alloc(sizeof *closure, &code);
  ck_assert_uint_eq(try_prepare(type, NULL, &callback->type), FAIL_NONE);
  ck_assert_uint_eq(ffi_prep_closure_loc(closure, function_cif(callback->type), called_back, callback, code), FFI_OK);
  Oop result = f->count == 1 ? ANSWER(f, cpointer(code, -1)) : ANSWER(f, cpointer(code, -1), argument);
  ffi_closure_free(closure);
  return result;
}

START_TEST(a_callback_gets_and_answers_values_of_every_kind) {
  Descriptor type = start_descriptor(0, 5, 5);
  for (size_t i = 0; i < 6; i++) add_byte(&type, (const char[]){C_DOUBLE, C_INT8, C_DOUBLE, C_STRING, C_POINTER, C_FLOAT}[i]);
  Callback callback = {.answer = real(7.5)};
  ForeignFunction *f = FUNCTION("call_back_mixed", C_DOUBLE, C_POINTER, C_DOUBLE);
  ck_assert(real_value(with_callback(&callback, &type, f, real(2.5))) == 7.5);
  ck_assert_uint_eq(callback.arguments[0], integer(-8));
  ck_assert(real_value(callback.arguments[1]) == 2.5);
  assert_text(callback.arguments[2], "called");
  ck_assert_uint_eq(AS(CPointer, callback.arguments[3])->address, integer((intptr_t)address_of("global_int")));
  ck_assert(real_value(callback.arguments[4]) == 0.5);
}
END_TEST

START_TEST(narrow_integers_go_in_and_out_of_a_callback) {
  Descriptor type = start_descriptor(0, 1, 1);
  add_byte(&type, C_INT8);
  add_byte(&type, C_UINT16);
  Callback callback = {.answer = integer(-100)};
  ForeignFunction *f = FUNCTION("call_back_narrow", C_INT8, C_POINTER, C_UINT16);
  ck_assert_uint_eq(with_callback(&callback, &type, f, integer(65535)), integer(-100));
  ck_assert_uint_eq(callback.arguments[0], integer(65535));
  callback.answer = integer(128);
  with_callback(&callback, &type, f, integer(1));
  ck_assert(!callback.converted);
  callback.answer = OOP_NIL;
  with_callback(&callback, &type, f, integer(1));
  ck_assert(!callback.converted);
}
END_TEST

START_TEST(structs_go_in_and_out_of_a_callback) {
  Descriptor type = start_descriptor(0, 1, 1), caller = start_descriptor(0, 2, 2);
  int shape = shape_named("TwoDoubles");
  add_shape(&type, shape);
  add_shape(&type, shape);
  add_shape(&caller, shape);
  add_byte(&caller, C_POINTER);
  add_shape(&caller, shape);
  TwoDoubles in = {1, 2}, out = {3, 4};
  Callback callback = {.answer = cpointer(&out, sizeof out)};
  Oop result = with_callback(&callback, &type, prepared(&caller, "call_back_struct"), cpointer(&in, sizeof in));
  ck_assert_mem_eq(object_bytes(result), &out, sizeof out);
  ck_assert_mem_eq(object_bytes(callback.arguments[0]), &in, sizeof in);
}
END_TEST

START_TEST(a_callback_of_void_may_answer_anything) {
  Descriptor type = start_descriptor(0, 0, 0);
  add_byte(&type, C_VOID);
  Callback callback = {.answer = OOP_NIL};
  with_callback(&callback, &type, FUNCTION("call_back_void", C_VOID, C_POINTER), OOP_NIL);
  ck_assert(callback.converted);
}
END_TEST

// --- primitives

static Oop run(const char *primitive, size_t count, const Oop *args) {
  Oop copy[8];
  int index = primitives_index(vm, primitive, strlen(primitive));
  ck_assert_int_ge(index, 0);
  ck_assert_int_eq(vm->primitives[index]->arguments + 1, (int)count);
  memcpy(copy, args, count * sizeof *args);
  vm->failure = FAIL_NONE;
  return vm->primitives[index]->plain(vm, copy);
}
#define RUN(name, ...) run(name, sizeof((const Oop[]){__VA_ARGS__}) / sizeof(Oop), (const Oop[]){__VA_ARGS__})
#define FAILS(reason, ...)                    \
  do {                                        \
    ck_assert_uint_eq(RUN(__VA_ARGS__), 0);   \
    ck_assert_uint_eq(vm->failure, (reason)); \
  } while (0)

START_TEST(memory_is_allocated_zeroed_and_freed) {
  Oop address = RUN("memoryAllocate", OOP_NIL, integer(1000));
  const uint8_t *bytes = (const uint8_t *)oop_to_integer(address);
  for (int i = 0; i < 1000; i++) ck_assert_uint_eq(bytes[i], 0);
  ck_assert_uint_eq(RUN("memoryFree", OOP_NIL, address), OOP_NIL);
  Oop empty = RUN("memoryAllocate", OOP_NIL, integer(0));
  ck_assert_int_ne(oop_to_integer(empty), 0);
  RUN("memoryFree", OOP_NIL, empty);
  FAILS(FAIL_OUT_OF_RANGE, "memoryAllocate", OOP_NIL, integer(-1));
  FAILS(FAIL_OUT_OF_RANGE, "memoryAllocate", OOP_NIL, integer_object(vm, UINT64_MAX, false));
  FAILS(FAIL_BAD_ARGUMENT, "memoryAllocate", OOP_NIL, OOP_NIL);
  FAILS(FAIL_BAD_ARGUMENT, "memoryFree", OOP_NIL, OOP_NIL);
}
END_TEST

static const TypeCode memory_codes[] = {C_INT8,   C_UINT8, C_INT16,  C_UINT16,      C_INT32,  C_UINT32, C_INT64,
                                        C_UINT64, C_FLOAT, C_DOUBLE, C_LONG_DOUBLE, C_INT128, C_UINT128};

START_TEST(scalars_are_written_and_read_at_any_offset) {
  TypeCode code = memory_codes[_i];
  uint8_t *memory = calloc(1, 40);
  Oop p = cpointer(memory, 40), value = code >= C_FLOAT && code <= C_LONG_DOUBLE ? real(-2.5) : integer(100);
  ForeignType type;
  type_of_code(code, &type);
  for (size_t offset = 0; offset + type.size <= 40; offset++) {
    memset(memory, 0x55, 40);
    ck_assert_uint_eq(RUN("pointerAtPut", p, integer((int64_t)offset), integer(code), value), value);
    ck_assert_uint_eq(RUN("pointerAt", p, integer((int64_t)offset), integer(code)), value);
    for (size_t i = 0; i < 40; i++)
      if (i < offset || i >= offset + type.size) ck_assert_uint_eq(memory[i], 0x55);
  }
  Oop beyond = integer(41 - (int64_t)type.size);
  FAILS(FAIL_BAD_INDEX, "pointerAt", p, beyond, integer(code));
  FAILS(FAIL_BAD_INDEX, "pointerAtPut", p, beyond, integer(code), value);
  FAILS(FAIL_BAD_INDEX, "pointerAt", p, integer(-1), integer(code));
  FAILS(FAIL_BAD_INDEX, "pointerAt", p, integer(SMALL_INTEGER_MAX), integer(code));
  FAILS(FAIL_BAD_INDEX, "pointerAt", p, integer_object(vm, UINT64_MAX, false), integer(code));
  FAILS(FAIL_BAD_ARGUMENT, "pointerAt", p, OOP_NIL, integer(code));
  FAILS(FAIL_BAD_ARGUMENT, "pointerAtPut", p, integer(0), integer(code), OOP_NIL);
  free(memory);
}
END_TEST

START_TEST(pointers_and_texts_are_read_from_memory) {
  const char *memory[3] = {"text", NULL, NULL};
  Oop p = cpointer(memory, sizeof memory);
  assert_text(RUN("pointerAt", p, integer(0), integer(C_STRING)), "text");
  ck_assert_uint_eq(RUN("pointerAt", p, integer(8), integer(C_STRING)), OOP_NIL);
  ck_assert_uint_eq(RUN("pointerAt", p, integer(8), integer(C_POINTER)), OOP_NIL);
  Oop inner = RUN("pointerAt", p, integer(0), integer(C_POINTER));
  ck_assert_uint_eq(AS(CPointer, inner)->address, integer((intptr_t)memory[0]));
  RUN("pointerAtPut", p, integer(16), integer(C_POINTER), inner);
  ck_assert_ptr_eq(memory[2], memory[0]);
  RUN("pointerAtPut", p, integer(16), integer(C_POINTER), OOP_NIL);
  ck_assert_ptr_null(memory[2]);
  FAILS(FAIL_UNSUPPORTED, "pointerAtPut", p, integer(0), integer(C_STRING), string("no"));
  FAILS(FAIL_NEW_SPACE_ARGUMENT, "pointerAtPut", p, integer(0), integer(C_POINTER), raw_object(CLASS_ByteArray, 3, false));
  FAILS(FAIL_UNSUPPORTED, "pointerAt", p, integer(0), integer(C_VOID));
  FAILS(FAIL_UNSUPPORTED, "pointerAt", p, integer(0), integer(C_STRUCT));
  FAILS(FAIL_UNSUPPORTED, "pointerAt", p, integer(0), integer(C_LIMIT));
  FAILS(FAIL_BAD_ARGUMENT, "pointerAt", p, integer(0), OOP_NIL);
}
END_TEST

START_TEST(dead_and_null_pointers_are_not_followed) {
  Oop null = cpointer(NULL, 8), dead = cpointer("", 8), view = cpointer("", 8);
  AS(CPointer, dead)->address = OOP_NIL;
  AS(CPointer, view)->owner = dead;
  FAILS(FAIL_BAD_RECEIVER, "pointerAt", null, integer(0), integer(C_INT8));
  FAILS(FAIL_USE_AFTER_FREE, "pointerAt", dead, integer(0), integer(C_INT8));
  FAILS(FAIL_USE_AFTER_FREE, "pointerAt", view, integer(0), integer(C_INT8));
  FAILS(FAIL_USE_AFTER_FREE, "pointerAtPut", view, integer(0), integer(C_INT8), integer(0));
  FAILS(FAIL_USE_AFTER_FREE, "pointerBytes", view, integer(0), integer(1));
  FAILS(FAIL_USE_AFTER_FREE, "pointerString", view, integer(0), OOP_NIL);
  FAILS(FAIL_USE_AFTER_FREE, "pointerPutBytes", cpointer(&null, 8), integer(0), view, integer(0), integer(1));
  FAILS(FAIL_BAD_RECEIVER, "pointerAt", string("x"), integer(0), integer(C_INT8));
  FAILS(FAIL_BAD_RECEIVER, "pointerAt", integer(4096), integer(0), integer(C_INT8));
}
END_TEST

START_TEST(bytes_are_copied_out_and_in) {
  char *memory = calloc(1, 10);
  memcpy(memory, "0123456789", 10);
  Oop p = cpointer(memory, 10), bytes = RUN("pointerBytes", p, integer(2), integer(8));
  ck_assert_uint_eq(object_element_count(bytes), 8);
  ck_assert_mem_eq(object_bytes(bytes), "23456789", 8);
  ck_assert_uint_eq(object_element_count(RUN("pointerBytes", p, integer(10), integer(0))), 0);
  FAILS(FAIL_BAD_INDEX, "pointerBytes", p, integer(3), integer(8));
  FAILS(FAIL_BAD_INDEX, "pointerBytes", p, integer(SMALL_INTEGER_MAX), integer(SMALL_INTEGER_MAX));
  FAILS(FAIL_BAD_ARGUMENT, "pointerBytes", p, integer(0), integer(-1));
  RUN("pointerPutBytes", p, integer(0), string("abcd"), integer(1), integer(3));
  ck_assert_mem_eq(memory, "bcd3456789", 10);
  RUN("pointerPutBytes", p, integer(1), p, integer(0), integer(9));  // overlapping
  ck_assert_mem_eq(memory, "bbcd345678", 10);
  FAILS(FAIL_BAD_INDEX, "pointerPutBytes", p, integer(0), string("abcd"), integer(2), integer(3));
  FAILS(FAIL_BAD_INDEX, "pointerPutBytes", p, integer(8), string("abcd"), integer(0), integer(3));
  FAILS(FAIL_BAD_INDEX, "pointerPutBytes", p, integer(0), p, integer(8), integer(3));
  FAILS(FAIL_BAD_INDEX, "pointerPutBytes", p, integer(0), string("abcd"), integer(-1), integer(1));
  FAILS(FAIL_BAD_ARGUMENT, "pointerPutBytes", p, integer(0), integer(1), integer(0), integer(1));
  free(memory);
}
END_TEST

START_TEST(texts_are_read_up_to_nul_or_the_limit) {
  char *memory = calloc(1, 5);
  memcpy(memory, "abcde", 5);  // no NUL
  Oop p = cpointer(memory, 5);
  assert_text(RUN("pointerString", p, integer(0), OOP_NIL), "abcde");
  assert_text(RUN("pointerString", p, integer(1), integer(2)), "bc");
  assert_text(RUN("pointerString", p, integer(5), OOP_NIL), "");
  FAILS(FAIL_BAD_INDEX, "pointerString", p, integer(6), OOP_NIL);
  memory[2] = 0;
  assert_text(RUN("pointerString", p, integer(0), integer(100)), "ab");
  assert_text(RUN("pointerString", cpointer(memory, -1), integer(0), OOP_NIL), "ab");
  free(memory);
}
END_TEST

START_TEST(bytes_in_old_space_have_an_address) {
  Oop old = raw_object(CLASS_ByteArray, 3, true);
  ck_assert_uint_eq(RUN("bytesAddress", old), integer((intptr_t)object_bytes(old)));
  FAILS(FAIL_NEW_SPACE_ARGUMENT, "bytesAddress", string("young"));
  FAILS(FAIL_BAD_RECEIVER, "bytesAddress", OOP_NIL);
}
END_TEST

START_TEST(symbols_are_found_in_libraries) {
  Oop program = RUN("libraryOpen", OOP_NIL, OOP_NIL);
  Oop address = RUN("librarySymbol", OOP_NIL, program, string("malloc"));
  ck_assert(is_integer(address) && address != integer(0));
  FAILS(FAIL_NOT_FOUND, "librarySymbol", OOP_NIL, program, string("no_such_symbol_in_c"));
  char *text = string_to_utf8(RUN("libraryError", OOP_NIL), NULL);
  ck_assert(strstr(text, "no_such_symbol_in_c") != NULL);
  free(text);
  FAILS(FAIL_NOT_FOUND, "libraryOpen", OOP_NIL, string("libnosuchthing.so"));
  text = string_to_utf8(RUN("libraryError", OOP_NIL), NULL);
  ck_assert(strstr(text, "libnosuchthing.so") != NULL);
  free(text);
  FAILS(FAIL_BAD_ARGUMENT, "librarySymbol", OOP_NIL, integer(4096), string("malloc"));  // no handle of ours
  FAILS(FAIL_BAD_ARGUMENT, "librarySymbol", OOP_NIL, program, OOP_NIL);
  FAILS(FAIL_NUL_IN_STRING, "libraryOpen", OOP_NIL, string_from_utf8(vm, "a\0b", 3));
}
END_TEST

START_TEST(a_cfunction_is_prepared) {
  Oop function = young_object(vm->heap, CLASS_CFunction, FORMAT_FIXED, NAMED_SLOTS(CFunction)), descriptor = raw_object(CLASS_ByteArray, 5, false),
      address = integer((intptr_t)address_of("noop"));
  memcpy(object_bytes(descriptor), (const uint8_t[]){0, 1, 1, C_INT32, C_INT32}, 5);
  AS(CFunction, function)->kind = symbol_intern(vm, "fast", 4);
  ck_assert_uint_eq(RUN("functionPrepare", function, descriptor, address, string("noop")), function);
  ck_assert_uint_eq(AS(CFunction, function)->address, address);
  ck_assert_uint_eq(AS(CFunction, function)->session, integer(vm->session));
  ForeignFunction *f = function_from_handle(AS(CFunction, function)->handle);
  ck_assert_uint_eq(f->kind, FUNCTION_FAST);
  ck_assert_str_eq(f->name, "noop");
  ck_assert_uint_eq(ANSWER(f, integer(5)), integer(5));
  AS(CFunction, function)->kind = symbol_intern(vm, "quick", 5);
  FAILS(FAIL_BAD_RECEIVER, "functionPrepare", function, descriptor, address, string("noop"));
  AS(CFunction, function)->kind = OOP_NIL;
  FAILS(FAIL_BAD_RECEIVER, "functionPrepare", OOP_NIL, descriptor, address, string("noop"));
  FAILS(FAIL_BAD_ARGUMENT, "functionPrepare", function, OOP_NIL, address, string("noop"));
  FAILS(FAIL_BAD_ARGUMENT, "functionPrepare", function, descriptor, integer(0), string("noop"));
  FAILS(FAIL_BAD_ARGUMENT, "functionPrepare", function, descriptor, address, OOP_NIL);
  object_bytes(descriptor)[4] = 99;
  FAILS(FAIL_BAD_ARGUMENT, "functionPrepare", function, descriptor, address, string("noop"));
}
END_TEST

START_TEST(each_vm_has_a_session_of_its_own) {
  int64_t session = vm->session;
  ck_assert(session > 0 && integer_fits(session));
  close_vm();
  open_classes();
  ck_assert(vm->session != session);
}
END_TEST

static void add_descriptor_tests(Suite *s) {
  TCase *c = test_case(s, "descriptors", open_library, close_vm);
  tcase_add_test(c, every_truncated_descriptor_is_refused);
  add_rows(c, a_malformed_descriptor_is_refused, malformed);
  tcase_add_test(c, descriptors_of_noise_are_survived);
  tcase_add_test(c, structs_that_would_fill_the_stack_are_refused);
  tcase_add_test(c, a_function_is_made_once);
  tcase_add_test(c, thousands_of_functions_are_all_found);
}

static void add_call_tests(Suite *s) {
  TCase *c = test_case(s, "calls", open_library, close_vm);
  add_rows(c, integers_are_passed_up_to_their_limits_and_refused_beyond, integers);
  tcase_add_test(c, the_limits_of_a_signed_128_bit_integer_hold);
  tcase_add_test(c, characters_are_passed_as_integers);
  tcase_add_test(c, booleans_are_passed);
  tcase_add_test(c, upper_bits_of_a_narrow_result_do_not_count);
  add_rows(c, floats_are_passed, doubles);
  tcase_add_test(c, integers_are_passed_as_floats);
  tcase_add_test(c, strings_are_copied_for_the_call);
  tcase_add_test(c, long_strings_are_freed_after_the_call);
  tcase_add_test(c, texts_are_answered_as_strings);
  tcase_add_test(c, a_fast_function_may_answer_a_text_that_moves);
  tcase_add_test(c, pointers_are_passed);
  tcase_add_test(c, a_fast_function_takes_young_objects);
  tcase_add_test(c, a_pointer_dies_with_its_owners);
  tcase_add_test(c, subclasses_of_cpointer_are_pointers);
  tcase_add_test(c, functions_are_passed_as_their_code);
  tcase_add_test(c, arguments_reach_their_places);
  tcase_add_test(c, narrow_integers_lie_on_the_stack);
  tcase_add_test(c, integers_and_floats_mix);
  tcase_add_test(c, the_argument_that_is_to_blame_is_told);
  tcase_add_test(c, variadic_functions_are_called);
  tcase_add_test(c, errno_is_kept);
  tcase_add_test(c, a_result_is_converted_again_after_a_collection);
}

static void add_struct_tests(Suite *s) {
  TCase *c = test_case(s, "structs and callbacks", open_library, close_vm);
  add_rows(c, structs_are_passed_and_answered, shapes);
  tcase_add_test(c, members_of_structs_reach_c);
  tcase_add_test(c, several_structs_are_passed);
  tcase_add_test(c, a_long_double_in_a_struct_is_passed);
  tcase_add_test(c, complex_numbers_are_passed_as_two_floats);
  tcase_add_test(c, a_callback_gets_and_answers_values_of_every_kind);
  tcase_add_test(c, narrow_integers_go_in_and_out_of_a_callback);
  tcase_add_test(c, structs_go_in_and_out_of_a_callback);
  tcase_add_test(c, a_callback_of_void_may_answer_anything);
}

static void add_primitive_tests(Suite *s) {
  TCase *c = test_case(s, "primitives", open_library, close_vm);
  tcase_add_test(c, memory_is_allocated_zeroed_and_freed);
  add_rows(c, scalars_are_written_and_read_at_any_offset, memory_codes);
  tcase_add_test(c, pointers_and_texts_are_read_from_memory);
  tcase_add_test(c, dead_and_null_pointers_are_not_followed);
  tcase_add_test(c, bytes_are_copied_out_and_in);
  tcase_add_test(c, texts_are_read_up_to_nul_or_the_limit);
  tcase_add_test(c, bytes_in_old_space_have_an_address);
  tcase_add_test(c, symbols_are_found_in_libraries);
  tcase_add_test(c, a_cfunction_is_prepared);
  tcase_add_test(c, each_vm_has_a_session_of_its_own);
}

Suite *ffi_suite(void) {
  Suite *s = suite_create("ffi");
  add_descriptor_tests(s);
  add_call_tests(s);
  add_struct_tests(s);
  add_primitive_tests(s);
  return s;
}
