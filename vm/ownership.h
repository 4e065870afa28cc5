// Ownership of the VM: many native threads share it, at most one, the owner, is inside.
//
// The owner word is one atomic: seq:32 | tid:16 | flags. OWNED: thread tid is inside. W: somebody wants attention (a returned call, a
// callback, a timer, a signal). R: a process could run when the VM was released. B: the heartbeat is parked. seq advances whenever
// the owner changes or releases the VM.
//
//   disown      lazy := call, then CAS {OWNED, me, !W, !B} to the ticket {me, seq+1, R?}: the C function runs
//   own         CAS the ticket to {OWNED, me}: nobody ran in between, there is nothing to restore
//   hand in     when that fails: push the call on the stack of requests, fetch_or W; if the VM had no owner, claim it
//   drain       the owner, at a safepoint: clear W, then take all requests; each makes a process ready (vm/calls.c)
//   enter       every new owner first saves the process of `lazy` as "in a call"
//   hand over   to one certain thread, whose own semaphore is posted
//   park        under the mutex: list oneself, read the word again, claim it if nobody owns it and R or W is set
//   heartbeat   every millisecond: unowned with the same seq as a tick ago, and R or W: hand over to a parked thread
//
// Invariants. Nobody sleeps while the VM is unowned and W is set. A call begins only while another thread is free (not in a call), so
// an unowned VM always finds a thread. Requests are pushed before W is set; W is cleared before they are taken. No oop lives in a C
// variable across disown. A thread with a call inside of which Smalltalk code runs (a callback) runs that process alone.
// The heartbeat makes things quick, never right: with a slow one all is the same but later.
#ifndef BATON_VM_OWNERSHIP_H
#define BATON_VM_OWNERSHIP_H

#include "vm/vm.h"
#include <pthread.h>
#include <stdatomic.h>

#if defined(BATON_CHECKS)
#define INVARIANT(vm, condition) ((condition) ? (void)0 : vm_fatal(vm, "broken invariant: " #condition))
#else
#define INVARIANT(vm, condition) ((void)0)
#endif

typedef struct Thread Thread;
typedef struct Call Call;

typedef enum { REQUEST_RETURNED, REQUEST_CALLBACK, REQUEST_FOREIGN } RequestKind;

// What a thread that does not own the VM asks of the owner.
typedef struct Request {
  struct Request *next;
  RequestKind kind;
} Request;

enum { CALL_PINS = 64 };

// What the maker of calls (ffi) knows how to do with one. All but the name run in the owner.
typedef struct {
  void (*overtaken)(Call *call);  // another thread has taken the VM while the call is in C
  // Notes in `pins` the old objects that C was given.
  void (*pin)(VM *vm, Call *call);
  // The call has returned and its process, whose state is saved, is not running: puts the result where the process expects it, so that
  // the process goes on behind the call. May collect.
  void (*finish)(VM *vm, Call *call);
  void (*free)(VM *vm, Call *call);
  const char *(*name)(const Call *call);
} CallMethods;

// One call of a C function by a process. It belongs to the owner, but for request, ticket and outer before it is handed in.
struct Call {
  Request request;
  const CallMethods *methods;
  Thread *thread;
  Call *outer;                 // the call that the thread and the process were in before
  uint64_t ticket;             // the word when the VM was disowned
  Call *previous, *next;       // calls in flight
  bool listed;                 // it is among them: some other thread has owned the VM since it began, or it has called back
  bool in_callback;            // Smalltalk code runs inside
  bool starting;               // it will, but its frame is not there yet
  bool suspended;              // the process is to be suspended when it returns
  bool detachable, abandoned;  // the process need not wait for it; has gone
  uint64_t since;              // monotonic nanoseconds, as of the listing
  Oop process, function, callback_value;
  Oop told;             // a method that the process runs when it returns, or nil
  Oop pins[CALL_PINS];  // old objects whose memory C may use: kept alive, whatever becomes of references to them
  size_t pin_count;
  _Atomic bool cancelled;  // its thread is sent a signal until it returns
  Call *next_cancelled;    // under the mutex
};

