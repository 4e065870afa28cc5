// Making and freeing a VM, its roots, and the report when it has a bug.
#include "vm/interpreter.h"
#include "vm/ownership.h"
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#if defined(BATON_STRESS)
enum { MAX_STACK_WORDS = 64 << 10 };  // each of the many collections scans the stack
#else
enum { MAX_STACK_WORDS = 8 << 20 };
#endif

static void visit_symbol(void *context, Oop *symbol) {
  void **pair = context;
  ((RootVisitor)pair[0])(pair[1], symbol);
}

// Symbols, and so the selectors and reasons, are always old.
static void enumerate_roots(void *owner, bool young_only, RootVisitor visit, void *context) {
  VM *vm = owner;
  Oop *single[] = {&vm->process, &vm->main_process, &vm->smalltalk, &vm->processor, &vm->timers, &vm->character_symbols};
  for (size_t i = 0; i < sizeof single / sizeof *single; i++) visit(context, single[i]);
  for (uint32_t i = 1; i < vm->class_count; i++) visit(context, &vm->class_table[i]);
  calls_enumerate_roots(vm, visit, context);
  if (vm->foreign_roots != NULL) vm->foreign_roots(vm, visit, context);
  if (young_only) return;
  for (size_t i = 0; i < SELECTOR_LIMIT; i++) visit(context, &vm->selectors[i]);
  for (size_t i = 0; i < FAIL_LIMIT; i++) visit(context, &vm->reasons[i]);
  void *pair[2] = {(void *)(uintptr_t)visit, context};
  symbol_each(vm, visit_symbol, pair);
}

// Cached methods may die in the collection; those in inline caches are held by their code.
static void before_full(void *owner) {
  VM *vm = owner;
  memset(vm->global_cache, 0, GLOBAL_CACHE_SIZE * sizeof(GlobalCacheEntry));
}

static void after_full(void *owner) {
  VM *vm = owner;
  size_t kept = 0;
  for (size_t i = 0; i < vm->linked_count; i++)
    if (heap_is_live(vm->heap, vm->linked[i].code)) vm->linked[kept++] = vm->linked[i];
  vm->linked_count = kept;
}

bool vm_intern_names(VM *vm) {
  static const char *const selectors[] = {
#define SELECTOR(name, text) text,
#include "vm/selectors.def"
#undef SELECTOR
  };
  static const char *const reasons[] = {
#define REASON(name, text) text,
#include "vm/reasons.def"
#undef REASON
  };
  for (size_t i = 0; i < SELECTOR_LIMIT; i++)
    if ((vm->selectors[i] = symbol_intern(vm, selectors[i], strlen(selectors[i]))) == OOP_NONE) return false;
  for (size_t i = 0; i < FAIL_LIMIT; i++)
    if ((vm->reasons[i] = symbol_intern(vm, reasons[i], strlen(reasons[i]))) == OOP_NONE) return false;
  return true;
}

static Oop class_for_heap(void *owner, uint32_t index) {
  VM *vm = owner;
  return index < vm->class_count ? vm->class_table[index] : OOP_NIL;
}

static bool calls_are_in_flight(void *owner) { return ((VM *)owner)->ownership->in_flight_count > 0; }

static Heap *make_heap(VM *vm, const VMOptions *options) {
  HeapOptions o = {.eden_bytes = options->eden_bytes,
                   .max_heap_bytes = options->max_heap_bytes,
                   .roots = enumerate_roots,
                   .class_at = class_for_heap,
                   .before_full = before_full,
                   .after_full = after_full,
                   .defers_full = calls_are_in_flight,
                   .owner = vm};
  return heap_new(&o);
}

static void nil_roots(VM *vm) {
  vm->process = vm->main_process = vm->smalltalk = vm->processor = vm->timers = vm->character_symbols = OOP_NIL;
  vm->timer_count = oop_from_integer(0);
  for (size_t i = 0; i < SELECTOR_LIMIT; i++) vm->selectors[i] = OOP_NIL;
  for (size_t i = 0; i < FAIL_LIMIT; i++) vm->reasons[i] = OOP_NIL;
}

static int64_t new_session(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  uint64_t n = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + ((uint64_t)getpid() << 40);
  return (int64_t)(n & (uint64_t)SMALL_INTEGER_MAX) | 1;
}

