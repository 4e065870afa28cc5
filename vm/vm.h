// The VM's state, in one struct: nothing of it lives outside, so that any native thread may own it.
//
// Layers inside vm, from the ground up: platform, object, heap, symbol, class, process, primitives, interpreter.
#ifndef BATON_VM_VM_H
#define BATON_VM_VM_H

#include "vm/heap.h"
#include "vm/layouts.h"
#include <errno.h>

#define BATON_VERSION "0.1"

typedef struct VM VM;
struct Request;

// --- primitives
//
// A plain primitive gets the address of the receiver; arguments follow it. It answers the result, or OOP_NONE after setting
// vm->failure. It never collects: when an allocation answers OOP_NONE it answers primitive_fail(vm, FAIL_NEEDS_COLLECTION) before it
// has changed anything, and is run again after a collection (args then hold the moved oops).
typedef Oop (*PlainPrimitive)(VM *vm, Oop *args);

// A control primitive is an instruction: it runs with its method's frame set up (see vm/interpreter.h).
typedef int (*ControlPrimitive)(VM *vm, const uint32_t *ip, Oop *fp, Oop *k);

typedef enum {
#define REASON(name, text) FAIL_##name,
#include "vm/reasons.def"
#undef REASON
  FAIL_LIMIT
} FailureReason;

typedef struct {
  const char *name;          // as in <primitive: #name>
  int arguments;             // besides the receiver; -1: any
  PlainPrimitive plain;      // NULL for one that steers processes or frames
  ControlPrimitive control;  // such a one, else NULL
  bool collects;             // a plain one that may collect: args stay at their place in the stack, the oops there may change
} PrimitiveEntry;

// --- selectors the VM sends or tests
typedef enum {
#define SELECTOR(name, text) SELECTOR_##name,
#include "vm/selectors.def"
#undef SELECTOR
  SELECTOR_LIMIT
} KnownSelector;

enum { GLOBAL_CACHE_SIZE = 4096 };  // a power of two

typedef struct {
  uint32_t class_index;
  Oop selector;
  Oop method;
  uint64_t extra;  // how to run it (vm/interpreter.h)
} GlobalCacheEntry;

typedef struct SymbolTable SymbolTable;
typedef struct Scheduler Scheduler;

// Bytes of standard input that nobody has taken yet: from start to end.
typedef struct {
  char *bytes;
  size_t start, end, capacity;
  bool ended;
} Input;

struct VM {
  Heap *heap;
  // the running process, valid at safepoints (the interpreter keeps ip and fp in registers between them)
  Oop process;                 // the active Process
  Oop *stack_base;             // first word of its stack's body
  _Atomic(Oop *) stack_limit;  // a frame may not reach beyond; 0 when the next method entry must be a safepoint
  Oop *stack_end;              // the true limit
  Oop *fp;
  const uint32_t *ip;
  Oop *k;  // literal frame of the running code
  FailureReason failure;
  uint64_t needed_bytes;  // with FAIL_NEEDS_COLLECTION
  Oop *class_table;       // classes by index; OOP_NIL where free
  uint32_t class_count;   // indexes in use, plus one
  uint32_t class_capacity;
  SymbolTable *symbols;
  Oop selectors[SELECTOR_LIMIT];
  Oop reasons[FAIL_LIMIT];  // symbols
  Oop smalltalk;            // the SystemDictionary
  Oop processor;            // the ProcessorScheduler
  Oop timers;               // Array used as a heap by wakeTime
  Oop timer_count;
  Oop character_symbols;  // Array of the 256 one-character symbols, or nil
  const PrimitiveEntry **primitives;
  int16_t *primitives_by_name;  // a hash table of their indexes; -1: free
  uint32_t primitive_count, primitive_places;
  GlobalCacheEntry *global_cache;
  _Atomic uint32_t attention;  // bits that ask the owner to look up at the next safepoint
  Scheduler *scheduler;
  struct Ownership *ownership;  // vm/ownership.h
  struct Thread *thread;        // the owner
  struct LinkedSite *linked;    // send sites whose inline cache is filled
  size_t linked_count, linked_capacity;
  Oop main_process;  // vm_run returns when it ends
  // command line
  int argument_count;
  char **arguments;  // those after the script or image
  char *program;     // argv[0]
  int exit_code;
  bool proxies;  // some class overrides class, isNil or notNil: the instructions for them send

