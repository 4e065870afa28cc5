// The interpreter's own vocabulary, shared by the files that implement instructions.
//
// Each instruction is one function of the same signature that ends by calling the next: a tail call, which compilers turn into
// a jump (builds with BATON_TRAMPOLINE return to a loop instead). The arguments are the machine state: ip the word behind the
// instruction, fp register 0 of the running frame, k the literal frame of its code. Operands are read as bytes before ip, so an
// instruction with further words reads its operands before it moves ip. Only six arguments go in registers, and a call with more is no
// tail call: helpers take the state and at most two more.
//
// A frame on the process stack, from fp:
//
//   fp[-3]  words from the caller's fp to this one, as a SmallInteger; flags in its upper half send returns to the slow path
//   fp[-2]  return address as a SmallInteger; the result goes into register A of the word before it
//   fp[-1]  the CompiledMethod or CompiledBlock
//   fp[0]   receiver (of a block: the closure), then arguments, temporaries and expression temporaries
//
// Invariants. Every word of a stack below its top is an oop or tagged word that was valid at the last collection or was written
// since; the words above are made nil by each collection. So registers need no clearing on entry, and a stale register is
// at worst a late release. Code objects and literal frames are in old space and never move. Behind each frame there are STACK_RESERVE
// words for the window of a send from a slow path. No frame begins beyond vm->stack_limit, which leaves room for SMALL_FRAME registers and the
// reserve: so entering a method that needs no more compares the frame's address alone.
#ifndef BATON_VM_INTERPRETER_H
#define BATON_VM_INTERPRETER_H

#include "vm/opcodes.h"
#include "vm/vm.h"
#include <stdatomic.h>

#define ARGS VM *vm, const uint32_t *ip, Oop *fp, Oop *k
#define PASS vm, ip, fp, k
typedef int Instruction(ARGS);

// EXIT: the program ends. RELEASED: this thread owns the VM no longer and goes back to where it waits for it, touching nothing. CALLBACK: the
// Smalltalk code that C has called has returned.
enum { RUN_ON, RUN_EXIT, RUN_RELEASED, RUN_CALLBACK };

// Instructions that the interpreter puts in the place of OP_SEND, and of OP_ADD and its neighbours where they have met floats; never in an
// image file.
enum { OP_SEND_METHOD = 240, OP_SEND_PRIMITIVE, OP_SEND_GETTER, OP_SEND_BLOCK, OP_ADD_FLOAT, OP_SUBTRACT_FLOAT, OP_MULTIPLY_FLOAT, OP_REWRITTEN_LIMIT };

#if defined(BATON_TRAMPOLINE)
#define NEXT       \
  do {             \
    vm->ip = ip;   \
    vm->fp = fp;   \
    vm->k = k;     \
    return RUN_ON; \
  } while (0)
#else
extern Instruction *const instruction_table[256];
#define NEXT return instruction_table[*ip & 255](vm, ip + 1, fp, k)
#endif

// The operands of the instruction before ip; of a word: OPERAND_A and its like.
#define A ((size_t)((const uint8_t *)ip)[-3])
#define B ((size_t)((const uint8_t *)ip)[-2])
#define C ((size_t)((const uint8_t *)ip)[-1])
#define SIGNED_C (((const int8_t *)ip)[-1])
#define BX OPERAND_BX(ip[-1])
#define SIGNED_BX OPERAND_SIGNED_BX(ip[-1])
#define SIGNED_J OPERAND_SIGNED_J(ip[-1])
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum { STACK_RESERVE = 64, FRAME_HEADER = 3, SMALL_FRAME = 32 };
#define FRAME_HAS_CONTEXT ((uint64_t)1 << 40)
#define FRAME_IS_BASE ((uint64_t)1 << 41)      // the first frame of a process: returning ends the process
#define FRAME_DISCARDS ((uint64_t)1 << 42)     // called between two instructions: the result is dropped
#define FRAME_TESTS ((uint64_t)1 << 43)        // called by the jump before the return address: the result says where to go on
#define FRAME_IS_CALLBACK ((uint64_t)1 << 44)  // called by C: the result is for it
#define FRAME_DELTA_MASK ((uint64_t)0xFFFFFFFF)

// How to run the target of a send, in the `extra` word of a cache as a SmallInteger: kind | operand << 8.
// RUN_METHOD (of at most SMALL_FRAME registers): the address of its first instruction. RUN_PRIMITIVE: its entry in the table. RUN_BLOCK: the number of
// arguments.
typedef enum { RUN_METHOD, RUN_LARGE_METHOD, RUN_GETTER, RUN_SETTER, RUN_SELF, RUN_LITERAL, RUN_PRIMITIVE, RUN_BLOCK } RunKind;

