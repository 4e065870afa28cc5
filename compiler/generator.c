// The code generator: register code from the analysed tree.
//
// Registers of a frame are used like a stack: r0, parameters, what the function keeps (captured values, self), then the variables of
// each scope while it is open, and expression temporaries above. A send's window lies at the top: three header words, receiver,
// arguments; what is above the receiver is the callee's, so nothing that lives longer may lie there.
//
// Where an expression's value goes is always named by its reader: value_to(node, register). `operand` answers the register of
// a variable itself instead of a copy, unless something evaluated before it is used assigns to that variable. The numbers that
// arithmetic in a loop takes from the literal frame are loaded once, before the outermost loop.
#include "compiler/syntax.h"
#include "vm/opcodes.h"
#include <string.h>

enum { MAX_REGISTERS = 250, BLOCK_HOME = 1, BLOCK_RECEIVER = 2, MAX_CONSTANTS = 16 };

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

static void value_to(Generator *g, Node *n, int target);
static int operand(Generator *g, Node *n, Node **later, size_t later_count);
static void effect(Generator *g, Node *n);
static void return_of(Generator *g, Node *n, int op);
static Code *function_code(Compiler *c, Function *f, Generator *outer);

// --- emitting

static void note_position(Generator *g) {
  Code *k = g->code;
  SourcePosition p = {.offset = (uint32_t)k->instruction_count};
  compiler_locate(g->c, g->position, &p.line, &p.column);
  if (k->position_count > 0) {
    SourcePosition *last = &k->positions[k->position_count - 1];
    if (last->line == p.line && last->column == p.column) return;
    if (last->offset == p.offset) {
      *last = p;
      return;
    }
  }
  k->positions = arena_grow(&g->c->arena, k->positions, k->position_count, sizeof p);
  k->positions[k->position_count++] = p;
}

static uint32_t emit_word(Generator *g, uint32_t word) {
  Code *k = g->code;
  note_position(g);
  k->instructions = arena_grow(&g->c->arena, k->instructions, k->instruction_count, sizeof word);
  k->instructions[k->instruction_count] = word;
  return (uint32_t)k->instruction_count++;
}

static uint32_t emit(Generator *g, int op, int a, int b, int c) {
  return emit_word(g, (uint32_t)op | ((uint32_t)a & 255) << 8 | ((uint32_t)b & 255) << 16 | ((uint32_t)c & 255) << 24);
}

static uint32_t emit_wide(Generator *g, int op, int a, int bx) { return emit_word(g, (uint32_t)op | ((uint32_t)a & 255) << 8 | ((uint32_t)bx & 0xFFFF) << 16); }

static int reserve(Generator *g, int count) {
  int first = g->next;
  g->next += count;
  if (g->next > g->code->register_count) g->code->register_count = g->next;
  if (g->next > MAX_REGISTERS) {
    compiler_error(g->c, g->position, NULL, NULL, "this method is too complicated: it needs more than %d registers", MAX_REGISTERS);
    g->c->gave_up = true;  // once is enough
    g->next = first;
  }
  return first;
}

static int temporary(Generator *g) { return reserve(g, 1); }

// --- literals and sites

static bool same_literal(const Literal *a, const Literal *b) {
  if (a->kind != b->kind) return false;
  switch (a->kind) {
    case LITERAL_INTEGER:
    case LITERAL_CHARACTER: return a->integer == b->integer;
    case LITERAL_FLOAT: return memcmp(&a->number, &b->number, sizeof a->number) == 0;
    case LITERAL_SYMBOL:
    case LITERAL_BINDING: return text_equal(a->text, b->text);
    default: return false;
  }
}

// Equal literals are shared where the earlier one is not far.
static int literal_index(Generator *g, Literal literal) {
  enum { NEAR = 500 };
  Code *k = g->code;
  for (size_t i = k->literal_count > NEAR ? k->literal_count - NEAR : 0; i < k->literal_count; i++)
    if (same_literal(&k->literals[i], &literal)) return (int)i;
  k->literals = arena_grow(&g->c->arena, k->literals, k->literal_count, sizeof literal);
  k->literals[k->literal_count] = literal;
  return (int)k->literal_count++;
}

static void emit_literal(Generator *g, int op, int a, Literal literal) {
  int index = literal_index(g, literal);
  uint32_t at = emit_wide(g, op, a, index);
  g->literal_words = arena_grow(&g->c->arena, g->literal_words, g->literal_word_count, sizeof at);
  g->literal_words[g->literal_word_count++] = at;
}

static int new_site(Generator *g, Text selector) {
  Code *k = g->code;
  k->sites = arena_grow(&g->c->arena, k->sites, k->site_count, sizeof selector);
  k->sites[k->site_count] = selector;
  return (int)k->site_count++;
}

// The literal frame begins with the sites, so literal operands are final only now.
static void fix_literals(Generator *g) {
  size_t base = 4 * g->code->site_count;
  if (base + g->code->literal_count > 0xFFFF) compiler_error(g->c, 0, NULL, NULL, "this method has too many sends and literals");
  for (size_t i = 0; i < g->literal_word_count; i++) g->code->instructions[g->literal_words[i]] += (uint32_t)base << 16;
}

// --- jumps

static uint32_t here(const Generator *g) { return (uint32_t)g->code->instruction_count; }

static void add_jump(Generator *g, Jumps *jumps, uint32_t at) {
  jumps->at = arena_grow(&g->c->arena, jumps->at, jumps->count, sizeof at);
  jumps->at[jumps->count++] = at;
}

