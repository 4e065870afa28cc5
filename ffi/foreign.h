// What the C interface keeps for a VM, and its primitives.
#ifndef BATON_FFI_FOREIGN_H
#define BATON_FFI_FOREIGN_H

#include "ffi/function.h"

// Hangs at vm->foreign.
typedef struct {
  FunctionTable *functions;
  void **libraries;  // what dlopen answered, each once
  size_t library_count;
  char *library_error;  // dlerror's text of the last failure, or NULL
  struct Callout *free_callouts;
  struct Stub *stubs;                                   // of callbacks (ffi/callback.c)
  struct ForeignRequest *first_request, *last_request;  // of threads that are not the VM's, waiting to be taken
  struct ForeignRequest *taken_requests;                // being answered
  Oop served_by;                                        // the Semaphore of those who serve them, or nil
} Foreign;

static inline Foreign *foreign_of(const VM *vm) { return vm->foreign; }

// Adds the primitives of this folder to a new VM; vm_free frees what they need.
void foreign_register(VM *vm);

void callback_primitives_register(VM *vm);
void callbacks_close(VM *vm);  // from now on all answer their default
void callbacks_enumerate_roots(VM *vm, RootVisitor visit, void *context);
void memory_primitives_register(VM *vm);
void library_primitives_register(VM *vm);

#endif
