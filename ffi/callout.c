// Calls of C functions by processes.
//
// The primitives below run with their method's frame set up. A threaded call saves the process's state (the pc is behind the primitive),
// disowns the VM, runs the C function and owns the VM again. Mostly nobody has owned it in between, and the primitive just answers.
// Otherwise the call was listed (vm/calls.c): its thread hands it in, and goes back to where threads wait; `finish` puts the result into the
// saved state on whatever thread owns the VM then. A thread with C code below, which has called back, waits for its own process instead.
//
// A long call holds others up until the heartbeat notices, a millisecond or two. So functions that turn out to take long are remembered: while
// others could run, the VM is handed to a parked thread at once when such a function is called.
//
// A failure goes on behind the primitive with the reason in its register, and Process>>callFailure says which argument it was.
#include "ffi/callout.h"
#include "ffi/foreign.h"
#include "vm/interpreter.h"
#include "vm/platform.h"
#include "vm/process.h"
#include <stdlib.h>

static CFunctionObject *F(Oop function) { return AS(CFunction, function); }

// --- records, the owner's

INLINE Callout *take_callout(VM *vm) {
  Foreign *foreign = foreign_of(vm);
  Callout *c = foreign->free_callouts;
  if (c != NULL) {
    foreign->free_callouts = c->next_free;
    return c;
  }
  return calloc(1, sizeof *c);
}

INLINE void give_callout(VM *vm, Callout *c) {
  call_release(&c->frame);
  c->next_free = foreign_of(vm)->free_callouts;
  foreign_of(vm)->free_callouts = c;
}

void callouts_free(VM *vm) {
  for (Callout *c = foreign_of(vm)->free_callouts, *next; c != NULL; c = next) {
    next = c->next_free;
    free(c);
  }
}

// --- the C function runs

enum { LENGTH_LONG = 2, LENGTH_MAX = 3, SHORT_NANOSECONDS = 50000 };

// The VM has just been disowned: gives it away when the function has been slow and others could run.
static void give_away(VM *vm, Callout *c) { c->given_away = ownership_give_away(vm, &c->call) ? platform_monotonic_nanoseconds() : 0; }

static ForeignFunction *learning(const Callout *c) { return (ForeignFunction *)(uintptr_t)c->function; }

// Another thread has taken the VM while the call is in C.
static void overtaken(Call *call) {
  ForeignFunction *f = learning((Callout *)call);
  if (f->length < LENGTH_MAX) f->length++;
}

static __attribute__((noinline)) void run_c(Thread *thread, Callout *c) {
  void *outer = thread->in_c;
  if (MARK_SET(c->recover) == 0) {
    thread->in_c = c;
    call_invoke(c->function, &c->frame);
  }
  thread->in_c = outer;
}

// --- results

static FailureReason failure_of(const Callout *c) { return c->fault_signal != 0 ? FAIL_FOREIGN_FAULT : c->refused; }

static void note_failure(Oop process, int64_t what) { P(process)->callFailure = oop_from_integer(what); }

static void note_fault(Oop process, const Callout *c) {
  note_failure(process, (int64_t)((uint64_t)c->fault_signal << 48 | (c->fault_address & ((1ull << 48) - 1))));
}

static Oop convert_method(VM *vm) { return class_lookup(vm, class_at(vm, CLASS_CFunction), vm->selectors[SELECTOR_CONVERT_RESULT]); }

// What a void function's method answers: its receiver; a CFunction that is sent a message answers nil.
static Oop answer_of_void(const Oop *fp) { return class_index_of(fp[0]) == CLASS_CFunction ? OOP_NIL : fp[0]; }

// The result as an object; the process's state must be saved. May collect.
static Oop result_of(VM *vm, Callout *c, Oop process) {
  for (;;) {
    const Oop *fp = object_slots(P(process)->stack) + oop_to_integer(P(process)->frame);
    Oop result = call_convert(vm, c->function, &c->frame, answer_of_void(fp));
    if (result != OOP_NONE) return result;
    if (!vm_collect(vm, vm->needed_bytes)) return OOP_NIL;
    process = c->call.process;
  }
}

// The saved process goes on behind its failed primitive.
static void finish_failed(VM *vm, Callout *c) {
  Oop process = c->call.process;
  Oop *fp = object_slots(P(process)->stack) + oop_to_integer(P(process)->frame);
  uint32_t reason = OPERAND_A(oop_to_ip(P(process)->pc)[-1]);
  if (c->fault_signal != 0) note_fault(process, c);
  if (reason != 0) fp[reason] = vm->reasons[failure_of(c)];
}

static void finish(VM *vm, Call *call) {
  Callout *c = (Callout *)call;
  if (c->was_short && learning(c)->length > 0) learning(c)->length--;
  object_slots(call->process)[SLOT_OF(Process, lastError)] = oop_from_integer(c->frame.saved_errno);
  if (failure_of(c) != FAIL_NONE) {
    finish_failed(vm, c);
    return;
  }
  Oop method = F(call->function)->convert == OOP_NIL ? OOP_NONE : convert_method(vm);
  bool converts = method != OOP_NONE && method != OOP_NIL;
  while (converts && !process_reserve(vm, call->process, FRAME_HEADER + frame_words(code_registers(method))))
    if (!vm_collect(vm, 1 << 12)) converts = false;
  Oop result = result_of(vm, c, call->process);  // nothing behind this collects
  uint64_t flags = process_leave_frame(vm, call->process, result);
  if (converts) process_push(vm, call->process, flags, method, call->function, result);
}