static void patch(Generator *g, uint32_t at, uint32_t target) {
  uint32_t *word = &g->code->instructions[at];
  int32_t distance = (int32_t)target - (int32_t)at - 1;
  if ((*word & 255) == OP_JUMP) *word = (*word & 255) | (uint32_t)distance << 8;
  else if (distance >= -32768 && distance <= 32767) *word = (*word & 0xFFFF) | (uint32_t)distance << 16;
  else compiler_error(g->c, g->position, NULL, NULL, "this method is too long for its jumps");
}

static void land_at(Generator *g, Jumps *jumps, uint32_t target) {
  for (size_t i = 0; i < jumps->count; i++) patch(g, jumps->at[i], target);
  jumps->count = 0;
}

static void land(Generator *g, Jumps *jumps) { land_at(g, jumps, here(g)); }

static void jump_to(Generator *g, uint32_t target) { patch(g, emit_word(g, OP_JUMP), target); }

static void jump_out(Generator *g, Jumps *jumps) { add_jump(g, jumps, emit_word(g, OP_JUMP)); }

// --- variables

static bool is_method(const Generator *g) { return g->function->outer == NULL; }

static Capture *find_capture(Generator *g, const Variable *v) {
  for (size_t i = 0; i < g->function->capture_count; i++) {
    Capture *k = &g->function->captures[i];
    if (v->in_vector ? k->vector == v->scope : k->variable == v) return k;
  }
  return NULL;
}

// A register that holds the captured value: the block's own, or `scratch`.
static int captured(Generator *g, Capture *capture, int scratch) {
  if (capture->register_number >= 0) return capture->register_number;
  emit(g, OP_GET_COPIED, scratch, (int)(capture - g->function->captures), 0);
  return scratch;
}

static int self_in(Generator *g, int scratch) {
  if (is_method(g)) return 0;
  if (g->function->self_register >= 0) return g->function->self_register;
  emit(g, OP_GET_FIELD, scratch, 0, BLOCK_RECEIVER);
  return scratch;
}

// The register of a variable that has one here, or -1.
static int register_of(Generator *g, const Node *n) {
  if (n->kind != NODE_VARIABLE) return -1;
  if (n->resolution == NAME_SELF || n->resolution == NAME_SUPER) return is_method(g) ? 0 : g->function->self_register;
  if (n->resolution != NAME_LOCAL || n->variable->in_vector) return -1;
  if (n->variable->scope->function == g->function) return n->variable->register_number;
  Capture *k = find_capture(g, n->variable);
  return k == NULL ? -1 : k->register_number;
}

// The register with the vector that holds v.
static int vector_of(Generator *g, const Variable *v, int scratch) {
  if (v->scope->function == g->function) return v->scope->vector_register;
  return captured(g, find_capture(g, v), scratch);
}

static void move(Generator *g, int to, int from) {
  if (to != from) emit(g, OP_MOVE, to, from, 0);
}

static void load_literal(Generator *g, Literal literal, int target) {
  switch (literal.kind) {
    case LITERAL_NIL: emit(g, OP_LOAD_NIL, target, 0, 0); return;
    case LITERAL_TRUE: emit(g, OP_LOAD_TRUE, target, 0, 0); return;
    case LITERAL_FALSE: emit(g, OP_LOAD_FALSE, target, 0, 0); return;
    case LITERAL_INTEGER:
      if (literal.integer >= -32768 && literal.integer <= 32767) {
        emit_wide(g, OP_LOAD_INTEGER, target, (int)literal.integer);
        return;
      }
      break;
    default: break;
  }
  emit_literal(g, OP_LOAD_LITERAL, target, literal);
}

static void load_local(Generator *g, Variable *v, int target) {
  if (v->in_vector) emit(g, OP_GET_FIELD, target, vector_of(g, v, target), (int)v->slot);
  else if (v->scope->function == g->function) move(g, target, v->register_number);
  else move(g, target, captured(g, find_capture(g, v), target));
}

static void load_variable(Generator *g, Node *n, int target) {
  switch (n->resolution) {
    case NAME_LOCAL: load_local(g, n->variable, target); return;
    case NAME_FIELD: emit(g, OP_GET_FIELD, target, self_in(g, target), (int)n->field); return;
    case NAME_BINDING: emit_literal(g, OP_GET_GLOBAL, target, (Literal){.kind = LITERAL_BINDING, .text = n->name}); return;
    case NAME_SELF:
    case NAME_SUPER: move(g, target, self_in(g, target)); return;
    case NAME_THIS_CONTEXT: emit(g, OP_THIS_CONTEXT, target, 0, 0); return;
    case NAME_CONSTANT: load_literal(g, n->literal, target); return;
    case NAME_UNRESOLVED: return;
  }
}

static void store_variable(Generator *g, Node *n, int from) {
  int mark = g->next;
  switch (n->resolution) {
    case NAME_LOCAL:
      if (n->variable->in_vector) {
        int vector = n->variable->scope->function == g->function ? n->variable->scope->vector_register : vector_of(g, n->variable, temporary(g));
        emit(g, OP_SET_FIELD, from, vector, (int)n->variable->slot);
      } else {
        move(g, n->variable->register_number, from);
      }
      break;
    case NAME_FIELD: {
      int receiver = is_method(g) ? 0 : self_in(g, g->function->self_register >= 0 ? 0 : temporary(g));
      emit(g, OP_SET_FIELD, from, receiver, (int)n->field);
      break;
    }
    case NAME_BINDING: emit_literal(g, OP_SET_GLOBAL, from, (Literal){.kind = LITERAL_BINDING, .text = n->name}); break;
    default: break;
  }
  g->next = mark;
}

// Whether evaluating n assigns to the register of v. (What blocks assign is in vectors.)
static bool assigns(const Node *n, const Variable *v) {
  if (n == NULL) return false;
  if (n->kind == NODE_ASSIGN && n->target->variable == v) return true;
  if (n->kind == NODE_BLOCK && n->function != NULL) return false;
  if (assigns(n->receiver, v) || assigns(n->value, v)) return true;
  for (size_t i = 0; i < n->item_count; i++)
    if (assigns(n->items[i], v)) return true;
  return false;
}

