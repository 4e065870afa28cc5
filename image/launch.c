// Primitives that need the compiler, and the launch that main hands to the image.
#include "image/launch.h"
#include "image/builder.h"
#include "vm/interpreter.h"
#include <stdlib.h>

static Oop text_or_nil(VM *vm, const char *text, size_t length) { return text == NULL ? OOP_NIL : string_from_utf8(vm, text, length); }

static Oop text_array(VM *vm, char **texts, int count) {
  Oop array = heap_allocate(vm->heap, CLASS_Array, FORMAT_INDEXABLE, (size_t)count);
  for (int i = 0; i < count && array != OOP_NONE; i++) {
    Oop s = string_from_utf8(vm, texts[i], strlen(texts[i]));
    if (s == OOP_NONE) return OOP_NONE;
    heap_store(vm->heap, array, (size_t)i, s);
  }
  return array;
}

static Oop system_launch(VM *vm, Oop *args) {
  (void)args;
  const Launch *l = vm->image_services;
  if (l == NULL) return primitive_fail(vm, FAIL_BAD_STATE);
  Oop kind = symbol_intern(vm, l->kind, strlen(l->kind));
  Oop source = l->words != NULL ? text_array(vm, l->words, l->word_count) : text_or_nil(vm, l->source, l->source_length);
  // what is short is that of the last allocation: none may follow one that failed, least of all that of a long source
  if (kind == OOP_NONE || source == OOP_NONE) return primitive_needs_collection(vm);
  Oop file = text_or_nil(vm, l->file, l->file == NULL ? 0 : strlen(l->file));
  if (file == OOP_NONE) return primitive_needs_collection(vm);
  Oop array = heap_allocate(vm->heap, CLASS_Array, FORMAT_INDEXABLE, 3);
  if (array == OOP_NONE) return primitive_needs_collection(vm);
  heap_store(vm->heap, array, 0, kind);
  heap_store(vm->heap, array, 1, source);
  heap_store(vm->heap, array, 2, file);
  return array;
}

// --- compiling

static Oop error_object(VM *vm, const CompileError *e) {
  Oop array = heap_allocate(vm->heap, CLASS_Array, FORMAT_INDEXABLE, 5);
  if (array == OOP_NONE) return OOP_NONE;
  const char *texts[] = {e->message, e->found, e->expected};
  heap_store(vm->heap, array, 0, oop_from_integer(e->line));
  heap_store(vm->heap, array, 1, oop_from_integer(e->column));
  for (size_t i = 0; i < 3; i++) {
    Oop text = texts[i] == NULL ? OOP_NIL : string_from_utf8(vm, texts[i], strlen(texts[i]));
    if (text == OOP_NONE) return OOP_NONE;
    heap_store(vm->heap, array, 2 + i, text);
  }
  return array;
}

static Oop error_array(VM *vm, const Compilation *r) {
  Oop array = heap_allocate(vm->heap, CLASS_Array, FORMAT_INDEXABLE, r->error_count);
  if (array == OOP_NONE) return primitive_needs_collection(vm);
  for (size_t i = 0; i < r->error_count; i++) {
    Oop e = error_object(vm, &r->errors[i]);
    if (e == OOP_NONE) return primitive_needs_collection(vm);
    heap_store(vm->heap, array, i, e);
  }
  return array;
}

static Oop unknown_primitive(VM *vm, const Compilation *r) {
  uint32_t line = r->code->position_count > 0 ? r->code->positions[0].line : 1;
  CompileError e = {.line = line, .column = 1, .message = (char *)(uintptr_t) "there is no such primitive"};
  Compilation one = {.errors = &e, .error_count = 1};
  return error_array(vm, &one);
}

static Oop compile_text(VM *vm, Oop class, Oop text, Oop file, uint32_t line, CompileMode mode) {
  size_t length;
  char *source = string_to_utf8(text, &length);
  if (source == NULL) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  char *name = string_to_utf8(file, NULL);
  Origin origin = {.file = name, .line = line};
  Compilation *r = builder_compile(vm, class, (Text){source, length}, origin, mode);
  Oop result;
  if (r->code == NULL) result = error_array(vm, r);
  else {
    result = builder_method(vm, class, r, origin, NULL);
    if (result == OOP_NONE && vm->failure == FAIL_NOT_FOUND) result = unknown_primitive(vm, r);
  }
  compilation_free(r);
  free(name);
  free(source);
  return result;
}

static bool is_class(VM *vm, Oop o) {
  if (!is_pointer(o) || object_size(o) < NAMED_SLOTS(Metaclass) - 1 || !is_integer(AS(Class, o)->index)) return false;
  int64_t index = oop_to_integer(AS(Class, o)->index);
  return index > 0 && index < vm->class_count && class_at(vm, (uint32_t)index) == o;
}

static Oop compiler_compile(VM *vm, Oop *args) {
  if (!is_class(vm, args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!is_integer(args[3])) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  return compile_text(vm, args[0], args[1], args[2], (uint32_t)oop_to_integer(args[3]), COMPILE_METHOD);
}

static Oop compiler_evaluate(VM *vm, Oop *args) { return compile_text(vm, class_of(vm, args[0]), args[1], args[2], 1, COMPILE_DOIT); }

// --- listings

static bool is_code(Oop o) { return class_index_of(o) == CLASS_CompiledMethod || class_index_of(o) == CLASS_CompiledBlock; }

static Oop code_disassemble_(VM *vm, Oop *args) {
  if (!is_code(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  char *text = code_disassemble(vm, args[0]);
  Oop o = string_from_utf8(vm, text, strlen(text));
  free(text);
  return o == OOP_NONE ? primitive_needs_collection(vm) : o;
}

static Oop code_line_at_(VM *vm, Oop *args) {
  if (!is_code(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!is_integer(args[1]) || oop_to_integer(args[1]) < 0) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  uint32_t line = code_line_at(vm, args[0], (size_t)oop_to_integer(args[1]));
  return line == 0 ? OOP_NIL : oop_from_integer(line);
}

// Selectors of the sends, then the literals proper.
static Oop code_literals_(VM *vm, Oop *args) {
  if (!is_code(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  Oop frame = AS(CompiledMethod, args[0])->literals;
  size_t sites = CODE_FIELD(AS(CompiledMethod, args[0])->header, CODE_SITES_SHIFT, 16), rest = object_size(frame) - CACHE_WORDS * sites;
  Oop array = heap_allocate(vm->heap, CLASS_Array, FORMAT_INDEXABLE, sites + rest);
  if (array == OOP_NONE) return primitive_needs_collection(vm);
  for (size_t i = 0; i < sites; i++) heap_store(vm->heap, array, i, object_slots(frame)[CACHE_WORDS * i + CACHE_SELECTOR]);
  for (size_t i = 0; i < rest; i++) heap_store(vm->heap, array, sites + i, object_slots(frame)[CACHE_WORDS * sites + i]);
  return array;
}

void launch_register(VM *vm, const Launch *launch) {
  static const PrimitiveEntry entries[] = {
      {"systemLaunch", 0, system_launch, NULL, false},         {"compilerCompile", 3, compiler_compile, NULL, false},
      {"compilerEvaluate", 2, compiler_evaluate, NULL, false}, {"codeDisassemble", 0, code_disassemble_, NULL, false},
      {"codeLineAt", 1, code_line_at_, NULL, false},           {"codeLiterals", 0, code_literals_, NULL, false},
  };
  vm->image_services = (void *)(uintptr_t)launch;
  primitives_register(vm, entries, sizeof entries / sizeof *entries);
}
