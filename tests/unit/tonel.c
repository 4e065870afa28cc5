// The Tonel reader: headers of both versions, where methods end, and what is wrong with damaged files.
#include "image/tonel.h"

#include "tests/unit/unit.h"

static Arena arena;

static void open_arena(void) { arena = (Arena){0}; }
static void close_arena(void) { arena_free(&arena); }
static TonelFile *parse(const char *text) { return tonel_parse(&arena, "test.st", text, strlen(text)); }

static TonelFile *parse_good(const char *text) {
  TonelFile *f = parse(text);
  ck_assert_ptr_nonnull(f);
  ck_assert_msg(f->error == NULL, "%u:%u: %s", f->error_line, f->error_column, f->error);
  return f;
}

#define HEADER "Class { #name : 'A', #superclass : 'B' }\n"

// The source of the only method behind a header.
static const TonelMethod *only_method(const char *text) {
  char file[2000];
  snprintf(file, sizeof file, HEADER "%s", text);
  TonelFile *f = parse_good(file);
  ck_assert_uint_eq(f->method_count, 1);
  return &f->methods[0];
}

// --- headers

static void check_full_header(const TonelFile *f) {
  ck_assert_int_eq(f->kind, TONEL_CLASS);
  ck_assert_str_eq(f->name, "Point3");
  ck_assert_str_eq(f->superclass, "Point");
  ck_assert_str_eq(f->category, "Kernel-Numbers");
  ck_assert_str_eq(f->type, "variable");
  ck_assert_uint_eq(f->instance_variables.count, 2);
  ck_assert_str_eq(f->instance_variables.items[1], "w");
  ck_assert_uint_eq(f->class_variables.count, 1);
  ck_assert_str_eq(f->class_variables.items[0], "Zero");
  ck_assert_uint_eq(f->pools.count, 0);
  ck_assert_str_eq(f->comment, "I am a \"point\".");
}

START_TEST(a_header_of_version_3_is_read) {
  check_full_header(
      parse_good("\"\nI am a \"\"point\"\".\n\"\nClass {\n\t#name : 'Point3',\n\t#superclass : 'Point',\n\t#instVars : "
                 "[\n\t\t'z',\n\t\t'w'\n\t],\n\t#classVars : [ 'Zero' ],\n"
                 "\t#pools : [ ],\n\t#type : 'variable',\n\t#category : 'Kernel-Numbers',\n\t#package : 'Kernel-Numbers'\n}\n"));
}
END_TEST

START_TEST(a_header_of_version_1_is_read) {
  check_full_header(
      parse_good("\"I am a \"\"point\"\".\"\nClass {#name : #Point3,#superclass : #Point,#instVars : [#z,#w],#classVars : [#Zero],#type : #variable,#category "
                 ": #'Kernel-Numbers'}"));
}
END_TEST

START_TEST(unknown_keys_are_passed_over) {
  TonelFile *f = parse_good("Class { #name : 'A', #future : [ 'a', 'b' ], #other : 'c', #superclass : 'B' }");
  ck_assert_str_eq(f->superclass, "B");
  ck_assert_str_eq(f->package, "");
}
END_TEST

static const struct {
  const char *text;
  TonelKind kind;
} kinds[] = {{"Class { #name : 'A' }", TONEL_CLASS},
             {"Trait { #name : 'A' }", TONEL_TRAIT},
             {"Extension { #name : 'A' }", TONEL_EXTENSION},
             {"Package { #name : 'A' }", TONEL_PACKAGE}};

START_TEST(all_kinds_of_files_are_read) {
  TonelFile *f = parse_good(kinds[_i].text);
  ck_assert_int_eq(f->kind, kinds[_i].kind);
  ck_assert_str_eq(f->name, "A");
}
END_TEST

START_TEST(a_file_of_blanks_and_comments_is_nothing) {
  static const char *const texts[] = {"", " \n\t", "\"a comment\"", "\xEF\xBB\xBF", "\"a\" \"b\"\n"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) ck_assert_ptr_null(parse(texts[i]));
}
END_TEST