static bool assigned_by(const Node *n, Node **later, size_t count) {
  if (n->kind != NODE_VARIABLE || n->resolution != NAME_LOCAL || n->variable->assignments == NULL) return false;
  for (size_t i = 0; i < count; i++)
    if (assigns(later[i], n->variable)) return true;
  return false;
}

// The register of a literal that is kept in one, or -1.
static int constant_register(const Generator *g, const Literal *literal) {
  for (int i = 0; i < g->constant_count; i++)
    if (same_literal(&g->constants[i].literal, literal)) return g->constants[i].r;
  return -1;
}

// The register that holds n's value until the operands `later` have been evaluated. A new one is `hint` if that is free for it.
static int operand_near(Generator *g, Node *n, Node **later, size_t later_count, int hint) {
  if (n->kind == NODE_LITERAL && constant_register(g, &n->literal) >= 0) return constant_register(g, &n->literal);
  const Node *read = n->kind == NODE_ASSIGN ? n->target : n;
  int r = register_of(g, read);
  if (r >= 0 && !assigned_by(read, later, later_count)) {
    if (n->kind == NODE_ASSIGN) effect(g, n);
    return r;
  }
  r = hint >= g->variables_end ? hint : temporary(g);
  value_to(g, n, r);
  return r;
}

static int operand(Generator *g, Node *n, Node **later, size_t later_count) { return operand_near(g, n, later, later_count, -1); }

// --- scopes

static void name_register(Generator *g, int r, Text name) {
  Code *k = g->code;
  while (k->variable_count < (size_t)r) {
    k->variables = arena_grow(&g->c->arena, k->variables, k->variable_count, sizeof name);
    k->variables[k->variable_count++] = (Text){"", 0};
  }
  if (k->variables[r - 1].length == 0) k->variables[r - 1] = name;
}

static bool mentions(const Node *n, const Variable *v) {
  if (n == NULL) return false;
  if (n->variable == v || mentions(n->receiver, v) || mentions(n->value, v) || mentions(n->target, v)) return true;
  for (size_t i = 0; i < n->item_count; i++)
    if (mentions(n->items[i], v)) return true;
  return false;
}

// Whether the first of the statements that mentions v assigns to it, as in `v := w := 3`; so it need not be nil before.
static bool assigned_first(const Node *block, const Variable *v) {
  for (size_t i = 0; i < block->item_count; i++) {
    const Node *n = block->items[i];
    for (; n->kind == NODE_ASSIGN; n = n->value)
      if (n->target->variable == v) return !mentions(n->value, v);
    if (mentions(n, v)) return false;
  }
  return false;
}

// Registers for the variables of a block's scope, from its `first` one on, nil in them where that can be seen; and the vector.
static void open_scope(Generator *g, const Node *block, size_t first) {
  Scope *s = block->scope;
  int low = -1;  // of a run of registers to make nil
  for (size_t i = first; i < s->variable_count; i++) {
    Variable *v = s->variables[i];
    if (v->in_vector) continue;
    v->register_number = temporary(g);
    name_register(g, v->register_number, v->name);
    bool nil = !assigned_first(block, v);
    if (nil && low < 0) low = v->register_number;
    if (!nil && low >= 0) emit(g, OP_LOAD_NIL, low, v->register_number - low - 1, 0);
    if (!nil) low = -1;
  }
  if (low >= 0) emit(g, OP_LOAD_NIL, low, g->next - low - 1, 0);
  g->variables_end = g->next;
  if (!s->has_vector) return;
  s->vector_register = temporary(g);
  emit(g, OP_NEW_VECTOR, s->vector_register, (int)s->vector_size, 0);
}

// The statements of an inlined block; the last one's value goes to target, or nowhere when that is -1.
static void inline_block(Generator *g, Node *block, size_t first_variable, int target) {
  int mark = g->next, variables_end = g->variables_end;
  open_scope(g, block, first_variable);
  for (size_t i = 0; i < block->item_count; i++) {
    if (i + 1 == block->item_count && target >= 0) value_to(g, block->items[i], target);
    else effect(g, block->items[i]);
  }
  if (block->item_count == 0 && target >= 0) emit(g, OP_LOAD_NIL, target, 0, 0);
  g->next = mark;
  g->variables_end = variables_end;
}

// --- conditions

static const struct {
  const char *selector;
  int op, test, test_integer;  // the next one is for a JUMP_TRUE
} comparisons[] = {{"<", OP_LESS, OP_TEST_LESS, OP_TEST_LESS_INTEGER},
                   {"<=", OP_LESS_EQUAL, OP_TEST_LESS_EQUAL, OP_TEST_LESS_EQUAL_INTEGER},
                   {">", OP_GREATER, OP_TEST_GREATER, OP_TEST_GREATER_INTEGER},
                   {">=", OP_GREATER_EQUAL, OP_TEST_GREATER_EQUAL, OP_TEST_GREATER_EQUAL_INTEGER},
                   {"=", OP_EQUAL, OP_TEST_EQUAL, OP_TEST_EQUAL_INTEGER},
                   {"~=", OP_NOT_EQUAL, OP_TEST_NOT_EQUAL, OP_TEST_NOT_EQUAL_INTEGER},
                   {"==", OP_IDENTICAL, OP_TEST_IDENTICAL, -1},
                   {"~~", OP_NOT_IDENTICAL, OP_TEST_NOT_IDENTICAL, -1}};

