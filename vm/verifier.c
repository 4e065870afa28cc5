// The bytecode verifier: from the operand letters of opcodes.def it knows what each instruction reads and where it goes.
//
// After it: every instruction and its operand words lie within the code, jumps land on instructions, registers are below the number the
// frame has, windows of sends fit, literals are of the kind that the instruction takes for granted, and the last instruction does
// not fall out of the code. What depends on values at run time is checked there: slot numbers are compared with the named slots
// of classes only when a method is installed (GET_FIELD of r0), all other slot reads are of vectors the compiler made.
#include "vm/verifier.h"
#include "vm/interpreter.h"
#include <stdlib.h>

static const char *const operand_letters[] = {
#define OP(name, operands, effect) operands,
#include "vm/opcodes.def"
#undef OP
};

typedef struct {
  const uint32_t *words;
  size_t count;
  size_t registers, sites, literals;
  const Oop *k;
  const uint8_t *starts;  // 1 where an instruction begins
} Code;

static bool has_ext(uint32_t op) { return op < OP_LIMIT && strchr(operand_letters[op], 'E') != NULL; }

static bool literal_fits(const Code *c, uint32_t op, size_t index) {
  if (index < CACHE_WORDS * c->sites || index >= c->literals) return false;
  Oop o = c->k[index];
  switch (op) {
    case OP_GET_GLOBAL:
    case OP_SET_GLOBAL: return class_index_of(o) == CLASS_Binding || class_index_of(o) == CLASS_Association;
    case OP_NEW_ARRAY: return is_integer(o) && oop_to_integer(o) >= 0 && oop_to_integer(o) < 1 << 24;
    case OP_CLOSURE: return class_index_of(o) == CLASS_CompiledBlock;
    default: return true;
  }
}

static bool site_fits(const Code *c, size_t site, size_t window) {
  if (site >= c->sites) return false;
  return window + 3 + selector_arguments(c->k[CACHE_WORDS * site + CACHE_SELECTOR]) < c->registers;
}

static bool jump_fits(const Code *c, size_t from, int64_t distance) {
  int64_t to = (int64_t)from + distance;
  return to >= 0 && (uint64_t)to < c->count && c->starts[to];
}

static bool operand_fits(const Code *c, size_t at, char letter) {
  uint32_t ins = instruction_original(c->words[at]), op = ins & 255;
  uint32_t ext = has_ext(op) ? c->words[at + 1] : 0;
  switch (letter) {
    case 'd':
    case 'a':
    case 'x': return OPERAND_A(ins) < c->registers;
    case 'b': return OPERAND_B(ins) < c->registers;
    case 'c': return OPERAND_C(ins) < c->registers;
    case 'w': return OPERAND_B(ins) + 3 < c->registers;
    case 's': return site_fits(c, OPERAND_C(ins), OPERAND_B(ins));
    case 'g': return OPERAND_B(ins) + OPERAND_C(ins) <= c->registers;
    case 'k': return op == OP_PRIMITIVE || literal_fits(c, op, OPERAND_BX(ins));
    case 'j': return jump_fits(c, at + 1, OPERAND_SIGNED_BX(ins));
    case 'J': return jump_fits(c, at + 1, OPERAND_SIGNED_J(ins));
    case 'n': return op != OP_LOAD_NIL || OPERAND_A(ins) + OPERAND_B(ins) < c->registers;
    case 'F':
    case 'T': {
      uint32_t next = at + 1 < c->count ? c->words[at + 1] : 0;
      return (next & 255) == (letter == 'F' ? OP_JUMP_FALSE : OP_JUMP_TRUE) && OPERAND_A(next) == OPERAND_A(ins);
    }
    case 'E':
      if ((ext & 255) != OP_EXT || (ext >> 8 & 255) != OPERAND_A(ins)) return false;
      if (op == OP_CLOSURE) return literal_fits(c, op, ext >> 16);
      if (op == OP_SEND_WIDE || op == OP_SUPER_WIDE) return site_fits(c, ext >> 16, OPERAND_B(ins));
      return op == OP_STORE_ELEMENT_WIDE || ext >> 16 < c->sites;
    default: return true;
  }
}

