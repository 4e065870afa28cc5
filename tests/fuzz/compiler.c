// Fuzzes the compiler and the builder behind it: any bytes as a method and as a doit. What compiles must pass the verifier, and be listed.
//
// The first byte chooses the mode. One VM with the standard image serves many runs; it is replaced now and then, since symbols stay.
#include "ffi/foreign.h"
#include "image/builder.h"
#include "image/launch.h"
#include "image/snapshot.h"
#include "tests/fuzz/fuzz.h"
#include "vm/interpreter.h"
#include "vm/verifier.h"

enum { RUNS_OF_A_VM = 20000 };

static VM *vm;
static Oop class;
static unsigned runs;

static void open_vm(void) {
  static const Launch launch = {.kind = "resume"};
  size_t length;
  const uint8_t *image = fuzz_image(&length);
  if ((vm = vm_new(NULL)) == NULL) abort();
  launch_register(vm, &launch);
  snapshot_register(vm);
  foreign_register(vm);
  if (snapshot_load(vm, image, length, true) != NULL) abort();
  class = AS(Binding, global_binding(vm, "OrderedCollection", 17))->value;
  runs = 0;
}

static void check_code(Oop code) {
  const char *wrong = verify_code(vm, code);
  if (wrong != NULL) {
    fprintf(stderr, "the verifier refuses what was compiled: %s\n%s", wrong, code_disassemble(vm, code));
    abort();
  }
  Oop k = AS(CompiledMethod, code)->literals;
  for (size_t i = CACHE_WORDS * CODE_FIELD(AS(CompiledMethod, code)->header, CODE_SITES_SHIFT, 16); i < object_size(k); i++) {
    Oop o = object_slots(k)[i];
    if (class_index_of(o) == CLASS_BlockClosure) o = AS(BlockClosure, o)->code;
    if (class_index_of(o) == CLASS_CompiledBlock) check_code(o);
  }
}

static void compile_and_check(Text source, CompileMode mode) {
  Origin origin = {.file = "fuzz", .line = 1};
  Compilation *r = builder_compile(vm, class, source, origin, mode);
  if ((r->code == NULL) != (r->error_count > 0)) abort();
  for (size_t i = 0; i < r->error_count; i++)
    if (r->errors[i].line == 0 || r->errors[i].column == 0 || r->errors[i].message == NULL) abort();
  Oop method = r->code == NULL ? OOP_NONE : builder_method(vm, class, r, origin, "fuzz");
  if (method != OOP_NONE) {
    check_code(method);
    free(code_disassemble(vm, method));
  }
  compilation_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const CompileMode modes[] = {COMPILE_METHOD, COMPILE_DOIT, COMPILE_CUIS_CHUNK};
  if (size == 0) return 0;
  if (vm == NULL) open_vm();
  compile_and_check((Text){(const char *)data + 1, size - 1}, modes[data[0] % 3]);
  if (heap_wants_full(vm->heap)) vm_collect(vm, 0);
  if (++runs < RUNS_OF_A_VM) return 0;
  vm_free(vm);
  vm = NULL;
  return 0;
}