static void pin(VM *vm, Call *call) {
  const Callout *c = (Callout *)call;
  for (size_t i = 0; i < c->argument_count && call->pin_count < CALL_PINS; i++)
    if (is_pointer(c->arguments[i]) && !heap_is_young(vm->heap, c->arguments[i])) call->pins[call->pin_count++] = c->arguments[i];
}

static void free_call(VM *vm, Call *call) { give_callout(vm, (Callout *)call); }

static const char *name_of(const Call *call) { return ((const Callout *)call)->function->name; }

static const CallMethods methods = {overtaken, pin, finish, free_call, name_of};

// --- the primitives

static int fail(ARGS, FailureReason reason) {
  if (A != 0) fp[A] = vm->reasons[reason];
  NEXT;
}

static int fail_call(ARGS, Callout *c, FailureReason reason) {
  if (c->fault_signal != 0) note_fault(vm->process, c);
  give_callout(vm, c);
  return fail(PASS, reason);
}

static int reload(ARGS) {
  ip = vm->ip;
  fp = vm->fp;
  k = vm->k;
  NEXT;
}

// The call is over and has never been listed: this frame answers.
static int answer_here(ARGS, Callout *c) {
  object_slots(vm->process)[SLOT_OF(Process, lastError)] = oop_from_integer(c->frame.saved_errno);
  if (unlikely(failure_of(c) != FAIL_NONE)) return fail_call(PASS, c, failure_of(c));
  Oop result = call_convert(vm, c->function, &c->frame, answer_of_void(fp));
  if (unlikely(result == OOP_NONE || F(c->call.function)->convert != OOP_NIL)) {
    vm_save_state(vm, ip, fp, k);
    calls_list(vm, &c->call);
    calls_finish_active(vm, &c->call);
    return reload(PASS);
  }
  give_callout(vm, c);
  if (unlikely(fp[-3] >> 32)) return return_value(PASS, fp, result);
  ip = oop_to_ip(fp[-2]);
  fp = frame_caller(fp);
  k = code_literals(fp[-1]);
  fp[A] = result;
  NEXT;
}

// The call is over, and others may have owned the VM meanwhile: this thread hands it in.
static int hand_in(ARGS, Callout *c) {
  (void)ip, (void)fp, (void)k;
  Thread *thread = c->call.thread;
  bool inside = c->call.outer != NULL;
  c->call.request.kind = REQUEST_RETURNED;
  c->was_short = c->given_away != 0 && platform_monotonic_nanoseconds() - c->given_away < SHORT_NANOSECONDS;
  if (!ownership_hand_in(vm, thread, &c->call.request)) {
    if (!inside) return RUN_RELEASED;
    ownership_wait(thread);
  }
  int status = process_switch(vm);
  return status == RUN_ON ? reload(PASS) : status;
}

#if defined(BATON_STRESS)
// What C was given must stay at its place though everything else moves. Every other call is left alone, as most are in other builds.
static void collect_for_stress(VM *vm, Call *call) {
  static unsigned calls;
  if (!call->listed && calls++ % 2 == 0) return;
  calls_list(vm, call);
  heap_scavenge(vm->heap);
}
#else
static void collect_for_stress(VM *vm, Call *call) { (void)vm, (void)call; }
#endif

INLINE int call_threaded(ARGS, Callout *c) {
  Thread *thread = vm->thread;
  Ownership *o = vm->ownership;
  bool is_long = c->function->length >= LENGTH_LONG;
  vm_save_state(vm, ip, fp, k);
  INVARIANT(vm, thread == current_thread && ownership_is_owner(o, thread) && o->lazy == NULL);
  thread->call = &c->call;
  collect_for_stress(vm, &c->call);
  if (unlikely(!ownership_try_disown(o, thread, &c->call, process_is_runnable(vm)))) ownership_disown_slowly(vm, &c->call);
  if (unlikely(is_long && (c->call.ticket & WORD_READY))) give_away(vm, c);
  run_c(thread, c);
  if (unlikely(!ownership_try_own(o, &c->call))) return hand_in(PASS, c);
  if (unlikely(c->call.listed)) {
    collect_for_stress(vm, &c->call);
    calls_finish_active(vm, &c->call);
    return reload(PASS);
  }
  thread->call = c->call.outer;
  return answer_here(PASS, c);
}

INLINE void fill_call(VM *vm, Callout *c, Oop function) {
  Thread *thread = vm->thread;
  c->fault_signal = 0;
  c->was_short = false;
  c->refused = FAIL_NONE;
  c->given_away = 0;
  c->call.methods = &methods;
  c->call.thread = thread;
  c->call.outer = thread->call;
  c->call.function = function;
  c->call.process = vm->process;
  c->call.callback_value = c->call.told = OOP_NIL;
  c->call.in_callback = c->call.starting = c->call.suspended = c->call.abandoned = false;
  c->call.detachable = c->function->kind == FUNCTION_DETACHABLE;
  if (unlikely(!thread->catches_faults)) faults_prepare_thread(thread);
}

