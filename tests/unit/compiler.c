// The compiler: golden listings, and what generated code must never do whatever the source.
//
// Each golden/NAME.st is a method of the class Probe, or a doit when its name says so; NAME.expected is its listing, or its errors. After a
// wanted change of the code generator, `make golden` writes the listings anew; their difference belongs to the change.
#include <dirent.h>
#include <stdlib.h>

#include "image/builder.h"
#include "tests/unit/unit.h"
#include "vm/verifier.h"

static const char golden[] = "tests/unit/golden";

enum { MAX_FILES = 200 };
static char *names[MAX_FILES];
static int name_count;

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void find_files(void) {
  if (name_count > 0) return;
  DIR *d = opendir(golden);
  for (struct dirent *e; d != NULL && name_count < MAX_FILES && (e = readdir(d)) != NULL;) {
    size_t n = strlen(e->d_name);
    if (n > 3 && strcmp(e->d_name + n - 3, ".st") == 0) names[name_count++] = strndup(e->d_name, n - 3);
  }
  if (d != NULL) closedir(d);
  qsort(names, (size_t)name_count, sizeof *names, compare);
}

static char *path_of(const char *name, const char *ending) {
  static char path[500];
  snprintf(path, sizeof path, "%s/%s%s", golden, name, ending);
  return path;
}

// The method, or OOP_NONE with its errors in *report (malloced).
static Oop compile_source(Text source, CompileMode mode, char **report) {
  Origin origin = {.file = NULL, .line = 1};
  Compilation *r = builder_compile(vm, probe_class(), source, origin, mode);
  size_t length;
  FILE *out = open_memstream(report, &length);
  for (size_t i = 0; i < r->error_count; i++) fprintf(out, "%u:%u: %s\n", r->errors[i].line, r->errors[i].column, r->errors[i].message);
  fclose(out);
  Oop method = r->code == NULL ? OOP_NONE : builder_method(vm, probe_class(), r, origin, NULL);
  compilation_free(r);
  return method;
}

static Oop compile_string(const char *source, CompileMode mode) {
  char *report;
  Oop method = compile_source((Text){source, strlen(source)}, mode, &report);
  ck_assert_msg(method != OOP_NONE, "%s: %s", source, report);
  free(report);
  return method;
}

// Malloced.
static char *listing_of(const char *name) {
  size_t length;
  char *source = read_file(path_of(name, ".st"), &length), *text;
  if (source == NULL) return NULL;
  Oop method = compile_source((Text){source, length}, strncmp(name, "doit", 4) == 0 ? COMPILE_DOIT : COMPILE_METHOD, &text);
  if (method != OOP_NONE) {
    free(text);
    text = code_disassemble(vm, method);
  }
  free(source);
  return text;
}

int golden_write(void) {
  find_files();
  for (int i = 0; i < name_count; i++) {
    open_classes();
    char *text = listing_of(names[i]);
    FILE *out = fopen(path_of(names[i], ".expected"), "w");
    if (text == NULL || out == NULL || fputs(text, out) < 0 || fclose(out) != 0) {
      perror(path_of(names[i], ""));
      return 1;
    }
    free(text);
    close_vm();
  }
  printf("%d listings written\n", name_count);
  return 0;
}

START_TEST(a_method_is_compiled_as_its_listing_says) {
  char *text = listing_of(names[_i]);
  size_t length;
  char *expected = read_file(path_of(names[_i], ".expected"), &length);
  ck_assert_msg(expected != NULL, "there is no listing of %s", names[_i]);
  ck_assert_msg(strcmp(text, expected) == 0, "%s is compiled to\n%s", names[_i], text);
  free(text);
  free(expected);
}
END_TEST

static void verify_blocks(Oop code) {
  const char *wrong = verify_code(vm, code);
  ck_assert_msg(wrong == NULL, "%s", wrong);
  Oop k = AS(CompiledMethod, code)->literals;
  for (size_t i = CACHE_WORDS * CODE_FIELD(AS(CompiledMethod, code)->header, CODE_SITES_SHIFT, 16); i < object_size(k); i++) {
    Oop o = object_slots(k)[i];
    if (class_index_of(o) == CLASS_BlockClosure) o = AS(BlockClosure, o)->code;
    if (class_index_of(o) == CLASS_CompiledBlock) verify_blocks(o);
  }
}

START_TEST(what_is_compiled_passes_the_verifier) {
  size_t length;
  char *source = read_file(path_of(names[_i], ".st"), &length), *report;
  Oop method = compile_source((Text){source, length}, strncmp(names[_i], "doit", 4) == 0 ? COMPILE_DOIT : COMPILE_METHOD, &report);
  verify_blocks(method);
  free(report);
  free(source);
}
END_TEST

// --- limits: sources made of many parts

// Writes head, then `count` times `part` with %d replaced by the number, then tail; malloced.
static char *repeated(const char *head, const char *part, int count, const char *tail) {
  char *text;
  size_t length;
  FILE *out = open_memstream(&text, &length);
  fputs(head, out);
  for (int i = 0; i < count; i++)
    for (const char *p = part; *p != 0; p++) {
      if (*p == '%') fprintf(out, "%d", i);
      else fputc(*p, out);
    }
  fputs(tail, out);
  fclose(out);
  return text;
}

