// The instruction set as C: the enum made from opcodes.def.
#ifndef BATON_VM_OPCODES_H
#define BATON_VM_OPCODES_H

enum {
#define OP(name, operands, effect) OP_##name,
#include "vm/opcodes.def"
#undef OP
  OP_LIMIT
};

#endif