static bool is_plain_send(const Node *n) {
  return n->kind == NODE_SEND && n->inlining == INLINE_NONE && !(n->receiver->kind == NODE_VARIABLE && n->receiver->resolution == NAME_SUPER);
}

static int comparison_of(const Node *n) {
  if (!is_plain_send(n)) return -1;
  for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++)
    if (text_is(n->name, comparisons[i].selector)) return (int)i;
  return -1;
}

static const struct {
  const char *selector;
  int op;
} arithmetic[] = {{"+", OP_ADD},        {"-", OP_SUBTRACT},      {"*", OP_MULTIPLY},      {"/", OP_DIVIDE},         {"//", OP_FLOOR_DIVIDE},
                  {"\\\\", OP_MODULO},  {"bitAnd:", OP_BIT_AND}, {"bitOr:", OP_BIT_OR},   {"bitXor:", OP_BIT_XOR},  {"bitShift:", OP_BIT_SHIFT},
                  {"<", OP_LESS},       {"<=", OP_LESS_EQUAL},   {">", OP_GREATER},       {">=", OP_GREATER_EQUAL}, {"=", OP_EQUAL},
                  {"~=", OP_NOT_EQUAL}, {"==", OP_IDENTICAL},    {"~~", OP_NOT_IDENTICAL}},
  unary[] = {{"size", OP_SIZE}, {"class", OP_CLASS}, {"isNil", OP_IS_NIL}, {"notNil", OP_NOT_NIL}, {"not", OP_NOT}};

static bool is_arithmetic(const Node *n) {
  for (size_t i = 0; i < sizeof arithmetic / sizeof *arithmetic; i++)
    if (is_plain_send(n) && text_is(n->name, arithmetic[i].selector)) return true;
  return false;
}

static bool small_constant(const Node *n, int *value) {
  if (n->kind != NODE_LITERAL || n->literal.kind != LITERAL_INTEGER || n->literal.integer < -128 || n->literal.integer > 127) return false;
  *value = (int)n->literal.integer;
  return true;
}

static bool is_nil_literal(const Node *n) { return n->kind == NODE_VARIABLE && n->resolution == NAME_CONSTANT && n->literal.kind == LITERAL_NIL; }

static void condition(Generator *g, Node *n, bool sense, Jumps *jumps);

// An inlined block as a condition.
static void block_condition(Generator *g, Node *block, bool sense, Jumps *jumps) {
  int mark = g->next, variables_end = g->variables_end;
  open_scope(g, block, 0);
  for (size_t i = 0; i + 1 < block->item_count; i++) effect(g, block->items[i]);
  if (block->item_count > 0) condition(g, block->items[block->item_count - 1], sense, jumps);
  else {
    int r = temporary(g);
    emit(g, OP_LOAD_NIL, r, 0, 0);
    add_jump(g, jumps, emit_wide(g, sense ? OP_JUMP_TRUE : OP_JUMP_FALSE, r, 0));
  }
  g->next = mark;
  g->variables_end = variables_end;
}

static void compare_and_jump(Generator *g, Node *n, int which, bool sense, Jumps *jumps) {
  int constant;
  bool identity = comparisons[which].test_integer < 0;
  if (identity && is_nil_literal(n->items[0])) {
    bool when_nil = (comparisons[which].op == OP_IDENTICAL) == sense;
    int r = operand(g, n->receiver, NULL, 0);
    g->position = n->position;
    add_jump(g, jumps, emit_wide(g, when_nil ? OP_JUMP_NIL : OP_JUMP_NOT_NIL, r, 0));
    return;
  }
  int a = operand(g, n->receiver, n->items, 1), r;
  if (!identity && small_constant(n->items[0], &constant)) {
    r = temporary(g);
    g->position = n->position;
    emit(g, comparisons[which].test_integer + sense, r, a, constant);
  } else {
    int b = operand(g, n->items[0], NULL, 0);
    r = temporary(g);
    g->position = n->position;
    emit(g, comparisons[which].test + sense, r, a, b);
  }
  add_jump(g, jumps, emit_wide(g, sense ? OP_JUMP_TRUE : OP_JUMP_FALSE, r, 0));
}

// Jumps when the value of n is `sense`; else goes on.
static void condition(Generator *g, Node *n, bool sense, Jumps *jumps) {
  int mark = g->next, which = comparison_of(n);
  if (which >= 0) {
    compare_and_jump(g, n, which, sense, jumps);
  } else if (n->kind == NODE_SEND && (n->inlining == INLINE_AND || n->inlining == INLINE_OR)) {
    bool decided_by = n->inlining == INLINE_OR;  // the value of the left side that decides
    if (decided_by == sense) {
      condition(g, n->receiver, sense, jumps);
      block_condition(g, n->items[0], sense, jumps);
    } else {
      Jumps decided = {0};
      condition(g, n->receiver, decided_by, &decided);
      block_condition(g, n->items[0], sense, jumps);
      land(g, &decided);
    }
  } else if (is_plain_send(n) && text_is(n->name, "not") && comparison_of(n->receiver) >= 0) {
    condition(g, n->receiver, !sense, jumps);
  } else if (n->kind == NODE_VARIABLE && n->resolution == NAME_CONSTANT && n->literal.kind != LITERAL_NIL) {
    if ((n->literal.kind == LITERAL_TRUE) == sense) jump_out(g, jumps);
  } else {
    int r = operand(g, n, NULL, 0);
    g->position = n->position;
    add_jump(g, jumps, emit_wide(g, sense ? OP_JUMP_TRUE : OP_JUMP_FALSE, r, 0));
  }
  g->next = mark;
}

// --- inlined control structures; target -1: for effect only

static bool ends_in_return(const Node *block) { return block->item_count > 0 && block->items[block->item_count - 1]->kind == NODE_RETURN; }

