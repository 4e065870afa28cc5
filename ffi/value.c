// C values as objects and back.
//
// Nothing here keeps an oop, and storing allocates nothing. Integers that do not fit their type are refused, never truncated. Values in C's
// memory are read and written by memcpy: C's layouts may be packed.
#include "ffi/value.h"
#include "vm/layouts.h"
#include "vm/primitives.h"
#include <math.h>

// libffi has no type for 128-bit integers; they travel like a struct of two words with their alignment.
static ffi_type *const int128_elements[] = {&ffi_type_uint64, &ffi_type_uint64, NULL};
static const ffi_type int128_type = {16, 16, FFI_TYPE_STRUCT, (ffi_type **)(uintptr_t)int128_elements};

bool type_of_code(unsigned code, ForeignType *out) {
  static const ForeignType types[C_LIMIT] = {
      [C_VOID] = {C_VOID, 0, 1, 1, 0, &ffi_type_void},
      [C_BOOL] = {C_BOOL, 1, 1, 0, 1, &ffi_type_uint8},
      [C_INT8] = {C_INT8, 1, 1, INT8_MIN, INT8_MAX, &ffi_type_sint8},
      [C_UINT8] = {C_UINT8, 1, 1, 0, UINT8_MAX, &ffi_type_uint8},
      [C_INT16] = {C_INT16, 2, 2, INT16_MIN, INT16_MAX, &ffi_type_sint16},
      [C_UINT16] = {C_UINT16, 2, 2, 0, UINT16_MAX, &ffi_type_uint16},
      [C_INT32] = {C_INT32, 4, 4, INT32_MIN, INT32_MAX, &ffi_type_sint32},
      [C_UINT32] = {C_UINT32, 4, 4, 0, UINT32_MAX, &ffi_type_uint32},
      [C_INT64] = {C_INT64, 8, 8, SMALL_INTEGER_MIN, SMALL_INTEGER_MAX, &ffi_type_sint64},
      [C_UINT64] = {C_UINT64, 8, 8, 0, SMALL_INTEGER_MAX, &ffi_type_uint64},
      [C_FLOAT] = {C_FLOAT, 4, 4, 1, 0, &ffi_type_float},
      [C_DOUBLE] = {C_DOUBLE, 8, 8, 1, 0, &ffi_type_double},
      [C_LONG_DOUBLE] = {C_LONG_DOUBLE, sizeof(long double), _Alignof(long double), 1, 0, &ffi_type_longdouble},
      [C_POINTER] = {C_POINTER, 8, 8, 1, 0, &ffi_type_pointer},
      [C_STRING] = {C_STRING, 8, 8, 1, 0, &ffi_type_pointer},
      [C_COMPLEX_FLOAT] = {C_COMPLEX_FLOAT, 8, 4, 1, 0, &ffi_type_complex_float},
      [C_COMPLEX_DOUBLE] = {C_COMPLEX_DOUBLE, 16, 8, 1, 0, &ffi_type_complex_double},
      [C_INT128] = {C_INT128, 16, 16, 1, 0, (ffi_type *)(uintptr_t)&int128_type},
      [C_UINT128] = {C_UINT128, 16, 16, 1, 0, (ffi_type *)(uintptr_t)&int128_type},
  };
  if (code >= C_LIMIT || code == C_STRUCT) return false;
  *out = types[code];
  return true;
}

// --- pointers

bool is_kind_of(VM *vm, Oop o, uint32_t class_index) {
  if (!is_pointer(o)) return false;
  if (class_index_of(o) == class_index) return true;
  Oop wanted = class_at(vm, class_index);
  for (Oop c = class_of(vm, o); is_pointer(c); c = AS(Class, c)->superclass)
    if (c == wanted) return true;
  return false;
}

bool is_cpointer(VM *vm, Oop o) { return is_kind_of(vm, o, CLASS_CPointer); }

static bool natural(Oop o, uint64_t *out) {
  bool negative;
  return integer_magnitude(o, out, &negative) && !negative;
}