static const char *check_instruction(const Code *c, size_t at) {
  uint32_t op = instruction_original(c->words[at]) & 255;
  if (op == OP_PRIMITIVE && at != 0) return "a primitive is called inside a method";
  for (const char *p = operand_letters[op]; *p != 0; p++)
    if (!operand_fits(c, at, *p)) return "an instruction's operand is out of range";
  // the loop instruction may skip its jump and the three words after it
  if ((op == OP_FOR_LOOP || op == OP_FOR_NEXT) && (at + 5 >= c->count || (c->words[at + 1] & 255) != OP_JUMP || !c->starts[at + 5]))
    return "a loop instruction is damaged";
  return NULL;
}

static bool ends_flow(uint32_t op) { return op == OP_RETURN || op == OP_RETURN_SELF || op == OP_RETURN_NONLOCAL || op == OP_JUMP; }

static const char *find_starts(Code *c, uint8_t *starts) {
  size_t last = 0;
  for (size_t at = 0; at < c->count; at++) {
    uint32_t op = instruction_original(c->words[at]) & 255;
    if (op >= OP_LIMIT || op == OP_EXT) return "an instruction is unknown";
    starts[at] = 1;
    last = at;
    if (!has_ext(op)) continue;
    if (++at >= c->count) return "an instruction is cut off";
  }
  return ends_flow(instruction_original(c->words[last]) & 255) ? NULL : "the code has no end";
}

static const char *check_sites(const Code *c) {
  for (size_t i = 0; i < c->sites; i++) {
    Oop selector = c->k[CACHE_WORDS * i + CACHE_SELECTOR];
    if (class_index_of(selector) != CLASS_Symbol && class_index_of(selector) != CLASS_WideSymbol) return "a selector is no symbol";
    if (c->k[CACHE_WORDS * i + CACHE_CLASS] != CACHE_EMPTY) return "an inline cache is not empty";
  }
  return NULL;
}

const char *verify_code(VM *vm, Oop code) {
  (void)vm;
  CompiledMethodObject *m = AS(CompiledMethod, code);
  if (class_index_of(m->code) != CLASS_WordArray || class_index_of(m->literals) != CLASS_Array || !is_integer(m->header)) return "compiled code is damaged";
  if (class_index_of(code) == CLASS_CompiledBlock) {
    // the chain of outer code ends in a method
    Oop outer = AS(CompiledBlock, code)->outerCode;
    for (int depth = 0; class_index_of(outer) == CLASS_CompiledBlock; depth++, outer = AS(CompiledBlock, outer)->outerCode)
      if (depth > 1000) return "a block's code has no method";
    if (class_index_of(outer) != CLASS_CompiledMethod) return "a block's code has no method";
  }
  bool block = (oop_to_integer(m->header) & (int64_t)CODE_IS_BLOCK) != 0;
  if (block != (class_index_of(code) == CLASS_CompiledBlock)) return "compiled code is damaged";
  Code c = {.words = code_instructions(code), .count = object_element_count(m->code), .registers = code_registers(code), .k = code_literals(code)};
  c.sites = CODE_FIELD(m->header, CODE_SITES_SHIFT, 16);
  c.literals = object_size(m->literals);
  if (c.count == 0 || CACHE_WORDS * c.sites > c.literals || c.registers <= code_arguments(code) || c.registers > 250) return "compiled code is damaged";
  uint8_t *starts = calloc(c.count + 1, 1);
  if (starts == NULL) abort();
  c.starts = starts;
  const char *wrong = find_starts(&c, starts);
  if (wrong == NULL) wrong = check_sites(&c);
  for (size_t at = 0; at < c.count && wrong == NULL; at++)
    if (starts[at]) wrong = check_instruction(&c, at);
  free(starts);
  return wrong;
}