static void inline_if(Generator *g, Node *n, int target) {
  bool when = n->name.bytes[2] == 'T';  // ifTrue: or ifFalse: comes first
  Jumps otherwise = {0}, end = {0};
  condition(g, n->receiver, !when, &otherwise);
  inline_block(g, n->items[0], 0, target);
  bool has_else = n->item_count == 2;
  if ((has_else || target >= 0) && !ends_in_return(n->items[0])) jump_out(g, &end);
  land(g, &otherwise);
  if (has_else) inline_block(g, n->items[1], 0, target);
  else if (target >= 0) emit(g, OP_LOAD_NIL, target, 0, 0);
  land(g, &end);
}

static void inline_and_or(Generator *g, Node *n, int target) {
  Jumps end = {0};
  int mark = g->next, r = target >= 0 ? target : temporary(g);
  value_to(g, n->receiver, r);
  g->position = n->position;
  add_jump(g, &end, emit_wide(g, n->inlining == INLINE_AND ? OP_JUMP_FALSE : OP_JUMP_TRUE, r, 0));
  inline_block(g, n->items[0], 0, target);
  land(g, &end);
  g->next = mark;
}

// The block of ifNotNil:, whose parameter, if it has one, is the value tested.
static void not_nil_block(Generator *g, Node *block, int value, int target) {
  int mark = g->next;
  if (block->scope->parameter_count == 1) {
    Variable *v = block->scope->variables[0];
    if (!v->in_vector) {
      v->register_number = temporary(g);
      name_register(g, v->register_number, v->name);
      move(g, v->register_number, value);
    }
  }
  inline_block(g, block, block->scope->parameter_count, target);
  g->next = mark;
}

static void inline_if_nil(Generator *g, Node *n, int target) {
  bool nil_first = text_is(n->name, "ifNil:") || text_is(n->name, "ifNil:ifNotNil:");
  Jumps other = {0}, end = {0};
  int mark = g->next, r = operand(g, n->receiver, n->items, n->item_count);
  g->position = n->position;
  add_jump(g, &other, emit_wide(g, nil_first ? OP_JUMP_NOT_NIL : OP_JUMP_NIL, r, 0));
  if (nil_first) inline_block(g, n->items[0], 0, target);
  else not_nil_block(g, n->items[0], r, target);
  bool has_else = n->item_count == 2;
  if ((has_else || target >= 0) && !ends_in_return(n->items[0])) jump_out(g, &end);
  land(g, &other);
  if (!has_else && target >= 0) move(g, target, r);
  else if (has_else && nil_first) not_nil_block(g, n->items[1], r, target);
  else if (has_else) inline_block(g, n->items[1], 0, target);
  land(g, &end);
  g->next = mark;
}

static void keep_constant(Generator *g, Node *n) {
  if (n->kind != NODE_LITERAL || g->constant_count == MAX_CONSTANTS || constant_register(g, &n->literal) >= 0) return;
  int small;
  if (n->literal.kind != LITERAL_FLOAT && (n->literal.kind != LITERAL_INTEGER || small_constant(n, &small))) return;
  int r = temporary(g);
  load_literal(g, n->literal, r);
  g->constants[g->constant_count].literal = n->literal;
  g->constants[g->constant_count++].r = r;
}

// Loads the numbers that arithmetic in n, part of a loop, uses. They stay in registers until the loop's end.
static void keep_constants(Generator *g, Node *n) {
  if (n == NULL || (n->kind == NODE_BLOCK && n->function != NULL)) return;
  if (n->kind == NODE_SEND && n->item_count == 1 && n->receiver != NULL && is_arithmetic(n)) {  // no receiver: a cascade's part
    keep_constant(g, n->receiver);
    keep_constant(g, n->items[0]);
  }
  keep_constants(g, n->receiver);
  keep_constants(g, n->value);
  for (size_t i = 0; i < n->item_count; i++) keep_constants(g, n->items[i]);
}

static void inline_while(Generator *g, Node *n, int target) {
  bool sense = n->name.bytes[5] == 'T';
  int mark = g->next, constants = g->constant_count;
  Jumps test = {0}, again = {0};
  keep_constants(g, n);
  if (n->item_count > 0) jump_out(g, &test);
  uint32_t start = here(g);
  for (size_t i = 0; i < n->item_count; i++) inline_block(g, n->items[i], 0, -1);
  land(g, &test);
  block_condition(g, n->receiver, sense, &again);
  land_at(g, &again, start);
  g->constant_count = constants;
  g->next = mark;
  if (target >= 0) emit(g, OP_LOAD_NIL, target, 0, 0);
}

static void inline_repeat(Generator *g, Node *n) {
  uint32_t start = here(g);
  inline_block(g, n->receiver, 0, -1);
  jump_to(g, start);
}

// Counts register i up (or down) to limit, running the body each time.
static void counted_loop(Generator *g, int i, int limit, int step, Node *body, size_t position) {
  int test = step > 0 ? OP_TEST_LESS_EQUAL : OP_TEST_GREATER_EQUAL, t = temporary(g), constants = g->constant_count;
  keep_constants(g, body);
  Jumps end = {0};
  g->position = position;
  emit(g, test, t, i, limit);
  add_jump(g, &end, emit_wide(g, OP_JUMP_FALSE, t, 0));
  uint32_t start = here(g);
  inline_block(g, body, body->scope->parameter_count, -1);
  g->position = position;
  if (step == 1) emit(g, OP_FOR_NEXT, i, limit, 0);
  else emit(g, OP_FOR_LOOP, i, limit, step);
  jump_to(g, start);
  emit(g, OP_ADD_INTEGER, i, i, step);
  emit(g, test + 1, t, i, limit);
  patch(g, emit_wide(g, OP_JUMP_TRUE, t, 0), start);
  land(g, &end);
  g->constant_count = constants;
}

