// Descriptors read, checked and made into functions, and the table that keeps them.
//
// A descriptor is untrusted: every byte is checked before use. On x86-64 and aarch64 integers and floats are passed in registers that are
// assigned independently of each other. So a function of few scalar arguments can be called as if it took other integers and doubles
// besides, and the few types of FunctionStub serve all such functions; a float is the low half of a double's register. As long as all floats
// are in registers, only integers are on the stack, in words, and words too many do no harm there.
//
// Sizes, alignments and register classes of structs are given to libffi ready made: it computes none, since it knows of no packing.
#include "ffi/function.h"
#include "ffi/call.h"
#include "ffi/foreign.h"
#include <stdlib.h>

enum {
  MAX_ALIGNMENT = 16,
  MAX_STRUCT_BYTES = 64 << 10,   // a struct by value lies on the stack
  MAX_STORAGE_BYTES = 128 << 10  // so do all arguments together
};

#if (defined(__x86_64__) || defined(__aarch64__)) && !defined(_WIN32)
static const bool has_stubs = true;
#else
static const bool has_stubs = false;
#endif

// --- reading descriptors

typedef struct {
  const uint8_t *at, *end;
} Reader;

static bool read_number(Reader *r, size_t bytes, uint32_t *out) {
  if ((size_t)(r->end - r->at) < bytes) return false;
  *out = 0;
  for (size_t i = 0; i < bytes; i++) *out |= (uint32_t)*r->at++ << (8 * i);
  return true;
}

// A struct of more elements than this is passed in memory, whatever they are: by both conventions it is too large for registers.
enum { MAX_ELEMENTS = 16 };

typedef struct {
  ffi_type type;
  ffi_type *elements[MAX_ELEMENTS + 1];
} StructType;

// An element that no register holds: a struct with it is passed in memory on x86-64. On aarch64 it counts as a byte.
static ffi_type *const memory_elements[] = {&ffi_type_uint8, NULL};
static const ffi_type memory_element = {64, 1, FFI_TYPE_STRUCT, (ffi_type **)(uintptr_t)memory_elements};

// Reads the codes of a struct's elements into s; where they are too many or misaligned, an element for memory stands for them.
static bool read_elements(Reader *r, StructType *s, uint32_t count) {
  ForeignType element;
  size_t end = 0;
  if ((size_t)(r->end - r->at) < count) return false;
  for (uint32_t i = 0; i < count; i++) {
    unsigned code = *r->at++;
    if (code < C_BOOL || code > C_POINTER || !type_of_code(code, &element)) return false;
    end = (end + element.alignment - 1) / element.alignment * element.alignment + element.size;
    if (i < MAX_ELEMENTS) s->elements[i] = element.ffi;
  }
  if (count > 0 && count <= MAX_ELEMENTS && end <= s->type.size) return true;
  s->elements[0] = (ffi_type *)(uintptr_t)&memory_element;
  s->elements[1] = NULL;
  return true;
}

static FailureReason read_struct(Reader *r, ForeignType *out) {
  uint32_t size, alignment, count;
  if (!read_number(r, 4, &size) || !read_number(r, 1, &alignment) || !read_number(r, 2, &count)) return FAIL_BAD_ARGUMENT;
  if (alignment == 0 || (alignment & (alignment - 1)) != 0 || size % alignment != 0) return FAIL_BAD_ARGUMENT;
  if (alignment > MAX_ALIGNMENT || size == 0 || size > MAX_STRUCT_BYTES) return FAIL_UNSUPPORTED;
  StructType *s = calloc(1, sizeof *s);
  if (s == NULL) return FAIL_OUT_OF_MEMORY;
  s->type = (ffi_type){size, (unsigned short)alignment, FFI_TYPE_STRUCT, s->elements};
  *out = (ForeignType){C_STRUCT, size, alignment, 1, 0, &s->type};
  if (!read_elements(r, s, count)) return FAIL_BAD_ARGUMENT;
  // libffi looks for the result in the wrong register unless such a struct is told as what it amounts to
  if (count == 1 && s->elements[0] == &ffi_type_longdouble && size == ffi_type_longdouble.size) s->type = ffi_type_longdouble;
  return FAIL_NONE;
}

static FailureReason read_type(Reader *r, ForeignType *out) {
  uint32_t code;
  if (!read_number(r, 1, &code)) return FAIL_BAD_ARGUMENT;
  if (code == C_STRUCT) return read_struct(r, out);
  return type_of_code(code, out) ? FAIL_NONE : FAIL_BAD_ARGUMENT;
}

// C promotes what is passed for `...`.
static void promote(ForeignType *type) {
  if (type->code >= C_BOOL && type->code <= C_UINT16) type_of_code(C_INT32, type);
  else if (type->code == C_FLOAT) type_of_code(C_DOUBLE, type);
}

