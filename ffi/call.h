// One call of a C function: arguments from objects, the call itself, the result as an object.
//
//   CallFrame c;
//   reason = call_marshal(vm, f, &c, args, count, &bad);   // owning the VM; on failure there is nothing to release
//   call_invoke(f, &c);                                    // needs no VM
//   result = call_convert(vm, f, &c, receiver);            // owning the VM; again after a collection if it answers OOP_NONE
//   call_release(&c);
#ifndef BATON_FFI_CALL_H
#define BATON_FFI_CALL_H

#include "ffi/function.h"

enum { CALL_INTEGERS = 12, CALL_FLOATS = 8, CALL_RESULT_BYTES = 32, CALL_ROOM_BYTES = 512 };

typedef struct CallBlock CallBlock;

// The machine state of a call. It holds addresses of its own parts, so it must stay where it is until it is released.
typedef struct {
  uint64_t integers[CALL_INTEGERS];  // of direct stubs
  double floats[CALL_FLOATS];        // a float is in the low half
  _Alignas(16) uint8_t result[CALL_RESULT_BYTES];
  void *result_at;    // there, or where there is room for a larger struct
  void **values;      // addresses of the arguments, for libffi
  CallBlock *blocks;  // malloced
  size_t room_used;
  int saved_errno;                             // as the function left it; it was 0 before
  _Alignas(16) uint8_t room[CALL_ROOM_BYTES];  // for what a call seldom needs: strings, libffi's arguments
} CallFrame;

// Fills the frame. Nothing is allocated in the heap, and no oop is kept. If it fails, *bad_argument is the index (from 1) of the argument
// that is to blame, or 0: FAIL_WRONG_ARGUMENT_COUNT or FAIL_OUT_OF_MEMORY.
FailureReason call_marshal(VM *vm, const ForeignFunction *f, CallFrame *c, const Oop *args, size_t count, size_t *bad_argument);

void call_invoke(const ForeignFunction *f, CallFrame *c);

// The result as an object; the receiver if the function answers nothing. OOP_NONE: needs collection (the failure is set).
Oop call_convert(VM *vm, const ForeignFunction *f, const CallFrame *c, Oop receiver);

void call_free_blocks(CallFrame *c);
static inline void call_release(CallFrame *c) {
  if (c->blocks != NULL) call_free_blocks(c);
}

// --- callbacks: C calls a function of this type

// The i-th argument (from 0), from what libffi hands the callback. OOP_NONE: needs collection (the failure is set).
Oop callback_argument(VM *vm, const ForeignFunction *type, size_t i, const void *value);
// Stores what C gets back where libffi wants it. False if the object is no such value; then nothing is stored.
bool callback_result(VM *vm, const ForeignFunction *type, Oop value, void *out);

#endif
