// The parser: what is wrong with malformed sources, and where. Each row: the source, how many errors are told, and the first one's line,
// column, message, what was found and what was expected.
#include "compiler/compiler.h"
#include "tests/unit/unit.h"

#define SYNTAX "syntax error"
enum { M = COMPILE_METHOD, D = COMPILE_DOIT };

static const struct {
  int mode;
  const char *source;
  size_t errors;
  uint32_t line, column;
  const char *message, *found, *expected;
} malformed[] = {
    {M, "", 1, 1, 1, SYNTAX, "the end of the text", "a method's pattern"},
    {M, "\"only a comment\"", 1, 1, 17, SYNTAX, "the end of the text", "a method's pattern"},
    {M, "3", 1, 1, 1, SYNTAX, "3", "a method's pattern"},
    {M, "(foo)", 1, 1, 1, SYNTAX, "(", "a method's pattern"},
    {M, "+", 1, 1, 2, SYNTAX, "the end of the text", "a parameter's name"},
    {M, "at:", 1, 1, 4, SYNTAX, "the end of the text", "a parameter's name"},
    {M, "at: 3", 1, 1, 5, SYNTAX, "3", "a parameter's name"},
    {M, "at: a put:", 1, 1, 11, SYNTAX, "the end of the text", "a parameter's name"},
    {M, "at: a put: 5", 1, 1, 12, SYNTAX, "5", "a parameter's name"},
    {M, "at: a put: a ^ a", 1, 1, 12, "this name is declared twice", "a", NULL},
    {M, "foo ^", 1, 1, 6, SYNTAX, "the end of the text", "an expression"},
    {M, "foo ^ ^ 3", 1, 1, 7, SYNTAX, "^", "an expression"},
    {M, "foo 3 +", 1, 1, 8, SYNTAX, "the end of the text", "an expression"},
    {M, "foo 3 + + 4", 1, 1, 9, SYNTAX, "+", "an expression"},
    {M, "foo ^ 3 + ) 4", 1, 1, 11, SYNTAX, ")", "an expression"},
    {M, "foo (3 + 4", 1, 1, 11, SYNTAX, "the end of the text", ")"},
    {M, "foo 3 + 4)", 1, 1, 10, SYNTAX, ")", ". or the end of the text"},
    {M, "foo 3 4", 1, 1, 7, SYNTAX, "4", ". or the end of the text"},
    {M, "foo ^ 3. )", 1, 1, 10, SYNTAX, ")", "an expression"},
    {M, "foo ^ self at:", 1, 1, 15, SYNTAX, "the end of the text", "an expression"},
    {M, "foo ^ self at: put: 3", 1, 1, 16, SYNTAX, "put:", "an expression"},
    {M, "foo [ 3", 1, 1, 8, SYNTAX, "the end of the text", ". or ]"},
    {M, "foo 3 ]", 1, 1, 7, SYNTAX, "]", ". or the end of the text"},
    {M, "foo [ :x", 1, 1, 9, SYNTAX, "the end of the text", "| or a parameter"},
    {M, "foo [ : ]", 1, 1, 9, SYNTAX, "]", "a parameter's name"},
    {M, "foo [ :x y ]", 1, 1, 10, SYNTAX, "y", "| or a parameter"},
    {M, "foo [ :x :x | x ]", 1, 1, 11, "this name is declared twice", "x", NULL},
    {M, "foo { 1. 2", 1, 1, 11, SYNTAX, "the end of the text", ". or }"},
    {M, "foo { 1 2 }", 1, 1, 9, SYNTAX, "2", ". or }"},
    {M, "foo { 1 ]", 1, 1, 9, SYNTAX, "]", ". or }"},
    {M, "foo #(1 2", 1, 1, 5, "this literal array does not end", NULL, NULL},
    {M, "foo #(1 2 ]", 2, 1, 5, "this literal array does not end", NULL, NULL},
    {M, "foo #[1 2", 1, 1, 5, "this byte array does not end", NULL, NULL},
    {M, "foo #[1 256]", 1, 1, 9, SYNTAX, "256", "a byte from 0 to 255 or ]"},
    {M, "foo #[1 a]", 1, 1, 9, SYNTAX, "a", "a byte from 0 to 255 or ]"},
    {M, "foo #[-1]", 1, 1, 7, SYNTAX, "-1", "a byte from 0 to 255 or ]"},
    {M, "foo 'abc", 1, 1, 5, "this string does not end", NULL, NULL},
    {M, "foo \"abc", 1, 1, 5, "this comment does not end", NULL, NULL},
    {M, "foo ^ #'abc", 1, 1, 7, "this symbol does not end", NULL, NULL},
    {M, "foo ^ #", 1, 1, 7, "no symbol follows #", NULL, NULL},
    {M, "foo ^ $", 1, 1, 7, "no character follows $", NULL, NULL},
    {M, "foo ^ 37r1", 1, 1, 7, "a radix is from 2 to 36", NULL, NULL},
    {M, "foo ^ 1r1", 1, 1, 7, "a radix is from 2 to 36", NULL, NULL},
    {M, "foo ^ 16r", 1, 1, 7, "no digits follow the radix", NULL, NULL},
    {M, "foo ^ 16rG", 1, 1, 7, "no digits follow the radix", NULL, NULL},
    {M, "foo ^ 1e1000000", 1, 1, 7, "this exponent is too large", NULL, NULL},
    {M, "foo ^ 3 foo: := 4", 1, 1, 14, SYNTAX, ":=", "an expression"},
    {M, "foo x := ", 2, 1, 5, "undeclared variable", "x", NULL},
    {M, "foo 3 := 4", 1, 1, 7, SYNTAX, ":=", ". or the end of the text"},
    {M, "foo self := 3", 1, 1, 5, "this name cannot be assigned to", "self", "a variable"},
    {M, "foo super := 3", 1, 1, 5, "this name cannot be assigned to", "super", "a variable"},
    {M, "foo thisContext := 3", 1, 1, 5, "this name cannot be assigned to", "thisContext", "a variable"},
    {M, "foo nil := 3", 1, 1, 5, "this name cannot be assigned to", "nil", "a variable"},
    {M, "foo x := 3", 1, 1, 5, "undeclared variable", "x", NULL},
    {M, "foo ^ x", 1, 1, 7, "undeclared variable", "x", NULL},
    {M, "foo: x x := 3", 1, 1, 8, "an argument cannot be assigned to", "x", "a variable"},
    {M, "foo [ :x | x := 3 ]", 1, 1, 12, "an argument cannot be assigned to", "x", "a variable"},
    {M, "foo | a a | ^ a", 1, 1, 9, "this name is declared twice", "a", NULL},
    {M, "foo: a | a | ^ a", 1, 1, 10, "this name is declared twice", "a", NULL},
    {M, "foo | self |", 1, 1, 7, "this name is reserved", "self", "a variable's name"},
    {M, "foo | a", 1, 1, 8, SYNTAX, "the end of the text", "a variable name or |"},
    {M, "foo | a ^ a", 1, 1, 9, SYNTAX, "^", "a variable name or |"},
    {M, "foo | 3 |", 1, 1, 7, SYNTAX, "3", "a variable name or |"},
    {M, "foo | a b: |", 1, 1, 9, SYNTAX, "b:", "a variable name or |"},
    {M, "foo ;", 1, 1, 5, SYNTAX, ";", "an expression"},
    {M, "foo self;", 1, 1, 9, SYNTAX, ";", "a message before the cascade"},
    {M, "foo self ; bar", 1, 1, 10, SYNTAX, ";", "a message before the cascade"},
    {M, "foo self foo; ^ 3", 1, 1, 15, SYNTAX, "^", "a message"},
    {M, "foo self foo;", 1, 1, 14, SYNTAX, "the end of the text", "a message"},
    {M, "foo (self foo); bar", 1, 1, 15, SYNTAX, ";", "a message before the cascade"},
    {M, "foo self foo; 3", 1, 1, 15, SYNTAX, "3", "a message"},
    {M, "foo <primitive: >", 1, 1, 17, SYNTAX, ">", "a literal"},
    {M, "foo <primitive: #a", 1, 1, 19, SYNTAX, "the end of the text", "> at the end of the pragma"},
    {M, "foo <primitive: #a error: >", 1, 1, 27, SYNTAX, ">", "a literal"},
    {M, "foo <3>", 1, 1, 6, SYNTAX, "3", "a pragma"},
    {M, "foo <primitive: (3)>", 1, 1, 17, SYNTAX, "(", "a literal"},
    {M, "foo ^ ` 3", 1, 1, 7, "this character has no meaning here", NULL, NULL},
    {M, "foo ^ é", 1, 1, 7, "undeclared variable", "é", NULL},
    {M, "foo ^ 3 foo: [ :a | ] ] bar", 1, 1, 23, SYNTAX, "]", ". or the end of the text"},
    {M, "foo ^ [ ^ ]", 1, 1, 11, SYNTAX, "]", "an expression"},
    {M, "foo 3 +.\n4 foo: ).\n^ ]", 3, 1, 8, SYNTAX, ".", "an expression"},
    {D, "a := ).", 1, 1, 6, SYNTAX, ")", "an expression"},
    {D, "3 + 4.\nfoo bar: ) . 5", 2, 2, 1, "undeclared variable", "foo", NULL},
    {D, "| a b", 1, 1, 6, SYNTAX, "the end of the text", "a variable name or |"},
    {D, "^", 1, 1, 2, SYNTAX, "the end of the text", "an expression"},
    {D, "self := 3", 1, 1, 1, "this name is reserved", "self", "a variable's name"},
    {D, "true := 3", 1, 1, 1, "this name is reserved", "true", "a variable's name"},
    {D, "x", 1, 1, 1, "undeclared variable", "x", NULL},
    {D, "x foo: [ :y | z ]", 2, 1, 1, "undeclared variable", "x", NULL},
    {M, "foo ^ 1 2", 1, 1, 9, SYNTAX, "2", ". or the end of the text"},
    {M, "foo ^ 3 $", 1, 1, 9, "no character follows $", NULL, NULL},
    {M, "foo ^ #foo bar baz: ", 1, 1, 21, SYNTAX, "the end of the text", "an expression"},
    {M, "foo: a foo: a ^ a", 1, 1, 13, "this name is declared twice", "a", NULL},
    {M, "foo } bar", 1, 1, 5, SYNTAX, "}", "an expression"},
    {M, "foo ^ 2 ** )", 1, 1, 12, SYNTAX, ")", "an expression"},
    {M, "foo ^ { 1. ) . 2 }", 1, 1, 12, SYNTAX, ")", "an expression"},
    {M, "foo ^ #(1 $", 2, 1, 7, "this literal array does not end", NULL, NULL},
    {M, "foo ^ #(foo 'bar)", 2, 1, 7, "this literal array does not end", NULL, NULL},
    {M, "foo 3. 4. ] 5", 1, 1, 11, SYNTAX, "]", "an expression"},
    {M, "foo := 3", 1, 1, 5, SYNTAX, ":=", "an expression"},
    {M, "foo | a | a := ; b", 1, 1, 16, SYNTAX, ";", "an expression"},
    {M, "foo [ :a | | b c ] value", 1, 1, 18, SYNTAX, "]", "a variable name or |"},
    {M, "foo [ | b ] value", 1, 1, 11, SYNTAX, "]", "a variable name or |"},
    {M, "foo [ :a || b ] value", 1, 1, 15, SYNTAX, "]", "a variable name or |"},
    {M, "foo\n\n  ^ (3 +\n  4]", 1, 4, 4, SYNTAX, "]", ")"},
    {M, "foo \"é\" ^ 'é' €uro: )", 1, 1, 21, SYNTAX, ")", "an expression"},
    {M, "foo ^ 'é\né' , ]", 1, 2, 6, SYNTAX, "]", "an expression"},
    {D, "'a\nb'.\n\n )", 1, 4, 2, SYNTAX, ")", "an expression"},
    {D, "a := 1.\na := a + .\nb", 2, 2, 10, SYNTAX, ".", "an expression"},
    {M, "foo\n| a |\n| b\n^ a", 1, 4, 1, SYNTAX, "^", "a variable name or |"},
    {M, "foo 3 zork: ^ 4", 1, 1, 13, SYNTAX, "^", "an expression"},
    {M, "foo ^ #($a #sym (1 2) [3 4] }", 2, 1, 7, "this literal array does not end", NULL, NULL},
    {M, "foo ^ 5 timesRepeat: [ :x ( ]", 2, 1, 27, SYNTAX, "(", "| or a parameter"},
    {M, "foo ^ x := y := 3", 2, 1, 7, "undeclared variable", "x", NULL},
    {D, "| a | b := c", 1, 1, 12, "undeclared variable", "c", NULL},
    {M, "foo ^ #[1 2)", 2, 1, 7, "this byte array does not end", NULL, NULL},
    {M, "foo <a: 1 b> ^ 3", 1, 1, 11, SYNTAX, "b", "> at the end of the pragma"},
    {M, "foo <a ^ 3", 1, 1, 8, SYNTAX, "^", "> at the end of the pragma"},
    {M, "foo <primitive: #x error: 3 4>", 1, 1, 29, SYNTAX, "4", "> at the end of the pragma"},
    {M, "foo ^ ##", 1, 1, 7, "no symbol follows #", NULL, NULL},
    {M, "foo ^ #;", 1, 1, 7, "no symbol follows #", NULL, NULL},
    {M, "foo ^ a:b", 1, 1, 7, SYNTAX, "a:", "an expression"},
    {M, "foo ^ 3 : 4", 1, 1, 9, SYNTAX, ":", ". or the end of the text"},
    {M, "foo [ ] ] value", 1, 1, 9, SYNTAX, "]", ". or the end of the text"},
    {M, "foo ^ \"abc\" \"", 1, 1, 13, "this comment does not end", NULL, NULL},
    {M, "foo ^ 3s4 4", 1, 1, 11, SYNTAX, "4", ". or the end of the text"},
    {M, "foo ^ 2r2", 1, 1, 7, "no digits follow the radix", NULL, NULL},
    {M, "foo ^ 2r12", 1, 1, 10, SYNTAX, "2", ". or the end of the text"},
    {M, "foo ^ 3.x", 1, 1, 9, "undeclared variable", "x", NULL},
    {M, "foo | | | ^ 3", 1, 1, 11, SYNTAX, "^", "a variable name or |"},
    {M, "foo | a | | a | ^ 3", 1, 1, 13, "this name is declared twice", "a", NULL},
    {D, "a := [ :b | b := a ]", 1, 1, 13, "an argument cannot be assigned to", "b", "a variable"},
};