// Words of a send site's cache.
enum { CACHE_CLASS, CACHE_TARGET, CACHE_EXTRA, CACHE_SELECTOR, CACHE_WORDS };
#define CACHE_EMPTY oop_from_integer(-1)
#define CACHE_POLYMORPHIC oop_from_integer(-2)  // target: an Array of up to four (class, target, extra)
#define CACHE_MEGAMORPHIC oop_from_integer(-3)  // by the global cache

typedef struct LinkedSite {
  Oop code;
  uint32_t *instruction;
  Oop *cache;
} LinkedSite;

static inline size_t code_registers(Oop code) { return CODE_FIELD(AS(CompiledMethod, code)->header, CODE_REGISTERS_SHIFT, 8); }
static inline size_t code_arguments(Oop code) { return CODE_FIELD(AS(CompiledMethod, code)->header, CODE_ARGUMENTS_SHIFT, 8); }
static inline uint32_t *code_instructions(Oop code) { return (uint32_t *)(void *)object_slots(AS(CompiledMethod, code)->code); }
static inline Oop *code_literals(Oop code) { return object_slots(AS(CompiledMethod, code)->literals); }
static inline bool code_flag(Oop code, int64_t flag) { return (oop_to_integer(AS(CompiledMethod, code)->header) & flag) != 0; }
Oop code_method(Oop code);  // the CompiledMethod that a block lies in; the method itself

// A code address as a word that is no pointer for the collector: its lowest bit is set (so it looks like a SmallInteger or a Float).
static inline Oop ip_to_oop(const uint32_t *ip) { return (Oop)(uintptr_t)ip + 1; }
static inline const uint32_t *oop_to_ip(Oop o) { return (const uint32_t *)(uintptr_t)(o - 1); }
// Words that entering code with so many registers asks for.
static inline size_t frame_words(size_t registers) { return registers > SMALL_FRAME ? registers : SMALL_FRAME; }
// Whether the frame of any code may not begin there. True as well when somebody wants attention.
static inline bool frame_is_beyond(VM *vm, const Oop *frame, size_t registers) {
  return frame + (frame_words(registers) - SMALL_FRAME) > atomic_load_explicit(&vm->stack_limit, memory_order_relaxed);
}
static inline size_t frame_delta(const Oop *fp) { return (size_t)((fp[-3] & FRAME_DELTA_MASK) >> 3); }
static inline Oop *frame_caller(Oop *fp) { return fp - frame_delta(fp); }

// --- interpreter.c
int interpret(VM *vm);
Instruction again_after_collection;                   // how an instruction without an EXT word ends that could not allocate
uint32_t instruction_original(uint32_t instruction);  // the word as compiled, of one that the interpreter may have rewritten

// --- send.c
#define SLOW static __attribute__((noinline))
#define INLINE static inline __attribute__((always_inline))

Instruction instruction_send, instruction_send_wide, instruction_super, instruction_super_wide, instruction_send_method, instruction_send_primitive,
    instruction_send_getter, instruction_send_block;
// Each takes the place of the callee's frame, whose receiver and arguments are filled in.
int send_by_cache(ARGS, Oop *frame, Oop *cache);    // ip is behind the instruction and its EXT
int send_selector(ARGS, Oop *frame, Oop selector);  // by the global cache
int activate(ARGS, Oop *frame, Oop code);           // a method or block, returning to ip
int interject(ARGS, Oop *frame, Oop selector);      // between two instructions; the result is dropped
int ask_boolean(ARGS, Oop *frame);                  // mustBeBoolean for the jump before ip, which goes as the answer says
int enter_slowly(ARGS);                             // at a method's first instruction: grow the stack, or a safepoint
int safepoint(ARGS);                                // between two instructions
int return_value(ARGS, Oop *top, Oop value);        // leaves the frame `top`; also for frames with flags
size_t selector_arguments(Oop selector);
// Whether instances of a class understand a selector by a method that does nothing but ^self, or by one with this primitive.
bool answers_self(VM *vm, uint32_t class_index, Oop selector);
bool runs_primitive(VM *vm, uint32_t class_index, Oop selector, PlainPrimitive primitive);

// Where a slow path puts the frame of what it calls.
static inline Oop *free_frame(Oop *fp) { return fp + code_registers(fp[-1]) + FRAME_HEADER; }