static FailureReason read_arguments(Reader *r, ForeignFunction *f) {
  for (uint8_t i = 0; i < f->count; i++) {
    ForeignType *type = &f->arguments[i].type;
    FailureReason reason = read_type(r, type);
    if (reason != FAIL_NONE) return reason;
    if (type->code == C_VOID) return FAIL_BAD_ARGUMENT;
    if (i >= f->fixed) promote(type);
    f->ffi_arguments[i] = type->ffi;
  }
  return FAIL_NONE;
}

static FailureReason read_descriptor(ForeignFunction *f) {
  Reader r = {f->descriptor, f->descriptor + f->descriptor_length};
  uint32_t flags, fixed, count;
  if (!read_number(&r, 1, &flags) || !read_number(&r, 1, &fixed) || !read_number(&r, 1, &count)) return FAIL_BAD_ARGUMENT;
  if (flags > 1 || fixed > count || (flags == 0 && fixed != count)) return FAIL_BAD_ARGUMENT;
  if (count > FUNCTION_MAX_ARGUMENTS) return FAIL_UNSUPPORTED;
  f->variadic = flags == 1;
  f->fixed = (uint8_t)fixed;
  f->count = (uint8_t)count;
  FailureReason reason = read_type(&r, &f->result);
  if (reason == FAIL_NONE) reason = read_arguments(&r, f);
  return reason != FAIL_NONE ? reason : r.at == r.end ? FAIL_NONE : FAIL_BAD_ARGUMENT;
}

// --- how to call

static bool in_integer_register(TypeCode code) { return code_is_integer(code) || code == C_POINTER || code == C_STRING; }
static bool in_float_register(TypeCode code) { return code == C_FLOAT || code == C_DOUBLE; }

static FunctionStub smallest_stub(size_t integers, size_t floats) {
  static const FunctionStub of_integers[] = {STUB_I0, STUB_I1, STUB_I2, STUB_I3, STUB_I6, STUB_I6, STUB_I6};
  static const FunctionStub of_floats[] = {STUB_I0, STUB_D1, STUB_D2};
  if (integers > 6) return STUB_I12D8;
  if (floats == 0) return of_integers[integers];
  return integers == 0 && floats <= 2 ? of_floats[floats] : STUB_I6D8;
}

// Where the arguments lie in the registers of a CallFrame; false if they do not fit.
static bool assign_registers(ForeignFunction *f) {
  size_t integers = 0, floats = 0;
  for (uint8_t i = 0; i < f->count; i++) {
    ForeignArgument *a = &f->arguments[i];
    bool is_float = in_float_register(a->type.code);
    size_t *used = is_float ? &floats : &integers;
    if (!is_float && !in_integer_register(a->type.code)) return false;
    if (*used == (is_float ? CALL_FLOATS : CALL_INTEGERS)) return false;
    a->offset = (uint32_t)((is_float ? offsetof(CallFrame, floats) : offsetof(CallFrame, integers)) + 8 * *used);
    ++*used;
  }
  f->stub = smallest_stub(integers, floats);
  return true;
}

static FailureReason assign_storage(ForeignFunction *f) {
  size_t used = 0;
  f->stub = STUB_LIBFFI;
  for (uint8_t i = 0; i < f->count; i++) {
    size_t alignment = f->arguments[i].type.alignment > 8 ? f->arguments[i].type.alignment : 8, size = f->arguments[i].type.size;
    used = (used + alignment - 1) & ~(alignment - 1);
    f->arguments[i].offset = (uint32_t)used;
    used += size > 8 ? size : 8;  // integers are stored widened
    if (used > MAX_STORAGE_BYTES) return FAIL_UNSUPPORTED;
  }
  f->storage_bytes = (uint32_t)used;
  return FAIL_NONE;
}

static FailureReason choose_call(ForeignFunction *f) {
  f->float_result = in_float_register(f->result.code);
  bool plain_result = f->result.code == C_VOID || f->float_result || in_integer_register(f->result.code);
  if (has_stubs && !f->variadic && plain_result && assign_registers(f)) return FAIL_NONE;
  return assign_storage(f);
}

static FailureReason prepare_cif(ForeignFunction *f) {
  ffi_status status = f->variadic ? ffi_prep_cif_var(&f->cif, FFI_DEFAULT_ABI, f->fixed, f->count, f->result.ffi, f->ffi_arguments)
                                  : ffi_prep_cif(&f->cif, FFI_DEFAULT_ABI, f->count, f->result.ffi, f->ffi_arguments);
  return status == FFI_OK ? FAIL_NONE : FAIL_UNSUPPORTED;
}