static bool starts_with_k(void *context, Text name) {
  (void)context;
  return name.length > 0 && name.bytes[0] == 'K';
}

static Compilation *compile_text(const char *source, size_t length, CompileMode mode) {
  CompileRequest request = {.source = {source, length}, .first_line = 1, .first_column = 1, .mode = mode, .lookup = starts_with_k};
  return compile(&request);
}

static Compilation *compile_string(const char *source, CompileMode mode) { return compile_text(source, strlen(source), mode); }

static void same_text(const char *what, const char *got, const char *expected) {
  bool same = got == NULL || expected == NULL ? got == expected : strcmp(got, expected) == 0;
  ck_assert_msg(same, "%s: '%s' instead of '%s'", what, got == NULL ? "nothing" : got, expected == NULL ? "nothing" : expected);
}

START_TEST(a_malformed_source_is_told_where_it_is_wrong) {
  Compilation *r = compile_string(malformed[_i].source, (CompileMode)malformed[_i].mode);
  ck_assert_ptr_null(r->code);
  ck_assert_uint_eq(r->error_count, malformed[_i].errors);
  const CompileError *e = &r->errors[0];
  same_text(malformed[_i].source, e->message, malformed[_i].message);
  ck_assert_msg(e->line == malformed[_i].line && e->column == malformed[_i].column, "%s: at %u:%u instead of %u:%u", malformed[_i].source, e->line, e->column,
                malformed[_i].line, malformed[_i].column);
  same_text(malformed[_i].source, e->found, malformed[_i].found);
  same_text(malformed[_i].source, e->expected, malformed[_i].expected);
  compilation_free(r);
}
END_TEST

