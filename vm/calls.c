// Calls of C functions by processes: those in flight, what becomes of a process when its call returns or calls back, cancelling.
//
// A call is listed (in flight) once a thread other than its own has owned the VM since it began, or when it calls back; most calls never
// are. While its process is "in a call" the process's state is saved with the frame of the calling method on top; `finish`
// of the call's maker puts the result there. Process>>call holds the innermost call as an integer while that is listed. What others want
// of a process in a call (suspend, inject a block, tell it something) is noted and happens when the call returns.
#include "vm/ownership.h"
#include "vm/platform.h"
#include "vm/primitives.h"
#include "vm/process.h"
#include <stdlib.h>
#include <unistd.h>

// --- a process's call

static Oop oop_from_call(const Call *call) { return call == NULL ? OOP_NIL : oop_from_integer((int64_t)(intptr_t)call); }

Call *process_call(Oop process) { return is_integer(P(process)->call) ? (Call *)(intptr_t)oop_to_integer(P(process)->call) : NULL; }

Thread *process_thread(VM *vm, Oop process) {
  const Call *call = process_call(process);
  if (call != NULL && call->in_callback) return call->thread;
  return is_integer(P(process)->affinity) ? ownership_thread(vm, oop_to_integer(P(process)->affinity)) : NULL;
}

bool process_may_run(VM *vm, Oop process) {
  const Call *call = process_call(process);
  if (call != NULL && call->in_callback) return call->thread->call == call;
  if (!is_integer(P(process)->affinity)) return true;
  const Thread *thread = ownership_thread(vm, oop_to_integer(P(process)->affinity));
  return thread == NULL || thread->call == NULL;
}

// --- in flight

void calls_list(VM *vm, Call *call) {
  Ownership *o = vm->ownership;
  if (call->listed) return;
  call->listed = true;
  call->since = platform_monotonic_nanoseconds();
  call->previous = NULL;
  call->next = o->in_flight;
  if (o->in_flight != NULL) o->in_flight->previous = call;
  o->in_flight = call;
  o->in_flight_count++;
  if (call->outer == NULL) o->busy_threads++;
  call->methods->pin(vm, call);
}

void calls_unlist(VM *vm, Call *call) {
  Ownership *o = vm->ownership;
  if (!call->listed) return;
  call->listed = false;
  if (call->previous != NULL) call->previous->next = call->next;
  else o->in_flight = call->next;
  if (call->next != NULL) call->next->previous = call->previous;
  o->in_flight_count--;
  if (call->outer == NULL) o->busy_threads--;
  call->pin_count = 0;
  if (o->in_flight_count == 0 && heap_full_was_deferred(vm->heap)) {
    atomic_fetch_or(&vm->attention, ATTENTION_COLLECT);
    atomic_store(&vm->stack_limit, NULL);
  }
}

void calls_save_lazy(VM *vm) {
  Call *call = vm->ownership->lazy;
  if (call == NULL) return;
  vm->ownership->lazy = NULL;
  call->process = vm->process;
  call->methods->overtaken(call);
  calls_list(vm, call);
  P(call->process)->call = oop_from_call(call);
  set_state(call->process, STATE_IN_CALL);
  vm->process = OOP_NIL;
}

// Pins are no references that `become:` may change.
void calls_enumerate_roots(VM *vm, RootVisitor visit, void *context) {
  for (Call *c = vm->ownership->in_flight; c != NULL; c = c->next) {
    visit(context, &c->process);
    visit(context, &c->function);
    visit(context, &c->callback_value);
    visit(context, &c->told);
    for (size_t i = 0; i < c->pin_count; i++) {
      Oop pinned = c->pins[i];
      visit(context, &pinned);
    }
  }
}

// --- returning

