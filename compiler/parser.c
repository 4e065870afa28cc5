// The parser: recursive descent over the lexer's tokens, one token ahead. After an error it goes on with the next statement,
// so that one run finds several.
#include "compiler/syntax.h"
#include <stdio.h>
#include <string.h>

// Limits of recursion, here and in the passes that walk the tree.
enum { MAX_NESTING = 1100, MAX_DEPTH = 3000 };

static Node *expression(Compiler *c);
static Node *block(Compiler *c);
static Literal array_literal(Compiler *c, size_t start);

// --- tokens

static void advance(Compiler *c) {
  c->previous_end = c->token.end;
  c->token = lexer_next(&c->lexer);
}

static bool at(const Compiler *c, TokenKind kind) { return c->token.kind == kind; }
static bool at_binary(const Compiler *c, const char *text) { return at(c, TOKEN_BINARY) && text_is(c->token.text, text); }

// What stands at the current token, for error messages.
static const char *found(Compiler *c) {
  if (at(c, TOKEN_END)) return "the end of the text";
  Text t = {c->request->source.bytes + c->token.start, c->token.end - c->token.start};
  for (size_t i = 0; i < t.length; i++)
    if (t.bytes[i] == '\n') t.length = i;
  if (t.length > 40) {
    t.length = 40;
    while (t.length > 0 && ((unsigned char)t.bytes[t.length] & 0xC0) == 0x80) t.length--;
  }
  return arena_copy(&c->arena, t.bytes, t.length);
}

static void unexpected(Compiler *c, const char *expected) {
  if (at(c, TOKEN_ERROR)) compiler_error(c, c->token.start, NULL, NULL, "%.*s", (int)c->token.text.length, c->token.text.bytes);
  else compiler_error(c, c->token.start, found(c), expected, "syntax error");
}

static bool expect(Compiler *c, TokenKind kind, const char *expected) {
  if (at(c, kind)) {
    advance(c);
    return true;
  }
  unexpected(c, expected);
  return false;
}

// After an error: to the end of the statement, over balanced brackets.
static void recover(Compiler *c) {
  int depth = 0;
  for (; !at(c, TOKEN_END); advance(c)) {
    TokenKind k = c->token.kind;
    if (depth == 0 && (k == TOKEN_PERIOD || k == TOKEN_RIGHT_BRACKET || k == TOKEN_RIGHT_BRACE)) return;
    if (k == TOKEN_LEFT_BRACKET || k == TOKEN_LEFT_PAREN || k == TOKEN_LEFT_BRACE) depth++;
    if ((k == TOKEN_RIGHT_BRACKET || k == TOKEN_RIGHT_PAREN || k == TOKEN_RIGHT_BRACE) && depth > 0) depth--;
  }
}

// Gives up: what follows is not looked at.
static void give_up(Compiler *c, size_t position, const char *message) {
  compiler_error(c, position, NULL, NULL, "%s", message);
  c->gave_up = true;
  c->lexer.position = c->request->source.length;
  advance(c);
}

// One level deeper in brackets of any kind. False: too deep.
static bool nest(Compiler *c, size_t position) {
  if (c->nesting >= MAX_NESTING) give_up(c, position, "this is nested too deeply");
  else c->nesting++;
  return !c->gave_up;
}

// Appends to a selector made of keywords.
static void append(Compiler *c, char **text, size_t *length, Text more) {
  for (size_t i = 0; i < more.length; i++) {
    *text = arena_grow(&c->arena, *text, *length, 1);
    (*text)[(*length)++] = more.bytes[i];
  }
}

// --- nodes

static Node *new_node(Compiler *c, NodeKind kind, size_t position) {
  Node *n = arena_allocate(&c->arena, sizeof *n);
  n->kind = kind;
  n->position = position;
  return n;
}

// Notes how deep the tree under n has become with this child.
static Node *child(Compiler *c, Node *n, Node *child) {
  if (child->depth >= n->depth) n->depth = child->depth + 1;
  if (n->depth > MAX_DEPTH) give_up(c, child->position, "this expression is too long");
  return child;
}

static void add_item(Compiler *c, Node *n, Node *item) {
  child(c, n, item);
  n->items = arena_grow(&c->arena, n->items, n->item_count, sizeof *n->items);
  n->items[n->item_count++] = item;
}

static Node *literal_node(Compiler *c, Literal literal, size_t position) {
  Node *n = new_node(c, NODE_LITERAL, position);
  n->literal = literal;
  return n;
}