static void free_struct(const ForeignType *type) {
  if (type->code == C_STRUCT) free((StructType *)(void *)type->ffi);
}

static void function_free(ForeignFunction *f) {
  free_struct(&f->result);
  for (uint8_t i = 0; i < f->count; i++) free_struct(&f->arguments[i].type);
  free(f->name);
  free(f->descriptor);
  free(f->ffi_arguments);
  free(f);
}

// A function with room for as many arguments as its descriptor names.
static ForeignFunction *function_allocate(const uint8_t *descriptor, size_t length, const char *name) {
  size_t count = length > 2 ? descriptor[2] : 0;
  ForeignFunction *f = calloc(1, sizeof *f + count * sizeof *f->arguments);
  if (f == NULL) return NULL;
  f->descriptor_length = length;
  f->name = strdup(name);
  f->descriptor = malloc(length + 1);
  f->ffi_arguments = calloc(count + 1, sizeof *f->ffi_arguments);
  if (f->name == NULL || f->descriptor == NULL || f->ffi_arguments == NULL) {
    function_free(f);
    return NULL;
  }
  if (length > 0) memcpy(f->descriptor, descriptor, length);
  return f;
}

static FailureReason function_new(const uint8_t *descriptor, size_t length, const char *name, ForeignFunction **out) {
  ForeignFunction *f = function_allocate(descriptor, length, name);
  if (f == NULL) return FAIL_OUT_OF_MEMORY;
  FailureReason reason = read_descriptor(f);
  if (reason == FAIL_NONE) reason = choose_call(f);
  if (reason == FAIL_NONE) reason = prepare_cif(f);
  if (reason == FAIL_NONE) *out = f;
  else function_free(f);
  return reason;
}

// --- the table: chained, by address, kind and descriptor

struct FunctionTable {
  ForeignFunction **chains;
  size_t count, chain_count;  // chain_count is a power of two
};

FunctionTable *function_table_new(void) {
  enum { FIRST_CHAINS = 64 };
  FunctionTable *t = calloc(1, sizeof *t);
  if (t == NULL || (t->chains = calloc(FIRST_CHAINS, sizeof *t->chains)) == NULL) {
    free(t);
    return NULL;
  }
  t->chain_count = FIRST_CHAINS;
  return t;
}

void function_table_free(FunctionTable *t) {
  for (size_t i = 0; i < t->chain_count; i++)
    for (ForeignFunction *f = t->chains[i], *next; f != NULL; f = next) {
      next = f->next;
      if (!f->immortal) function_free(f);
    }
  free(t->chains);
  free(t);
}

static uint32_t hash_of(const uint8_t *descriptor, size_t length, const void *address, FunctionKind kind) {
  uint64_t h = 1469598103934665603u ^ (uintptr_t)address ^ (uint64_t)kind << 60;
  for (size_t i = 0; i < length; i++) h = (h ^ descriptor[i]) * 1099511628211u;
  h *= 0x9E3779B97F4A7C15u;
  return (uint32_t)(h >> 32);
}

static void enter(FunctionTable *t, ForeignFunction *f) {
  ForeignFunction **chain = &t->chains[f->hash & (t->chain_count - 1)];
  f->next = *chain;
  *chain = f;
}

// Twice as many chains; without memory they just get longer.
static void grow(FunctionTable *t) {
  ForeignFunction **old = t->chains, **chains = calloc(2 * t->chain_count, sizeof *chains);
  size_t old_count = t->chain_count;
  if (chains == NULL) return;
  t->chains = chains;
  t->chain_count *= 2;
  for (size_t i = 0; i < old_count; i++)
    for (ForeignFunction *f = old[i], *next; f != NULL; f = next) {
      next = f->next;
      enter(t, f);
    }
  free(old);
}

FailureReason function_prepare(VM *vm, const uint8_t *descriptor, size_t length, void *address, FunctionKind kind, const char *name, ForeignFunction **out) {
  FunctionTable *t = foreign_of(vm)->functions;
  void (*code)(void) = (void (*)(void))(uintptr_t)address;
  uint32_t hash = hash_of(descriptor, length, address, kind);
  for (ForeignFunction *f = t->chains[hash & (t->chain_count - 1)]; f != NULL; f = f->next) {
    if (f->hash != hash || f->code != code || f->kind != kind || f->descriptor_length != length) continue;
    if (memcmp(f->descriptor, descriptor, length) != 0) continue;
    *out = f;
    return FAIL_NONE;
  }
  FailureReason reason = function_new(descriptor, length, name, out);
  if (reason != FAIL_NONE) return reason;
  (*out)->code = code;
  (*out)->kind = kind;
  (*out)->hash = hash;
  if (++t->count > t->chain_count) grow(t);
  enter(t, *out);
  return FAIL_NONE;
}
