// The instruction set as C: the enum made from opcodes.def.
#ifndef BATON_VM_OPCODES_H
#define BATON_VM_OPCODES_H

enum {
#define OP(name, operands, effect) OP_##name,
#include "vm/opcodes.def"
#undef OP
  OP_LIMIT
};

// Operands of an instruction word.
#define OPERAND_A(word) (((word) >> 8) & 255)
#define OPERAND_B(word) (((word) >> 16) & 255)
#define OPERAND_C(word) ((word) >> 24)
#define OPERAND_BX(word) ((word) >> 16)
#define OPERAND_SIGNED_BX(word) ((int16_t)((word) >> 16))
#define OPERAND_SIGNED_J(word) ((int32_t)(word) >> 8)

// The interpreter reads them as the bytes of a little-endian word.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "instruction words are little-endian");

#endif