// What stands for something that could not be parsed.
static Node *nothing(Compiler *c) { return literal_node(c, (Literal){.kind = LITERAL_NIL}, c->token.start); }

// --- literals

static void add_literal(Compiler *c, Literal *array, Literal item) {
  array->items = arena_grow(&c->arena, array->items, array->item_count, sizeof item);
  array->items[array->item_count++] = item;
}

static Literal symbol_of(Text text) { return (Literal){.kind = LITERAL_SYMBOL, .text = text}; }

static Literal word_literal(Text text) {
  if (text_is(text, "nil")) return (Literal){.kind = LITERAL_NIL};
  if (text_is(text, "true")) return (Literal){.kind = LITERAL_TRUE};
  if (text_is(text, "false")) return (Literal){.kind = LITERAL_FALSE};
  return symbol_of(text);
}

// The bytes up to the closing bracket; the current token is the first behind the opening one.
static Literal byte_array_literal(Compiler *c, size_t start) {
  char *bytes = NULL;
  size_t count = 0;
  while (!at(c, TOKEN_RIGHT_BRACKET) && !at(c, TOKEN_END)) {
    if (!at(c, TOKEN_LITERAL) || c->token.literal.kind != LITERAL_INTEGER || c->token.literal.integer < 0 || c->token.literal.integer > 255) {
      unexpected(c, "a byte from 0 to 255 or ]");
      while (!at(c, TOKEN_END) && !at(c, TOKEN_RIGHT_BRACKET)) advance(c);
      break;
    }
    bytes = arena_grow(&c->arena, bytes, count, 1);
    bytes[count++] = (char)c->token.literal.integer;
    c->token = lexer_next_in_array(&c->lexer);
  }
  if (at(c, TOKEN_END)) compiler_error(c, start, NULL, NULL, "this byte array does not end");
  return (Literal){.kind = LITERAL_BYTE_ARRAY, .text = {bytes, count}};
}

static void next_in_array(Compiler *c) {
  c->previous_end = c->token.end;
  c->token = lexer_next_in_array(&c->lexer);
}

// One element; the current token moves behind it. False: none stands here.
static bool array_element(Compiler *c, Literal *out) {
  size_t start = c->token.start;
  switch (c->token.kind) {
    case TOKEN_LITERAL: *out = c->token.literal; break;
    case TOKEN_IDENTIFIER: *out = word_literal(c->token.text); break;
    case TOKEN_KEYWORD:
    case TOKEN_BINARY: *out = symbol_of(c->token.text); break;
    case TOKEN_ASSIGN: *out = symbol_of((Text){c->request->source.bytes + start, c->token.end - start}); break;
    case TOKEN_LEFT_PAREN:
    case TOKEN_HASH_PAREN:
      if (!nest(c, start)) return false;
      next_in_array(c);
      *out = array_literal(c, start);
      c->nesting--;
      break;
    case TOKEN_LEFT_BRACKET:
    case TOKEN_HASH_BRACKET:
      next_in_array(c);
      *out = byte_array_literal(c, start);
      break;
    case TOKEN_CARET:
    case TOKEN_SEMICOLON:
    case TOKEN_COLON:
    case TOKEN_PERIOD: *out = symbol_of(c->token.text); break;
    default: return false;
  }
  next_in_array(c);
  return true;
}

// Up to the closing parenthesis, which stays the current token.
static Literal array_literal(Compiler *c, size_t start) {
  Literal array = {.kind = LITERAL_ARRAY}, item;
  while (!at(c, TOKEN_RIGHT_PAREN)) {
    if (at(c, TOKEN_END)) {
      compiler_error(c, start, NULL, NULL, "this literal array does not end");
      return array;
    }
    if (array_element(c, &item)) {
      add_literal(c, &array, item);
      continue;
    }
    unexpected(c, "a literal or )");
    while (!at(c, TOKEN_END) && !at(c, TOKEN_RIGHT_PAREN)) next_in_array(c);
  }
  return array;
}

// Whether the current token is the sign of a number, perhaps with spaces between, as Pharo has it. Then the lexer stands before the digits.
static bool digits_follow(Compiler *c) {
  const Text s = c->request->source;
  size_t p = c->token.end;
  while (p < s.length && (s.bytes[p] == ' ' || s.bytes[p] == '\t')) p++;
  if (!lexer_digit_at(&c->lexer, p)) return false;
  c->lexer.position = p - 1;
  return true;
}