// What others have left for the process to do first. The process is in a root, whose address this is.
static void push_what_waits(VM *vm, Oop *process, Oop told) {
  while (told != OOP_NIL && !process_push(vm, *process, FRAME_DISCARDS, told, *process, OOP_NONE)) vm_collect(vm, 8 * STACK_RESERVE);
  Oop block = P(*process)->pending;
  if (block == OOP_NIL) return;
  bool good = class_index_of(block) == CLASS_BlockClosure && code_arguments(AS(BlockClosure, block)->code) == 0;
  while (good && !process_push(vm, *process, FRAME_DISCARDS, AS(BlockClosure, block)->code, block, OOP_NONE)) {
    good = vm_collect(vm, 8 * STACK_RESERVE);
    block = P(*process)->pending;
  }
  P(*process)->pending = OOP_NIL;
}

// The call's process goes on behind it; what it has to do first is on top.
static void finish(VM *vm, Call *call) {
  INVARIANT(vm, (call->thread->call == call || call->thread->call == call->outer) && !call->in_callback);
  call->thread->call = call->outer;
  if (call->abandoned) return;
  call->methods->finish(vm, call);
  P(call->process)->call = oop_from_call(call->outer);
  push_what_waits(vm, &call->process, call->told);
}

void calls_finish_active(VM *vm, Call *call) {
  finish(vm, call);
  if (atomic_load(&call->cancelled)) ownership_uncancel(vm, call);
  calls_unlist(vm, call);
  call->methods->free(vm, call);
  process_load(vm, vm->process);
}

void calls_finish(VM *vm, Call *call) {
  finish(vm, call);
  if (atomic_load(&call->cancelled)) ownership_uncancel(vm, call);
  Oop process = call->process;
  bool suspended = call->suspended, abandoned = call->abandoned;
  calls_unlist(vm, call);
  call->methods->free(vm, call);
  if (abandoned) return;
  if (suspended) set_state(process, STATE_SUSPENDED);
  else process_make_ready(vm, process, false);
}

static void call_back(VM *vm, Call *call) {
  INVARIANT(vm, call->listed && state_of(call->process) == STATE_IN_CALL && call->thread->call == call);
  call->in_callback = call->starting = true;
  if (call->suspended) set_state(call->process, STATE_SUSPENDED);
  else process_make_ready(vm, call->process, false);
  call->suspended = false;
}

void calls_drain(VM *vm) {
  Ownership *o = vm->ownership;
  atomic_fetch_and_explicit(&o->word, ~(uint64_t)WORD_WANTED, memory_order_acq_rel);
  Request *stack = atomic_exchange_explicit(&o->requests, NULL, memory_order_acquire), *first = NULL;
  while (stack != NULL) {  // in the order they came
    Request *next = stack->next;
    stack->next = first;
    first = stack;
    stack = next;
  }
  while (first != NULL) {
    Request *request = first;
    first = request->next;
    o->statistics.hand_ins++;
    switch (request->kind) {
      case REQUEST_RETURNED: calls_finish(vm, (Call *)request); break;
      case REQUEST_CALLBACK: call_back(vm, (Call *)request); break;
      case REQUEST_FOREIGN: vm->foreign_request(vm, request); break;
    }
  }
}

// --- callbacks: Smalltalk code that runs on top of C code

static _Noreturn void end_inside_c(VM *vm) {
  fflush(NULL);
  _exit(vm->exit_code);
}

// The innermost call of this thread calls back: makes the thread owner and the call's process the running one, on this thread.
static void own_for_callback(VM *vm, Thread *thread, Call *call) {
  Ownership *o = vm->ownership;
  if (ownership_try_own(o, call)) {
    call->process = vm->process;
    calls_list(vm, call);
    P(call->process)->call = oop_from_call(call);
    call->in_callback = true;
    return;
  }
  call->request.kind = REQUEST_CALLBACK;
  if (!ownership_hand_in(vm, thread, &call->request)) ownership_wait(thread);
  if (process_switch(vm) != RUN_ON) end_inside_c(vm);
}

// The running process, whose state is saved, goes back into its call.
static void disown_again(VM *vm, Thread *thread, Call *call) {
  call->in_callback = false;
  call->request.kind = REQUEST_RETURNED;
  vm->ownership->statistics.callbacks++;
  if (P(vm->process)->pending != OOP_NIL) ownership_cancel(vm, call);  // it is on its way out
  if (!ownership_try_disown(vm->ownership, thread, call, process_is_runnable(vm))) ownership_disown_slowly(vm, call);
}