  bool exiting, ended;
  size_t max_stack_words;
  bool handles_overflow;  // the running process has been told of a stack overflow and has not unwound yet
  void *locale;           // a locale_t with UTF-8, for the case of letters
  Input input;
  int os_error;       // errno of the last primitive that failed with osError
  const char *texts;  // method sources of the image (image/snapshot.c)
  size_t texts_length;
  char *texts_owned;                                         // the same if malloced
  void (*foreign_request)(VM *vm, struct Request *request);  // of a thread that the VM did not make
  size_t foreign_entries;                                    // callbacks that C may call: while there are any, something may happen though every process waits
  void *image_services;                                      // what the image layer hangs here for its primitives
  void *foreign;                                             // what the C interface hangs here, and how to free it: first no thread may use it any more
  void (*foreign_close)(VM *vm);
  void (*foreign_free)(VM *vm);
  void (*foreign_roots)(VM *vm, RootVisitor visit, void *context);
  int64_t session;  // another number, above 0, in each run of the program: what holds addresses of C keeps it beside them
};

// COLLECT: a full collection that was put off; REQUEST: from other threads; REPORT: what the calls in flight are, to standard error.
enum { ATTENTION_INTERRUPT = 1, ATTENTION_TIMER = 2, ATTENTION_PREEMPT = 4, ATTENTION_COLLECT = 8, ATTENTION_REQUEST = 16, ATTENTION_REPORT = 32 };

static inline Oop primitive_fail(VM *vm, FailureReason reason) {
  vm->failure = reason;
  return OOP_NONE;
}
// After a system call: errno says why.
static inline Oop primitive_fail_os(VM *vm) {
  vm->os_error = errno;
  return primitive_fail(vm, FAIL_OS_ERROR);
}
// When heap_allocate answered OOP_NONE.
static inline Oop primitive_needs_collection(VM *vm) {
  vm->needed_bytes = heap_shortage(vm->heap);
  return primitive_fail(vm, FAIL_NEEDS_COLLECTION);
}

// Adds primitives to the table (each folder registers its own); names must be new. Index by name: -1 if there is none.
void primitives_register(VM *vm, const PrimitiveEntry *entries, size_t count);
int primitives_index(const VM *vm, const char *name, size_t length);

void integer_primitives_register(VM *vm);
void float_primitives_register(VM *vm);
void hashing_primitives_register(VM *vm);
void object_primitives_register(VM *vm);
void string_primitives_register(VM *vm);
void system_primitives_register(VM *vm);

// --- symbols (vm/symbol.c): the table is owned by the VM; symbols live in old space
SymbolTable *symbol_table_new(void);
void symbol_table_free(SymbolTable *table);
Oop symbol_intern(VM *vm, const char *utf8, size_t length);  // OOP_NONE: needs collection
Oop symbol_find(VM *vm, const char *utf8, size_t length);    // OOP_NONE: no such symbol
void symbol_table_rebuild_add(VM *vm, Oop symbol);           // image loading: enters an existing symbol
void symbol_each(VM *vm, void (*visit)(void *context, Oop *symbol), void *context);
int symbol_argument_count(Oop symbol);                              // as a selector: colons, or 1 for a binary one
Oop string_from_utf8(VM *vm, const char *utf8, size_t length);      // a new String or WideString; OOP_NONE: needs collection
Oop string_from_utf8_old(VM *vm, const char *utf8, size_t length);  // the same in old space
size_t utf8_valid_length(const char *text, size_t length);          // how many bytes of the text are UTF-8, up to the first that is not
// A string's text as UTF-8 in malloced memory, NUL-terminated; NULL if o is no string.
char *string_to_utf8(Oop o, size_t *length);
// A String, WideString, Symbol or WideSymbol.
static inline bool is_string(Oop o) {
  _Static_assert(CLASS_WideString == CLASS_String + 1 && CLASS_Symbol == CLASS_String + 2 && CLASS_WideSymbol == CLASS_String + 3,
                 "string classes lie together");
  return class_index_of(o) - CLASS_String <= CLASS_WideSymbol - CLASS_String;
}
uint32_t string_code_point(Oop string, size_t i);  // i from 0; must be a string and in bounds
uint64_t string_hash(Oop string);                  // equal for equal characters

