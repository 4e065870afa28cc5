// One compilation: what its passes share, and their order.
#include "compiler/syntax.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool text_equal(Text a, Text b) { return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0); }
bool text_is(Text text, const char *string) { return text_equal(text, (Text){string, strlen(string)}); }

static void find_lines(Compiler *c) {
  const Text s = c->request->source;
  size_t count = 1;
  for (size_t i = 0; i < s.length; i++) count += s.bytes[i] == '\n' || (s.bytes[i] == '\r' && (i + 1 == s.length || s.bytes[i + 1] != '\n'));
  c->line_starts = arena_allocate(&c->arena, count * sizeof *c->line_starts);
  c->line_count = 1;
  for (size_t i = 0; i < s.length; i++)
    if (s.bytes[i] == '\n' || (s.bytes[i] == '\r' && (i + 1 == s.length || s.bytes[i + 1] != '\n'))) c->line_starts[c->line_count++] = i + 1;
}

// The index of the line that the offset lies in.
static size_t line_of(const Compiler *c, size_t offset) {
  size_t low = 0, high = c->line_count;
  while (high - low > 1) {
    size_t middle = (low + high) / 2;
    if (c->line_starts[middle] <= offset) low = middle;
    else high = middle;
  }
  return low;
}

static uint32_t begins_character(const Compiler *c, size_t offset) { return ((unsigned char)c->request->source.bytes[offset] & 0xC0) != 0x80; }

void compiler_locate(Compiler *c, size_t offset, uint32_t *line, uint32_t *column) {
  size_t n = line_of(c, offset), end = offset < c->request->source.length ? offset : c->request->source.length;
  if (c->located_column == 0 || c->located_line != n) {
    c->located_line = n;
    c->located = c->line_starts[n];
    c->located_column = n == 0 && c->request->first_column > 0 ? c->request->first_column : 1;
  }
  while (c->located < end) c->located_column += begins_character(c, c->located++);
  while (c->located > end) c->located_column -= begins_character(c, --c->located);
  *line = (c->request->first_line == 0 ? 1 : c->request->first_line) + (uint32_t)n;
  *column = c->located_column;
}

void compiler_error(Compiler *c, size_t offset, const char *found, const char *expected, const char *message, ...) {
  Compilation *r = c->result;
  if (c->gave_up) return;
  char buffer[300];
  va_list arguments;
  va_start(arguments, message);
  vsnprintf(buffer, sizeof buffer, message, arguments);
  va_end(arguments);
  CompileError e = {.message = arena_copy(&c->arena, buffer, strlen(buffer))};
  if (found != NULL) e.found = arena_copy(&c->arena, found, strlen(found));
  if (expected != NULL) e.expected = arena_copy(&c->arena, expected, strlen(expected));
  compiler_locate(c, offset, &e.line, &e.column);
  if (r->error_count > 0 && r->errors[r->error_count - 1].line == e.line && r->errors[r->error_count - 1].column == e.column) return;
  r->errors = arena_grow(&c->arena, r->errors, r->error_count, sizeof e);
  r->errors[r->error_count++] = e;
  if (r->error_count >= (size_t)c->max_errors) c->gave_up = true;
}

Variable *scope_find_here(const Scope *scope, Text name) {
  for (size_t i = scope->variable_count; i-- > 0;)
    if (text_equal(scope->variables[i]->name, name)) return scope->variables[i];
  return NULL;
}

static bool is_reserved(Text name) {
  static const char *const names[] = {"self", "super", "thisContext", "nil", "true", "false"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (text_is(name, names[i])) return true;
  return false;
}

Variable *scope_declare(Compiler *c, Scope *scope, Text name, size_t position, bool parameter) {
  const char *shown = arena_copy(&c->arena, name.bytes, name.length);
  if (is_reserved(name)) compiler_error(c, position, shown, "a variable's name", "this name is reserved");
  Variable *v = scope_find_here(scope, name);
  // a doit's variables may be declared again, and a parameter called _ is one that nobody wants
  if (v != NULL && c->request->mode == COMPILE_DOIT && scope == c->method_scope) return v;
  if (v != NULL && !text_is(name, "_")) compiler_error(c, position, shown, NULL, "this name is declared twice");
  v = arena_allocate(&c->arena, sizeof *v);
  *v = (Variable){.name = name, .position = position, .scope = scope, .parameter = parameter, .register_number = -1};
  scope->variables = arena_grow(&c->arena, scope->variables, scope->variable_count, sizeof v);
  scope->variables[scope->variable_count++] = v;
  return v;
}

void note_undeclared(Compiler *c, Text name) {
  Compilation *r = c->result;
  for (size_t i = 0; i < r->undeclared_count; i++)
    if (text_equal(r->undeclared[i], name)) return;
  r->undeclared = arena_grow(&c->arena, r->undeclared, r->undeclared_count, sizeof name);
  r->undeclared[r->undeclared_count++] = name;
}

// Names are looked up after all has been parsed; people read from top to bottom.
static void sort_errors(Compilation *r) {
  for (size_t i = 1; i < r->error_count; i++) {
    CompileError e = r->errors[i];
    size_t j = i;
    for (; j > 0 && (r->errors[j - 1].line > e.line || (r->errors[j - 1].line == e.line && r->errors[j - 1].column > e.column)); j--)
      r->errors[j] = r->errors[j - 1];
    r->errors[j] = e;
  }
}

Compilation *compile(const CompileRequest *request) {
  Compiler *c = calloc(1, sizeof *c);
  Compilation *r = calloc(1, sizeof *r);
  if (c == NULL || r == NULL) abort();
  c->request = request;
  c->result = r;
  c->max_errors = request->max_errors > 0 ? request->max_errors : 20;
  c->lexer = (Lexer){.arena = &c->arena, .source = request->source, .underscore_assigns = request->mode == COMPILE_CUIS_CHUNK};
  find_lines(c);
  parse(c);
  Function *method = !c->gave_up && c->selector.length > 0 ? analyse(c) : NULL;
  if (method != NULL && r->error_count == 0) r->code = generate(c, method);
  if (r->error_count > 0) r->code = NULL;
  sort_errors(r);
  r->arena = c;
  return r;
}

void compilation_free(Compilation *compilation) {
  if (compilation == NULL) return;
  Compiler *c = compilation->arena;
  arena_free(&c->arena);
  free(c);
  free(compilation);
}

Text compiler_selector(Text source, char *buffer, size_t size) {
  Arena arena = {0};
  Lexer lexer = {.arena = &arena, .source = source};
  Token t = lexer_next(&lexer);
  size_t length = 0;
  while (t.kind == TOKEN_KEYWORD || (length == 0 && (t.kind == TOKEN_IDENTIFIER || t.kind == TOKEN_BINARY))) {
    if (length + t.text.length > size) break;
    memcpy(buffer + length, t.text.bytes, t.text.length);
    length += t.text.length;
    if (t.kind != TOKEN_KEYWORD) break;
    lexer_next(&lexer);
    t = lexer_next(&lexer);
  }
  arena_free(&arena);
  return (Text){buffer, length};
}