static char *joined(char *a, char *b) {
  size_t n = strlen(a);
  a = realloc(a, n + strlen(b) + 1);
  strcpy(a + n, b);
  free(b);
  return a;
}

// Compiles and verifies; the first error, or NULL. The text lives until the next call.
static const char *error_of(char *source) {
  static char text[300];
  char *report;
  Oop method = compile_source((Text){source, strlen(source)}, COMPILE_METHOD, &report);
  snprintf(text, sizeof text, "%s", report);
  if (method != OOP_NONE) verify_blocks(method);
  free(report);
  free(source);
  return method == OOP_NONE ? text : NULL;
}

static void expect_error(char *source, const char *part) {
  const char *error = error_of(source);
  ck_assert_msg(error != NULL && strstr(error, part) != NULL, "'%s' instead of '%s'", error == NULL ? "no error" : error, part);
}

static void expect_none(char *source) {
  const char *error = error_of(source);
  ck_assert_msg(error == NULL, "%s", error);
}

// Temporaries that a block assigns, so that all lie in one vector.
static char *shared_variables(int count) { return joined(repeated("foo |", " v%", count, " | ^ [ "), repeated("", "v% := 1. ", count, "]")); }

START_TEST(the_slots_of_a_vector_fit_in_a_byte) {
  expect_none(shared_variables(255));
  expect_error(shared_variables(256), "shared with blocks");
  expect_error(shared_variables(257), "shared with blocks");
}
END_TEST

START_TEST(a_frame_has_at_most_250_registers) {
  expect_none(repeated("foo |", " v%", 240, " | ^ v3"));
  expect_error(repeated("foo |", " v%", 250, " | ^ v3"), "registers");
  expect_error(repeated("foo |", " v%", 1000, " | ^ v3"), "registers");
  expect_none(repeated("foo ^ self", " a: 1", 240, ""));
  expect_error(repeated("foo ^ self", " a: 1", 260, ""), "registers");
}
END_TEST

START_TEST(parameters_and_captures_have_a_limit) {
  expect_none(repeated("", "a: p% ", 200, " ^ p3"));
  expect_error(repeated("", "a: p% ", 201, " ^ p3"), "too many parameters");
  expect_none(joined(repeated("foo |", " v%", 110, " | ^ [ "), repeated("", "v% foo. ", 110, "]")));
  expect_error(joined(repeated("foo |", " v%", 201, " | ^ [ "), repeated("", "v% foo. ", 201, "]")), "too ");
}
END_TEST

START_TEST(any_number_of_sites_and_literals_is_compiled_or_refused) {
  expect_none(repeated("foo ", "self s%. ", 300, ""));
  expect_none(repeated("foo ", "super s%. ", 300, ""));
  expect_none(repeated("foo self x: #(1) ", "y: #s% ", 100, ""));
  expect_none(repeated("foo ^ { ", "#s% . ", 1000, "}"));
  expect_error(repeated("foo ", "self s%. ", 17000, ""), "too many sends and literals");
  expect_error(repeated("foo ^ { ", "#s% . ", 66000, "}"), "65535 elements");
}
END_TEST

START_TEST(sites_from_256_on_are_named_in_a_second_word) {
  char *source = repeated("foo ", "self s%. ", 300, "super foo");
  Oop method = compile_string(source, COMPILE_METHOD);
  const uint32_t *words = code_instructions(method);
  uint32_t site = 0;
  for (size_t i = 0, n = object_element_count(AS(CompiledMethod, method)->code); i < n; i++) {
    uint32_t op = words[i] & 255;
    if (op == OP_SEND) ck_assert_uint_eq(words[i] >> 24, site++);
    if (op == OP_SEND_WIDE || op == OP_SUPER_WIDE) ck_assert_uint_eq(words[i + 1] >> 16, site++);
  }
  ck_assert_uint_eq(site, 301);
  free(source);
}
END_TEST

START_TEST(jumps_that_are_too_long_are_refused) {
  expect_none(repeated("foo first ifTrue: [ ", "first := second. ", 10000, " ]"));
  expect_error(repeated("foo first ifTrue: [ ", "first := second. ", 40000, " ]"), "too long for its jumps");
  expect_none(repeated("foo [ ", "first := second. ", 40000, " ] repeat"));
}
END_TEST

// Deep nesting must not exhaust the C stack.
static char *nested(const char *open, const char *inner, const char *close, int depth) {
  return joined(repeated("foo ", open, depth, inner), repeated("", close, depth, ""));
}

static const struct {
  const char *open, *inner, *close;
} nestings[] = {{"(", "3", ")"},     {"[", "3", "]"},        {"{", "3", "}"},   {"#(", "3", ")"},      {"3 foo: (", "3", ")"}, {"first ifTrue: [", "3", "]"},
                {"3 + (", "3", ")"}, {"first := ", "3", ""}, {"^ [", "3", "]"}, {"[:x% | ", "3", "]"}, {"(", "", ""},          {"[", "", ""},
                {"{", "", ""},       {"#(", "", ""}};

