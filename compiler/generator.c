// The code generator: register code from the analysed tree.
//
// Registers of a frame are used like a stack: r0, parameters, what the function keeps (captured values, self), then the variables of
// each scope while it is open, and expression temporaries above. A send's window lies at the top: three header words, receiver,
// arguments; what is above the receiver is the callee's, so nothing that lives longer may lie there.
//
// Where an expression's value goes is always named by its reader: value_to(node, register). `operand` answers the register of
// a variable itself instead of a copy, unless something evaluated before it is used assigns to that variable. The numbers that
// arithmetic in a loop takes from the literal frame are loaded once, before the outermost loop.
#include "compiler/generator.h"
#include "vm/opcodes.h"

enum { BLOCK_HOME = 1, BLOCK_RECEIVER = 2 };

static void return_of(Generator *g, Node *n, int op);
static Code *function_code(Compiler *c, Function *f, Generator *outer);

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

void move(Generator *g, int to, int from) {
  if (to != from) emit(g, OP_MOVE, to, from, 0);
}

void load_literal(Generator *g, Literal literal, int target) {
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
int constant_register(const Generator *g, const Literal *literal) {
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

int operand(Generator *g, Node *n, Node **later, size_t later_count) { return operand_near(g, n, later, later_count, -1); }

// --- scopes

void name_register(Generator *g, int r, Text name) {
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
void open_scope(Generator *g, const Node *block, size_t first) {
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
void inline_block(Generator *g, Node *block, size_t first_variable, int target) {
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

// --- sends

static const struct {
  const char *selector;
  int op;
} arithmetic[] = {{"+", OP_ADD},        {"-", OP_SUBTRACT},      {"*", OP_MULTIPLY},      {"/", OP_DIVIDE},         {"//", OP_FLOOR_DIVIDE},
                  {"\\\\", OP_MODULO},  {"bitAnd:", OP_BIT_AND}, {"bitOr:", OP_BIT_OR},   {"bitXor:", OP_BIT_XOR},  {"bitShift:", OP_BIT_SHIFT},
                  {"<", OP_LESS},       {"<=", OP_LESS_EQUAL},   {">", OP_GREATER},       {">=", OP_GREATER_EQUAL}, {"=", OP_EQUAL},
                  {"~=", OP_NOT_EQUAL}, {"==", OP_IDENTICAL},    {"~~", OP_NOT_IDENTICAL}},
  unary[] = {{"size", OP_SIZE}, {"class", OP_CLASS}, {"isNil", OP_IS_NIL}, {"notNil", OP_NOT_NIL}, {"not", OP_NOT}};

bool is_arithmetic(const Node *n) {
  for (size_t i = 0; i < sizeof arithmetic / sizeof *arithmetic; i++)
    if (is_plain_send(n) && text_is(n->name, arithmetic[i].selector)) return true;
  return false;
}

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

bool takes_constant(const Node *n) {
  int constant, which = comparison_of(n);
  if (!small_constant(n->items[0], &constant)) return false;
  if (which >= 0) return has_constant_test(which);
  for (size_t i = 0; i < sizeof arithmetic / sizeof *arithmetic; i++)
    if (text_is(n->name, arithmetic[i].selector)) return with_constant(arithmetic[i].op) >= 0;
  return false;
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

void effect(Generator *g, Node *n) {
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

void value_to(Generator *g, Node *n, int target) {
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
