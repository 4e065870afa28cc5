// Plain primitives on C's memory: getting and freeing it, and reading and writing it through CPointers.
//
// Offsets count bytes from 0. Where a CPointer knows its size, nothing beyond it is touched; where it does not, only C knows. A CPointer does
// not survive the program: in an image that is loaded again its address means nothing.
#include "ffi/foreign.h"
#include "vm/layouts.h"
#include "vm/primitives.h"
#include <stdlib.h>

static bool is_raw(Oop o) { return is_pointer(o) && !format_has_pointers(object_format(o)); }
static size_t raw_size(Oop o) { return object_element_count(o) * format_element_size(object_format(o)); }

// A count or offset. Nothing is as large as SMALL_INTEGER_MAX, so sums of them do not overflow.
static bool natural(Oop o, size_t *out) {
  if (!is_integer(o) || oop_to_integer(o) < 0) return false;
  *out = (size_t)oop_to_integer(o);
  return true;
}

// --- memory

static Oop memory_allocate(VM *vm, Oop *args) {
  size_t bytes;
  if (!is_integer_object(args[1])) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  if (!natural(args[1], &bytes)) return primitive_fail(vm, FAIL_OUT_OF_RANGE);
  void *p = bytes > PTRDIFF_MAX ? NULL : calloc(1, bytes == 0 ? 1 : bytes);
  return p == NULL ? primitive_fail(vm, FAIL_OUT_OF_MEMORY) : oop_from_integer((int64_t)(intptr_t)p);
}

static Oop memory_free(VM *vm, Oop *args) {
  size_t address;
  if (!natural(args[1], &address)) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  free((void *)(uintptr_t)address);
  return args[0];
}

// --- through a CPointer

// The memory behind a CPointer; sets the failure and answers false if there is none.
static bool memory_of(VM *vm, Oop o, uint8_t **out, FailureReason when_null) {
  uint64_t address;
  vm->failure = when_null;
  if (!is_cpointer(vm, o)) return false;
  FailureReason reason = cpointer_address(vm, o, &address);
  if (reason == FAIL_USE_AFTER_FREE) vm->failure = reason;
  *out = (uint8_t *)(uintptr_t)address;
  return reason == FAIL_NONE && address != 0;
}

// Where `count` bytes from an offset on lie; NULL with the failure set if that is not within.
static uint8_t *bytes_at(VM *vm, Oop pointer, Oop offset_argument, size_t count) {
  uint8_t *start;
  size_t offset, size;
  if (!memory_of(vm, pointer, &start, FAIL_BAD_RECEIVER)) return NULL;
  vm->failure = is_integer_object(offset_argument) ? FAIL_BAD_INDEX : FAIL_BAD_ARGUMENT;
  if (!natural(offset_argument, &offset)) return NULL;
  if (natural(AS(CPointer, pointer)->size, &size) && offset + count > size) return NULL;
  return (uint8_t *)((uintptr_t)start + offset);
}

// A type of memory; sets the failure and answers false for a code that is none.
static bool type_argument(VM *vm, Oop code, ForeignType *out) {
  size_t n;
  vm->failure = FAIL_BAD_ARGUMENT;
  if (!natural(code, &n)) return false;
  vm->failure = FAIL_UNSUPPORTED;
  return n < C_LIMIT && type_of_code((unsigned)n, out) && out->code != C_VOID;
}

static Oop pointer_at(VM *vm, Oop *args) {
  ForeignType type;
  if (!type_argument(vm, args[2], &type)) return OOP_NONE;
  const uint8_t *at = bytes_at(vm, args[0], args[1], type.size);
  return at == NULL ? OOP_NONE : value_load(vm, &type, at);
}

static Oop pointer_at_put(VM *vm, Oop *args) {
  ForeignType type;
  uint8_t value[VALUE_SCALAR_BYTES];
  if (!type_argument(vm, args[2], &type)) return OOP_NONE;
  if (type.code == C_STRING) return primitive_fail(vm, FAIL_UNSUPPORTED);
  uint8_t *at = bytes_at(vm, args[0], args[1], type.size);
  if (at == NULL) return OOP_NONE;
  FailureReason reason = value_store(vm, &type, args[3], false, value);
  if (reason != FAIL_NONE) return primitive_fail(vm, reason);
  memcpy(at, value, type.size);
  return args[3];
}

static Oop pointer_bytes(VM *vm, Oop *args) {
  size_t count;
  if (!natural(args[2], &count)) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  const uint8_t *at = bytes_at(vm, args[0], args[1], count);
  return at == NULL ? OOP_NONE : value_bytes(vm, at, count);
}

// The bytes from `start` on of an object or CPointer; NULL with the failure set if they are not within.
static const uint8_t *source_bytes(VM *vm, Oop source, Oop start_argument, size_t count) {
  size_t start, size;
  uint8_t *from;
  bool raw = is_raw(source);
  if (!natural(start_argument, &start)) vm->failure = is_integer(start_argument) ? FAIL_BAD_INDEX : FAIL_BAD_ARGUMENT;
  else if (raw && start + count > raw_size(source)) vm->failure = FAIL_BAD_INDEX;
  else if (raw) return object_bytes(source) + start;
  else if (!memory_of(vm, source, &from, FAIL_BAD_ARGUMENT)) return NULL;
  else if (natural(AS(CPointer, source)->size, &size) && start + count > size) vm->failure = FAIL_BAD_INDEX;
  else return (const uint8_t *)((uintptr_t)from + start);
  return NULL;
}

static Oop pointer_put_bytes(VM *vm, Oop *args) {
  size_t count;
  if (!natural(args[4], &count)) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  uint8_t *at = bytes_at(vm, args[0], args[1], count);
  if (at == NULL) return OOP_NONE;
  const uint8_t *from = source_bytes(vm, args[2], args[3], count);
  if (from == NULL) return OOP_NONE;
  memmove(at, from, count);
  return args[0];
}

static Oop pointer_string(VM *vm, Oop *args) {
  size_t offset = 0, size, most = SIZE_MAX;
  const char *text = (const char *)bytes_at(vm, args[0], args[1], 0);
  if (text == NULL) return OOP_NONE;
  if (args[2] != OOP_NIL && !natural(args[2], &most)) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  natural(args[1], &offset);
  if (natural(AS(CPointer, args[0])->size, &size) && size - offset < most) most = size - offset;
  return value_string(vm, text, most == SIZE_MAX ? strlen(text) : strnlen(text, most));
}

static Oop bytes_address(VM *vm, Oop *args) {
  if (!is_raw(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (heap_is_young(vm->heap, args[0])) return primitive_fail(vm, FAIL_NEW_SPACE_ARGUMENT);
  return oop_from_integer((int64_t)(intptr_t)object_bytes(args[0]));
}

void memory_primitives_register(VM *vm) {
  static const PrimitiveEntry entries[] = {
      {"memoryAllocate", 1, memory_allocate, NULL, false}, {"memoryFree", 1, memory_free, NULL, false},
      {"pointerAt", 2, pointer_at, NULL, false},           {"pointerAtPut", 3, pointer_at_put, NULL, false},
      {"pointerBytes", 2, pointer_bytes, NULL, false},     {"pointerPutBytes", 4, pointer_put_bytes, NULL, false},
      {"pointerString", 2, pointer_string, NULL, false},   {"bytesAddress", 0, bytes_address, NULL, false},
  };
  primitives_register(vm, entries, sizeof entries / sizeof *entries);
}