struct Thread {
  VM *vm;
  uint32_t id;  // from 1, the thread that made the VM
  pthread_t handle;
  Call *call;           // the innermost call it is in; changed by itself as the owner, and by the owner that drains
  void *in_c;           // ffi: what it runs right now, if that is C code
  pthread_cond_t wake;  // with the pool's mutex, which guards the next four
  bool handed;          // its semaphore
  bool parked;
  bool keep;  // processes are bound to it: it is not reaped
  Thread *next_parked, *next;
  void *alternate_stack;   // ffi: for the handler of faults
  bool catches_faults;     // ffi: it is in use
  _Atomic bool signalled;  // to cancel a call; the signal is still on its way
  char *stack_low;         // C stack may be used down to here
};

typedef struct {
  uint32_t max_calls;              // calls in flight at once; 0: default
  int64_t heartbeat_microseconds;  // 0: default, negative: none
} OwnershipOptions;

typedef struct {
  _Atomic uint64_t steals, hand_ins, hand_overs, kicks, beats, threads_made, threads_reaped, callbacks, cancel_signals;
} OwnershipStatistics;

enum { WORD_OWNED = 1, WORD_WANTED = 2, WORD_READY = 4, WORD_BEAT_PARKED = 8 };

struct Ownership {
  _Alignas(64) _Atomic uint64_t word;
  _Alignas(64) _Atomic(Request *) requests;
  Call *lazy;       // of the last disown, whose process is not saved yet; only the owner reads it
  Call *in_flight;  // the owner's
  size_t in_flight_count, busy_threads;
  _Atomic uint32_t thread_count;
  uint32_t max_calls, next_id;
  pthread_mutex_t mutex;  // guards what follows
  Thread *parked, *threads, *spare;
  uint32_t parked_count;
  Call *cancelled;
  uint64_t resend_nanoseconds;  // until they are sent the signal again
  bool closing;                 // the VM ends: no more calls, returning threads sleep for ever
  // the service thread: heartbeat, timers, cancelling
  pthread_t service;
  bool service_runs;
  int service_pipe[2];
  int64_t beat_nanoseconds;   // 0: none
  _Atomic uint64_t deadline;  // of the earliest timer, monotonic nanoseconds; 0: none
  _Atomic bool service_stops;
  OwnershipStatistics statistics;  // the owner's, or under the mutex
};
typedef struct Ownership Ownership;

extern _Thread_local Thread *current_thread;  // of this native thread; NULL for one that the VM did not make

bool ownership_open(VM *vm, const OwnershipOptions *options);  // makes this thread the owner; false: no memory
// Ends all threads that are not in C. False when some are: then nothing of the VM may be freed.
bool ownership_close(VM *vm);

// --- the owner's steps
uint64_t ownership_word(VM *vm);
// The rest of disown when the CAS has failed: serves what was asked for, and releases the VM. The call's process is the running one, and its
// state is saved.
void ownership_disown_slowly(VM *vm, Call *call);
// Releases the VM if nobody wants anything; false: somebody does.
bool ownership_release_idle(VM *vm);
// After disown: gives the VM to a parked thread at once, unless somebody has taken it already. False: it stays as it is.
bool ownership_give_away(VM *vm, const Call *call);
// Gives the VM to a thread that waits, parks, or is about to.
void ownership_hand_over(VM *vm, Thread *thread);
Thread *ownership_take_parked(VM *vm);  // for handing over; makes a thread if none is parked; NULL: impossible
// Whether a thread that is in no call may begin one: makes another free thread if need be. False: the limit, or no memory.
bool ownership_make_reserve(VM *vm);
static inline bool ownership_reserve(VM *vm, const Thread *thread) {
  struct Ownership *o = vm->ownership;
  if (thread->call != NULL || atomic_load_explicit(&o->thread_count, memory_order_relaxed) - o->busy_threads >= 2) return true;
  return ownership_make_reserve(vm);
}
bool ownership_start_service(VM *vm);
void ownership_poke_service(VM *vm);           // async-signal-safe
Thread *ownership_thread(VM *vm, int64_t id);  // NULL if there is none
void ownership_cancel(VM *vm, Call *call);     // begins to send its thread the signal