static void inline_to_do(Generator *g, Node *n, int target) {
  int mark = g->next, step = n->item_count == 3 ? (int)n->items[1]->literal.integer : 1;
  Node *body = n->items[n->item_count - 1];
  Variable *v = body->scope->variables[0];
  int i = temporary(g), limit = temporary(g);
  value_to(g, n->receiver, i);
  if (target >= 0) move(g, target, i);
  value_to(g, n->items[0], limit);
  v->register_number = i;
  name_register(g, i, v->name);
  counted_loop(g, i, limit, step, body, n->position);
  g->next = mark;
}

static void inline_times(Generator *g, Node *n, int target) {
  int mark = g->next, i = temporary(g), limit = temporary(g);
  value_to(g, n->receiver, limit);
  if (target >= 0) move(g, target, limit);
  emit_wide(g, OP_LOAD_INTEGER, i, 1);
  counted_loop(g, i, limit, 1, n->items[0], n->position);
  g->next = mark;
}

static void inlined_send(Generator *g, Node *n, int target) {
  switch (n->inlining) {
    case INLINE_IF: inline_if(g, n, target); return;
    case INLINE_AND:
    case INLINE_OR: inline_and_or(g, n, target); return;
    case INLINE_IF_NIL: inline_if_nil(g, n, target); return;
    case INLINE_WHILE: inline_while(g, n, target); return;
    case INLINE_REPEAT: inline_repeat(g, n); return;
    case INLINE_TO_DO: inline_to_do(g, n, target); return;
    case INLINE_TIMES: inline_times(g, n, target); return;
    case INLINE_NONE: return;
  }
}

// --- sends

// The instruction with a small Integer as its second operand; -1: there is none.
static int with_constant(int op) {
  switch (op) {
    case OP_ADD: return OP_ADD_INTEGER;
    case OP_SUBTRACT: return OP_SUBTRACT_INTEGER;
    case OP_MULTIPLY: return OP_MULTIPLY_INTEGER;
    case OP_FLOOR_DIVIDE: return OP_FLOOR_DIVIDE_INTEGER;
    case OP_MODULO: return OP_MODULO_INTEGER;
    case OP_BIT_AND: return OP_BIT_AND_INTEGER;
    case OP_BIT_SHIFT: return OP_BIT_SHIFT_INTEGER;
    default: return -1;
  }
}

static bool special_binary(Generator *g, Node *n, int target) {
  for (size_t i = 0; i < sizeof arithmetic / sizeof *arithmetic; i++) {
    if (!text_is(n->name, arithmetic[i].selector)) continue;
    int op = arithmetic[i].op, constant, a = operand_near(g, n->receiver, n->items, 1, target);  // so chains need no more registers
    if (with_constant(op) >= 0 && small_constant(n->items[0], &constant)) {
      g->position = n->position;
      emit(g, with_constant(op), target, a, constant);
      return true;
    }
    int b = operand(g, n->items[0], NULL, 0);
    g->position = n->position;
    emit(g, op, target, a, b);
    return true;
  }
  return false;
}

static bool special_unary(Generator *g, Node *n, int target) {
  for (size_t i = 0; i < sizeof unary / sizeof *unary; i++) {
    if (!text_is(n->name, unary[i].selector)) continue;
    int a = operand(g, n->receiver, NULL, 0);
    g->position = n->position;
    emit(g, unary[i].op, target, a, 0);
    return true;
  }
  return false;
}

// wanted: whether the value is used; target is a register anyway.
static bool special_send(Generator *g, Node *n, int target, bool wanted) {
  if (n->item_count == 0) return special_unary(g, n, target);
  if (n->item_count == 1 && special_binary(g, n, target)) return true;
  if (text_is(n->name, "at:")) {
    int a = operand(g, n->receiver, n->items, 1), b = operand(g, n->items[0], NULL, 0);
    g->position = n->position;
    emit(g, OP_AT, target, a, b);
    emit_wide(g, OP_EXT, target, new_site(g, n->name));
    return true;
  }
  if (text_is(n->name, "at:put:")) {
    int a = operand(g, n->receiver, n->items, 2), b = operand(g, n->items[0], n->items + 1, 1), value = temporary(g);
    value_to(g, n->items[1], value);
    g->position = n->position;
    emit(g, OP_AT_PUT, value, a, b);
    emit_wide(g, OP_EXT, value, new_site(g, n->name));
    if (wanted) move(g, target, value);
    return true;
  }
  return false;
}

// A send whose receiver is in place at the window's fourth register, all registers below it being reserved.
static void send_window(Generator *g, Node *n, int window, bool to_super, int target) {
  for (size_t i = 0; i < n->item_count; i++) value_to(g, n->items[i], temporary(g));
  int site = new_site(g, n->name);
  g->position = n->position;
  if (site <= 255) {
    emit(g, to_super ? OP_SUPER : OP_SEND, target, window, site);
    return;
  }
  emit(g, to_super ? OP_SUPER_WIDE : OP_SEND_WIDE, target, window, 0);
  emit_wide(g, OP_EXT, target, site);
}

// The value of a send to register `into`, by way of the window given, or a new one if that is negative. A receiver that is a send is over
// before the window is used, so it takes the same one: however long a chain of messages is, it needs one window.
static void send_in(Generator *g, Node *n, int window, int into, bool wanted) {
  if (is_plain_send(n) && special_send(g, n, into, wanted)) return;
  if (window < 0) window = reserve(g, 4);
  Node *receiver = n->receiver;
  int mark = g->next;
  if (receiver->kind == NODE_SEND && receiver->inlining == INLINE_NONE) send_in(g, receiver, window, window + 3, true);
  else value_to(g, receiver, window + 3);
  g->next = mark;
  send_window(g, n, window, receiver->kind == NODE_VARIABLE && receiver->resolution == NAME_SUPER, into);
}

