// Runs the unit tests: unit [--write-golden]. Check's environment variables work: CK_RUN_SUITE, CK_RUN_CASE, CK_VERBOSITY.
//
// Check runs each test in a process of its own, so a crash fails one test. With CK_FORK=no all run in this one, one VM after the other,
// which the collector allows: what belonged to a VM that has been freed is garbage in the next full collection. Only one VM may be open at a
// time, since Boehm's callbacks know one heap. The sanitizer builds are tested that way: forks are slow there.
#include <stdlib.h>

#include "ffi/foreign.h"
#include "image/launch.h"
#include "image/snapshot.h"
#include "tests/unit/unit.h"

VM *vm;
const char *build_directory = "build";

enum { STRESS_GRANT = 256 << 10 };

char *read_file(const char *path, size_t *length) {
  FILE *in = fopen(path, "rb");
  if (in == NULL) return NULL;
  fseek(in, 0, SEEK_END);
  long size = ftell(in);
  rewind(in);
  char *text = size < 0 ? NULL : malloc((size_t)size + 1);
  *length = text == NULL ? 0 : fread(text, 1, (size_t)size, in);
  if (text != NULL) text[*length] = 0;
  fclose(in);
  return text;
}

Oop young_object(Heap *heap, uint32_t class_index, Format format, size_t words) {
  Oop o = heap_allocate(heap, class_index, format, words);
  ck_assert_msg(o != OOP_NONE, "there is no room for a test's object");
  return o;
}

// Fixtures also run outside of a test, when listings are written.
static void must(bool good, const char *what) {
  if (good) return;
  fprintf(stderr, "unit: %s\n", what);
  abort();
}

void open_vm(void) {
  static const Launch launch = {.kind = "resume"};
  vm = vm_new(NULL);
  must(vm != NULL, "no memory for a VM");
  launch_register(vm, &launch);
  snapshot_register(vm);
  foreign_register(vm);
  heap_make_room(vm->heap, STRESS_GRANT);
}

void close_vm(void) {
  vm_free(vm);
  vm = NULL;
}

// --- the known classes

static const struct {
  const char *name, *superclass;
  Format format;
  size_t slots;
} known_classes[] = {
    {NULL, NULL, FORMAT_FIXED, 0},
#define CLASS(name, superclass, format) {#name, #superclass, FORMAT_##format, NAMED_SLOTS(name)},
#define SLOT(name)
#define INHERITED(name)
#define END(name)
#include "vm/layouts.def"
#undef CLASS
#undef SLOT
#undef INHERITED
#undef END
};

static Oop symbol_named(const char *text) { return symbol_intern(vm, text, strlen(text)); }

static Oop make_class(uint32_t index, const char *name, Format format, size_t slots) {
  Oop class = heap_allocate_old(vm->heap, CLASS_Class, FORMAT_FIXED, NAMED_SLOTS(Class));
  AS(Class, class)->name = symbol_named(name);
  AS(Class, class)->layout = oop_from_integer((int64_t)slots | (int64_t)format << 16);
  AS(Class, class)->methodDictionary = method_dictionary_new(vm, 4);
  must(class_register(vm, class) == index, "a class has another index");
  return class;
}

Oop probe_class(void) { return AS(Binding, global_binding(vm, "Probe", 5))->value; }

static void make_probe_class(void) {
  Oop class = make_class(vm->class_count, "Probe", FORMAT_FIXED, 2);
  Oop names = heap_allocate_old(vm->heap, CLASS_Array, FORMAT_INDEXABLE, 2);
  object_slots(names)[0] = symbol_named("first");
  object_slots(names)[1] = symbol_named("second");
  AS(Class, class)->instanceVariables = names;
  global_define(vm, "Probe", 5, class);
}

void open_classes(void) {
  open_vm();
  vm->smalltalk = heap_allocate_old(vm->heap, CLASS_SystemDictionary, FORMAT_FIXED, NAMED_SLOTS(SystemDictionary));
  AS(SystemDictionary, vm->smalltalk)->bindings = method_dictionary_new(vm, 64);
  for (uint32_t i = 1; i < CLASS_KNOWN_LIMIT; i++) {
    const char *name = known_classes[i].name;
    global_define(vm, name, strlen(name), make_class(i, name, known_classes[i].format, known_classes[i].slots));
  }
  make_probe_class();
}

void open_image(void) {
  char path[4096];
  snprintf(path, sizeof path, "%s/standard.image", build_directory);
  size_t length;
  char *bytes = read_file(path, &length);
  must(bytes != NULL, path);
  open_vm();
  const char *wrong = snapshot_load(vm, (const uint8_t *)bytes, length, true);
  must(wrong == NULL, wrong);
  free(bytes);
}

// --- running

static void find_build_directory(const char *program) {
  const char *slash = strrchr(program, '/');
  if (slash == NULL) return;
  char *copy = strdup(program);
  copy[slash - program] = 0;
  build_directory = copy;
}

int main(int argc, char **argv) {
  Suite *(*const suites[])(void) = {object_suite, heap_suite,     symbol_suite, class_suite,    opcodes_suite, verifier_suite, lexer_suite,
                                    parser_suite, compiler_suite, tonel_suite,  snapshot_suite, ffi_suite,     calls_suite};
  find_build_directory(argv[0]);
  if (argc > 1 && strcmp(argv[1], "--write-golden") == 0) return golden_write();
  SRunner *runner = srunner_create(suites[0]());
  for (size_t i = 1; i < sizeof suites / sizeof *suites; i++) srunner_add_suite(runner, suites[i]());
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
