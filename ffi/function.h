// C functions that have been made ready to be called: their address and how their arguments and results travel.
//
// A descriptor says what a function takes and answers:
//
//   flags byte (1: variadic), count of fixed arguments, count of all arguments, result type, argument types
//
// A type is a code of ffi/value.h; C_STRUCT is followed by size (uint32, least byte first), alignment (byte), a count of elements (uint16)
// and so many scalar codes: the struct flattened, arrays repeated, bit-fields as their storage integers, for a union elements that give the
// right registers. Elements that do not fit the size at their natural places, or none, mean that the struct has misaligned fields.
#ifndef BATON_FFI_FUNCTION_H
#define BATON_FFI_FUNCTION_H

#include "ffi/value.h"

typedef enum { FUNCTION_DEFAULT, FUNCTION_FAST, FUNCTION_MAIN, FUNCTION_DETACHABLE } FunctionKind;

// How a function is called. The numbers say how many integers and floats are passed; the rest goes through libffi.
typedef enum { STUB_LIBFFI, STUB_I0, STUB_I1, STUB_I2, STUB_I3, STUB_I6, STUB_D1, STUB_D2, STUB_I6D8, STUB_I12D8 } FunctionStub;

enum { FUNCTION_MAX_ARGUMENTS = 64 };

typedef struct {
  ForeignType type;
  uint32_t offset;  // where the value lies in the storage of a CallFrame
} ForeignArgument;

typedef struct ForeignFunction ForeignFunction;

struct ForeignFunction {
  void (*code)(void);  // NULL for a callback's type
  char *name;          // UTF-8
  FunctionKind kind;
  FunctionStub stub;
  bool float_result;  // stubs: the result comes in a floating register
  bool variadic;
  bool immortal;           // the type of a callback's code, which outlives the VM
  uint8_t fixed, count;    // arguments
  uint32_t storage_bytes;  // for the values of a call through libffi
  ForeignType result;
  ffi_cif cif;
  ffi_type **ffi_arguments;
  int8_t length;          // what its calls have been: 0 short, up to 3 long; the owner's (see ffi/callout.c)
  ForeignFunction *next;  // in the table
  uint32_t hash;
  size_t descriptor_length;
  uint8_t *descriptor;
  ForeignArgument arguments[];
};

// Checks the descriptor and answers the function of this address, descriptor and kind: the one made before, or a new one named as given.
// It belongs to the VM and lives as long. FAIL_BAD_ARGUMENT: malformed; FAIL_UNSUPPORTED: larger than we pass; FAIL_OUT_OF_MEMORY.
FailureReason function_prepare(VM *vm, const uint8_t *descriptor, size_t length, void *address, FunctionKind kind, const char *name, ForeignFunction **out);

// What libffi needs to call the function, or to make a callback of its type.
static inline ffi_cif *function_cif(ForeignFunction *f) { return &f->cif; }

// A function as the `handle` slot of a CFunction or CCallback holds it, valid in the session that prepared it.
static inline Oop function_handle(const ForeignFunction *f) { return oop_from_integer((int64_t)(intptr_t)f); }
static inline ForeignFunction *function_from_handle(Oop handle) { return (ForeignFunction *)(intptr_t)oop_to_integer(handle); }

// The functions of a VM, and freeing them all. NULL: no memory.
typedef struct FunctionTable FunctionTable;
FunctionTable *function_table_new(void);
void function_table_free(FunctionTable *table);

#endif