// Sources that look odd but are right.
static const struct {
  int mode;
  const char *source;
} sound[] = {{M, "foo"},
             {M, "foo ^ 3..4"},
             {M, "foo ^ super foo"},
             {M, "foo || ^ 3"},
             {M, "foo | | ^ 3"},
             {M, "foo | a | | b | ^ a"},
             {M, "foo ..3.. ^ 4.."},
             {M, "foo [ :a || b | ] value"},
             {M, "foo [ :a | | b | ] value"},
             {M, "foo [ :a ] value"},
             {M, "foo <a> <b: 1 c: #d> < + 3> ^ 3"},
             {M, "foo ^ 3 -4"},
             {M, "foo ^ 3 - -4"},
             {M, "foo ^ 3--4"},
             {M, "foo ^ -4 abs"},
             {M, "foo ^ #(foo: foo:bar: + #+ #foo:bar: $a 'b' nil true (1) #(2) [3] #[4] . ^ ; := -5 - 5)"},
             {M, "foo ^ self foo;; bar"},
             {M, "foo ^ {}"},
             {M, "foo ^ { 1. 2. }"},
             {M, "foo: _ bar: _ ^ 3"},
             {M, "foo ^ self foo; bar; + 3; at: 4 put: 5"},
             {M, "- x ^ x"},
             {M, "| x ^ x"},
             {M, "\xC3\xA9tat ^ 3"},
             {D, ""},
             {D, "  "},
             {D, "\"only a comment\""},
             {D, "#!/usr/bin/env baton\n3"},
             {D, "Kx"},
             {D, "x := 3. x"},
             {D, "| a | a := 3. | b | b := a. | a | a"},
             {D, "3 ! 4"},
             {D,
              "\xEF\xBB\xBF"
              "3"},
             {D, "^ 3. 4"},
             {D, "Unknown"}};

