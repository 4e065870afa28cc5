// Calling a C function.
//
// Integers, floats and pointers take the short way: tested and stored in place, one after the other, nothing allocated, and the call is
// a plain C call with a type of FunctionStub. Registers and stack words that the function does not take hold what happened to be in the frame.
#include "ffi/call.h"
#include "vm/layouts.h"
#include "vm/primitives.h"
#include <errno.h>
#include <stdlib.h>

// --- memory that lives as long as the frame

struct CallBlock {
  CallBlock *next;
  _Alignas(16) uint8_t bytes[];
};

// Aligned to 16; NULL if there is none.
static void *frame_allocate(CallFrame *c, size_t bytes) {
  size_t rounded = (bytes + 15) & ~(size_t)15;
  if (rounded <= CALL_ROOM_BYTES - c->room_used) {
    void *at = c->room + c->room_used;
    c->room_used += rounded;
    return at;
  }
  CallBlock *block = malloc(sizeof *block + bytes);
  if (block == NULL) return NULL;
  block->next = c->blocks;
  c->blocks = block;
  return block->bytes;
}

void call_free_blocks(CallFrame *c) {
  for (CallBlock *b = c->blocks, *next; b != NULL; b = next) {
    next = b->next;
    free(b);
  }
  c->blocks = NULL;
}

// --- arguments

static char *frame_text(CallFrame *c, const void *bytes, size_t length) {
  char *text = frame_allocate(c, length + 1);
  if (text == NULL) return NULL;
  if (length > 0) memcpy(text, bytes, length);
  text[length] = 0;
  return text;
}

static bool is_ascii(const uint8_t *bytes, size_t n) {
  uint8_t all = 0;
  for (size_t i = 0; i < n; i++) all |= bytes[i];
  return all < 128;
}

// A NUL-terminated copy in UTF-8.
static FailureReason store_string(CallFrame *c, Oop o, void *at) {
  size_t length = object_element_count(o);
  const uint8_t *bytes = object_bytes(o);
  char *encoded = NULL;
  if (object_format(o) < FORMAT_BYTES || !is_ascii(bytes, length)) {
    encoded = string_to_utf8(o, &length);
    if (encoded == NULL) return FAIL_OUT_OF_MEMORY;
    bytes = (const uint8_t *)encoded;
  }
  bool has_nul = memchr(bytes, 0, length) != NULL;
  char *text = has_nul ? NULL : frame_text(c, bytes, length);
  free(encoded);
  if (text == NULL) return has_nul ? FAIL_NUL_IN_STRING : FAIL_OUT_OF_MEMORY;
  memcpy(at, &text, sizeof text);
  return FAIL_NONE;
}

static bool is_plain_cpointer(Oop o) {
  return is_pointer(o) && class_index_of(o) == CLASS_CPointer && AS(CPointer, o)->owner == OOP_NIL && is_integer(AS(CPointer, o)->address) &&
         oop_to_integer(AS(CPointer, o)->address) >= 0;
}

static inline __attribute__((always_inline)) FailureReason store_argument(VM *vm, const ForeignFunction *f, CallFrame *c, const ForeignType *type, Oop o,
                                                                          void *at) {
  int64_t n = oop_to_integer(o);
  if (is_integer(o) && n >= type->low && n <= type->high) {
    memcpy(at, &n, 8);
  } else if (type->code == C_DOUBLE && is_tagged_float(o)) {
    double d = tagged_float_value(o);
    memcpy(at, &d, 8);
  } else if (type->code == C_FLOAT && is_tagged_float(o)) {
    float narrow = (float)tagged_float_value(o);
    memcpy(at, &narrow, 4);
  } else if (type->code == C_POINTER && is_plain_cpointer(o)) {
    n = oop_to_integer(AS(CPointer, o)->address);
    memcpy(at, &n, 8);
  } else if (type->code == C_STRING && is_string(o)) {
    return store_string(c, o, at);
  } else {
    return value_store(vm, type, o, f->kind == FUNCTION_FAST, at);
  }
  return FAIL_NONE;
}

// Room for the values of a call through libffi and for its result; NULL if there is none.
static uint8_t *prepare_values(const ForeignFunction *f, CallFrame *c) {
  uint8_t *storage = frame_allocate(c, f->storage_bytes);
  c->values = frame_allocate(c, f->count * sizeof *c->values);
  if (f->result.size > CALL_RESULT_BYTES) c->result_at = frame_allocate(c, f->result.size);
  if (storage == NULL || c->values == NULL || c->result_at == NULL) return NULL;
  for (size_t i = 0; i < f->count; i++) c->values[i] = storage + f->arguments[i].offset;
  return storage;
}

static FailureReason give_up(CallFrame *c, FailureReason reason) {
  call_release(c);
  return reason;
}