START_TEST(nesting_is_compiled_up_to_a_depth_and_refused_beyond) {
  const char *open = nestings[_i].open, *inner = nestings[_i].inner, *close = nestings[_i].close;
  if (*inner != 0) expect_none(nested(open, inner, close, 40));
  expect_error(nested(open, inner, close, 100000), "nested too deeply");
}
END_TEST

START_TEST(the_deepest_source_is_compiled_within_the_c_stack) {
  expect_none(nested("[ ", "first", " ]", 298));
  expect_none(nested("first ifTrue: [ ", "3", " ]", 298));
  expect_none(nested("#( ", "3", " )", 298));
  expect_error(nested("self foo: (", "3", ") bar baz", 298), "registers");
  expect_error(nested("self foo: [ :x | x := ", "3", " ] bar baz", 140), "argument cannot be assigned");
}
END_TEST

// A chain is no nesting in the source, but its tree is as deep as it is long.
START_TEST(long_chains_of_messages_are_compiled_or_refused) {
  expect_none(repeated("foo ^ self", " bar", 500, ""));
  expect_none(repeated("foo ^ 1", " , 1", 500, ""));
  expect_none(repeated("foo ^ 1", " + 1", 1000, ""));
  expect_none(repeated("foo ^ first", " * first - second", 1000, ""));
  expect_error(repeated("foo ^ self", " bar", 100000, ""), "too long");
  expect_error(repeated("foo ^ 1", " + first", 100000, ""), "too long");
  expect_none(repeated("foo self bar", "; bar", 3000, ""));
}
END_TEST

START_TEST(a_pragma_with_too_few_arguments_is_no_primitive) {
  char *report;
  static const char source[] = "foo <primitive: #integerAdd error: >";
  ck_assert_uint_eq(compile_source((Text){source, sizeof source - 1}, COMPILE_METHOD, &report), OOP_NONE);
  free(report);
}
END_TEST

// --- positions

START_TEST(every_instruction_knows_its_line) {
  Oop method = compile_string("foo\n  self\n    bar;\n    baz.\n\n  ^ 3\n    + 4", COMPILE_METHOD);
  const uint32_t *words = code_instructions(method);
  static const struct { uint32_t op, line; } expected[] = {{OP_SEND, 3}, {OP_SEND, 4}, {OP_ADD_INTEGER, 7}, {OP_RETURN, 6}};
  size_t found = 0;
  for (size_t i = 0, n = object_element_count(AS(CompiledMethod, method)->code); i < n; i++)
    if (found < 4 && (words[i] & 255) == expected[found].op) ck_assert_uint_eq(code_line_at(vm, method, i), expected[found++].line);
  ck_assert_uint_eq(found, 4);
}
END_TEST

START_TEST(debuggers_get_the_variables_names) {
  Oop variables = AS(CompiledMethod, compile_string("at: index put: value | old | old := value. ^ old", COMPILE_METHOD))->variables;
  static const char *const expected[] = {"index", "value", "old"};
  ck_assert_uint_eq(object_size(variables), 3);
  for (size_t i = 0; i < 3; i++) ck_assert_uint_eq(object_slots(variables)[i], symbol_intern(vm, expected[i], strlen(expected[i])));
}
END_TEST

START_TEST(a_method_names_an_unknown_primitive_in_vain) {
  char *report;
  static const char source[] = "foo <primitive: #thereIsNone>";
  ck_assert_uint_eq(compile_source((Text){source, sizeof source - 1}, COMPILE_METHOD, &report), OOP_NONE);
  ck_assert_int_eq(vm->failure, FAIL_NOT_FOUND);
  free(report);
}
END_TEST

Suite *compiler_suite(void) {
  Suite *s = suite_create("compiler");
  find_files();
  TCase *c = test_case(s, "golden", open_classes, close_vm);
  tcase_add_loop_test(c, a_method_is_compiled_as_its_listing_says, 0, name_count);
  tcase_add_loop_test(c, what_is_compiled_passes_the_verifier, 0, name_count);
  tcase_add_test(c, every_instruction_knows_its_line);
  tcase_add_test(c, debuggers_get_the_variables_names);
  tcase_add_test(c, a_method_names_an_unknown_primitive_in_vain);
  c = test_case(s, "limits", open_classes, close_vm);
  tcase_add_test(c, the_slots_of_a_vector_fit_in_a_byte);
  tcase_add_test(c, a_frame_has_at_most_250_registers);
  tcase_add_test(c, parameters_and_captures_have_a_limit);
  tcase_add_test(c, any_number_of_sites_and_literals_is_compiled_or_refused);
  tcase_add_test(c, sites_from_256_on_are_named_in_a_second_word);
  tcase_add_test(c, jumps_that_are_too_long_are_refused);
  add_rows(c, nesting_is_compiled_up_to_a_depth_and_refused_beyond, nestings);
  tcase_add_test(c, the_deepest_source_is_compiled_within_the_c_stack);
  tcase_add_test(c, long_chains_of_messages_are_compiled_or_refused);
  tcase_add_test(c, a_pragma_with_too_few_arguments_is_no_primitive);
  return s;
}