// --- other threads
// Hands a request in. True: this thread owns the VM now (and has entered).
bool ownership_hand_in(VM *vm, Thread *thread, Request *request);
void ownership_request(VM *vm, Request *request);      // the same for a thread that never owns
void ownership_want_attention(VM *vm, uint32_t bits);  // bits of vm->attention; wakes a parked thread if the VM has no owner
// Sleeps until the VM is handed to this thread, which has nothing else to do; then enters. False: it shall end.
bool ownership_park(Thread *thread);
void ownership_wait(Thread *thread);          // until the VM is handed over; then enters
void ownership_uncancel(VM *vm, Call *call);  // the thread of a cancelled call, before it hands in: no more signals come

enum { CANCEL_SIGNAL_OFFSET = 6 };  // SIGRTMIN + 6

// The word that an owner expects to find when it disowns, and what it makes of it.
static inline bool ownership_try_disown(struct Ownership *o, Thread *thread, Call *call, bool ready) {
  uint64_t word = atomic_load_explicit(&o->word, memory_order_relaxed);
  if (word & (WORD_WANTED | WORD_BEAT_PARKED)) return false;
  call->ticket = ((word & ~(uint64_t)0xF) + (1ull << 32)) | (ready ? WORD_READY : 0);
  o->lazy = call;
  (void)thread;
  return atomic_compare_exchange_strong_explicit(&o->word, &word, call->ticket, memory_order_release, memory_order_relaxed);
}

static inline bool ownership_try_own(struct Ownership *o, const Call *call) {
  uint64_t word = call->ticket;
  if (!atomic_compare_exchange_strong_explicit(&o->word, &word, (call->ticket & ~(uint64_t)WORD_READY) | WORD_OWNED, memory_order_acquire,
                                               memory_order_relaxed))
    return false;
  o->lazy = NULL;
  return true;
}

// Whether the word says that this thread is inside.
static inline bool ownership_is_owner(const struct Ownership *o, const Thread *thread) {
  uint64_t word = atomic_load_explicit(&o->word, memory_order_relaxed);
  return (word & WORD_OWNED) && (uint32_t)(word >> 16 & 0xFFFF) == thread->id;
}

// --- calls.c
void calls_save_lazy(VM *vm);  // the process of the call that disowned last is "in a call" from now on
void calls_list(VM *vm, Call *call);
void calls_unlist(VM *vm, Call *call);
void calls_drain(VM *vm);  // serves all requests; the running process's state must be saved
// A listed call has returned: its process gets the result and is ready. The call is freed.
void calls_finish(VM *vm, Call *call);
void calls_finish_active(VM *vm, Call *call);     // the same for the running process, on its thread: nobody has owned the VM since it left it
Call *process_call(Oop process);                  // the innermost call that a process is in or inside of; NULL: none
Thread *process_thread(VM *vm, Oop process);      // where it must run; NULL: anywhere
bool process_may_run(VM *vm, Oop process);        // false: its thread is in C
bool calls_tell(VM *vm, Call *call, Oop method);  // its process runs the method when the call returns, which is hurried
void calls_report(VM *vm, FILE *out);             // every call in flight, a line each
void calls_enumerate_roots(VM *vm, RootVisitor visit, void *context);
void calls_end(VM *vm);  // cancels all calls in flight and waits for them, but not long
void calls_primitives_register(VM *vm);

// How the maker of callbacks says what to run. prepare fills in receiver, argument and method of one argument, new each time; false:
// needs collection. answer gets what that method has answered; both run in the owner.
typedef struct {
  bool (*prepare)(VM *vm, void *data, Oop *receiver, Oop *argument, Oop *method);
  void (*answer)(VM *vm, void *data, Oop value);
} CallbackMethods;

// On the thread of a call, from the C function: runs Smalltalk code in the call's process and disowns the VM again. FAIL_NONE, or why it was
// not run.
FailureReason calls_call_back(VM *vm, Thread *thread, Call *call, CallbackMethods methods, void *data);

#endif
