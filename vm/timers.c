// Timers: the processes that wait for a time, a binary heap in an Array (vm->timers) by wakeTime, nanoseconds of the monotonic clock.
//
// While a process computes, the service thread (vm/ownership.c) sleeps until the earliest one and then asks for attention.
#include "vm/ownership.h"
#include "vm/process.h"

enum { TIMERS_INITIAL = 16 };

static uint64_t wake_time(Oop process) { return (uint64_t)oop_to_integer(P(process)->wakeTime); }
static int64_t timer_count(VM *vm) { return oop_to_integer(vm->timer_count); }
static Oop timer_at(VM *vm, int64_t i) { return object_slots(vm->timers)[i]; }
static void timer_put(VM *vm, int64_t i, Oop process) { heap_store(vm->heap, vm->timers, (size_t)i, process); }

static void timer_up(VM *vm, int64_t i) {
  Oop process = timer_at(vm, i);
  for (int64_t parent; i > 0 && wake_time(timer_at(vm, parent = (i - 1) / 2)) > wake_time(process); i = parent) timer_put(vm, i, timer_at(vm, parent));
  timer_put(vm, i, process);
}

static void timer_down(VM *vm, int64_t i) {
  Oop process = timer_at(vm, i);
  for (int64_t child; (child = 2 * i + 1) < timer_count(vm); i = child) {
    if (child + 1 < timer_count(vm) && wake_time(timer_at(vm, child + 1)) < wake_time(timer_at(vm, child))) child++;
    if (wake_time(timer_at(vm, child)) >= wake_time(process)) break;
    timer_put(vm, i, timer_at(vm, child));
  }
  timer_put(vm, i, process);
}

static void timer_remove_at(VM *vm, int64_t i) {
  int64_t last = timer_count(vm) - 1;
  P(timer_at(vm, i))->wakeTime = OOP_NIL;
  vm->timer_count = oop_from_integer(last);
  if (i != last) timer_put(vm, i, timer_at(vm, last));
  object_slots(vm->timers)[last] = OOP_NIL;
  if (i == last) return;
  timer_down(vm, i);
  timer_up(vm, i);
}

void timer_remove(VM *vm, Oop process) {
  if (P(process)->wakeTime == OOP_NIL) return;
  for (int64_t i = 0; i < timer_count(vm); i++)
    if (timer_at(vm, i) == process) {
      timer_remove_at(vm, i);
      return;
    }
}

bool timer_reserve(VM *vm) {
  size_t capacity = vm->timers == OOP_NIL ? 0 : object_size(vm->timers);
  if ((size_t)timer_count(vm) < capacity) return true;
  Oop larger = heap_allocate(vm->heap, CLASS_Array, FORMAT_INDEXABLE, capacity == 0 ? TIMERS_INITIAL : 2 * capacity);
  if (larger == OOP_NONE) return false;
  for (size_t i = 0; i < capacity; i++) heap_store(vm->heap, larger, i, object_slots(vm->timers)[i]);
  vm->timers = larger;
  return true;
}

void timer_add(VM *vm, Oop process, uint64_t when) {
  P(process)->wakeTime = oop_from_integer((int64_t)when);
  int64_t last = timer_count(vm);
  timer_put(vm, last, process);
  vm->timer_count = oop_from_integer(last + 1);
  timer_up(vm, last);
}

uint64_t timer_first(VM *vm) { return timer_count(vm) > 0 ? wake_time(timer_at(vm, 0)) : 0; }

Oop timer_take(VM *vm, uint64_t now) {
  if (timer_count(vm) == 0 || wake_time(timer_at(vm, 0)) > now) return OOP_NONE;
  Oop process = timer_at(vm, 0);
  timer_remove_at(vm, 0);
  return process;
}

void timer_announce(VM *vm) {
  Ownership *o = vm->ownership;
  uint64_t deadline = timer_first(vm);
  uint64_t former = atomic_exchange(&o->deadline, deadline);
  if (deadline == 0) return;
  bool ran = o->service_runs;
  if (ownership_start_service(vm) && ran && (former == 0 || deadline < former)) ownership_poke_service(vm);
}
