// Names: what each stands for, which blocks are inlined, what each real block captures, and which variables must live in
// a vector because closures and their maker share later assignments (see Variable in syntax.h).
//
// The walk goes in order of evaluation. A loop is one stretch of time: an assignment anywhere in a loop counts as made at the loop's
// end, unless the variable belongs to the loop's own body and so is new each time round.
#include "compiler/syntax.h"
#include <string.h>

static void walk(Compiler *c, Node *n);

// --- inlining

static bool is_block(const Node *n, size_t most_parameters) { return n->kind == NODE_BLOCK && n->scope->parameter_count <= most_parameters; }

static bool are_blocks(const Node *n, size_t parameters) {
  for (size_t i = 0; i < n->item_count; i++)
    if (!is_block(n->items[i], parameters)) return false;
  return true;
}

static bool selector_is(const Node *n, const char *a, const char *b) { return text_is(n->name, a) || text_is(n->name, b); }

static bool is_step(const Node *n) {
  return n->kind == NODE_LITERAL && n->literal.kind == LITERAL_INTEGER && n->literal.integer != 0 && n->literal.integer >= -128 && n->literal.integer < 128;
}

static bool inlines_if_nil(const Node *n) {
  if (text_is(n->name, "ifNil:")) return is_block(n->items[0], 0);
  if (text_is(n->name, "ifNotNil:")) return is_block(n->items[0], 1);
  if (text_is(n->name, "ifNil:ifNotNil:")) return is_block(n->items[0], 0) && is_block(n->items[1], 1);
  return text_is(n->name, "ifNotNil:ifNil:") && is_block(n->items[0], 1) && is_block(n->items[1], 0);
}

static bool inlines_to_do(const Node *n) {
  bool by = text_is(n->name, "to:by:do:");
  if (!by && !text_is(n->name, "to:do:")) return false;
  const Node *body = n->items[n->item_count - 1];
  return is_block(body, 1) && body->scope->parameter_count == 1 && (!by || is_step(n->items[1]));
}

static bool is_super(const Node *n) { return n->kind == NODE_VARIABLE && text_is(n->name, "super"); }

static Inlining inlining_of(const Node *n) {
  if (is_super(n->receiver)) return INLINE_NONE;
  bool receiver_block = is_block(n->receiver, 0);
  if (selector_is(n, "whileTrue:", "whileFalse:") && receiver_block && are_blocks(n, 0)) return INLINE_WHILE;
  if (selector_is(n, "whileTrue", "whileFalse") && receiver_block) return INLINE_WHILE;
  if (text_is(n->name, "repeat") && receiver_block) return INLINE_REPEAT;
  if (n->item_count == 0) return INLINE_NONE;
  if ((selector_is(n, "ifTrue:", "ifFalse:") || selector_is(n, "ifTrue:ifFalse:", "ifFalse:ifTrue:")) && are_blocks(n, 0)) return INLINE_IF;
  if (text_is(n->name, "and:") && are_blocks(n, 0)) return INLINE_AND;
  if (text_is(n->name, "or:") && are_blocks(n, 0)) return INLINE_OR;
  if (text_is(n->name, "timesRepeat:") && are_blocks(n, 0)) return INLINE_TIMES;
  if (inlines_if_nil(n)) return INLINE_IF_NIL;
  return inlines_to_do(n) ? INLINE_TO_DO : INLINE_NONE;
}

// --- uses

static void add_free(Compiler *c, Function *f, Variable *v) {
  for (size_t i = 0; i < f->free_count; i++) {
    if (f->free_variables[i] != v) continue;
    f->free_uses[i]++;
    return;
  }
  f->free_variables = arena_grow(&c->arena, f->free_variables, f->free_count, sizeof *f->free_variables);
  f->free_uses = arena_grow(&c->arena, f->free_uses, f->free_count, sizeof *f->free_uses);
  f->free_variables[f->free_count] = v;
  f->free_uses[f->free_count++] = c->loop != NULL ? 2 : 1;  // what is used in a loop is worth a register
}

static void use_local(Compiler *c, Variable *v) {
  for (Function *f = c->function; f != v->scope->function; f = f->outer) {
    add_free(c, f, v);
    if (f->made_at < v->first_capture || !v->captured) v->first_capture = f->made_at;
    v->captured = true;
  }
}