FailureReason cpointer_address(VM *vm, Oop pointer, uint64_t *out) {
  enum { MOST_OWNERS = 16 };
  Oop address = AS(CPointer, pointer)->address, owner = AS(CPointer, pointer)->owner;
  if (address == OOP_NIL) return FAIL_USE_AFTER_FREE;
  for (int i = 0; i < MOST_OWNERS && owner != OOP_NIL && is_cpointer(vm, owner); i++) {
    if (AS(CPointer, owner)->address == OOP_NIL) return FAIL_USE_AFTER_FREE;
    owner = AS(CPointer, owner)->owner;
  }
  return natural(address, out) ? FAIL_NONE : FAIL_BAD_ARGUMENT;
}

static bool is_number(Oop o) { return is_integer_object(o) || class_index_of(o) == CLASS_Float; }

// The address of a function or callback; it holds in the session in which it was made.
static FailureReason code_address(VM *vm, Oop address, Oop session, uint64_t *out) {
  return session == oop_from_integer(vm->session) && natural(address, out) ? FAIL_NONE : FAIL_NOT_LINKED;
}

FailureReason value_address(VM *vm, Oop o, bool young_allowed, uint64_t *out) {
  *out = 0;
  if (o == OOP_NIL) return FAIL_NONE;
  if (!is_pointer(o) || is_number(o)) return FAIL_BAD_ARGUMENT;
  if (!format_has_pointers(object_format(o))) {
    if (!young_allowed && heap_is_young(vm->heap, o)) return FAIL_NEW_SPACE_ARGUMENT;
    *out = (uintptr_t)object_bytes(o);
    return FAIL_NONE;
  }
  if (is_cpointer(vm, o)) return cpointer_address(vm, o, out);
  if (is_kind_of(vm, o, CLASS_CFunction)) return code_address(vm, AS(CFunction, o)->address, AS(CFunction, o)->session, out);
  if (is_kind_of(vm, o, CLASS_CCallback)) return code_address(vm, AS(CCallback, o)->address, AS(CCallback, o)->session, out);
  return FAIL_BAD_ARGUMENT;
}

static FailureReason store_address(VM *vm, const ForeignType *type, Oop o, bool young_allowed, void *at) {
  uint64_t address;
  if (type->code == C_STRING && o != OOP_NIL && !is_cpointer(vm, o)) return FAIL_BAD_ARGUMENT;
  FailureReason reason = value_address(vm, o, young_allowed, &address);
  if (reason == FAIL_NONE) memcpy(at, &address, 8);
  return reason;
}

static FailureReason store_struct(VM *vm, const ForeignType *type, Oop o, void *at) {
  uint64_t address, size;
  if (!is_cpointer(vm, o)) return FAIL_BAD_ARGUMENT;
  FailureReason reason = cpointer_address(vm, o, &address);
  if (reason != FAIL_NONE) return reason;
  if (address == 0 || !natural(AS(CPointer, o)->size, &size) || size < type->size) return FAIL_BAD_ARGUMENT;
  memcpy(at, (const void *)(uintptr_t)address, type->size);
  return FAIL_NONE;
}

// --- integers

static bool fits_64(TypeCode code, uint64_t magnitude, bool negative) {
  if (code == C_UINT64) return !negative;
  return code == C_INT64 && magnitude <= (uint64_t)INT64_MAX + negative;
}

static FailureReason store_integer(const ForeignType *type, Oop o, void *at) {
  uint64_t magnitude, bits;
  bool negative;
  if (is_integer(o) || (is_character(o) && type->code != C_BOOL)) {
    int64_t n = is_integer(o) ? oop_to_integer(o) : oop_to_character(o);
    if (n < type->low || n > type->high) return FAIL_OUT_OF_RANGE;
    bits = (uint64_t)n;
  } else if (is_boolean(o) && type->code == C_BOOL) {
    bits = o == OOP_TRUE;
  } else if (!is_integer_object(o)) {
    return FAIL_BAD_ARGUMENT;
  } else {
    if (!integer_magnitude(o, &magnitude, &negative) || !fits_64(type->code, magnitude, negative)) return FAIL_OUT_OF_RANGE;
    bits = negative ? -magnitude : magnitude;
  }
  memcpy(at, &bits, 8);
  return FAIL_NONE;
}