START_TEST(a_sound_source_has_no_errors) {
  Compilation *r = compile_string(sound[_i].source, (CompileMode)sound[_i].mode);
  ck_assert_msg(r->error_count == 0 && r->code != NULL, "%s: %s", sound[_i].source, r->error_count == 0 ? "no code" : r->errors[0].message);
  compilation_free(r);
}
END_TEST

START_TEST(names_that_nobody_knows_are_noted) {
  Compilation *r = compile_string("foo ^ Unknown at: Other put: Unknown", COMPILE_METHOD);
  ck_assert_uint_eq(r->error_count, 0);
  ck_assert_uint_eq(r->undeclared_count, 2);
  ck_assert_int_eq(strncmp(r->undeclared[0].bytes, "Unknown", r->undeclared[0].length), 0);
  compilation_free(r);
}
END_TEST

START_TEST(every_wrong_statement_is_told_up_to_the_limit) {
  char source[2000] = "";
  for (int i = 0; i < 50; i++) strcat(source, "a foo: ).\n");
  CompileRequest request = {.source = {source, strlen(source)}, .first_line = 100, .mode = COMPILE_DOIT};
  Compilation *r = compile(&request);
  ck_assert_uint_eq(r->error_count, 20);
  for (uint32_t i = 0; i < 20; i++) ck_assert_uint_eq(r->errors[i].line, 100 + i);
  compilation_free(r);
  request.max_errors = 3;
  r = compile(&request);
  ck_assert_uint_eq(r->error_count, 3);
  compilation_free(r);
}
END_TEST