static void use_self(Compiler *c) {
  c->function->self_uses += c->loop != NULL ? 2 : 1;
  for (Function *f = c->function; f != NULL; f = f->outer) f->needs_self = true;
}

static bool starts_upper(Text name) { return name.length > 0 && name.bytes[0] >= 'A' && name.bytes[0] <= 'Z'; }

static void resolve_outside(Compiler *c, Node *n) {
  n->resolution = NAME_BINDING;
  if (c->request->lookup != NULL && c->request->lookup(c->request->lookup_context, n->name)) return;
  if (starts_upper(n->name)) note_undeclared(c, n->name);
  else compiler_error(c, n->position, arena_copy(&c->arena, n->name.bytes, n->name.length), NULL, "undeclared variable");
}

static bool resolve_pseudo(Compiler *c, Node *n) {
  static const struct {
    const char *name;
    Resolution resolution;
    LiteralKind kind;
  } pseudo[] = {{"self", NAME_SELF, 0},
                {"super", NAME_SUPER, 0},
                {"thisContext", NAME_THIS_CONTEXT, 0},
                {"nil", NAME_CONSTANT, LITERAL_NIL},
                {"true", NAME_CONSTANT, LITERAL_TRUE},
                {"false", NAME_CONSTANT, LITERAL_FALSE}};
  for (size_t i = 0; i < sizeof pseudo / sizeof *pseudo; i++) {
    if (!text_is(n->name, pseudo[i].name)) continue;
    n->resolution = pseudo[i].resolution;
    n->literal.kind = pseudo[i].kind;
    // who sees the context may ask for its receiver
    if (n->resolution != NAME_CONSTANT) use_self(c);
    return true;
  }
  return false;
}

static void resolve(Compiler *c, Node *n) {
  for (Scope *s = c->scope; s != NULL; s = s->outer) {
    Variable *v = scope_find_here(s, n->name);
    if (v == NULL) continue;
    n->resolution = NAME_LOCAL;
    n->variable = v;
    use_local(c, v);
    return;
  }
  if (resolve_pseudo(c, n)) return;
  for (size_t i = c->request->instance_variable_count; i-- > 0;) {
    if (!text_equal(c->request->instance_variables[i], n->name)) continue;
    n->resolution = NAME_FIELD;
    n->field = i;
    if (i > 255) compiler_error(c, n->position, NULL, NULL, "only 256 instance variables can be named in methods");
    use_self(c);
    return;
  }
  resolve_outside(c, n);
}

static void assign(Compiler *c, Node *n) {
  resolve(c, n);
  Variable *v = n->variable;
  if (n->resolution == NAME_LOCAL) {
    if (v->parameter) compiler_error(c, n->position, arena_copy(&c->arena, n->name.bytes, n->name.length), "a variable", "an argument cannot be assigned to");
    if (c->function != v->scope->function) v->assigned_in_capture = true;
    Assignment *a = arena_allocate(&c->arena, sizeof *a);
    *a = (Assignment){v->assignments, ++c->time, c->loop};
    v->assignments = a;
  } else if (n->resolution != NAME_FIELD && n->resolution != NAME_BINDING) {
    compiler_error(c, n->position, arena_copy(&c->arena, n->name.bytes, n->name.length), "a variable", "this name cannot be assigned to");
  }
}

// --- the walk

static void walk_items(Compiler *c, Node *n) {
  for (size_t i = 0; i < n->item_count; i++) walk(c, n->items[i]);
}

static void walk_inlined(Compiler *c, Node *block) {
  Scope *saved = c->scope;
  c->scope = block->scope;
  block->scope->function = c->function;
  block->scope->loop = c->loop;
  walk_items(c, block);
  c->scope = saved;
}

static void walk_argument(Compiler *c, Node *n) {
  if (n->kind == NODE_BLOCK) walk_inlined(c, n);
  else walk(c, n);
}

static void enter_loop(Compiler *c) {
  Loop *loop = arena_allocate(&c->arena, sizeof *loop);
  loop->outer = c->loop;
  c->loop = loop;
}

static void leave_loop(Compiler *c) {
  c->loop->end = ++c->time;
  c->loop = c->loop->outer;
}

