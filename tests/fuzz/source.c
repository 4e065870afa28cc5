// Fuzzes all that reads source text without a heap: the lexer, the parser and code generator by themselves, the Tonel reader.
#include <string.h>

#include "compiler/lexer.h"
#include "image/tonel.h"
#include "tests/fuzz/fuzz.h"

static void lex(Text source) {
  Arena arena = {0};
  for (int in_array = 0; in_array < 2; in_array++) {
    Lexer lexer = {.arena = &arena, .source = source, .underscore_assigns = in_array};
    for (;;) {
      size_t before = lexer.position;
      Token t = in_array ? lexer_next_in_array(&lexer) : lexer_next(&lexer);
      if (t.kind == TOKEN_END) break;
      if (lexer.position <= before || t.end > source.length || t.start > t.end) abort();  // each token gets on
    }
  }
  arena_free(&arena);
}

static bool knows_capitals(void *context, Text name) {
  (void)context;
  return name.length > 0 && name.bytes[0] >= 'A' && name.bytes[0] < 'N';
}

static void compile_text(Text source, CompileMode mode) {
  static const Text variables[] = {{"first", 5}, {"a", 1}};
  CompileRequest request = {.source = source,
                            .first_line = 3,
                            .first_column = 5,
                            .mode = mode,
                            .instance_variables = variables,
                            .instance_variable_count = 2,
                            .lookup = knows_capitals};
  Compilation *r = compile(&request);
  if ((r->code == NULL) != (r->error_count > 0)) abort();
  compilation_free(r);
}

static void select_pattern(Text source) {
  char buffer[512];
  Text selector = compiler_selector(source, buffer, sizeof buffer);
  if (selector.length > sizeof buffer) abort();
}

static void read_tonel(Text text) {
  Arena arena = {0};
  TonelFile *f = tonel_parse(&arena, "fuzz.st", text.bytes, text.length);
  if (f != NULL && f->error != NULL && (f->error_line == 0 || f->error_column == 0)) abort();
  for (size_t i = 0; f != NULL && i < f->method_count; i++) {
    const TonelMethod *m = &f->methods[i];
    if (m->line == 0 || m->class_name[0] == 0) abort();
    Text source = {m->source, strlen(m->source)};
    select_pattern(source);
    compile_text(source, COMPILE_METHOD);
  }
  arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  Text text = {(const char *)data + 1, size - 1};
  switch (data[0] % 4) {
    case 0: read_tonel(text); break;
    case 1: compile_text(text, COMPILE_METHOD); break;
    case 2: compile_text(text, COMPILE_DOIT); break;
    default:
      lex(text);
      select_pattern(text);
      compile_text(text, COMPILE_CUIS_CHUNK);
      break;
  }
  return 0;
}