START_TEST(a_byte_order_mark_is_passed_over) { ck_assert_str_eq(parse_good("\xEF\xBB\xBF" HEADER)->name, "A"); }
END_TEST

START_TEST(strings_in_the_header_have_escapes) { ck_assert_str_eq(parse_good("Class { #name : 'A', #category : 'a\\'b\\n' }")->category, "a'b\n"); }
END_TEST

// --- methods

START_TEST(a_method_has_class_protocol_source_and_line) {
  const TonelMethod *m = only_method("\n{ #category : 'accessing' }\nA >> size [\n\t\"Answer it.\"\n\t^ 3\n]\n");
  ck_assert_str_eq(m->class_name, "A");
  ck_assert(!m->class_side);
  ck_assert_str_eq(m->protocol, "accessing");
  ck_assert_str_eq(m->source, "size \n\t\"Answer it.\"\n\t^ 3");
  ck_assert_uint_eq(m->line, 4);
}
END_TEST

static const struct {
  const char *text;
  bool class_side;
  const char *source;
} methods[] = {
    {"A class >> new [ ^ 1 ]", true, "new  ^ 1 "},
    {"A classSide >> new [ ]", true, "new  "},
    {"A >> at: i put: x [ ]", false, "at: i put: x  "},
    {"A >> at: i\n\tput: x [ ]", false, "at: i\n\tput: x  "},
    {"A >> + x [ ]", false, "+ x  "},
    {"A >> > x [ ]", false, "> x  "},
    {"A >> >> x [ ]", false, ">> x  "},
    {"A >> x \"a [ in a comment\" [ ]", false, "x \"a [ in a comment\"  "},
    {"A>>x[^1]", false, "x^1"},
    {"A >> x [ ^ ']' ]", false, "x  ^ ']' "},
    {"A >> x [ ^ 'it''s ]' ]", false, "x  ^ 'it''s ]' "},
    {"A >> x [ \"]\" ]", false, "x  \"]\" "},
    {"A >> x [ ^ $] ]", false, "x  ^ $] "},
    {"A >> x [ ^ $' ]", false, "x  ^ $' "},
    {"A >> x [ ^ $\" ]", false, "x  ^ $\" "},
    {"A >> x [ ^ [ :a | [ a ] ] ]", false, "x  ^ [ :a | [ a ] ] "},
    {"A >> x [ ^ #[1 2] ]", false, "x  ^ #[1 2] "},
    {"A >> x [ ^ #( ] $) ')' [ ) ]", false, "x  ^ #( ] $) ')' [ ) "},
    {"A >> x [ ^ #(1 (2 ]) 3) ]", false, "x  ^ #(1 (2 ]) 3) "},
    {"A >> x [\n\t^ $ \n]", false, "x \n\t^ $ "},
    {"{ #category : #'a b', #vmCategory : #c }\nA >> x [ ]", false, "x  "},
    {"{\n\t#category : #a\n}\n\nA >> x [\n]", false, "x "},
};

START_TEST(a_method_ends_at_its_bracket) {
  const TonelMethod *m = only_method(methods[_i].text);
  ck_assert_str_eq(m->source, methods[_i].source);
  ck_assert(m->class_side == methods[_i].class_side);
}
END_TEST

START_TEST(lines_are_counted_whatever_ends_them) {
  TonelFile *f = parse_good("Class { #name : 'A' }\r\n\r\nA >> x [\r\n]\r\rA >> y [ ]\n\nA >> z [ ]");
  ck_assert_uint_eq(f->method_count, 3);
  ck_assert_uint_eq(f->methods[0].line, 3);
  ck_assert_uint_eq(f->methods[1].line, 6);
  ck_assert_uint_eq(f->methods[2].line, 8);
}
END_TEST

