// Processes: their stacks, the scheduler, semaphores, timers.
//
// A Process is in exactly one of: active, a run queue (a LinkedList in Processor's `queues`, by priority), a semaphore's list, the
// timers alone (a Delay), a call of C (vm/calls.c), or nowhere (suspended, terminated). The running process's state is in the VM (fp, ip, k, stack_base);
// process_unload writes it into the Process, process_load reads it. A primitive that waits first returns from its own
// frame, so a waiting process goes on in its caller; a result that is known only later is stored there (process_answer).
//
// A process may be bound to a native thread, by its affinity or because C code lies between its frames. The scheduler skips those whose
// thread is in C, and hands the VM over to the thread of the one it chooses.
//
// Timers: vm/timers.c. An idle VM is released when a call of C or a callback may need it;
// else its owner sleeps in poll on the wake pipe.
#include "vm/ownership.h"
#include "vm/platform.h"
#include "vm/process.h"
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum { PRIORITY_LIMIT = 100, PRIORITY_DEFAULT = 40, STACK_INITIAL_WORDS = 64 + SMALL_FRAME + STACK_RESERVE };

struct Scheduler {
  uint64_t ready[2];  // priorities whose queue may hold a process
  int wake_pipe[2];   // written by signal handlers; the idle owner and the reader of standard input poll it
};

// --- wake-ups

Scheduler *scheduler_new(void) {
  Scheduler *s = calloc(1, sizeof *s);
  if (s != NULL && platform_open_pipe(s->wake_pipe)) return s;
  free(s);
  return NULL;
}

void scheduler_free(Scheduler *s) {
  for (int i = 0; i < 2; i++) close(s->wake_pipe[i]);
  free(s);
}

// The handler of the interrupt writes into the pipe, so none is missed between the look at `attention` and the sleep.
bool scheduler_await_input(VM *vm, int fd) {
  struct pollfd p[2] = {{fd, POLLIN, 0}, {vm->scheduler->wake_pipe[0], POLLIN, 0}};
  char buffer[64];
  for (;;) {
    if (atomic_load(&vm->attention) & ATTENTION_INTERRUPT) return false;
    if (poll(p, 2, -1) < 0) continue;  // a signal
    if (p[0].revents != 0) return true;
    while (read(p[1].fd, buffer, sizeof buffer) > 0) {
    }
  }
}

static void ask_attention(VM *vm, uint32_t bits) {
  atomic_fetch_or(&vm->attention, bits);
  atomic_store(&vm->stack_limit, NULL);
}

static void ask_from_signal(VM *vm, uint32_t bits) {
  ask_attention(vm, bits);
  platform_poke(vm->scheduler->wake_pipe[1]);
  ownership_poke_service(vm);
}

void vm_interrupt(VM *vm) { ask_from_signal(vm, ATTENTION_INTERRUPT); }
void vm_request_report(VM *vm) { ask_from_signal(vm, ATTENTION_REPORT); }

// --- lists

static void list_append(VM *vm, Oop list, Oop process, bool at_front) {
  LinkedListObject *l = AS(LinkedList, list);
  P(process)->nextLink = OOP_NIL;
  if (l->firstLink == OOP_NIL) {
    heap_store(vm->heap, list, SLOT_OF(LinkedList, firstLink), process);
    heap_store(vm->heap, list, SLOT_OF(LinkedList, lastLink), process);
  } else if (at_front) {
    heap_store(vm->heap, process, SLOT_OF(Process, nextLink), l->firstLink);
    heap_store(vm->heap, list, SLOT_OF(LinkedList, firstLink), process);
  } else {
    heap_store(vm->heap, l->lastLink, SLOT_OF(Process, nextLink), process);
    heap_store(vm->heap, list, SLOT_OF(LinkedList, lastLink), process);
  }
}

static Oop list_take_first(VM *vm, Oop list) {
  LinkedListObject *l = AS(LinkedList, list);
  Oop first = l->firstLink;
  if (first == OOP_NIL) return OOP_NONE;
  heap_store(vm->heap, list, SLOT_OF(LinkedList, firstLink), P(first)->nextLink);
  if (l->firstLink == OOP_NIL) l->lastLink = OOP_NIL;
  P(first)->nextLink = OOP_NIL;
  return first;
}

static bool list_remove(VM *vm, Oop list, Oop process) {
  Oop previous = OOP_NONE;
  for (Oop p = AS(LinkedList, list)->firstLink; p != OOP_NIL; previous = p, p = P(p)->nextLink) {
    if (p != process) continue;
    if (previous == OOP_NONE) heap_store(vm->heap, list, SLOT_OF(LinkedList, firstLink), P(p)->nextLink);
    else heap_store(vm->heap, previous, SLOT_OF(Process, nextLink), P(p)->nextLink);
    if (AS(LinkedList, list)->lastLink == p) heap_store(vm->heap, list, SLOT_OF(LinkedList, lastLink), previous == OOP_NONE ? OOP_NIL : previous);
    P(p)->nextLink = OOP_NIL;
    return true;
  }
  return false;
}

// --- run queues