// A literal that starts at the current token. False: none does.
static bool literal(Compiler *c, Literal *out) {
  size_t start = c->token.start;
  if (at(c, TOKEN_LITERAL)) *out = c->token.literal;
  else if (at(c, TOKEN_HASH_PAREN)) {
    next_in_array(c);
    *out = array_literal(c, start);
  } else if (at(c, TOKEN_HASH_BRACKET)) {
    next_in_array(c);
    *out = byte_array_literal(c, start);
  } else if (at_binary(c, "-") && digits_follow(c)) {
    c->token = lexer_number(&c->lexer, true);
    c->token.start = start;
    if (!at(c, TOKEN_LITERAL)) return false;
    *out = c->token.literal;
  } else {
    return false;
  }
  advance(c);
  return true;
}

// --- expressions

static Node *variable(Compiler *c) {
  Node *n = new_node(c, NODE_VARIABLE, c->token.start);
  n->name = c->token.text;
  advance(c);
  return n;
}

static Node *brace(Compiler *c) {
  Node *n = new_node(c, NODE_BRACE, c->token.start);
  advance(c);
  while (!at(c, TOKEN_RIGHT_BRACE) && !at(c, TOKEN_END)) {
    if (at(c, TOKEN_PERIOD)) {
      advance(c);
      continue;
    }
    add_item(c, n, expression(c));
    if (!at(c, TOKEN_PERIOD) && !at(c, TOKEN_RIGHT_BRACE)) break;
  }
  expect(c, TOKEN_RIGHT_BRACE, ". or }");
  return n;
}

static Node *primary(Compiler *c) {
  Literal value;
  size_t start = c->token.start;
  switch (c->token.kind) {
    case TOKEN_IDENTIFIER: return variable(c);
    case TOKEN_LEFT_BRACKET: return block(c);
    case TOKEN_LEFT_BRACE: return brace(c);
    case TOKEN_LEFT_PAREN: {
      advance(c);
      Node *n = expression(c);
      expect(c, TOKEN_RIGHT_PAREN, ")");
      n->parenthesized = true;
      return n;
    }
    default: break;
  }
  if (literal(c, &value)) return literal_node(c, value, start);
  unexpected(c, "an expression");
  if (at(c, TOKEN_ERROR)) advance(c);
  recover(c);
  return nothing(c);
}

static Node *send(Compiler *c, Node *receiver, Text selector, size_t position) {
  Node *n = new_node(c, NODE_SEND, position);
  if (receiver != NULL) n->receiver = child(c, n, receiver);
  n->name = selector;
  return n;
}

static Node *unary_tail(Compiler *c, Node *receiver) {
  while (at(c, TOKEN_IDENTIFIER)) {
    receiver = send(c, receiver, c->token.text, c->token.start);
    advance(c);
  }
  return receiver;
}

static Node *binary_tail(Compiler *c, Node *receiver) {
  while (at(c, TOKEN_BINARY)) {
    Node *n = send(c, receiver, c->token.text, c->token.start);
    advance(c);
    add_item(c, n, unary_tail(c, primary(c)));
    receiver = n;
  }
  return receiver;
}

static Node *keyword_tail(Compiler *c, Node *receiver) {
  if (!at(c, TOKEN_KEYWORD)) return receiver;
  Node *n = send(c, receiver, (Text){NULL, 0}, c->token.start);
  char *selector = NULL;
  size_t length = 0;
  while (at(c, TOKEN_KEYWORD)) {
    append(c, &selector, &length, c->token.text);
    advance(c);
    add_item(c, n, binary_tail(c, unary_tail(c, primary(c))));
  }
  n->name = (Text){selector, length};
  return n;
}

// The message of one part of a cascade: one send without receiver.
static Node *cascade_part(Compiler *c) {
  Node *n = NULL;
  if (at(c, TOKEN_IDENTIFIER)) {
    n = send(c, NULL, c->token.text, c->token.start);
    advance(c);
  } else if (at(c, TOKEN_BINARY)) {
    n = send(c, NULL, c->token.text, c->token.start);
    advance(c);
    add_item(c, n, unary_tail(c, primary(c)));
  } else if (at(c, TOKEN_KEYWORD)) {
    n = keyword_tail(c, NULL);
  } else {
    unexpected(c, "a message");
  }
  return n;
}

