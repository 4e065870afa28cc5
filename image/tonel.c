// Tonel: an optional comment, a type, a STON map, then methods. A method's pattern runs to the first '[' outside a comment; its body to the
// matching ']', where strings, comments, characters and literal arrays are skipped.
#include "image/tonel.h"
#include <ctype.h>
#include <string.h>

typedef struct {
  Arena *arena;
  const char *start, *p, *end;
  TonelFile *file;
} Reader;

static uint32_t line_at(const Reader *r, const char *p) {
  uint32_t line = 1;
  for (const char *q = r->start; q < p; q++) line += *q == '\n' || (*q == '\r' && (q + 1 == r->end || q[1] != '\n'));
  return line;
}

static bool fail(Reader *r, const char *message) {
  if (r->file->error != NULL) return false;
  const char *bol = r->p;
  while (bol > r->start && bol[-1] != '\n') bol--;
  r->file->error = message;
  r->file->error_line = line_at(r, r->p);
  r->file->error_column = (uint32_t)(r->p - bol) + 1;
  return false;
}

static void skip_space(Reader *r) {
  while (r->p < r->end && isspace((unsigned char)*r->p)) r->p++;
}

static bool at_end(const Reader *r) { return r->p >= r->end; }

static bool accept(Reader *r, char c) {
  skip_space(r);
  if (at_end(r) || *r->p != c) return false;
  r->p++;
  return true;
}

// A comment or string without its quotes, quotes in it halved.
static const char *quoted(Reader *r, char quote) {
  const char *from = ++r->p;
  char *out = arena_allocate(r->arena, (size_t)(r->end - from) + 1), *o = out;
  for (; r->p < r->end; r->p++) {
    if (*r->p == quote) {
      if (r->p + 1 < r->end && r->p[1] == quote) r->p++;
      else break;
    }
    *o++ = *r->p;
  }
  if (at_end(r)) {
    fail(r, "this text is not closed");
    return "";
  }
  r->p++;
  return out;
}

// STON strings have backslash escapes.
static const char *ston_string(Reader *r) {
  const char *from = ++r->p;
  char *out = arena_allocate(r->arena, (size_t)(r->end - from) + 1), *o = out;
  for (; r->p < r->end && *r->p != '\''; r->p++) {
    if (*r->p == '\\' && r->p + 1 < r->end) {
      r->p++;
      *o++ = *r->p == 'n' ? '\n' : *r->p == 't' ? '\t' : *r->p == 'r' ? '\r' : *r->p;
    } else {
      *o++ = *r->p;
    }
  }
  if (at_end(r)) {
    fail(r, "this string is not closed");
    return "";
  }
  r->p++;
  return out;
}

static bool is_word(char c) { return isalnum((unsigned char)c) || strchr("_:.-/*+", c) != NULL || (unsigned char)c >= 0x80; }

static const char *word(Reader *r) {
  const char *from = r->p;
  while (r->p < r->end && is_word(*r->p)) r->p++;
  return arena_copy(r->arena, from, (size_t)(r->p - from));
}

// A symbol, string, number or word, as text.
static const char *ston_atom(Reader *r) {
  skip_space(r);
  if (at_end(r)) return fail(r, "a value is missing"), "";
  if (*r->p == '#') {
    r->p++;
    if (r->p < r->end && *r->p == '\'') return ston_string(r);
  }
  if (*r->p == '\'') return ston_string(r);
  const char *text = word(r);
  if (*text == 0) fail(r, "a symbol or string is expected");
  return text;
}

static TonelList ston_list(Reader *r) {
  TonelList list = {NULL, 0};
  while (r->file->error == NULL && !accept(r, ']')) {
    if (accept(r, ',')) continue;
    list.items = arena_grow(r->arena, list.items, list.count, sizeof *list.items);
    list.items[list.count++] = ston_atom(r);
  }
  return list;
}

static void put(Reader *r, const char *key, const char *value, TonelList list) {
  TonelFile *f = r->file;
  struct {
    const char *key;
    const char **text;
    TonelList *list;
  } fields[] = {{"name", &f->name, NULL},
                {"superclass", &f->superclass, NULL},
                {"category", &f->category, NULL},
                {"package", &f->package, NULL},
                {"type", &f->type, NULL},
                {"traits", &f->traits, NULL},
                {"classTraits", &f->class_traits, NULL},
                {"instVars", NULL, &f->instance_variables},
                {"classVars", NULL, &f->class_variables},
                {"classInstVars", NULL, &f->class_instance_variables},
                {"pools", NULL, &f->pools}};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    if (strcmp(fields[i].key, key) != 0) continue;
    if (fields[i].text != NULL) *fields[i].text = value;
    else *fields[i].list = list;
  }
}

// Reads a map; the category of a method's map comes back, the header's keys go into the file.
static const char *ston_map(Reader *r, bool header) {
  const char *category = "";
  while (r->file->error == NULL && !accept(r, '}')) {
    if (accept(r, ',')) continue;
    const char *key = ston_atom(r);
    if (!accept(r, ':')) return fail(r, "':' is expected in a map"), category;
    TonelList list = {NULL, 0};
    const char *value = "";
    if (accept(r, '[')) list = ston_list(r);
    else value = ston_atom(r);
    if (header) put(r, key, value, list);
    else if (strcmp(key, "category") == 0) category = value;
  }
  return category;
}

// --- methods