int process_priority(Oop process) {
  int64_t p = is_integer(P(process)->priority) ? oop_to_integer(P(process)->priority) : PRIORITY_DEFAULT;
  return p < 1 ? 1 : p >= PRIORITY_LIMIT ? PRIORITY_LIMIT - 1 : (int)p;
}

static Oop queue_at(VM *vm, int priority) { return object_slots(AS(ProcessorScheduler, vm->processor)->queues)[priority]; }

void process_make_ready(VM *vm, Oop process, bool at_front) {
  int priority = process_priority(process);
  set_state(process, STATE_READY);
  P(process)->waitingOn = OOP_NIL;
  list_append(vm, queue_at(vm, priority), process, at_front);
  vm->scheduler->ready[priority >> 6] |= 1ull << (priority & 63);
  if (vm->process != OOP_NIL && priority > process_priority(vm->process)) ask_attention(vm, ATTENTION_PREEMPT);
}

int process_best_ready(VM *vm) {
  Scheduler *s = vm->scheduler;
  for (int word = 1; word >= 0; word--)
    while (s->ready[word] != 0) {
      int priority = word * 64 + 63 - __builtin_clzll(s->ready[word]);
      if (AS(LinkedList, queue_at(vm, priority))->firstLink != OOP_NIL) return priority;
      s->ready[word] &= ~(1ull << (priority & 63));
    }
  return 0;
}

// The best process whose thread is not in C; OOP_NONE if there is none.
static Oop best_runnable(VM *vm) {
  for (int priority = process_best_ready(vm); priority > 0; priority--) {
    if (!(vm->scheduler->ready[priority >> 6] >> (priority & 63) & 1)) continue;
    for (Oop p = AS(LinkedList, queue_at(vm, priority))->firstLink; p != OOP_NIL; p = P(p)->nextLink)
      if (process_may_run(vm, p)) return p;
  }
  return OOP_NONE;
}

bool process_is_runnable(VM *vm) { return best_runnable(vm) != OOP_NONE; }

static bool make_queues(VM *vm) {
  Oop queues = heap_allocate_old(vm->heap, CLASS_Array, FORMAT_INDEXABLE, PRIORITY_LIMIT);
  if (queues == OOP_NONE) return false;
  for (size_t i = 0; i < PRIORITY_LIMIT; i++) {
    Oop list = heap_allocate_old(vm->heap, CLASS_LinkedList, FORMAT_FIXED, NAMED_SLOTS(LinkedList));
    if (list == OOP_NONE) return false;
    heap_store(vm->heap, queues, i, list);
  }
  heap_store(vm->heap, vm->processor, SLOT_OF(ProcessorScheduler, queues), queues);
  return true;
}

// After starting or loading an image: the queues exist, and every one may hold processes.
static bool scheduler_prepare(VM *vm) {
  if (vm->processor == OOP_NIL) {
    Oop processor = heap_allocate_old(vm->heap, CLASS_ProcessorScheduler, FORMAT_FIXED, NAMED_SLOTS(ProcessorScheduler));
    if (processor == OOP_NONE) return false;
    vm->processor = processor;
  }
  if (AS(ProcessorScheduler, vm->processor)->queues == OOP_NIL && !make_queues(vm)) return false;
  vm->scheduler->ready[0] = ~0ull;
  vm->scheduler->ready[1] = (1ull << (PRIORITY_LIMIT - 64)) - 1;
  return true;
}

// --- stacks

//
// A stack may use three quarters of the greatest size; the rest is for handling the overflow.

static Oop *soft_end(const VM *vm) { return vm->stack_base + vm->max_stack_words / 4 * 3; }

void stack_reset_limit(VM *vm, const Oop *fp) {
  if (fp < soft_end(vm) - vm->max_stack_words / 16) vm->handles_overflow = false;
  Oop *end = vm->stack_end > soft_end(vm) && !vm->handles_overflow ? soft_end(vm) : vm->stack_end;
  atomic_store(&vm->stack_limit, end - STACK_RESERVE - SMALL_FRAME);
  if (atomic_load(&vm->attention) != 0) atomic_store(&vm->stack_limit, NULL);
}

bool stack_overflows(VM *vm, const Oop *top) {
  if (vm->handles_overflow || top <= soft_end(vm) - STACK_RESERVE) return false;
  vm->handles_overflow = true;
  return true;
}

static void use_stack(VM *vm, Oop stack) {
  vm->stack_base = object_slots(stack);
  vm->stack_end = vm->stack_base + object_size(stack);
}

// Words of the running stack that its top frame has at entry: registers behind the arguments are not written yet.
static size_t words_at_entry(const VM *vm) { return (size_t)(vm->fp - vm->stack_base) + code_arguments(vm->fp[-1]) + 1; }

// Goes on with a copy of the running stack; false if there is none.
static bool stack_move(VM *vm, Oop stack) {
  if (stack == OOP_NONE) return false;
  size_t used = words_at_entry(vm);
  ptrdiff_t distance = vm->fp - vm->stack_base;
  memcpy(object_slots(stack), vm->stack_base, used * sizeof(Oop));
  object_slots(stack)[0] = oop_from_integer((int64_t)used);
  object_slots(P(vm->process)->stack)[0] = oop_from_integer(1);
  heap_store(vm->heap, vm->process, SLOT_OF(Process, stack), stack);
  heap_remember(vm->heap, stack);
  use_stack(vm, stack);
  vm->fp = vm->stack_base + distance;
  return true;
}

