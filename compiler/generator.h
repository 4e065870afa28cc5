// What the three files of the code generator share: generator.c (expressions, variables, sends, functions), control.c (conditions and inlined
// control structures) and emitter.c (instructions, registers, literals, jumps).
#ifndef BATON_COMPILER_GENERATOR_H
#define BATON_COMPILER_GENERATOR_H

#include "compiler/syntax.h"

enum { MAX_REGISTERS = 250, MAX_CONSTANTS = 16 };

// Jumps that wait for their target.
typedef struct {
  uint32_t *at;
  size_t count;
} Jumps;

typedef struct Generator Generator;
struct Generator {
  Compiler *c;
  Function *function;
  Generator *outer;
  Code *code;
  size_t position;          // in the source, of what is being compiled
  int next;                 // first free register
  int variables_end;        // registers from here on are no variables of open scopes
  uint32_t *literal_words;  // instructions whose Bx is the index of a literal
  size_t literal_word_count;
  struct {
    Literal literal;
    int r;
  } constants[MAX_CONSTANTS];  // those in registers, inside a loop
  int constant_count;
};

// --- emitter.c: all of these note the source position for what they emit, and answer where it is
uint32_t emit_word(Generator *g, uint32_t word);
uint32_t emit(Generator *g, int op, int a, int b, int c);
uint32_t emit_wide(Generator *g, int op, int a, int bx);
void emit_literal(Generator *g, int op, int a, Literal literal);
int reserve(Generator *g, int count);  // the first of so many new registers; released by setting g->next back
int temporary(Generator *g);           // one
bool same_literal(const Literal *a, const Literal *b);
int new_site(Generator *g, Text selector);  // the number of a new send site
void fix_literals(Generator *g);            // when all sites are known
uint32_t here(const Generator *g);
void add_jump(Generator *g, Jumps *jumps, uint32_t at);
void patch(Generator *g, uint32_t at, uint32_t target);
void land_at(Generator *g, Jumps *jumps, uint32_t target);
void land(Generator *g, Jumps *jumps);  // at what comes next
void jump_to(Generator *g, uint32_t target);
void jump_out(Generator *g, Jumps *jumps);

// --- generator.c
void value_to(Generator *g, Node *n, int target);  // evaluates n into a register
void effect(Generator *g, Node *n);                // evaluates n for its effect
// The register that holds n's value until the operands `later` have been evaluated: a variable's own where that is safe.
int operand(Generator *g, Node *n, Node **later, size_t later_count);
void move(Generator *g, int to, int from);
void load_literal(Generator *g, Literal literal, int target);
void name_register(Generator *g, int r, Text name);
void open_scope(Generator *g, const Node *block, size_t first);
void inline_block(Generator *g, Node *block, size_t first_variable, int target);
int constant_register(const Generator *g, const Literal *literal);
bool is_arithmetic(const Node *n);
bool takes_constant(const Node *n);  // whether the second operand of that arithmetic lies in the instruction

// --- control.c
int comparison_of(const Node *n);                                 // which comparison n is, or -1
bool has_constant_test(int which);                                // whether its test has a form with a small Integer
bool is_plain_send(const Node *n);                                // neither inlined nor to super
bool small_constant(const Node *n, int *value);                   // an Integer that fits in an instruction
void condition(Generator *g, Node *n, bool sense, Jumps *jumps);  // jumps when the value of n is `sense`; else goes on
void inlined_send(Generator *g, Node *n, int target);             // target -1: for its effect only

#endif