static void send(Generator *g, Node *n, int target) {
  int mark = g->next;
  send_in(g, n, -1, target >= 0 ? target : temporary(g), target >= 0);
  g->next = mark;
}

static void cascade(Generator *g, Node *n, int target) {
  int mark = g->next, into = target >= 0 ? target : temporary(g);
  bool to_super = n->receiver->kind == NODE_VARIABLE && n->receiver->resolution == NAME_SUPER;
  int receiver = temporary(g);
  value_to(g, n->receiver, receiver);
  for (size_t i = 0; i < n->item_count; i++) {
    int part = g->next;
    int window = reserve(g, 4);
    move(g, window + 3, receiver);
    send_window(g, n->items[i], window, to_super, into);
    g->next = part;
  }
  g->next = mark;
}

// --- blocks

static void closure(Generator *g, Node *n, int target) {
  Function *f = n->function;
  Code *code = function_code(g->c, f, g);
  Literal literal = {.kind = LITERAL_CODE, .code = code};
  g->position = n->position;
  if (code->clean) {
    emit_literal(g, OP_LOAD_LITERAL, target, literal);
    return;
  }
  int mark = g->next, count = (int)f->capture_count + 2, window = reserve(g, count);
  if (!f->needs_home) emit(g, OP_LOAD_NIL, window, 0, 0);
  else if (is_method(g)) emit(g, OP_HOME, window, 0, 0);
  else emit(g, OP_GET_FIELD, window, 0, BLOCK_HOME);
  if (!f->needs_self) emit(g, OP_LOAD_NIL, window + 1, 0, 0);
  else move(g, window + 1, self_in(g, window + 1));
  for (size_t i = 0; i < f->capture_count; i++) {
    int r = window + 2 + (int)i;
    Capture *k = &f->captures[i];
    if (k->variable != NULL) load_local(g, k->variable, r);
    else if (k->vector->function == g->function) move(g, r, k->vector->vector_register);
    else {
      Variable any = {.in_vector = true, .scope = k->vector};
      move(g, r, captured(g, find_capture(g, &any), r));
    }
  }
  emit(g, OP_CLOSURE, target, window, count);
  emit_literal(g, OP_EXT, target, literal);
  g->next = mark;
}

static void brace(Generator *g, Node *n, int target) {
  int mark = g->next, array = temporary(g);
  g->position = n->position;
  emit_literal(g, OP_NEW_ARRAY, array, (Literal){.kind = LITERAL_INTEGER, .integer = (int64_t)n->item_count});
  if (n->item_count > 0xFFFF) compiler_error(g->c, n->position, NULL, NULL, "more than 65535 elements between braces");
  for (size_t i = 0; i < n->item_count; i++) {
    int element = g->next, r = operand(g, n->items[i], NULL, 0);
    if (i <= 255) emit(g, OP_STORE_ELEMENT, r, array, (int)i);
    else {
      emit(g, OP_STORE_ELEMENT_WIDE, r, array, 0);
      emit_wide(g, OP_EXT, r, (int)i);
    }
    g->next = element;
  }
  if (target >= 0) move(g, target, array);
  g->next = mark;
}

// --- expressions

// Whether value_to(n, r) writes r only after everything in n has been read.
static bool writes_last(const Node *n) {
  switch (n->kind) {
    case NODE_LITERAL:
    case NODE_VARIABLE:
    case NODE_BRACE:
    case NODE_BLOCK: return true;
    case NODE_SEND: return n->inlining == INLINE_NONE;
    default: return false;
  }
}

static void assignment(Generator *g, Node *n, int target) {
  int mark = g->next, r = -1;
  if (n->target->resolution == NAME_LOCAL && !n->target->variable->in_vector && n->target->variable->scope->function == g->function)
    r = n->target->variable->register_number;
  if (r >= 0 && writes_last(n->value)) {
    value_to(g, n->value, r);
  } else {
    r = target >= 0 && register_of(g, n->target) < 0 ? target : temporary(g);
    value_to(g, n->value, r);
    g->position = n->position;
    store_variable(g, n->target, r);
  }
  if (target >= 0) move(g, target, r);
  g->next = mark;
}

// The statements of an inlined block, and a return of the last one's value.
static void return_of_block(Generator *g, Node *block, int op) {
  int mark = g->next, variables_end = g->variables_end;
  open_scope(g, block, 0);
  for (size_t i = 0; i + 1 < block->item_count; i++) effect(g, block->items[i]);
  if (block->item_count > 0) {
    return_of(g, block->items[block->item_count - 1], op);
  } else {
    int r = temporary(g);
    emit(g, OP_LOAD_NIL, r, 0, 0);
    emit(g, op, r, 0, 0);
  }
  g->next = mark;
  g->variables_end = variables_end;
}

// Returns the value of n by an instruction of the given kind. Both branches of an ifTrue:ifFalse: return by themselves.
static void return_of(Generator *g, Node *n, int op) {
  int mark = g->next;
  if (n->kind == NODE_RETURN) {
    effect(g, n);
  } else if (op == OP_RETURN && is_method(g) && n->kind == NODE_VARIABLE && n->resolution == NAME_SELF) {
    emit(g, OP_RETURN_SELF, 0, 0, 0);
  } else if (n->kind == NODE_SEND && n->inlining == INLINE_IF && n->item_count == 2) {
    bool when = n->name.bytes[2] == 'T';
    Jumps otherwise = {0};
    condition(g, n->receiver, !when, &otherwise);
    return_of_block(g, n->items[0], op);
    land(g, &otherwise);
    return_of_block(g, n->items[1], op);
  } else {
    size_t position = g->position;
    int r = operand(g, n, NULL, 0);
    g->position = position;
    emit(g, op, r, 0, 0);
  }
  g->next = mark;
}