bool stack_grow(VM *vm, size_t words) {
  size_t needed = words_at_entry(vm) + words + STACK_RESERVE, size = 2 * (size_t)(vm->stack_end - vm->stack_base);
  while (size < needed) size *= 2;
  if (size > vm->max_stack_words) size = vm->max_stack_words;
  if (size < needed) return false;
  stack_note_top(vm, vm->stack_base + words_at_entry(vm));
  Oop stack = heap_allocate_old(vm->heap, CLASS_ProcessStack, FORMAT_STACK, size);
  if (stack == OOP_NONE && vm_collect(vm, 8 * size)) stack = heap_allocate_old(vm->heap, CLASS_ProcessStack, FORMAT_STACK, size);
  return stack_move(vm, stack);
}

bool stack_grow_for_handler(VM *vm, size_t words) {
  enum { HANDLER_WORDS = 16 << 10 };
  size_t size = words_at_entry(vm) + words + STACK_RESERVE + HANDLER_WORDS;
  if (vm->handles_overflow || size > vm->max_stack_words || !stack_move(vm, heap_allocate_beyond_limit(vm->heap, CLASS_ProcessStack, FORMAT_STACK, size)))
    return false;
  vm->handles_overflow = true;
  return true;
}

// --- the running process

void process_load(VM *vm, Oop process) {
  vm->process = process;
  heap_store(vm->heap, vm->processor, SLOT_OF(ProcessorScheduler, activeProcess), process);
  set_state(process, STATE_ACTIVE);
  use_stack(vm, P(process)->stack);
  vm->fp = vm->stack_base + oop_to_integer(P(process)->frame);
  vm->ip = oop_to_ip(P(process)->pc);
  vm->k = code_literals(vm->fp[-1]);
  vm->handles_overflow = vm->fp >= soft_end(vm) - STACK_RESERVE;
  stack_reset_limit(vm, vm->fp);
}

void process_unload(VM *vm) {
  vm_save_state(vm, vm->ip, vm->fp, vm->k);
  vm->process = OOP_NIL;
}

bool vm_collect(VM *vm, size_t bytes) {
  if (heap_make_room(vm->heap, bytes)) return true;
  if (heap_is_exhausted(vm->heap)) vm_out_of_memory(vm);
  return false;
}

bool collect_at(VM *vm, const uint32_t *ip, Oop *fp, Oop *k, Oop *top, size_t bytes) {
  vm_save_state(vm, ip, fp, k);
  if (top != NULL) stack_note_top(vm, top);
  return vm_collect(vm, bytes);
}

// Puts a result where the waiting process expects it.
void process_answer(Oop process, Oop value) {
  Oop *fp = object_slots(P(process)->stack) + oop_to_integer(P(process)->frame);
  fp[(oop_to_ip(P(process)->pc)[-1] >> 8) & 255] = value;
}

static Oop *cut_top_frame(VM *vm, Oop process) {
  Oop stack = P(process)->stack, *base = object_slots(stack), *fp = base + oop_to_integer(P(process)->frame), *caller = frame_caller(fp);
  if (fp[-3] & FRAME_HAS_CONTEXT) contexts_kill_in(vm, process, fp - base);
  P(process)->pc = fp[-2];
  P(process)->frame = oop_from_integer(caller - base);
  base[0] = oop_from_integer(caller + code_registers(caller[-1]) - base);
  if (!(object_header(stack) & HEADER_REMEMBERED)) heap_remember(vm->heap, stack);
  return fp;
}

uint64_t process_leave_frame(VM *vm, Oop process, Oop value) {
  uint64_t flags = cut_top_frame(vm, process)[-3] & (FRAME_DISCARDS | FRAME_TESTS);
  if (flags == 0) process_answer(process, value);
  return flags;
}

void process_leave_callback(VM *vm, Oop process) { cut_top_frame(vm, process); }

// --- timers that have come

static void timers_expire(VM *vm) {
  uint64_t now = platform_monotonic_nanoseconds();
  Oop process;
  while ((process = timer_take(vm, now)) != OOP_NONE) {
    if (state_of(process) == STATE_WAITING) {
      list_remove(vm, P(process)->waitingOn, process);
      process_answer(process, OOP_FALSE);
    }
    process_make_ready(vm, process, false);
  }
}

// --- switching

// Takes a process out of whatever list it is in. A wait that could end without a signal has ended so.
static void process_detach(VM *vm, Oop process) {
  bool timed = P(process)->wakeTime != OOP_NIL;
  timer_remove(vm, process);
  if (state_of(process) == STATE_READY) list_remove(vm, queue_at(vm, process_priority(process)), process);
  if (state_of(process) == STATE_WAITING) {
    list_remove(vm, P(process)->waitingOn, process);
    if (timed) process_answer(process, OOP_FALSE);
  }
  P(process)->waitingOn = OOP_NIL;
}

