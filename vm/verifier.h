// Checks compiled code before it is trusted.
#ifndef BATON_VM_VERIFIER_H
#define BATON_VM_VERIFIER_H

#include "vm/vm.h"

// NULL if the interpreter can run this CompiledMethod or CompiledBlock safely; else what is wrong, a constant string.
const char *verify_code(VM *vm, Oop code);

#endif