static void walk_send(Compiler *c, Node *n) {
  n->inlining = inlining_of(n);
  switch (n->inlining) {
    case INLINE_NONE:
      walk(c, n->receiver);
      walk_items(c, n);
      return;
    case INLINE_IF:
    case INLINE_AND:
    case INLINE_OR:
    case INLINE_IF_NIL:
      walk(c, n->receiver);
      for (size_t i = 0; i < n->item_count; i++) walk_inlined(c, n->items[i]);
      return;
    case INLINE_WHILE:
    case INLINE_REPEAT:
      enter_loop(c);
      walk_inlined(c, n->receiver);
      for (size_t i = 0; i < n->item_count; i++) walk_inlined(c, n->items[i]);
      leave_loop(c);
      return;
    case INLINE_TO_DO:
    case INLINE_TIMES:
      walk(c, n->receiver);
      for (size_t i = 0; i + 1 < n->item_count; i++) walk(c, n->items[i]);
      enter_loop(c);
      walk_argument(c, n->items[n->item_count - 1]);
      leave_loop(c);
      return;
  }
}

static Function *new_function(Compiler *c, Node *body) {
  Function *f = arena_allocate(&c->arena, sizeof *f);
  f->outer = c->function;
  f->body = body;
  f->made_at = ++c->time;
  f->self_register = -1;
  c->functions = arena_grow(&c->arena, c->functions, c->function_count, sizeof f);
  c->functions[c->function_count++] = f;
  return f;
}

static void walk_function(Compiler *c, Function *f) {
  Function *outer = c->function;
  Loop *loop = c->loop;
  c->function = f;
  c->loop = NULL;
  walk_inlined(c, f->body);
  c->function = outer;
  c->loop = loop;
}

static void walk_return(Compiler *c, Node *n) {
  walk(c, n->value);
  if (c->function->outer == NULL) return;
  for (Function *f = c->function; f != NULL; f = f->outer) f->needs_home = true;
}

static void walk(Compiler *c, Node *n) {
  switch (n->kind) {
    case NODE_LITERAL: return;
    case NODE_VARIABLE: resolve(c, n); return;
    case NODE_ASSIGN:
      walk(c, n->value);
      assign(c, n->target);
      return;
    case NODE_SEND: walk_send(c, n); return;
    case NODE_CASCADE:
      walk(c, n->receiver);
      for (size_t i = 0; i < n->item_count; i++) walk_items(c, n->items[i]);
      return;
    case NODE_BLOCK:
      n->function = new_function(c, n);
      walk_function(c, n->function);
      return;
    case NODE_BRACE: walk_items(c, n); return;
    case NODE_RETURN: walk_return(c, n); return;
  }
}

// --- vectors and captures

static unsigned time_of(const Variable *v, const Assignment *a) {
  unsigned time = a->time;
  for (const Loop *l = a->loop; l != NULL && l != v->scope->loop; l = l->outer) time = l->end;
  return time;
}

static bool is_shared(const Variable *v) {
  if (v->assigned_in_capture) return true;
  for (const Assignment *a = v->assignments; a != NULL; a = a->next)
    if (time_of(v, a) > v->first_capture) return true;
  return false;
}

static void place(Compiler *c, Variable *v) {
  if (v->in_vector || !is_shared(v)) return;
  v->in_vector = true;
  v->scope->has_vector = true;
  v->slot = v->scope->vector_size++;
  if (v->scope->vector_size > 255) compiler_error(c, v->position, NULL, NULL, "more than 255 variables are shared with blocks");
}

static void add_capture(Compiler *c, Function *f, Capture capture) {
  for (size_t i = 0; i < f->capture_count; i++) {
    if (f->captures[i].variable != capture.variable || f->captures[i].vector != capture.vector) continue;
    f->captures[i].uses += capture.uses;
    return;
  }
  f->captures = arena_grow(&c->arena, f->captures, f->capture_count, sizeof capture);
  f->captures[f->capture_count++] = capture;
}

static void capture(Compiler *c, Function *f) {
  for (size_t i = 0; i < f->free_count; i++) {
    Variable *v = f->free_variables[i];
    add_capture(c, f, (Capture){v->in_vector ? NULL : v, v->in_vector ? v->scope : NULL, f->free_uses[i], -1});
  }
}

Function *analyse(Compiler *c) {
  c->scope = NULL;
  Function *method = new_function(c, c->body);
  walk_function(c, method);
  for (size_t i = 0; i < c->function_count; i++)
    for (size_t j = 0; j < c->functions[i]->free_count; j++) place(c, c->functions[i]->free_variables[j]);
  for (size_t i = 0; i < c->function_count; i++) capture(c, c->functions[i]);
  return method;
}