// A copy of a stack with room for so many more words, or the same stack.
bool process_reserve(VM *vm, Oop process, size_t words) {
  Oop stack = P(process)->stack;
  size_t used = (size_t)oop_to_integer(object_slots(stack)[0]), size = object_size(stack);
  if (used + words + STACK_RESERVE <= size) return true;
  while (size < used + words + STACK_RESERVE) size *= 2;
  Oop larger = heap_allocate_old(vm->heap, CLASS_ProcessStack, FORMAT_STACK, size);
  if (larger == OOP_NONE) return false;
  memcpy(object_slots(larger), object_slots(stack), used * sizeof(Oop));
  heap_store(vm->heap, process, SLOT_OF(Process, stack), larger);
  object_slots(stack)[0] = oop_from_integer(1);
  heap_remember(vm->heap, larger);
  return true;
}

bool process_push(VM *vm, Oop process, uint64_t flags, Oop code, Oop receiver, Oop argument) {
  if (!process_reserve(vm, process, FRAME_HEADER + frame_words(code_registers(code)))) return false;
  Oop stack = P(process)->stack;
  Oop *base = object_slots(stack);
  Oop *top = base + oop_to_integer(P(process)->frame);
  Oop *frame = top + code_registers(top[-1]) + FRAME_HEADER;
  frame[-3] = oop_from_integer(frame - top) | flags;
  frame[-2] = P(process)->pc;
  frame[-1] = code;
  frame[0] = receiver;
  if (argument != OOP_NONE) frame[1] = argument;
  base[0] = oop_from_integer(frame + (argument == OOP_NONE ? 1 : 2) - base);
  if (!(object_header(stack) & HEADER_REMEMBERED)) heap_remember(vm->heap, stack);
  P(process)->frame = oop_from_integer(frame - base);
  P(process)->pc = ip_to_oop(code_instructions(code));
  return true;
}

static int wait_for_work(VM *vm) {
  atomic_store(&vm->ownership->deadline, 0);
  platform_sleep(vm->scheduler->wake_pipe[0], timer_first(vm));
  timers_expire(vm);
  return RUN_ON;
}

// The same, where calls of C or callbacks may need the VM: a thread that has nothing else to do parks.
static int release_and_wait(VM *vm) {
  timer_announce(vm);
  if (!ownership_start_service(vm)) return wait_for_work(vm);
  Thread *me = vm->thread;
  if (atomic_load(&vm->attention) != 0 || !ownership_release_idle(vm)) {
    calls_drain(vm);
    return RUN_ON;
  }
  if (me->call == NULL) return RUN_RELEASED;
  ownership_wait(me);
  return RUN_ON;
}

// Sends the main process, wherever it waits, a message that it answers at once. call: what the running process is about to enter, or NULL.
// False: it cannot be had.
static bool tell_main(VM *vm, Call *call, const char *selector) {
  Oop process = vm->main_process, symbol = symbol_find(vm, selector, strlen(selector));
  if (process == OOP_NIL || P(process)->stack == OOP_NIL || symbol == OOP_NONE) return false;
  Oop method = class_lookup(vm, class_at(vm, CLASS_Process), symbol);
  if (method == OOP_NONE || method == OOP_NIL || code_arguments(method) != 0) return false;
  if (state_of(process) == STATE_IN_CALL) return calls_tell(vm, process_call(process), method);
  if (process == vm->process) return call != NULL && calls_tell(vm, call, method);
  process_detach(vm, process);
  if (!process_push(vm, process, FRAME_DISCARDS, method, process, OOP_NONE)) return false;
  process_make_ready(vm, process, true);
  return true;
}

// Nobody is ready: waits until somebody is, or tells the main process why that cannot be.
static int find_work(VM *vm) {
  uint32_t bits = atomic_exchange(&vm->attention, 0);
  if (bits & ATTENTION_REPORT) calls_report(vm, stderr);
  if (bits & ATTENTION_COLLECT) vm_collect(vm, 0);
  if (bits & ATTENTION_INTERRUPT) {
    if (tell_main(vm, NULL, "interrupted")) return RUN_ON;
    vm->exit_code = 130;
    return RUN_EXIT;
  }
  timers_expire(vm);
  if (process_is_runnable(vm)) return RUN_ON;
  if (vm->ownership->in_flight_count > 0 || vm->foreign_entries > 0) return release_and_wait(vm);
  if (timer_first(vm) != 0) return wait_for_work(vm);
  if (tell_main(vm, NULL, "deadlocked")) return RUN_ON;
  fprintf(stderr, "baton: every process waits for something that cannot happen\n");
  vm->exit_code = 1;
  return RUN_EXIT;
}

// The chosen process is loaded; it must run on that thread, or on any that is in no call (NULL). Answers RUN_ON when this is one.
static int go_to_thread(VM *vm, Thread *thread) {
  Thread *me = vm->thread;
  if (thread == me || (thread == NULL && me->call == NULL)) return RUN_ON;
  if (thread == NULL) thread = ownership_take_parked(vm);
  if (thread == NULL) vm_fatal(vm, "no native thread is left");
  bool inside = me->call != NULL;
  ownership_hand_over(vm, thread);
  if (!inside) return RUN_RELEASED;
  ownership_wait(me);
  return RUN_ON;
}

