// Calls of C functions by processes: threaded (the VM is disowned meanwhile) or fast.
#ifndef BATON_FFI_CALLOUT_H
#define BATON_FFI_CALLOUT_H

#include "ffi/call.h"
#include "vm/ownership.h"
#include <setjmp.h>

typedef struct Callout Callout;

// Setting a mark and jumping to it. The compilers' own way costs a third of the library's, but leaves sanitizers in the dark.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || (defined(__clang__) && !defined(__x86_64__)) || defined(BATON_TRAMPOLINE)
typedef jmp_buf Mark;
#define MARK_SET(mark) _setjmp(mark)
#define MARK_JUMP(mark) _longjmp(mark, 1)
#else
typedef void *Mark[5];
#define MARK_SET(mark) __builtin_setjmp(mark)
#define MARK_JUMP(mark) __builtin_longjmp(mark, 1)
#endif

// One call. What the VM knows of it comes first.
struct Callout {
  Call call;
  const ForeignFunction *function;
  CallFrame frame;
  size_t bad_argument;   // the one that could not be passed, from 1
  const Oop *arguments;  // where the process has them; valid until the call is listed
  size_t argument_count;
  Mark recover;      // where a fault in the C function leads
  int fault_signal;  // 0: none
  uint64_t fault_address;
  uint64_t given_away;    // when the VM was handed over at once, monotonic nanoseconds; 0: it was not
  bool was_short;         // after that the call was over soon
  FailureReason refused;  // FAIL_NONE, or why a callback could not be run
  Callout *next_free;
};

void callout_primitives_register(VM *vm);
void callouts_free(VM *vm);
// Makes the native thread ready for C code that faults; once a thread.
void faults_prepare_thread(Thread *thread);
void cancelling_install(void);  // the handler of the signal that cancels calls
// For the whole program: turns faults in C functions into errors, and others into reports.
void faults_install(VM *vm);

#endif