static Node *cascade(Compiler *c, Node *first) {
  if (!at(c, TOKEN_SEMICOLON)) return first;
  if (first->kind != NODE_SEND || first->parenthesized) {
    unexpected(c, "a message before the cascade");
    recover(c);
    return first;
  }
  Node *n = new_node(c, NODE_CASCADE, first->position);
  n->receiver = child(c, n, first->receiver);
  first->receiver = NULL;
  add_item(c, n, first);
  while (at(c, TOKEN_SEMICOLON)) {
    advance(c);
    if (at(c, TOKEN_SEMICOLON)) continue;
    Node *part = cascade_part(c);
    if (part == NULL) break;
    add_item(c, n, part);
  }
  return n;
}

static bool declared(Compiler *c, Text name) {
  for (Scope *s = c->scope; s != NULL; s = s->outer)
    if (scope_find_here(s, name) != NULL) return true;
  for (size_t i = 0; i < c->request->instance_variable_count; i++)
    if (text_equal(c->request->instance_variables[i], name)) return true;
  return c->request->lookup != NULL && c->request->lookup(c->request->lookup_context, name);
}

static Node *expression_here(Compiler *c) {
  if (at(c, TOKEN_IDENTIFIER)) {
    Lexer saved = c->lexer;
    Token name = c->token;
    Token after = lexer_next(&c->lexer);
    if (after.kind == TOKEN_ASSIGN) {
      // the variables of a doit need no declaration
      if (c->request->mode == COMPILE_DOIT && !declared(c, name.text)) scope_declare(c, c->method_scope, name.text, name.start, false);
      c->token = after;
      advance(c);
      Node *target = new_node(c, NODE_VARIABLE, name.start);
      target->name = name.text;
      Node *n = new_node(c, NODE_ASSIGN, name.start);
      n->target = target;
      n->value = child(c, n, expression(c));
      return n;
    }
    c->lexer = saved;
  }
  Node *n = primary(c);
  return cascade(c, keyword_tail(c, binary_tail(c, unary_tail(c, n))));
}

static Node *expression(Compiler *c) {
  if (!nest(c, c->token.start)) return nothing(c);
  Node *n = expression_here(c);
  c->nesting--;
  return n;
}

// --- statements, blocks

// `| a b |` at the current token, possibly several times.
static void temporaries(Compiler *c) {
  while (at_binary(c, "|") || at_binary(c, "||")) {
    bool empty = at_binary(c, "||");
    advance(c);
    if (empty) continue;
    while (at(c, TOKEN_IDENTIFIER)) {
      scope_declare(c, c->scope, c->token.text, c->token.start, false);
      advance(c);
    }
    if (!at_binary(c, "|")) {
      unexpected(c, "a variable name or |");
      recover(c);
      return;
    }
    advance(c);
  }
}

static void statements(Compiler *c, Node *body, TokenKind end) {
  while (!at(c, end) && !at(c, TOKEN_END) && !c->gave_up) {
    if (at(c, TOKEN_PERIOD)) {
      advance(c);
      continue;
    }
    size_t errors = c->result->error_count;
    if (c->request->mode == COMPILE_DOIT && (at_binary(c, "|") || at_binary(c, "||"))) {
      temporaries(c);  // a script may declare variables as it goes
      continue;
    }
    if (at(c, TOKEN_CARET)) {
      Node *n = new_node(c, NODE_RETURN, c->token.start);
      advance(c);
      n->value = child(c, n, expression(c));
      add_item(c, body, n);
    } else {
      add_item(c, body, expression(c));
    }
    if (at(c, TOKEN_PERIOD) || at(c, end)) continue;
    if (c->result->error_count == errors) unexpected(c, end == TOKEN_END ? ". or the end of the text" : ". or ]");
    if (!at(c, TOKEN_END) && !at(c, TOKEN_PERIOD)) advance(c);
    recover(c);
    if (at(c, TOKEN_PERIOD)) advance(c);
    else if (end == TOKEN_END && !at(c, TOKEN_END)) advance(c);
  }
}

static Scope *push_scope(Compiler *c) {
  Scope *s = arena_allocate(&c->arena, sizeof *s);
  s->outer = c->scope;
  s->vector_register = -1;
  c->scope = s;
  return s;
}

static void block_parameters(Compiler *c) {
  if (!at(c, TOKEN_COLON)) return;
  while (at(c, TOKEN_COLON)) {
    advance(c);
    if (!at(c, TOKEN_IDENTIFIER)) {
      unexpected(c, "a parameter's name");
      return;
    }
    scope_declare(c, c->scope, c->token.text, c->token.start, true);
    advance(c);
  }
  if (at_binary(c, "||")) {  // the end of the parameters, and the beginning of temporaries
    c->token.text = (Text){c->token.text.bytes + 1, 1};
    return;
  }
  if (at_binary(c, "|")) advance(c);
  else if (!at(c, TOKEN_RIGHT_BRACKET)) unexpected(c, "| or a parameter");
}