int process_switch(VM *vm) {
  while (vm->process == OOP_NIL) {
    if (ownership_word(vm) & WORD_WANTED) calls_drain(vm);
    Oop process = best_runnable(vm);
    if (process == OOP_NONE) {
      int status = find_work(vm);
      if (status != RUN_ON) return status;
      continue;
    }
    list_remove(vm, queue_at(vm, process_priority(process)), process);
    Thread *thread = process_thread(vm, process);
    process_load(vm, process);
    if (atomic_load(&vm->ownership->deadline) == 0 && timer_first(vm) != 0) timer_announce(vm);
    int status = go_to_thread(vm, thread);
    if (status != RUN_ON) return status;
  }
  return RUN_ON;
}

int scheduler_attention(VM *vm, uint32_t bits) {
  if (bits & ATTENTION_REPORT) calls_report(vm, stderr);
  if (bits & ATTENTION_COLLECT) vm_collect(vm, 0);
  if (bits & ATTENTION_REQUEST) calls_drain(vm);
  if (bits & ATTENTION_TIMER) {
    timers_expire(vm);
    timer_announce(vm);
  }
  // what has become ready may have asked for attention again
  atomic_fetch_and(&vm->attention, ~(uint32_t)ATTENTION_PREEMPT);
  stack_reset_limit(vm, vm->fp);
  if (process_best_ready(vm) <= process_priority(vm->process)) return RUN_ON;
  Oop process = vm->process;
  process_unload(vm);
  process_make_ready(vm, process, true);
  return process_switch(vm);
}

void scheduler_serve_before(VM *vm, Call *call) {
  calls_list(vm, call);  // what it was given is held from now on
  calls_drain(vm);       // clears W before the look at the bits: what comes later sets it again
  uint32_t bits = atomic_exchange(&vm->attention, 0);
  if (bits & ATTENTION_REPORT) calls_report(vm, stderr);
  if (bits & ATTENTION_COLLECT) vm_collect(vm, 0);
  timers_expire(vm);
  timer_announce(vm);
  if (bits & ATTENTION_INTERRUPT && !tell_main(vm, call, "interrupted")) vm_interrupt(vm);
}

int process_finish(VM *vm) {
  Oop process = vm->process;
  process_unload(vm);
  set_state(process, STATE_TERMINATED);
  object_slots(P(process)->stack)[0] = oop_from_integer(1);
  P(process)->stack = OOP_NIL;
  P(process)->contexts = OOP_NIL;
  if (process == vm->main_process) return RUN_EXIT;
  return process_switch(vm);
}

int process_abandon(VM *vm, const char *why) {
  fprintf(stderr, "baton: a process cannot go on: %s\n", why);
  vm_print_backtrace(vm, vm->process, stderr);
  contexts_kill(vm, vm->stack_base);
  if (vm->process == vm->main_process) vm->exit_code = 1;
  return process_finish(vm);
}

// --- making processes

static Oop process_allocate(VM *vm, int64_t priority) {
  Oop stack = heap_allocate_old(vm->heap, CLASS_ProcessStack, FORMAT_STACK, STACK_INITIAL_WORDS);
  if (stack == OOP_NONE) return OOP_NONE;
  Oop process = heap_allocate(vm->heap, CLASS_Process, FORMAT_FIXED, NAMED_SLOTS(Process));
  if (process == OOP_NONE) return OOP_NONE;
  heap_store(vm->heap, process, SLOT_OF(Process, stack), stack);
  P(process)->priority = oop_from_integer(priority);
  set_state(process, STATE_SUSPENDED);
  return process;
}

// Sets up the first frame: code with its receiver. The stack has room for 80 registers at once; more is had on entry.
static void first_frame(VM *vm, Oop process, Oop code, Oop receiver) {
  Oop stack = P(process)->stack;
  Oop *fp = object_slots(stack) + 1 + FRAME_HEADER;
  fp[-3] = oop_from_integer(0) | FRAME_IS_BASE;
  fp[-2] = oop_from_integer(0);
  fp[-1] = code;
  fp[0] = receiver;
  object_slots(stack)[0] = oop_from_integer(2 + FRAME_HEADER);
  heap_remember(vm->heap, stack);
  P(process)->frame = oop_from_integer(1 + FRAME_HEADER);
  P(process)->pc = ip_to_oop(code_instructions(code));
}

static bool fits_initial_stack(Oop code) { return frame_words(code_registers(code)) + 8 <= STACK_INITIAL_WORDS - STACK_RESERVE; }

Oop vm_spawn(VM *vm, Oop receiver, Oop selector, int priority) {
  if (!scheduler_prepare(vm)) return OOP_NONE;
  Oop method = class_lookup(vm, class_of(vm, receiver), selector);
  if (method == OOP_NONE || method == OOP_NIL || code_arguments(method) != 0 || !fits_initial_stack(method)) return OOP_NONE;
  Oop process = process_allocate(vm, priority);
  if (process == OOP_NONE) return OOP_NONE;
  first_frame(vm, process, method, receiver);
  process_make_ready(vm, process, false);
  vm->main_process = process;
  return process;
}