typedef unsigned __int128 Wide;

// False unless o is an Integer whose magnitude fits in 128 bits.
static bool wide_magnitude(Oop o, Wide *magnitude, bool *negative) {
  uint64_t small;
  if (integer_magnitude(o, &small, negative)) {
    *magnitude = small;
    return true;
  }
  if (!is_integer_object(o) || object_size(o) != 2) return false;
  *negative = class_index_of(o) == CLASS_LargeNegativeInteger;
  *magnitude = (Wide)object_slots(o)[1] << 64 | object_slots(o)[0];
  return true;
}

static FailureReason store_wide(const ForeignType *type, Oop o, void *at) {
  Wide magnitude, most = ((Wide)1 << 127) - 1;
  bool negative;
  if (!is_integer_object(o)) return FAIL_BAD_ARGUMENT;
  if (!wide_magnitude(o, &magnitude, &negative)) return FAIL_OUT_OF_RANGE;
  if (type->code == C_UINT128 ? negative : magnitude > most + negative) return FAIL_OUT_OF_RANGE;
  if (negative) magnitude = -magnitude;
  memcpy(at, &magnitude, 16);
  return FAIL_NONE;
}

static Oop load_wide(VM *vm, const ForeignType *type, const void *at) {
  Wide n;
  memcpy(&n, at, 16);
  bool negative = type->code == C_INT128 && n >> 127 != 0;
  if (negative) n = -n;
  if (n >> 64 == 0) return integer_object(vm, (uint64_t)n, negative);
  Oop o = heap_allocate(vm->heap, negative ? CLASS_LargeNegativeInteger : CLASS_LargePositiveInteger, FORMAT_WORDS64, 2);
  if (o == OOP_NONE) return primitive_needs_collection(vm);
  memcpy(object_slots(o), &n, 16);
  return o;
}

// --- floats

static bool float_number(Oop o, double *out) {
  if (is_immediate_float(o)) *out = immediate_float_value(o);
  else if (is_pointer(o) && class_index_of(o) == CLASS_Float) memcpy(out, object_slots(o), 8);
  else return false;
  return true;
}

bool value_double(Oop o, double *out) {
  if (float_number(o, out)) return true;
  if (!is_integer_object(o)) return false;
  *out = integer_to_double(o);
  return isfinite(*out);
}

static FailureReason store_float(const ForeignType *type, Oop o, void *at) {
  double d;
  if (!value_double(o, &d)) return is_integer_object(o) ? FAIL_OUT_OF_RANGE : FAIL_BAD_ARGUMENT;
  float narrow = (float)d;
  if (type->code == C_FLOAT) memcpy(at, &narrow, 4);
  else memcpy(at, &d, 8);
  return FAIL_NONE;
}

// A long double holds every 64-bit Integer exactly.
static FailureReason store_long_double(Oop o, void *at) {
  double d;
  uint64_t magnitude;
  bool negative;
  long double wide;
  if (integer_magnitude(o, &magnitude, &negative)) wide = negative ? -(long double)magnitude : (long double)magnitude;
  else if (value_double(o, &d)) wide = d;
  else return is_integer_object(o) ? FAIL_OUT_OF_RANGE : FAIL_BAD_ARGUMENT;
  memcpy(at, &wide, sizeof wide);
  return FAIL_NONE;
}

FailureReason value_store(VM *vm, const ForeignType *type, Oop o, bool young_allowed, void *at) {
  switch (type->code) {
    case C_VOID:
    case C_LIMIT: return FAIL_BAD_ARGUMENT;
    case C_FLOAT:
    case C_DOUBLE: return store_float(type, o, at);
    case C_LONG_DOUBLE: return store_long_double(o, at);
    case C_POINTER:
    case C_STRING: return store_address(vm, type, o, young_allowed, at);
    case C_STRUCT:
    case C_COMPLEX_FLOAT:
    case C_COMPLEX_DOUBLE: return store_struct(vm, type, o, at);
    case C_INT128:
    case C_UINT128: return store_wide(type, o, at);
    default: return store_integer(type, o, at);
  }
}

