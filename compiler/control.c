// Conditions, and the control structures that are compiled without sends: their blocks are literal, so their statements lie where they are
// used. Conditions jump; only where a Boolean itself is wanted is one made. Loops test at their end.
#include "compiler/generator.h"
#include "vm/opcodes.h"

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

bool is_plain_send(const Node *n) {
  return n->kind == NODE_SEND && n->inlining == INLINE_NONE && !(n->receiver->kind == NODE_VARIABLE && n->receiver->resolution == NAME_SUPER);
}

int comparison_of(const Node *n) {
  if (!is_plain_send(n)) return -1;
  for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++)
    if (text_is(n->name, comparisons[i].selector)) return (int)i;
  return -1;
}

bool small_constant(const Node *n, int *value) {
  if (n->kind != NODE_LITERAL || n->literal.kind != LITERAL_INTEGER || n->literal.integer < -128 || n->literal.integer > 127) return false;
  *value = (int)n->literal.integer;
  return true;
}

static bool is_nil_literal(const Node *n) { return n->kind == NODE_VARIABLE && n->resolution == NAME_CONSTANT && n->literal.kind == LITERAL_NIL; }

bool has_constant_test(int which) { return comparisons[which].test_integer >= 0; }

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
void condition(Generator *g, Node *n, bool sense, Jumps *jumps) {
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
  if (n->literal.kind != LITERAL_FLOAT && n->literal.kind != LITERAL_INTEGER) return;
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
    if (!takes_constant(n)) keep_constant(g, n->items[0]);
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

void inlined_send(Generator *g, Node *n, int target) {
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