bool vm_spawn_main(VM *vm, Oop receiver, Oop selector) {
  for (int tries = 0; tries < 3; tries++)
    if (vm_spawn(vm, receiver, selector, PRIORITY_DEFAULT) != OOP_NONE || !vm_collect(vm, heap_shortage(vm->heap))) break;
  return vm->main_process != OOP_NIL;
}

// Runs processes on this thread, the owner, until that changes.
static int run_as_owner(VM *vm) {
  int status = vm->process != OOP_NIL ? RUN_ON : process_switch(vm);
  return status == RUN_ON ? interpret(vm) : status;
}

void vm_run_thread(VM *vm) {
  if (run_as_owner(vm) != RUN_EXIT) return;
  // the program ends: that is for the first thread, unless C keeps it
  Thread *first = ownership_thread(vm, 1);
  vm->ended = true;
  calls_end(vm);
  if (first->call != NULL) {
    fflush(NULL);
    _exit(vm->exit_code);
  }
  ownership_hand_over(vm, first);
}

int vm_run(VM *vm) {
  if (!scheduler_prepare(vm)) return 1;
  vm->process = OOP_NIL;
  vm->exiting = vm->ended = false;
  while (!vm->ended && run_as_owner(vm) == RUN_RELEASED)
    if (!ownership_park(current_thread)) break;
  calls_end(vm);
  if (vm->process != OOP_NIL && !vm->exiting) process_unload(vm);
  vm->process = OOP_NIL;
  vm->main_process = OOP_NIL;
  return vm->exit_code;
}

// --- primitives. A failing one leaves the reason in register A, as any other.

static int fail(ARGS, FailureReason reason) {
  if (A != 0) fp[A] = vm->reasons[reason];
  NEXT;
}

static int reload_and_go(ARGS) {
  ip = vm->ip;
  fp = vm->fp;
  k = vm->k;
  NEXT;
}

static bool is_process(Oop o) { return class_index_of(o) == CLASS_Process; }
static bool is_semaphore(Oop o) { return class_index_of(o) == CLASS_Semaphore; }

// Returns from the primitive's frame with a value, leaving the state in the VM. False when the process has ended with it.
static void leave_primitive(VM *vm, Oop *fp, Oop value) {
  if (fp[-3] & FRAME_HAS_CONTEXT) contexts_kill(vm, fp);
  vm->ip = oop_to_ip(fp[-2]);
  vm->fp = frame_caller(fp);
  vm->k = code_literals(vm->fp[-1]);
  if (!(fp[-3] & (FRAME_DISCARDS | FRAME_TESTS))) vm->fp[(vm->ip[-1] >> 8) & 255] = value;
}

static int retry_with_memory(ARGS) {
  bool room = collect_at(vm, ip, fp, k, fp + code_arguments(fp[-1]) + 1, heap_shortage(vm->heap));
  fp = vm->fp;
  if (!room) return fail(PASS, FAIL_OUT_OF_MEMORY);
  ip = vm->ip - 1;
  NEXT;
}

// After making others ready: goes on with this process unless a better one is ready.
static int answer_and_reschedule(ARGS, Oop value) {
  leave_primitive(vm, fp, value);
  if (process_best_ready(vm) > process_priority(vm->process)) {
    Oop process = vm->process;
    process_unload(vm);
    process_make_ready(vm, process, true);
    int status = process_switch(vm);
    if (status != RUN_ON) return status;
  }
  return reload_and_go(PASS);
}

// The running process, whose state has been saved outside its primitive, stops here.
static int switch_away(ARGS) {
  int status = process_switch(vm);
  return status == RUN_ON ? reload_and_go(PASS) : status;
}

static int primitive_process_new(ARGS) {
  if (class_index_of(fp[1]) != CLASS_BlockClosure || !is_integer(fp[2])) return fail(PASS, FAIL_BAD_ARGUMENT);
  Oop code = AS(BlockClosure, fp[1])->code;
  if (code_arguments(code) != 0) return fail(PASS, FAIL_WRONG_ARGUMENT_COUNT);
  int64_t priority = oop_to_integer(fp[2]);
  if (priority < 1 || priority >= PRIORITY_LIMIT) return fail(PASS, FAIL_OUT_OF_RANGE);
  Oop process = process_allocate(vm, priority);
  if (process == OOP_NONE) return retry_with_memory(PASS);
  if (!fits_initial_stack(code)) {
    Oop stack = heap_allocate_old(vm->heap, CLASS_ProcessStack, FORMAT_STACK, 512);
    if (stack == OOP_NONE) return retry_with_memory(PASS);
    heap_store(vm->heap, process, SLOT_OF(Process, stack), stack);
  }
  first_frame(vm, process, code, fp[1]);
  return return_value(PASS, fp, process);
}