static void skip_quoted(Reader *r, char quote) {
  for (r->p++; r->p < r->end; r->p++)
    if (*r->p == quote) {
      if (r->p + 1 < r->end && r->p[1] == quote) r->p++;
      else break;
    }
  if (at_end(r)) fail(r, quote == '"' ? "this comment is not closed" : "this string is not closed");
  else r->p++;
}

// Skips one lexical piece that may hide brackets; false if there is none here.
static bool skip_piece(Reader *r) {
  if (*r->p == '"' || *r->p == '\'') {
    skip_quoted(r, *r->p);
  } else if (*r->p == '$') {
    r->p += r->p + 1 < r->end ? 2 : 1;
  } else {
    return false;
  }
  return true;
}

static void skip_literal_array(Reader *r) {
  int depth = 0;
  do {
    if (skip_piece(r)) continue;
    depth += *r->p == '(';
    depth -= *r->p == ')';
    r->p++;
  } while (depth > 0 && r->p < r->end && r->file->error == NULL);
}

static bool skip_body(Reader *r) {
  int depth = 1;
  while (r->p < r->end && r->file->error == NULL) {
    if (skip_piece(r)) continue;
    if (*r->p == '#' && r->p + 1 < r->end && r->p[1] == '(') {
      r->p++;
      skip_literal_array(r);
      continue;
    }
    depth += *r->p == '[';
    depth -= *r->p == ']';
    r->p++;
    if (depth == 0) return true;
  }
  return fail(r, "the method's ']' is missing");
}

static const char *name_word(Reader *r) {
  skip_space(r);
  const char *from = r->p;
  while (r->p < r->end && (isalnum((unsigned char)*r->p) || *r->p == '_' || (unsigned char)*r->p >= 0x80)) r->p++;
  return arena_copy(r->arena, from, (size_t)(r->p - from));
}

static bool method_head(Reader *r, TonelMethod *m) {
  m->class_name = name_word(r);
  if (*m->class_name == 0) return fail(r, "a class name is expected");
  skip_space(r);
  if (r->p + 1 < r->end && *r->p != '>') {
    const char *side = name_word(r);
    if (strcmp(side, "class") != 0 && strcmp(side, "classSide") != 0 && strcmp(side, "classTrait") != 0) return fail(r, "'class' or '>>' is expected");
    m->class_side = true;
    skip_space(r);
  }
  if (r->end - r->p < 2 || r->p[0] != '>' || r->p[1] != '>') return fail(r, "'>>' is expected");
  r->p += 2;
  while (r->p < r->end && (*r->p == ' ' || *r->p == '\t')) r->p++;
  return true;
}

static bool method(Reader *r) {
  TonelMethod m = {.protocol = ""};
  if (*r->p == '{') {
    r->p++;
    m.protocol = ston_map(r, false);
    skip_space(r);
  }
  if (r->file->error != NULL || !method_head(r, &m)) return false;
  const char *from = r->p;
  m.line = line_at(r, from);
  while (r->p < r->end && *r->p != '[') {
    if (*r->p == '"') skip_quoted(r, '"');
    else r->p++;
  }
  if (at_end(r)) return fail(r, "'[' is expected after the pattern");
  const char *pattern_end = r->p++;
  const char *body = r->p;
  if (!skip_body(r)) return false;
  size_t head = (size_t)(pattern_end - from), length = (size_t)(r->p - 1 - body);
  char *source = arena_allocate(r->arena, head + length + 1);
  memcpy(source, from, head);
  memcpy(source + head, body, length);
  while (length > 0 && strchr("\r\n\t", source[head + length - 1]) != NULL) length--;  // a blank may belong to `$ `
  source[head + length] = 0;
  m.source = source;
  TonelFile *f = r->file;
  f->methods = arena_grow(r->arena, f->methods, f->method_count, sizeof m);
  f->methods[f->method_count++] = m;
  return true;
}

static const char *without_outer_newlines(Reader *r, const char *text) {
  size_t n = strlen(text);
  if (n > 0 && *text == '\n') text++, n--;
  if (n > 0 && text[n - 1] == '\n') n--;
  return arena_copy(r->arena, text, n);
}

static bool header(Reader *r) {
  static const char *const types[] = {"Class", "Trait", "Extension", "Package"};
  const char *type = name_word(r);
  size_t kind = 0;
  while (kind < 4 && strcmp(type, types[kind]) != 0) kind++;
  if (kind == 4) return fail(r, "Class, Trait, Extension or Package is expected");
  r->file->kind = (TonelKind)kind;
  r->file->line = line_at(r, r->p);
  if (!accept(r, '{')) return fail(r, "'{' is expected");
  ston_map(r, true);
  if (r->file->error == NULL && *r->file->name == 0) return fail(r, "the header has no #name");
  return r->file->error == NULL;
}

TonelFile *tonel_parse(Arena *arena, const char *file, const char *text, size_t length) {
  TonelFile *f = arena_allocate(arena, sizeof *f);
  *f = (TonelFile){.file = file, .name = "", .superclass = "", .category = "", .package = "", .type = "", .comment = "", .traits = "", .class_traits = ""};
  Reader r = {arena, text, text, text + length, f};
  if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) r.p += 3;
  skip_space(&r);
  while (!at_end(&r) && *r.p == '"') {
    f->comment = without_outer_newlines(&r, quoted(&r, '"'));
    skip_space(&r);
  }
  if (at_end(&r)) return f->error == NULL ? NULL : f;
  if (f->error == NULL && header(&r))
    for (skip_space(&r); !at_end(&r) && method(&r); skip_space(&r)) {
    }
  return f;
}