static Node *block(Compiler *c) {
  Node *n = new_node(c, NODE_BLOCK, c->token.start);
  n->scope = push_scope(c);
  advance(c);
  block_parameters(c);
  n->scope->parameter_count = n->scope->variable_count;
  temporaries(c);
  statements(c, n, TOKEN_RIGHT_BRACKET);
  if (!at(c, TOKEN_RIGHT_BRACKET)) {
    if (c->result->error_count == 0 || at(c, TOKEN_END)) unexpected(c, "]");
  } else {
    advance(c);
  }
  c->scope = n->scope->outer;
  return n;
}

// --- pragmas

// The argument of a part of the pragma's keyword, such as "error:"; NULL if it has no such part.
static const Literal *pragma_part(const PragmaData *p, const char *part) {
  size_t length = strlen(part), start = 0;
  for (size_t i = 0; i < p->argument_count; i++) {
    const char *colon = memchr(p->keyword.bytes + start, ':', p->keyword.length - start);
    size_t end = colon == NULL ? p->keyword.length : (size_t)(colon - p->keyword.bytes) + 1;
    if (end - start == length && memcmp(p->keyword.bytes + start, part, length) == 0) return &p->arguments[i];
    start = end;
  }
  return NULL;
}

static void declare_reason(Compiler *c, Text name) {
  Variable *v = scope_find_here(c->method_scope, name);
  c->primitive_reason = v != NULL ? v : scope_declare(c, c->method_scope, name, c->token.start, false);
}

static bool begins_with(Text text, const char *start) { return text.length >= strlen(start) && memcmp(text.bytes, start, strlen(start)) == 0; }

// Squeak's form of a call of C: <cdecl: long 'labs' (long) module: 'c'>.
static bool is_squeak_call(Text keyword) { return begins_with(keyword, "cdecl:") || begins_with(keyword, "apicall:"); }

// <c: 'prototype' library: 'name' ...>: a call of C. Its parts but `error:` are for the one who links it.
static bool note_foreign_call(Compiler *c, const PragmaData *p) {
  if ((!begins_with(p->keyword, "c:") && !is_squeak_call(p->keyword)) || p->arguments[0].kind != LITERAL_STRING) return false;
  const Literal *reason = pragma_part(p, "error:");
  c->primitive = (Text){"foreignCall", 11};
  if (reason != NULL && reason->kind == LITERAL_SYMBOL) declare_reason(c, reason->text);
  return true;
}

static void note_primitive(Compiler *c, const PragmaData *p) {
  if (p->argument_count > 0 && note_foreign_call(c, p)) return;
  if (p->argument_count == 0 || (p->arguments[0].kind != LITERAL_SYMBOL && p->arguments[0].kind != LITERAL_STRING)) return;
  bool with_reason = text_is(p->keyword, "primitive:error:") && p->argument_count == 2;
  if (text_is(p->keyword, "primitive:") || with_reason) c->primitive = p->arguments[0].text;
  if (!with_reason || p->arguments[1].kind != LITERAL_SYMBOL) return;
  declare_reason(c, p->arguments[1].text);
}

static bool pragma_argument(Compiler *c, Literal *out) {
  if (literal(c, out)) return true;
  if (at(c, TOKEN_IDENTIFIER)) {
    *out = word_literal(c->token.text);
    advance(c);
    return true;
  }
  unexpected(c, "a literal");
  return false;
}

// The text up to the next keyword or the end of the pragma.
static Literal squeak_prototype(Compiler *c) {
  size_t start = c->token.start, end = start;
  while (!at(c, TOKEN_KEYWORD) && !at_binary(c, ">") && !at(c, TOKEN_END)) {
    advance(c);
    end = c->previous_end;
  }
  return (Literal){.kind = LITERAL_STRING, .text = {c->request->source.bytes + start, end - start}};
}