static void return_value(Generator *g, Node *n) { return_of(g, n->value, is_method(g) ? OP_RETURN : OP_RETURN_NONLOCAL); }

static void effect(Generator *g, Node *n) {
  int mark = g->next;
  if (n->kind != NODE_SEND) g->position = n->position;
  switch (n->kind) {
    case NODE_LITERAL:
    case NODE_VARIABLE: break;
    case NODE_BLOCK: break;
    case NODE_ASSIGN: assignment(g, n, -1); break;
    case NODE_SEND:
      if (n->inlining != INLINE_NONE) inlined_send(g, n, -1);
      else send(g, n, -1);
      break;
    case NODE_CASCADE: cascade(g, n, -1); break;
    case NODE_BRACE: brace(g, n, -1); break;
    case NODE_RETURN: return_value(g, n); break;
  }
  g->next = mark;
}

static void value_to(Generator *g, Node *n, int target) {
  int mark = g->next;
  if (n->kind != NODE_SEND) g->position = n->position;
  switch (n->kind) {
    case NODE_LITERAL: load_literal(g, n->literal, target); break;
    case NODE_VARIABLE: load_variable(g, n, target); break;
    case NODE_BLOCK: closure(g, n, target); break;
    case NODE_ASSIGN: assignment(g, n, target); break;
    case NODE_SEND:
      if (n->inlining != INLINE_NONE) inlined_send(g, n, target);
      else send(g, n, target);
      break;
    case NODE_CASCADE: cascade(g, n, target); break;
    case NODE_BRACE: brace(g, n, target); break;
    case NODE_RETURN: return_value(g, n); break;
  }
  g->next = mark;
}

// --- functions

static void open_parameters(Generator *g, Scope *s) {
  for (size_t i = 0; i < s->parameter_count; i++) {
    s->variables[i]->register_number = temporary(g);
    name_register(g, s->variables[i]->register_number, s->variables[i]->name);
  }
}

// What a block uses more than once it keeps in registers.
static void keep_captures(Generator *g) {
  Function *f = g->function;
  if (f->self_uses > 1) {
    f->self_register = temporary(g);
    emit(g, OP_GET_FIELD, f->self_register, 0, BLOCK_RECEIVER);
  }
  for (size_t i = 0; i < f->capture_count; i++) {
    if (f->captures[i].uses < 2) continue;
    int r = temporary(g);
    emit(g, OP_GET_COPIED, r, (int)i, 0);
    f->captures[i].register_number = r;
    if (f->captures[i].variable != NULL) name_register(g, r, f->captures[i].variable->name);
  }
}

static void body_of(Generator *g, Node *body, bool answers_last) {
  size_t last = body->item_count;
  for (size_t i = 0; i < body->item_count; i++) {
    int mark = g->next;
    if (i + 1 < last || !answers_last || body->items[i]->kind == NODE_RETURN) effect(g, body->items[i]);
    else return_of(g, body->items[i], OP_RETURN);
    g->next = mark;
  }
  if (last > 0 && body->items[last - 1]->kind == NODE_RETURN) return;
  if (!answers_last) emit(g, OP_RETURN_SELF, 0, 0, 0);
  else if (last == 0) {
    int r = temporary(g);
    emit(g, OP_LOAD_NIL, r, 0, 0);
    emit(g, OP_RETURN, r, 0, 0);
  }
}

// The primitive writes its reason before the scope's variables are made nil: it goes to a register above them first.
static void keep_reason(Generator *g, uint32_t primitive_at) {
  Variable *v = g->c->primitive_reason;
  int r = temporary(g);
  g->code->primitive_reason = r;
  g->code->instructions[primitive_at] |= (uint32_t)r << 8;
  if (v->in_vector) emit(g, OP_SET_FIELD, r, v->scope->vector_register, (int)v->slot);
  else move(g, v->register_number, r);
}

static Code *function_code(Compiler *c, Function *f, Generator *outer) {
  Generator g = {.c = c, .function = f, .outer = outer, .position = f->body->position, .next = 1};
  Code *code = g.code = f->code = arena_allocate(&c->arena, sizeof *code);
  Scope *s = f->body->scope;
  code->register_count = 1;
  code->is_block = f->outer != NULL;
  code->has_nonlocal_return = f->needs_home;
  code->argument_count = (int)s->parameter_count;
  code->copied_count = (int)f->capture_count;
  code->clean = code->is_block && !f->needs_self && !f->needs_home && f->capture_count == 0;
  bool primitive = !code->is_block && c->primitive.length > 0;
  uint32_t primitive_at = primitive ? emit_wide(&g, OP_PRIMITIVE, 0, 0) : 0;
  open_parameters(&g, s);
  if (s->parameter_count > 200 || f->capture_count > 200) compiler_error(c, f->body->position, NULL, NULL, "too many parameters or captured variables");
  open_scope(&g, f->body, s->parameter_count);
  if (primitive && c->primitive_reason != NULL) keep_reason(&g, primitive_at);
  if (code->is_block) keep_captures(&g);
  body_of(&g, f->body, code->is_block || c->request->mode == COMPILE_DOIT);
  fix_literals(&g);
  return code;
}

Code *generate(Compiler *c, Function *method) {
  Code *code = function_code(c, method, NULL);
  code->selector = c->selector;
  code->primitive = c->primitive;
  code->pragmas = c->pragmas;
  code->pragma_count = c->pragma_count;
  code->source = c->request->source;
  return code;
}
