// Turns the compiler's plain data into code objects.
#ifndef BATON_IMAGE_BUILDER_H
#define BATON_IMAGE_BUILDER_H

#include "compiler/compiler.h"
#include "vm/vm.h"

// Where source text comes from.
typedef struct {
  const char *file;  // NULL: none
  uint32_t line;     // of its first character
} Origin;

// Compiles a method or doit of `class`, the names being those the class sees. Never NULL.
Compilation *builder_compile(VM *vm, Oop class, Text source, Origin origin, CompileMode mode);
// Makes the CompiledMethod of a compilation without errors; all of it in old space. It is not installed. OOP_NONE: needs collection, or with
// vm->failure FAIL_NOT_FOUND when the primitive it names does not exist.
Oop builder_method(VM *vm, Oop class, const Compilation *compilation, Origin origin, const char *protocol);
// The line of the source at an instruction of a CompiledMethod or CompiledBlock; 0 if it is unknown.
uint32_t code_line_at(const VM *vm, Oop code, size_t instruction);
// Compiled code in words, a listing. Malloced.
char *code_disassemble(VM *vm, Oop code);

#endif