START_TEST(lines_and_columns_count_from_where_the_text_begins) {
  CompileRequest request = {.source = {"foo ^ )", 7}, .first_line = 17, .first_column = 5, .mode = COMPILE_METHOD};
  Compilation *r = compile(&request);
  ck_assert_uint_eq(r->errors[0].line, 17);
  ck_assert_uint_eq(r->errors[0].column, 11);
  compilation_free(r);
}
END_TEST

START_TEST(all_ends_of_lines_count) {
  Compilation *r = compile_string("foo\n\r\n\r ^ )", COMPILE_METHOD);
  ck_assert_uint_eq(r->errors[0].line, 4);
  ck_assert_uint_eq(r->errors[0].column, 4);
  compilation_free(r);
}
END_TEST

START_TEST(a_source_without_text_is_no_crash) {
  for (CompileMode mode = COMPILE_METHOD; mode <= COMPILE_CUIS_CHUNK; mode++) {
    Compilation *r = compile_text(NULL, 0, mode);
    ck_assert((r->code != NULL) == (mode == COMPILE_DOIT));
    compilation_free(r);
  }
}
END_TEST

START_TEST(the_selector_of_a_pattern_is_found) {
  static const struct {
    const char *source, *selector;
  } patterns[] = {{"foo ^ 3", "foo"},   {"\"c\" at: a put: b", "at:put:"}, {"+ x ^ x", "+"}, {"", ""}, {")", ""}, {"3 foo", ""}, {"at:", "at:"},
                  {"at: put: x", "at:"}};
  char buffer[512];
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
    Text s = compiler_selector((Text){patterns[i].source, strlen(patterns[i].source)}, buffer, sizeof buffer);
    ck_assert_msg(s.length == strlen(patterns[i].selector) && memcmp(s.bytes, patterns[i].selector, s.length) == 0, "%s: %.*s", patterns[i].source,
                  (int)s.length, s.bytes);
  }
}
END_TEST

START_TEST(underscore_assigns_in_cuis_only) {
  Compilation *r = compile_string("foo | a | a _ 3. ^ a", COMPILE_CUIS_CHUNK);
  ck_assert_uint_eq(r->error_count, 0);
  compilation_free(r);
  r = compile_string("foo | a | a _ 3. ^ a", COMPILE_METHOD);
  ck_assert_uint_gt(r->error_count, 0);
  compilation_free(r);
}
END_TEST

Suite *parser_suite(void) {
  Suite *s = suite_create("parser");
  TCase *c = test_case(s, "errors", NULL, NULL);
  add_rows(c, a_malformed_source_is_told_where_it_is_wrong, malformed);
  add_rows(c, a_sound_source_has_no_errors, sound);
  tcase_add_test(c, names_that_nobody_knows_are_noted);
  tcase_add_test(c, every_wrong_statement_is_told_up_to_the_limit);
  tcase_add_test(c, lines_and_columns_count_from_where_the_text_begins);
  tcase_add_test(c, all_ends_of_lines_count);
  tcase_add_test(c, a_source_without_text_is_no_crash);
  tcase_add_test(c, the_selector_of_a_pattern_is_found);
  tcase_add_test(c, underscore_assigns_in_cuis_only);
  return s;
}