START_TEST(what_came_before_the_damage_is_kept) {
  TonelFile *f = parse(HEADER "A >> x [ ^ 1 ]\nA >> y [ ^ 2 ]\nA >> z [ ^ 'open ]");
  ck_assert_str_eq(f->error, "this string is not closed");
  ck_assert_uint_eq(f->method_count, 2);
  ck_assert_str_eq(f->methods[1].source, "y  ^ 2 ");
}
END_TEST

// --- damaged files

static const struct {
  const char *text, *error;
  uint32_t line, column;
} damaged[] = {
    {"Clasp { #name : 'A' }", "Class, Trait, Extension or Package is expected", 1, 6},
    {"Class", "'{' is expected", 1, 6},
    {"Class [", "'{' is expected", 1, 7},
    {"Class { }", "the header has no #name", 1, 10},
    {"Class { #name 'A' }", "':' is expected in a map", 1, 15},
    {"Class { #name : }", "a symbol or string is expected", 1, 17},
    {"Class { #name : 'A'", "a value is missing", 1, 20},
    {"Class { #name : 'A", "this string is not closed", 1, 19},
    {"Class { #name : 'A', #instVars : [ 'a'", "a value is missing", 1, 39},
    {"\"open", "this text is not closed", 1, 6},
    {HEADER "{ #category : 'x' }", "a class name is expected", 2, 20},
    {HEADER ">> x [ ]", "a class name is expected", 2, 1},
    {HEADER "A x [ ]", "'class' or '>>' is expected", 2, 4},
    {HEADER "A > x [ ]", "'>>' is expected", 2, 3},
    {HEADER "A class x [ ]", "'>>' is expected", 2, 9},
    {HEADER "A", "'>>' is expected", 2, 2},
    {HEADER "A >> x", "'[' is expected after the pattern", 2, 7},
    {HEADER "A >> x \"open [", "this comment is not closed", 2, 15},
    {HEADER "A >> x [ ^ 1", "the method's ']' is missing", 2, 13},
    {HEADER "A >> x [ [ ]", "the method's ']' is missing", 2, 13},
    {HEADER "A >> x [\n\"open ]", "this comment is not closed", 3, 8},
    {HEADER "A >> x [ #( ]", "the method's ']' is missing", 2, 14},
    {HEADER "A >> x [ ] ]", "a class name is expected", 2, 12},
};

START_TEST(a_damaged_file_is_told_where_it_is_damaged) {
  TonelFile *f = parse(damaged[_i].text);
  ck_assert_ptr_nonnull(f);
  ck_assert_ptr_nonnull(f->error);
  ck_assert_str_eq(f->error, damaged[_i].error);
  ck_assert_msg(f->error_line == damaged[_i].line && f->error_column == damaged[_i].column, "%s: at %u:%u instead of %u:%u", damaged[_i].text, f->error_line,
                f->error_column, damaged[_i].line, damaged[_i].column);
}
END_TEST

Suite *tonel_suite(void) {
  Suite *s = suite_create("tonel");
  TCase *c = test_case(s, "headers", open_arena, close_arena);
  tcase_add_test(c, a_header_of_version_3_is_read);
  tcase_add_test(c, a_header_of_version_1_is_read);
  tcase_add_test(c, unknown_keys_are_passed_over);
  add_rows(c, all_kinds_of_files_are_read, kinds);
  tcase_add_test(c, a_file_of_blanks_and_comments_is_nothing);
  tcase_add_test(c, a_byte_order_mark_is_passed_over);
  tcase_add_test(c, strings_in_the_header_have_escapes);
  c = test_case(s, "methods", open_arena, close_arena);
  tcase_add_test(c, a_method_has_class_protocol_source_and_line);
  add_rows(c, a_method_ends_at_its_bracket, methods);
  tcase_add_test(c, lines_are_counted_whatever_ends_them);
  tcase_add_test(c, what_came_before_the_damage_is_kept);
  c = test_case(s, "damage", open_arena, close_arena);
  add_rows(c, a_damaged_file_is_told_where_it_is_damaged, damaged);
  return s;
}