// Whether so little is left of the process's stack that only the handling of errors may use it.
static bool stack_is_used_up(VM *vm) {
  enum { WORDS_FOR_A_CALLBACK = 1024 };
  return (size_t)oop_to_integer(object_slots(P(vm->process)->stack)[0]) + WORDS_FOR_A_CALLBACK > vm->max_stack_words / 4 * 3;
}

FailureReason calls_call_back(VM *vm, Thread *thread, Call *call, CallbackMethods methods, void *data) {
  own_for_callback(vm, thread, call);
  INVARIANT(vm, vm->thread == thread && process_call(vm->process) == call && call->in_callback);
  bool fits = !stack_is_used_up(vm), possible = fits;
  Oop argument = OOP_NONE, receiver, method;
  // what may collect comes first: then no oop is in a C variable
  while (possible &&
         (!methods.prepare(vm, data, &receiver, &argument, &method) || !process_push(vm, vm->process, FRAME_IS_CALLBACK, method, receiver, argument)))
    possible = vm_collect(vm, 1 << 12);
  call->starting = false;
  if (possible) {
    push_what_waits(vm, &vm->process, OOP_NIL);
    process_load(vm, vm->process);
    if (interpret(vm) != RUN_CALLBACK) end_inside_c(vm);
    methods.answer(vm, data, call->callback_value);
    call->callback_value = OOP_NIL;
  }
  disown_again(vm, thread, call);
  return possible ? FAIL_NONE : fits ? FAIL_OUT_OF_MEMORY : FAIL_CALLBACK_TOO_DEEP;
}

int calls_answer_callback(ARGS, Oop *top, Oop value) {
  (void)ip, (void)fp, (void)k;
  Call *call = process_call(vm->process);
  call->callback_value = value;
  vm_save_state(vm, ip, top, k);
  process_leave_callback(vm, vm->process);
  process_load(vm, vm->process);
  return RUN_CALLBACK;
}

// --- cancelling

// The process leaves a call that was declared detachable, which goes on without it.
static void abandon(VM *vm, Call *call) {
  P(call->process)->call = oop_from_call(call->outer);
  process_leave_frame(vm, call->process, OOP_NIL);
  push_what_waits(vm, &call->process, call->told);
  Oop process = call->process;
  call->abandoned = true;
  call->process = OOP_NIL;
  if (call->suspended) set_state(process, STATE_SUSPENDED);
  else process_make_ready(vm, process, false);
}

static Oop call_cancel(VM *vm, Oop *args) {
  if (class_index_of(args[0]) != CLASS_Process) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  Call *call = process_call(args[0]);
  if (call == NULL || state_of(args[0]) != STATE_IN_CALL) return OOP_FALSE;
  if (call->detachable && call->outer == NULL) abandon(vm, call);
  ownership_cancel(vm, call);
  return OOP_TRUE;
}

bool calls_tell(VM *vm, Call *call, Oop method) {
  call->told = method;
  call->suspended = false;
  ownership_cancel(vm, call);
  return true;
}

void calls_end(VM *vm) {
  enum { PATIENCE = 300, PAUSE = 200 };  // milliseconds; microseconds
  uint64_t until = platform_monotonic_nanoseconds() + PATIENCE * 1000000ull;
  calls_drain(vm);
  for (Call *c = vm->ownership->in_flight; c != NULL; c = c->next)
    if (!c->in_callback) ownership_cancel(vm, c);
  while (vm->ownership->in_flight_count > 0 && platform_monotonic_nanoseconds() < until) {
    usleep(PAUSE);
    calls_drain(vm);
  }
}

// --- telling

static uint64_t age_microseconds(const Call *call) { return (platform_monotonic_nanoseconds() - call->since) / 1000; }

static const char *state_name(const Call *call) {
  return call->in_callback ? "inCallback" : call->abandoned ? "detached" : atomic_load(&call->cancelled) ? "cancelled" : "inC";
}

