// What the files of plain primitives share.
#ifndef BATON_VM_PRIMITIVES_H
#define BATON_VM_PRIMITIVES_H

#include "vm/vm.h"

// An Integer of the sign and magnitude given. OOP_NONE: needs collection (the failure is set).
Oop integer_object(VM *vm, uint64_t magnitude, bool negative);
// False unless o is an Integer whose magnitude fits in 64 bits.
bool integer_magnitude(Oop o, uint64_t *magnitude, bool *negative);

#endif