// --- objects for C values

Oop value_string(VM *vm, const char *text, size_t length) {
  if (utf8_valid_length(text, length) == length) {
    Oop o = string_from_utf8(vm, text, length);
    return o == OOP_NONE ? primitive_needs_collection(vm) : o;
  }
  size_t words;
  Format f = format_for_count(FORMAT_BYTES, length, &words);
  Oop o = heap_allocate(vm->heap, CLASS_String, f, words);
  if (o == OOP_NONE) return primitive_needs_collection(vm);
  memcpy(object_bytes(o), text, length);
  return o;
}

Oop value_bytes(VM *vm, const void *bytes, size_t count) {
  size_t words;
  Format f = format_for_count(FORMAT_BYTES, count, &words);
  Oop o = heap_allocate(vm->heap, CLASS_ByteArray, f, words);
  if (o == OOP_NONE) return primitive_needs_collection(vm);
  if (count > 0) memcpy(object_bytes(o), bytes, count);
  return o;
}

static Oop load_string(VM *vm, const void *at) {
  const char *text;
  memcpy(&text, at, sizeof text);
  return text == NULL ? OOP_NIL : value_string(vm, text, strlen(text));
}

static Oop load_pointer(VM *vm, const void *at) {
  uint64_t address;
  memcpy(&address, at, 8);
  if (address == 0) return OOP_NIL;
  Oop integer = integer_object(vm, address, false);
  if (integer == OOP_NONE) return OOP_NONE;
  Oop o = heap_allocate(vm->heap, CLASS_CPointer, FORMAT_FIXED, NAMED_SLOTS(CPointer));
  if (o == OOP_NONE) return primitive_needs_collection(vm);
  heap_store(vm->heap, o, SLOT_OF(CPointer, address), integer);
  return o;
}

static Oop load_float(VM *vm, TypeCode code, const void *at) {
  float narrow;
  double d;
  long double wide;
  switch (code) {
    case C_FLOAT: memcpy(&narrow, at, sizeof narrow); return float_object(vm, narrow);
    case C_DOUBLE: memcpy(&d, at, sizeof d); return float_object(vm, d);
    default: memcpy(&wide, at, sizeof wide); return float_object(vm, (double)wide);
  }
}

static int64_t narrow_integer(TypeCode code, const void *at) {
  uint32_t n = 0;
  memcpy(&n, at, code <= C_UINT8 ? 1 : code <= C_UINT16 ? 2 : 4);
  switch (code) {
    case C_INT8: return (int8_t)n;
    case C_INT16: return (int16_t)n;
    case C_INT32: return (int32_t)n;
    default: return n;
  }
}

static Oop load_integer(VM *vm, TypeCode code, const void *at) {
  uint64_t n;
  if (code < C_INT64) return oop_from_integer(narrow_integer(code, at));
  memcpy(&n, at, 8);
  bool negative = code == C_INT64 && (int64_t)n < 0;
  return integer_object(vm, negative ? -n : n, negative);
}

Oop value_load(VM *vm, const ForeignType *type, const void *at) {
  switch (type->code) {
    case C_BOOL: return oop_from_boolean(*(const uint8_t *)at != 0);
    case C_FLOAT:
    case C_DOUBLE:
    case C_LONG_DOUBLE: return load_float(vm, type->code, at);
    case C_POINTER: return load_pointer(vm, at);
    case C_STRING: return load_string(vm, at);
    case C_STRUCT:
    case C_COMPLEX_FLOAT:
    case C_COMPLEX_DOUBLE: return value_bytes(vm, at, type->size);
    case C_INT128:
    case C_UINT128: return load_wide(vm, type, at);
    default: return load_integer(vm, type->code, at);
  }
}
