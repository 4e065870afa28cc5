// Processes, for those parts of the VM that stop them and let them go on: process.c and calls.c.
#ifndef BATON_VM_PROCESS_H
#define BATON_VM_PROCESS_H

#include "vm/interpreter.h"

enum { STATE_SUSPENDED, STATE_READY, STATE_ACTIVE, STATE_WAITING, STATE_DELAYED, STATE_TERMINATED, STATE_IN_CALL };

static inline ProcessObject *P(Oop process) { return AS(Process, process); }
static inline int state_of(Oop process) { return (int)oop_to_integer(P(process)->state); }
static inline void set_state(Oop process, int state) { P(process)->state = oop_from_integer(state); }

int process_priority(Oop process);
int process_best_ready(VM *vm);               // the highest priority of those that are ready, whether their thread is free or not; 0: none
bool process_is_runnable(VM *vm);             // whether one is ready whose thread is free
void process_answer(Oop process, Oop value);  // puts the result of the send that a waiting process is in
// Pushes a frame on top of those of a process that does not run and whose state is saved. flags say what becomes of the result.
// argument may be OOP_NONE. False: there is no memory.
bool process_push(VM *vm, Oop process, uint64_t flags, Oop code, Oop receiver, Oop argument);
bool process_reserve(VM *vm, Oop process, size_t words);  // room for so many words on its stack. False: there is no memory
// Returns from the top frame of such a process with a value; answers that frame's flags as to the result.
uint64_t process_leave_frame(VM *vm, Oop process, Oop value);
void process_signal(VM *vm, Oop semaphore);        // as Semaphore>>signal, without going to the process that waited
void process_leave_callback(VM *vm, Oop process);  // the same for a frame that C has called; the result is elsewhere

// --- timers.c
bool timer_reserve(VM *vm);  // room for one more; false: needs collection
void timer_add(VM *vm, Oop process, uint64_t when);
void timer_remove(VM *vm, Oop process);  // if it has one
uint64_t timer_first(VM *vm);            // the earliest time; 0: there is none
Oop timer_take(VM *vm, uint64_t now);    // the first process whose time has come, which has no timer any more; OOP_NONE: there is none
void timer_announce(VM *vm);             // tells the service thread the earliest time

#endif