void calls_report(VM *vm, FILE *out) {
  fprintf(out, "baton: %zu calls in flight, %u threads\n", vm->ownership->in_flight_count, (unsigned)atomic_load(&vm->ownership->thread_count));
  for (Call *c = vm->ownership->in_flight; c != NULL; c = c->next) {
    char *name = c->process == OOP_NIL || !is_string(P(c->process)->name) ? NULL : string_to_utf8(P(c->process)->name, NULL);
    uint64_t age = age_microseconds(c);
    fprintf(out, "  %s, process %s, thread %u, %s, %llu.%03llu s\n", c->methods->name(c), name == NULL ? "without a name" : name, (unsigned)c->thread->id,
            state_name(c), (unsigned long long)(age / 1000000), (unsigned long long)(age / 1000 % 1000));
    free(name);
  }
  fflush(out);
}

static Oop call_row(VM *vm, const Call *call) {
  Oop row = heap_allocate(vm->heap, CLASS_Array, FORMAT_INDEXABLE, 5);
  Oop state = symbol_intern(vm, state_name(call), strlen(state_name(call)));
  if (row == OOP_NONE || state == OOP_NONE) return OOP_NONE;
  const Oop values[] = {call->function, call->process, oop_from_integer(call->thread->id), oop_from_integer((int64_t)age_microseconds(call)), state};
  for (size_t i = 0; i < 5; i++) heap_store(vm->heap, row, i, values[i]);
  return row;
}

static Oop in_flight(VM *vm, Oop *args) {
  (void)args;
  Oop array = heap_allocate(vm->heap, CLASS_Array, FORMAT_INDEXABLE, vm->ownership->in_flight_count);
  if (array == OOP_NONE) return primitive_needs_collection(vm);
  size_t i = 0;
  for (const Call *c = vm->ownership->in_flight; c != NULL; c = c->next) {
    Oop row = call_row(vm, c);
    if (row == OOP_NONE) return primitive_needs_collection(vm);
    heap_store(vm->heap, array, i++, row);
  }
  return array;
}

static Oop statistics(VM *vm, Oop *args) {
  (void)args;
  const OwnershipStatistics *s = &vm->ownership->statistics;
  size_t pins = 0;
  for (const Call *c = vm->ownership->in_flight; c != NULL; c = c->next) pins += c->pin_count;
  const NamedNumber rows[] = {{"steals", s->steals},
                              {"handIns", s->hand_ins},
                              {"handOvers", s->hand_overs},
                              {"kicks", s->kicks},
                              {"serviceWakeUps", s->beats},
                              {"threadsMade", s->threads_made},
                              {"threadsReaped", s->threads_reaped},
                              {"callbacks", s->callbacks},
                              {"cancelSignals", s->cancel_signals},
                              {"threads", atomic_load(&vm->ownership->thread_count)},
                              {"callsInFlight", vm->ownership->in_flight_count},
                              {"pins", pins}};
  return named_numbers(vm, rows, sizeof rows / sizeof *rows);
}

static Oop active_thread(VM *vm, Oop *args) {
  (void)args;
  return oop_from_integer(vm->thread->id);
}

// When the call that it is inside of returns, the running process evaluates the block. False: it is in no call.
static Oop when_call_returns(VM *vm, Oop *args) {
  if (class_index_of(args[1]) != CLASS_BlockClosure) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  if (process_call(vm->process) == NULL) return OOP_FALSE;
  heap_store(vm->heap, vm->process, SLOT_OF(Process, pending), args[1]);
  return OOP_TRUE;
}

void calls_primitives_register(VM *vm) {
  static const PrimitiveEntry entries[] = {
      {"callCancel", 0, call_cancel, NULL, true},
      {"callsInFlight", 0, in_flight, NULL, false},
      {"callStatistics", 0, statistics, NULL, false},
      {"threadActive", 0, active_thread, NULL, false},
      {"processWhenCallReturns", 1, when_call_returns, NULL, false},
  };
  primitives_register(vm, entries, sizeof entries / sizeof *entries);
}