INLINE int send_known_0(ARGS, KnownSelector selector, Oop receiver) {
  Oop *frame = free_frame(fp);
  frame[0] = receiver;
  return send_selector(PASS, frame, vm->selectors[selector]);
}

INLINE int send_known_1(ARGS, KnownSelector selector, Oop receiver, Oop argument) {
  Oop *frame = free_frame(fp);
  frame[0] = receiver;
  frame[1] = argument;
  return send_selector(PASS, frame, vm->selectors[selector]);
}

INLINE int send_known_2(ARGS, KnownSelector selector, Oop receiver, Oop first, Oop second) {
  Oop *frame = free_frame(fp);
  frame[0] = receiver;
  frame[1] = first;
  frame[2] = second;
  return send_selector(PASS, frame, vm->selectors[selector]);
}

// Tells the running process something between two instructions; unary selectors ignore the argument.
INLINE int interject_known(ARGS, KnownSelector selector, Oop receiver, Oop argument) {
  Oop *frame = free_frame(fp);
  frame[0] = receiver;
  frame[1] = argument;
  return interject(PASS, frame, vm->selectors[selector]);
}

// --- context.c
Oop context_of_frame(VM *vm, Oop process, Oop *fp, Oop after);  // OOP_NONE: needs collection. `after`: a younger context, or OOP_NONE
void contexts_kill_in(VM *vm, Oop process, int64_t frame);      // contexts of a process's frames that many words from its stack's base and above
void contexts_kill(VM *vm, Oop *fp);                            // all contexts of frames at or above fp (younger or equal) in the running process
Oop *context_frame(VM *vm, Oop context);                        // NULL when the frame has gone
Instruction instruction_return_nonlocal;
void context_primitives_register(VM *vm);

// --- process.c
// The words of the running stack up to `top` are in use.
static inline void stack_note_top(VM *vm, const Oop *top) {
  if (top > vm->stack_end) top = vm->stack_end;
  vm->stack_base[0] = oop_from_integer(top - vm->stack_base);
}

// Writes the machine state where the collector and others find it.
static inline void vm_save_state(VM *vm, const uint32_t *ip, Oop *fp, Oop *k) {
  ProcessObject *process = AS(Process, vm->process);
  vm->ip = ip;
  vm->fp = fp;
  vm->k = k;
  if (!(object_header(process->stack) & HEADER_REMEMBERED)) heap_remember(vm->heap, process->stack);
  process->frame = oop_from_integer(fp - vm->stack_base);
  process->pc = ip_to_oop(ip);
  stack_note_top(vm, fp + code_registers(fp[-1]));
}
void process_primitives_register(VM *vm);
void stack_reset_limit(VM *vm, const Oop *fp);  // the running frame being fp
bool stack_overflows(VM *vm, const Oop *top);   // whether a frame that ends at top is the first to leave too little
bool stack_grow(VM *vm, size_t words);          // at least so many more words; vm->fp moves. False: not possible now
void process_load(VM *vm, Oop process);         // makes it the running one
void process_unload(VM *vm);                    // writes the running one's state into its Process
int process_switch(VM *vm);                     // loads the best ready process, waiting when there is none, unless it must run on another thread. A RUN_ status
void vm_run_thread(VM *vm);                     // what a thread of the pool does when the VM has been handed to it
void process_make_ready(VM *vm, Oop process, bool at_front);
// When the heap's limit keeps the running stack from growing: what signalling StackOverflow needs, and no more. False: not possible.
bool stack_grow_for_handler(VM *vm, size_t words);
// The running process ends at once, without unwinding: its state is saved, a report is printed. As process_finish; the exit code of the main one is 1.
int process_abandon(VM *vm, const char *why);
int process_finish(VM *vm);                      // the running process has returned from its first frame
int scheduler_attention(VM *vm, uint32_t bits);  // timers and preemption at a safepoint
struct Call;
void scheduler_serve_before(VM *vm, struct Call *call);  // the same for the running process that is about to enter C, but nobody preempts it
Scheduler *scheduler_new(void);
void scheduler_free(Scheduler *scheduler);
bool scheduler_await_input(VM *vm, int fd);  // sleeps until there is input or its end; false: the user has interrupted

// --- calls.c
int calls_answer_callback(ARGS, Oop *top, Oop value);  // the frame `top`, which C has called, returns

// What a helper that needs memory does: saves the state, collects, and answers whether to go on.
// `top`: end of the words in use, or NULL for the end of the frame's registers. vm->fp is the frame afterwards.
bool collect_at(VM *vm, const uint32_t *ip, Oop *fp, Oop *k, Oop *top, size_t bytes);

#endif