VM *vm_new(const VMOptions *options) {
  static const VMOptions defaults = {0};
  if (options == NULL) options = &defaults;
  VM *vm = calloc(1, sizeof *vm);
  if (vm == NULL) return NULL;
  nil_roots(vm);
  vm->class_count = 1;
  vm->session = new_session();
  vm->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
  vm->max_stack_words = options->max_stack_words != 0 ? options->max_stack_words : MAX_STACK_WORDS;
  vm->global_cache = calloc(GLOBAL_CACHE_SIZE, sizeof(GlobalCacheEntry));
  vm->scheduler = scheduler_new();
  vm->symbols = symbol_table_new();
  OwnershipOptions ownership = {.max_calls = options->max_calls, .heartbeat_microseconds = options->heartbeat_microseconds};
  bool made = vm->global_cache != NULL && vm->scheduler != NULL && vm->symbols != NULL && vm->locale != NULL && ownership_open(vm, &ownership);
  if (!made || (vm->heap = make_heap(vm, options)) == NULL) {
    vm_free(vm);
    errno = ENOMEM;
    return NULL;
  }
  integer_primitives_register(vm);
  float_primitives_register(vm);
  object_primitives_register(vm);
  hashing_primitives_register(vm);
  string_primitives_register(vm);
  system_primitives_register(vm);
  context_primitives_register(vm);
  process_primitives_register(vm);
  calls_primitives_register(vm);
  if (!vm_intern_names(vm)) {
    vm_free(vm);
    errno = ENOMEM;
    return NULL;
  }
  return vm;
}

bool vm_free(VM *vm) {
  if (vm == NULL) return true;
  if (vm->foreign_close != NULL) vm->foreign_close(vm);
  if (!ownership_close(vm)) return false;
  if (vm->foreign_free != NULL) vm->foreign_free(vm);
  if (vm->scheduler != NULL) scheduler_free(vm->scheduler);
  if (vm->heap != NULL) heap_free(vm->heap);
  if (vm->symbols != NULL) symbol_table_free(vm->symbols);
  if (vm->locale != NULL) freelocale((locale_t)vm->locale);
  free(vm->input.bytes);
  free(vm->texts_owned);
  free(vm->global_cache);
  free(vm->class_table);
  free(vm->primitives);
  free(vm->primitives_by_name);
  free(vm->linked);
  free(vm);
  return true;
}

static void print_selector(FILE *out, Oop selector) {
  size_t length;
  char *text = is_pointer(selector) && selector != OOP_NONE ? string_to_utf8(selector, &length) : NULL;
  fputs(text == NULL ? "?" : text, out);
  free(text);
}

static void print_class(VM *vm, Oop class, FILE *out) {
  if (class_index_of(class) == CLASS_Metaclass) {
    print_selector(out, AS(Class, AS(Metaclass, class)->thisClass)->name);
    fputs(" class", out);
  } else if (is_pointer(class) && class != OOP_NONE) {
    print_selector(out, AS(Class, class)->name);
  }
  (void)vm;
}

static void print_frame(VM *vm, const Oop *fp, FILE *out) {
  Oop method = code_method(fp[-1]);
  bool block = method != fp[-1];
  fputs(block ? "  [] in " : "  ", out);
  print_class(vm, AS(CompiledMethod, method)->methodClass, out);
  fputs(">>", out);
  print_selector(out, AS(CompiledMethod, method)->selector);
  fputc('\n', out);
}

void vm_print_backtrace(VM *vm, Oop process, FILE *out) {
  enum { SHOWN = 100 };
  if (AS(Process, process)->stack == OOP_NIL) return;
  Oop *base = process == vm->process ? vm->stack_base : object_slots(AS(Process, process)->stack);
  Oop *fp = process == vm->process ? vm->fp : base + oop_to_integer(AS(Process, process)->frame);
  for (int i = 0; i < SHOWN; i++, fp = frame_caller(fp)) {
    print_frame(vm, fp, out);
    if (fp[-3] & FRAME_IS_BASE) return;
  }
  fputs("  ...\n", out);
}

void vm_out_of_memory(VM *vm) {
  fputs("baton: out of memory, and the reserve for handling that is used up\n", stderr);
  if (vm->process != OOP_NIL) vm_print_backtrace(vm, vm->process, stderr);
  exit(1);
}

void vm_fatal(VM *vm, const char *message) {
  fprintf(stderr, "baton: internal error: %s\n", message);
  if (vm != NULL && vm->process != OOP_NIL) vm_print_backtrace(vm, vm->process, stderr);
  abort();
}