INLINE FailureReason may_call(VM *vm, const ForeignFunction *f) {
  if (f->kind == FUNCTION_MAIN && vm->thread->id != 1) return FAIL_WRONG_THREAD;
  return f->kind != FUNCTION_FAST && !ownership_reserve(vm, vm->thread) ? FAIL_THREAD_LIMIT : FAIL_NONE;
}

// A call with its arguments; NULL after setting vm->failure.
INLINE Callout *begin_call(VM *vm, Oop function, const Oop *arguments, size_t count) {
  const ForeignFunction *f = function_from_handle(F(function)->handle);
  FailureReason reason = may_call(vm, f);
  Callout *c = reason != FAIL_NONE ? NULL : take_callout(vm);
  if (unlikely(c == NULL)) {
    vm->failure = reason == FAIL_NONE ? FAIL_OUT_OF_MEMORY : reason;
    return NULL;
  }
  c->bad_argument = 0;
  reason = call_marshal(vm, f, &c->frame, arguments, count, &c->bad_argument);
  if (unlikely(reason != FAIL_NONE)) {
    note_failure(vm->process, (int64_t)c->bad_argument);
    c->next_free = foreign_of(vm)->free_callouts;
    foreign_of(vm)->free_callouts = c;
    vm->failure = reason;
    return NULL;
  }
  c->function = f;
  c->arguments = arguments;
  c->argument_count = count;
  fill_call(vm, c, function);
  return c;
}

static void run_fast(VM *vm, Callout *c) {
#if defined(BATON_CHECKS)
  enum { LONG_NANOSECONDS = 1000000 };
  uint64_t start = platform_monotonic_nanoseconds();
  run_c(vm->thread, c);
  uint64_t spent = platform_monotonic_nanoseconds() - start;
  if (spent > LONG_NANOSECONDS) fprintf(stderr, "baton: %s is declared fast, and has taken %llu us\n", c->function->name, (unsigned long long)(spent / 1000));
#else
  run_c(vm->thread, c);
#endif
}

// What begin_call has answered.
INLINE int run_call(ARGS, Callout *c) {
  if (unlikely(c == NULL)) return fail(PASS, vm->failure);
  if (c->function->kind != FUNCTION_FAST) return call_threaded(PASS, c);
  run_fast(vm, c);
  return answer_here(PASS, c);
}

// Before a call others may want to run: then the primitive is run once more after them.
static bool wants_attention(VM *vm) { return atomic_load_explicit(&vm->stack_limit, memory_order_relaxed) == NULL; }

static bool is_function(Oop o) { return class_index_of(o) == CLASS_CFunction; }
static bool is_linked(const VM *vm, Oop function) { return F(function)->session == oop_from_integer(vm->session) && is_integer(F(function)->handle); }

// <c: '...' library: '...'>
static int primitive_foreign_call(ARGS) {
  Oop function = AS(CompiledMethod, fp[-1])->primitive;
  if (unlikely(!is_function(function) || !is_linked(vm, function))) {
    Oop method = fp[-1];
    ip--;  // this primitive once more, when linkFunction has found the function or its error was handled
    return interject_known(PASS, SELECTOR_LINK_FUNCTION, method, OOP_NIL);
  }
  if (unlikely(wants_attention(vm))) {
    ip--;
    return safepoint(PASS);
  }
  return run_call(PASS, begin_call(vm, function, fp + 1, code_arguments(fp[-1])));
}

static int primitive_function_call(ARGS) {
  if (!is_function(fp[0])) return fail(PASS, FAIL_BAD_RECEIVER);
  if (!is_linked(vm, fp[0])) return fail(PASS, FAIL_NOT_LINKED);
  if (unlikely(wants_attention(vm))) {
    ip--;
    return safepoint(PASS);
  }
  return run_call(PASS, begin_call(vm, fp[0], fp + 1, code_arguments(fp[-1])));
}

static int primitive_function_call_with_arguments(ARGS) {
  if (!is_function(fp[0])) return fail(PASS, FAIL_BAD_RECEIVER);
  if (class_index_of(fp[1]) != CLASS_Array) return fail(PASS, FAIL_BAD_ARGUMENT);
  if (!is_linked(vm, fp[0])) return fail(PASS, FAIL_NOT_LINKED);
  if (unlikely(wants_attention(vm))) {
    ip--;
    return safepoint(PASS);
  }
  return run_call(PASS, begin_call(vm, fp[0], object_slots(fp[1]), object_size(fp[1])));
}

void callout_primitives_register(VM *vm) {
  static const PrimitiveEntry entries[] = {
      {"foreignCall", -1, NULL, primitive_foreign_call, false},
      {"functionCall", -1, NULL, primitive_function_call, false},
      {"functionCallWithArguments", 1, NULL, primitive_function_call_with_arguments, false},
  };
  primitives_register(vm, entries, sizeof entries / sizeof *entries);
}