// --- classes (vm/class.c)
static inline Oop class_at(const VM *vm, uint32_t index) { return vm->class_table[index]; }
static inline Oop class_of(const VM *vm, Oop o) { return vm->class_table[class_index_of(o)]; }
uint32_t class_register(VM *vm, Oop behavior);                                 // gives it the next class index, stored in its `index` slot
Oop class_lookup(VM *vm, Oop behavior, Oop selector);                          // the method, or OOP_NONE; walks the superclasses
Oop method_dictionary_at(Oop dictionary, Oop selector);                        // OOP_NONE if absent
bool method_dictionary_put(VM *vm, Oop dictionary, Oop selector, Oop method);  // false: needs collection
bool method_dictionary_remove(VM *vm, Oop dictionary, Oop selector);           // false if it was not there
Oop method_dictionary_new(VM *vm, size_t capacity);
Oop global_binding(VM *vm, const char *name, size_t length);            // the Binding in Smalltalk, or OOP_NONE
Oop global_define(VM *vm, const char *name, size_t length, Oop value);  // makes or changes it; answers the Binding; OOP_NONE: needs collection
void caches_flush(VM *vm);                                              // all inline caches and the global cache
void caches_flush_selector(VM *vm, Oop selector);

// --- the VM
typedef struct {
  size_t eden_bytes, max_heap_bytes, max_stack_words;
  uint32_t max_calls;              // of C at once; 0: default
  int64_t heartbeat_microseconds;  // 0: default; negative: no heartbeat
} VMOptions;
VM *vm_new(const VMOptions *options);  // an empty VM: heap, tables, primitives of this folder; NULL with errno on failure
bool vm_free(VM *vm);                  // false: some thread is still in C, so nothing was freed
bool vm_intern_names(VM *vm);          // fills selectors and reasons from the symbol table, making what is missing. False: no memory
// Runs until the given process ends or the VM is told to exit; answers the exit code.
int vm_run(VM *vm);
// Makes a process that will send `selector` (unary) to receiver, ready to run at the given priority. OOP_NONE: needs collection.
Oop vm_spawn(VM *vm, Oop receiver, Oop selector, int priority);
// The same at the usual priority, collecting when there is no room; only where no oop but these old ones is in a C variable. False: impossible.
bool vm_spawn_main(VM *vm, Oop receiver, Oop selector);
// Collects garbage; only where no oop is in a C variable. False: out of memory.
bool vm_collect(VM *vm, size_t bytes);
void vm_print_backtrace(VM *vm, Oop process, FILE *out);
void vm_interrupt(VM *vm);       // async-signal-safe: the user's Ctrl-C
void vm_request_report(VM *vm);  // async-signal-safe: prints the calls in flight to standard error at the next safepoint
// The reserve for handling OutOfMemory is used up: says so with a backtrace and ends the program with exit code 1.
_Noreturn void vm_out_of_memory(VM *vm);
_Noreturn void vm_fatal(VM *vm, const char *message);  // a bug in the VM: report with all stacks, abort

#endif
