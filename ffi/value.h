// C values as objects and back: what each type code means.
//
// A type is a code (below) or a struct's size and alignment. The same two functions serve arguments and results of calls, arguments and
// results of callbacks, and memory.
#ifndef BATON_FFI_VALUE_H
#define BATON_FFI_VALUE_H

#include <ffi.h>

#include "vm/vm.h"

// As in descriptors made by Smalltalk.
typedef enum {
  C_VOID,
  C_BOOL,
  C_INT8,
  C_UINT8,
  C_INT16,
  C_UINT16,
  C_INT32,
  C_UINT32,
  C_INT64,
  C_UINT64,
  C_FLOAT,
  C_DOUBLE,
  C_LONG_DOUBLE,
  C_POINTER,
  C_STRING,
  C_STRUCT,
  C_COMPLEX_FLOAT,
  C_COMPLEX_DOUBLE,
  C_INT128,
  C_UINT128,
  C_LIMIT
} TypeCode;

typedef struct {
  TypeCode code;
  uint32_t size, alignment;
  int64_t low, high;  // the SmallIntegers among the values, that is, none but for integer types
  ffi_type *ffi;
} ForeignType;

enum { VALUE_SCALAR_BYTES = 16 };  // the most that a type other than a struct needs

static inline bool code_is_integer(TypeCode code) { return code >= C_BOOL && code <= C_UINT64; }

// The type of a code other than C_STRUCT. False if there is no such code.
bool type_of_code(unsigned code, ForeignType *out);

// Stores an object as a C value. Integers and pointers are widened to eight bytes, as registers and libffi want them; `at` needs room for
// them even where the type is smaller, and no alignment. Bytes of an object in new space are handed out only if young_allowed. A C_STRING
// is an address here: nil or a CPointer. FAIL_NONE, or what is wrong with the object.
FailureReason value_store(VM *vm, const ForeignType *type, Oop o, bool young_allowed, void *at);

// An object for the C value at an address of any alignment; for structs and complex numbers a ByteArray. Not for C_VOID.
// OOP_NONE: needs collection (the failure is set).
Oop value_load(VM *vm, const ForeignType *type, const void *at);

// The bytes of a double from a Float or Integer. False if o is neither, or too large.
bool value_double(Oop o, double *out);

// Whether o is an instance of a class that the VM knows, or of a subclass.
bool is_kind_of(VM *vm, Oop o, uint32_t class_index);
bool is_cpointer(VM *vm, Oop o);
// The address in a CPointer whose memory has not been freed, nor that of its owners.
FailureReason cpointer_address(VM *vm, Oop pointer, uint64_t *out);
// The address that C gets for a pointer argument.
FailureReason value_address(VM *vm, Oop o, bool young_allowed, uint64_t *out);
// A String from UTF-8 text; if it is not UTF-8, each byte is a character. OOP_NONE: needs collection (the failure is set).
Oop value_string(VM *vm, const char *text, size_t length);
// A ByteArray with a copy of the bytes. OOP_NONE: needs collection (the failure is set).
Oop value_bytes(VM *vm, const void *bytes, size_t count);

#endif