static int primitive_process_resume(ARGS) {
  Oop process = fp[0];
  if (!is_process(process)) return fail(PASS, FAIL_BAD_RECEIVER);
  if (state_of(process) == STATE_IN_CALL) {
    process_call(process)->suspended = false;
    return return_value(PASS, fp, process);
  }
  if (state_of(process) != STATE_SUSPENDED || P(process)->stack == OOP_NIL) return fail(PASS, FAIL_BAD_STATE);
  process_make_ready(vm, process, false);
  return answer_and_reschedule(PASS, process);
}

static int primitive_process_suspend(ARGS) {
  Oop process = fp[0];
  if (!is_process(process)) return fail(PASS, FAIL_BAD_RECEIVER);
  if (state_of(process) == STATE_TERMINATED) return fail(PASS, FAIL_BAD_STATE);
  if (process != vm->process) {
    if (state_of(process) == STATE_IN_CALL) {
      process_call(process)->suspended = true;
      return return_value(PASS, fp, process);
    }
    process_detach(vm, process);
    set_state(process, STATE_SUSPENDED);
    return return_value(PASS, fp, process);
  }
  leave_primitive(vm, fp, process);
  process_unload(vm);
  set_state(process, STATE_SUSPENDED);
  return switch_away(PASS);
}

static int primitive_process_yield(ARGS) {
  Oop process = vm->process;
  if (process_best_ready(vm) < process_priority(process)) return return_value(PASS, fp, fp[0]);
  leave_primitive(vm, fp, fp[0]);
  process_unload(vm);
  process_make_ready(vm, process, false);
  return switch_away(PASS);
}

static int primitive_process_active(ARGS) { return return_value(PASS, fp, vm->process); }

static int primitive_process_set_priority(ARGS) {
  Oop process = fp[0];
  if (!is_process(process)) return fail(PASS, FAIL_BAD_RECEIVER);
  int64_t priority = is_integer(fp[1]) ? oop_to_integer(fp[1]) : 0;
  if (priority < 1 || priority >= PRIORITY_LIMIT) return fail(PASS, FAIL_OUT_OF_RANGE);
  bool ready = state_of(process) == STATE_READY;
  if (ready) list_remove(vm, queue_at(vm, process_priority(process)), process);
  P(process)->priority = oop_from_integer(priority);
  if (ready) process_make_ready(vm, process, false);
  return answer_and_reschedule(PASS, process);
}

static int primitive_process_remove_from_waiting(ARGS) {
  Oop process = fp[0];
  if (!is_process(process)) return fail(PASS, FAIL_BAD_RECEIVER);
  int state = state_of(process);
  if (state != STATE_READY && state != STATE_WAITING && state != STATE_DELAYED) return fail(PASS, FAIL_BAD_STATE);
  process_detach(vm, process);
  set_state(process, STATE_SUSPENDED);
  return return_value(PASS, fp, process);
}

static int primitive_process_top_context(ARGS) {
  Oop process = fp[0];
  if (!is_process(process)) return fail(PASS, FAIL_BAD_RECEIVER);
  if (process == vm->process) {
    Oop context = context_of_frame(vm, process, fp, OOP_NONE);
    return context == OOP_NONE ? retry_with_memory(PASS) : return_value(PASS, fp, context);
  }
  if (P(process)->stack == OOP_NIL) return return_value(PASS, fp, OOP_NIL);
  Oop context = context_of_frame(vm, process, object_slots(P(process)->stack) + oop_to_integer(P(process)->frame), OOP_NONE);
  return context == OOP_NONE ? retry_with_memory(PASS) : return_value(PASS, fp, context);
}

static int primitive_process_inject(ARGS) {
  Oop process = fp[0], block = fp[1];
  if (!is_process(process) || process == vm->process || P(process)->stack == OOP_NIL) return fail(PASS, FAIL_BAD_STATE);
  if (state_of(process) == STATE_IN_CALL || (process_call(process) != NULL && process_call(process)->starting)) {
    if (P(process)->pending != OOP_NIL) return fail(PASS, FAIL_BAD_STATE);
    heap_store(vm->heap, process, SLOT_OF(Process, pending), block);
    return return_value(PASS, fp, process);
  }
  if (class_index_of(block) != CLASS_BlockClosure) return fail(PASS, FAIL_BAD_ARGUMENT);
  Oop code = AS(BlockClosure, block)->code;
  if (code_arguments(code) != 0) return fail(PASS, FAIL_WRONG_ARGUMENT_COUNT);
  if (!process_push(vm, process, FRAME_DISCARDS, code, block, OOP_NONE)) return retry_with_memory(PASS);
  return return_value(PASS, fp, process);
}

static int64_t excess_of(Oop semaphore) {
  return is_integer(AS(Semaphore, semaphore)->excessSignals) ? oop_to_integer(AS(Semaphore, semaphore)->excessSignals) : 0;
}

// The running process waits in the semaphore's list; its primitive has been left.
static int wait_on(ARGS, Oop semaphore) {
  Oop process = vm->process;
  process_unload(vm);
  set_state(process, STATE_WAITING);
  heap_store(vm->heap, process, SLOT_OF(Process, waitingOn), semaphore);
  list_append(vm, semaphore, process, false);
  return switch_away(PASS);
}