// `<keyword: literal ...>` or `<word>`, the current token being `<`.
static void pragma(Compiler *c) {
  advance(c);
  PragmaData p = {.keyword = c->token.text};
  if (at(c, TOKEN_IDENTIFIER) || at(c, TOKEN_BINARY)) {
    bool binary = at(c, TOKEN_BINARY);
    advance(c);
    Literal value;
    if (binary && pragma_argument(c, &value)) {
      p.arguments = arena_grow(&c->arena, NULL, 0, sizeof value);
      p.arguments[p.argument_count++] = value;
    }
  } else {
    char *keyword = NULL;
    size_t length = 0;
    if (!at(c, TOKEN_KEYWORD)) unexpected(c, "a pragma");
    while (at(c, TOKEN_KEYWORD)) {
      bool squeak = is_squeak_call(c->token.text);
      append(c, &keyword, &length, c->token.text);
      advance(c);
      Literal value;
      if (squeak) value = squeak_prototype(c);
      else if (!pragma_argument(c, &value)) break;
      p.arguments = arena_grow(&c->arena, p.arguments, p.argument_count, sizeof value);
      p.arguments[p.argument_count++] = value;
    }
    p.keyword = (Text){keyword, length};
  }
  if (!at_binary(c, ">")) {
    unexpected(c, "> at the end of the pragma");
    recover(c);
    return;
  }
  advance(c);
  c->pragmas = arena_grow(&c->arena, c->pragmas, c->pragma_count, sizeof p);
  c->pragmas[c->pragma_count++] = p;
  note_primitive(c, &p);
}

static void pragmas_and_temporaries(Compiler *c) {
  for (;;) {
    if (at_binary(c, "<")) pragma(c);
    else if (at_binary(c, "|") || at_binary(c, "||")) temporaries(c);
    else return;
    if (c->gave_up || at(c, TOKEN_END)) return;
  }
}

// --- methods

static bool parameter(Compiler *c) {
  if (!at(c, TOKEN_IDENTIFIER)) {
    unexpected(c, "a parameter's name");
    return false;
  }
  scope_declare(c, c->method_scope, c->token.text, c->token.start, true);
  advance(c);
  return true;
}

static bool pattern(Compiler *c) {
  if (at(c, TOKEN_IDENTIFIER)) {
    c->selector = c->token.text;
    advance(c);
    return true;
  }
  if (at(c, TOKEN_BINARY)) {
    c->selector = c->token.text;
    advance(c);
    return parameter(c);
  }
  if (!at(c, TOKEN_KEYWORD)) {
    unexpected(c, "a method's pattern");
    return false;
  }
  char *selector = NULL;
  size_t length = 0;
  while (at(c, TOKEN_KEYWORD)) {
    append(c, &selector, &length, c->token.text);
    advance(c);
    if (!parameter(c)) return false;
  }
  c->selector = (Text){selector, length};
  return true;
}

// The first line of a script may name its interpreter, behind a byte order mark if an editor put one there.
static void skip_interpreter_line(Compiler *c) {
  const Text s = c->request->source;
  size_t p = s.length >= 3 && memcmp(s.bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
  if (s.length < p + 2 || s.bytes[p] != '#' || s.bytes[p + 1] != '!') return;
  while (p < s.length && s.bytes[p] != '\n' && s.bytes[p] != '\r') p++;
  c->lexer.position = p;
}

static Node *variable_node(Compiler *c, Text name) {
  Node *n = new_node(c, NODE_VARIABLE, 0);
  n->name = name;
  return n;
}

// A call of C without a body of its own that fails: ^ thisContext foreignCallFailed: reason.
static void foreign_call_body(Compiler *c) {
  static const Text hidden = {" reason", 7};  // no source can name it
  if (c->primitive_reason == NULL) declare_reason(c, hidden);
  Node *call = send(c, variable_node(c, (Text){"thisContext", 11}), (Text){"foreignCallFailed:", 18}, 0), *answer = new_node(c, NODE_RETURN, 0);
  add_item(c, call, variable_node(c, c->primitive_reason->name));
  answer->value = child(c, answer, call);
  add_item(c, c->body, answer);
}

void parse(Compiler *c) {
  c->body = new_node(c, NODE_BLOCK, 0);
  c->method_scope = c->body->scope = push_scope(c);
  if (c->request->mode == COMPILE_DOIT) {
    skip_interpreter_line(c);
    advance(c);
    c->selector = (Text){"doIt", 4};
    temporaries(c);
  } else {
    advance(c);
    if (!pattern(c)) return;
    c->method_scope->parameter_count = c->method_scope->variable_count;
    pragmas_and_temporaries(c);
  }
  statements(c, c->body, TOKEN_END);
  if (text_is(c->primitive, "foreignCall") && c->body->item_count == 0) foreign_call_body(c);
}
