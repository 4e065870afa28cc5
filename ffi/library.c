// Plain primitives that find code: libraries, their symbols, and functions made ready to be called.
//
// A library's handle is what dlopen answered. Symbols are looked up only in libraries that this VM has opened, since dlsym believes whatever
// it is given. Addresses and handles hold in one session: CFunctions keep the session's number beside them.
#include "ffi/foreign.h"
#include "vm/layouts.h"
#include "vm/primitives.h"
#include <dlfcn.h>
#include <stdlib.h>

// Text of a string argument, malloced; NULL with the failure set.
static char *text_argument(VM *vm, Oop o) {
  size_t length;
  char *text = string_to_utf8(o, &length);
  vm->failure = !is_string(o) ? FAIL_BAD_ARGUMENT : text == NULL ? FAIL_OUT_OF_MEMORY : FAIL_NUL_IN_STRING;
  if (text == NULL || memchr(text, 0, length) == NULL) return text;
  free(text);
  return NULL;
}

static Oop fail_with_dlerror(VM *vm) {
  Foreign *foreign = foreign_of(vm);
  const char *text = dlerror();
  free(foreign->library_error);
  foreign->library_error = strdup(text == NULL ? "the symbol has no address" : text);
  return primitive_fail(vm, FAIL_NOT_FOUND);
}

static bool is_open(const Foreign *foreign, const void *library) {
  for (size_t i = 0; i < foreign->library_count; i++)
    if (foreign->libraries[i] == library) return true;
  return false;
}

static bool note_library(Foreign *foreign, void *library) {
  if (is_open(foreign, library)) return true;
  void **more = realloc(foreign->libraries, (foreign->library_count + 1) * sizeof *more);
  if (more == NULL) return false;
  foreign->libraries = more;
  more[foreign->library_count++] = library;
  return true;
}

static Oop library_open(VM *vm, Oop *args) {
  char *path = NULL;
  if (args[1] != OOP_NIL && (path = text_argument(vm, args[1])) == NULL) return OOP_NONE;
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  free(path);
  if (library == NULL) return fail_with_dlerror(vm);
  if (!note_library(foreign_of(vm), library)) return primitive_fail(vm, FAIL_OUT_OF_MEMORY);
  return oop_from_integer((int64_t)(intptr_t)library);
}

static Oop library_symbol(VM *vm, Oop *args) {
  if (!is_integer(args[1])) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  void *library = (void *)(intptr_t)oop_to_integer(args[1]);
  if (!is_open(foreign_of(vm), library)) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  char *name = text_argument(vm, args[2]);
  if (name == NULL) return OOP_NONE;
  void *address = dlsym(library, name);
  free(name);
  return address == NULL ? fail_with_dlerror(vm) : integer_object(vm, (uintptr_t)address, false);
}

static Oop library_error(VM *vm, Oop *args) {
  (void)args;
  const char *text = foreign_of(vm)->library_error;
  return value_string(vm, text == NULL ? "" : text, text == NULL ? 0 : strlen(text));
}

// --- functions

static bool read_kind(Oop o, FunctionKind *out) {
  static const char *const names[] = {[FUNCTION_DEFAULT] = "default", [FUNCTION_FAST] = "fast", [FUNCTION_MAIN] = "main", [FUNCTION_DETACHABLE] = "detachable"};
  *out = FUNCTION_DEFAULT;
  if (o == OOP_NIL) return true;
  char *text = string_to_utf8(o, NULL);
  bool found = false;
  for (size_t i = 0; text != NULL && i < sizeof names / sizeof *names; i++)
    if (strcmp(text, names[i]) == 0) {
      *out = (FunctionKind)i;
      found = true;
    }
  free(text);
  return found;
}

static bool is_byte_array(Oop o) { return is_pointer(o) && class_index_of(o) == CLASS_ByteArray; }

static Oop function_prepare_(VM *vm, Oop *args) {
  uint64_t address;
  bool negative;
  FunctionKind kind;
  ForeignFunction *f;
  if (!is_kind_of(vm, args[0], CLASS_CFunction) || !read_kind(AS(CFunction, args[0])->kind, &kind)) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!is_byte_array(args[1]) || !integer_magnitude(args[2], &address, &negative) || negative || address == 0) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  char *name = text_argument(vm, args[3]);
  if (name == NULL) return OOP_NONE;
  FailureReason reason = function_prepare(vm, object_bytes(args[1]), object_element_count(args[1]), (void *)(uintptr_t)address, kind, name, &f);
  free(name);
  if (reason != FAIL_NONE) return primitive_fail(vm, reason);
  heap_store(vm->heap, args[0], SLOT_OF(CFunction, address), args[2]);
  heap_store(vm->heap, args[0], SLOT_OF(CFunction, handle), function_handle(f));
  heap_store(vm->heap, args[0], SLOT_OF(CFunction, session), oop_from_integer(vm->session));
  return args[0];
}

// The number of this run of the VM: what holds addresses of another one is out of date.
static Oop session(VM *vm, Oop *args) {
  (void)args;
  return oop_from_integer(vm->session);
}

void library_primitives_register(VM *vm) {
  static const PrimitiveEntry entries[] = {
      {"libraryOpen", 1, library_open, NULL, false},   {"librarySymbol", 2, library_symbol, NULL, false},      {"foreignSession", 0, session, NULL, false},
      {"libraryError", 0, library_error, NULL, false}, {"functionPrepare", 3, function_prepare_, NULL, false},
  };
  primitives_register(vm, entries, sizeof entries / sizeof *entries);
}