FailureReason call_marshal(VM *vm, const ForeignFunction *f, CallFrame *c, const Oop *args, size_t count, size_t *bad_argument) {
  c->blocks = NULL;
  c->room_used = 0;
  c->result_at = c->result;
  *bad_argument = 0;
  if (count != f->count) return FAIL_WRONG_ARGUMENT_COUNT;
  uint8_t *base = (uint8_t *)c;
  if (f->stub == STUB_LIBFFI && (base = prepare_values(f, c)) == NULL) return give_up(c, FAIL_OUT_OF_MEMORY);
  for (size_t i = 0; i < count; i++) {
    const ForeignArgument *a = &f->arguments[i];
    FailureReason reason = store_argument(vm, f, c, &a->type, args[i], base + a->offset);
    if (__builtin_expect(reason == FAIL_NONE, 1)) continue;
    *bad_argument = i + 1;
    return give_up(c, reason);
  }
  return FAIL_NONE;
}

// --- the call

// The direct calls, for functions whose result comes in an integer register or in a floating one.
#define STUBS(name, R)                                                                                                                                        \
  static R name(const ForeignFunction *f, const uint64_t *i, const double *d) {                                                                               \
    typedef uint64_t U;                                                                                                                                       \
    typedef double D;                                                                                                                                         \
    switch (f->stub) {                                                                                                                                        \
      case STUB_I0: return ((R(*)(void))f->code)();                                                                                                           \
      case STUB_I1: return ((R(*)(U))f->code)(i[0]);                                                                                                          \
      case STUB_I2: return ((R(*)(U, U))f->code)(i[0], i[1]);                                                                                                 \
      case STUB_I3: return ((R(*)(U, U, U))f->code)(i[0], i[1], i[2]);                                                                                        \
      case STUB_I6: return ((R(*)(U, U, U, U, U, U))f->code)(i[0], i[1], i[2], i[3], i[4], i[5]);                                                             \
      case STUB_D1: return ((R(*)(D))f->code)(d[0]);                                                                                                          \
      case STUB_D2: return ((R(*)(D, D))f->code)(d[0], d[1]);                                                                                                 \
      case STUB_I12D8:                                                                                                                                        \
        return ((R(*)(U, U, U, U, U, U, D, D, D, D, D, D, D, D, U, U, U, U, U, U))f->code)(i[0], i[1], i[2], i[3], i[4], i[5], d[0], d[1], d[2], d[3], d[4],  \
                                                                                           d[5], d[6], d[7], i[6], i[7], i[8], i[9], i[10], i[11]);           \
      default:                                                                                                                                                \
        return ((R(*)(U, U, U, U, U, U, D, D, D, D, D, D, D, D))f->code)(i[0], i[1], i[2], i[3], i[4], i[5], d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]); \
    }                                                                                                                                                         \
  }
STUBS(call_integer, uint64_t)
STUBS(call_float, double)

// A fast function may answer text within an object that moves at the next collection.
static void keep_text(CallFrame *c) {
  char *text;
  memcpy(&text, c->result, sizeof text);
  if (text == NULL) return;
  char *copy = frame_text(c, text, strlen(text));
  if (copy != NULL) memcpy(c->result, &copy, sizeof copy);
}

void call_invoke(const ForeignFunction *f, CallFrame *c) {
  errno = 0;
  if (f->stub == STUB_LIBFFI) {
    ffi_call((ffi_cif *)(uintptr_t)&f->cif, f->code, c->result_at, c->values);
    c->saved_errno = errno;
  } else if (f->float_result) {
    double d = call_float(f, c->integers, c->floats);
    c->saved_errno = errno;
    memcpy(c->result, &d, 8);
  } else {
    uint64_t n = call_integer(f, c->integers, c->floats);
    c->saved_errno = errno;
    memcpy(c->result, &n, 8);
  }
  if (f->kind == FUNCTION_FAST && f->result.code == C_STRING) keep_text(c);
}

// --- results

Oop call_convert(VM *vm, const ForeignFunction *f, const CallFrame *c, Oop receiver) {
  int32_t n;
  double d;
  switch (f->result.code) {
    case C_VOID: return receiver;
    case C_DOUBLE: memcpy(&d, c->result, 8); return float_object(vm, d);
    case C_INT32: memcpy(&n, c->result, 4); return oop_from_integer(n);
    default: return value_load(vm, &f->result, c->result_at);
  }
}

// --- callbacks

Oop callback_argument(VM *vm, const ForeignFunction *type, size_t i, const void *value) { return value_load(vm, &type->arguments[i].type, value); }

bool callback_result(VM *vm, const ForeignFunction *type, Oop value, void *out) {
  return type->result.code == C_VOID || value_store(vm, &type->result, value, false, out) == FAIL_NONE;
}