static int primitive_semaphore_wait(ARGS) {
  Oop semaphore = fp[0];
  if (!is_semaphore(semaphore)) return fail(PASS, FAIL_BAD_RECEIVER);
  int64_t excess = excess_of(semaphore);
  if (excess > 0) {
    AS(Semaphore, semaphore)->excessSignals = oop_from_integer(excess - 1);
    return return_value(PASS, fp, semaphore);
  }
  leave_primitive(vm, fp, semaphore);
  return wait_on(PASS, semaphore);
}

static int primitive_semaphore_wait_until(ARGS) {
  Oop semaphore = fp[0];
  if (!is_semaphore(semaphore)) return fail(PASS, FAIL_BAD_RECEIVER);
  if (!is_integer(fp[1])) return fail(PASS, FAIL_BAD_ARGUMENT);
  int64_t excess = excess_of(semaphore), when = oop_to_integer(fp[1]);
  if (excess > 0) {
    AS(Semaphore, semaphore)->excessSignals = oop_from_integer(excess - 1);
    return return_value(PASS, fp, OOP_TRUE);
  }
  if (when <= (int64_t)platform_monotonic_nanoseconds()) return return_value(PASS, fp, OOP_FALSE);
  if (!timer_reserve(vm)) return retry_with_memory(PASS);
  leave_primitive(vm, fp, OOP_TRUE);
  timer_add(vm, vm->process, (uint64_t)when);
  timer_announce(vm);
  return wait_on(PASS, semaphore);
}

// The process that has waited longest. A semaphore is a list that Smalltalk code can put other things into.
static Oop take_waiting(VM *vm, Oop semaphore) {
  Oop first = list_take_first(vm, semaphore);
  while (first != OOP_NONE && (!is_process(first) || state_of(first) != STATE_WAITING || P(first)->waitingOn != semaphore))
    first = list_take_first(vm, semaphore);
  return first;
}

void process_signal(VM *vm, Oop semaphore) {
  Oop process = take_waiting(vm, semaphore);
  if (process == OOP_NONE) {
    AS(Semaphore, semaphore)->excessSignals = oop_from_integer(excess_of(semaphore) + 1);
    return;
  }
  timer_remove(vm, process);
  process_make_ready(vm, process, false);
}

static int primitive_semaphore_signal(ARGS) {
  Oop semaphore = fp[0];
  if (!is_semaphore(semaphore)) return fail(PASS, FAIL_BAD_RECEIVER);
  process_signal(vm, semaphore);
  return answer_and_reschedule(PASS, semaphore);
}

// Binds the running process to a native thread, by number, or to none (nil), and goes there.
static int primitive_process_bind(ARGS) {
  Oop process = fp[0];
  if (!is_process(process) || process != vm->process) return fail(PASS, FAIL_BAD_RECEIVER);
  if (process_call(process) != NULL) return fail(PASS, FAIL_BAD_STATE);
  if (fp[1] != OOP_NIL && (!is_integer(fp[1]) || ownership_thread(vm, oop_to_integer(fp[1])) == NULL)) return fail(PASS, FAIL_NOT_FOUND);
  P(process)->affinity = fp[1];
  leave_primitive(vm, fp, process);
  process_unload(vm);
  process_make_ready(vm, process, true);
  return switch_away(PASS);
}

static int primitive_delay_until(ARGS) {
  if (!is_integer(fp[1])) return fail(PASS, FAIL_BAD_ARGUMENT);
  int64_t when = oop_to_integer(fp[1]);
  if (when <= (int64_t)platform_monotonic_nanoseconds()) return return_value(PASS, fp, fp[0]);
  if (!timer_reserve(vm)) return retry_with_memory(PASS);
  Oop process = vm->process;
  leave_primitive(vm, fp, fp[0]);
  timer_add(vm, process, (uint64_t)when);
  timer_announce(vm);
  process_unload(vm);
  set_state(process, STATE_DELAYED);
  return switch_away(PASS);
}

void process_primitives_register(VM *vm) {
  static const PrimitiveEntry entries[] = {
      {"processNew", 2, NULL, primitive_process_new, false},
      {"processResume", 0, NULL, primitive_process_resume, false},
      {"processSuspend", 0, NULL, primitive_process_suspend, false},
      {"processYield", 0, NULL, primitive_process_yield, false},
      {"processActive", 0, NULL, primitive_process_active, false},
      {"processSetPriority", 1, NULL, primitive_process_set_priority, false},
      {"processRemoveFromWaiting", 0, NULL, primitive_process_remove_from_waiting, false},
      {"processTopContext", 0, NULL, primitive_process_top_context, false},
      {"processInject", 1, NULL, primitive_process_inject, false},
      {"processBind", 1, NULL, primitive_process_bind, false},
      {"semaphoreWait", 0, NULL, primitive_semaphore_wait, false},
      {"semaphoreWaitUntil", 1, NULL, primitive_semaphore_wait_until, false},
      {"semaphoreSignal", 0, NULL, primitive_semaphore_signal, false},
      {"delayUntil", 1, NULL, primitive_delay_until, false},
  };
  primitives_register(vm, entries, sizeof entries / sizeof *entries);
}
