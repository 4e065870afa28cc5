// Tokens: kinds, texts, values and where they end.
#include "compiler/lexer.h"

#include <math.h>

#include "tests/unit/unit.h"

static Arena arena;
static Lexer lexer;

static void start(const char *source) { lexer = (Lexer){.arena = &arena, .source = {source, strlen(source)}}; }
static Token first(const char *source) {
  start(source);
  return lexer_next(&lexer);
}

static void close_arena(void) { arena_free(&arena); }
static void open_arena(void) { arena = (Arena){0}; }

static void expect_text(Text text, const char *expected) {
  ck_assert_msg(text.length == strlen(expected) && memcmp(text.bytes, expected, text.length) == 0, "'%.*s' instead of '%s'", (int)text.length, text.bytes,
                expected);
}

// --- kinds

static const struct {
  const char *source;
  TokenKind kind;
  size_t end;
} tokens[] = {
    {"", TOKEN_END, 0},
    {"  \n\t", TOKEN_END, 4},
    {"foo bar", TOKEN_IDENTIFIER, 3},
    {"foo9_ ", TOKEN_IDENTIFIER, 5},
    {"_x", TOKEN_IDENTIFIER, 2},
    {"\xC3\xA9t", TOKEN_IDENTIFIER, 3},
    {"at: x", TOKEN_KEYWORD, 3},
    {"at:put:", TOKEN_KEYWORD, 3},
    {"x:=3", TOKEN_IDENTIFIER, 1},
    {":= 3", TOKEN_ASSIGN, 2},
    {": x", TOKEN_COLON, 1},
    {"+-", TOKEN_BINARY, 2},
    {"3-4", TOKEN_LITERAL, 1},
    {"--4", TOKEN_BINARY, 1},
    {"<=>", TOKEN_BINARY, 3},
    {"||", TOKEN_BINARY, 2},
    {"(", TOKEN_LEFT_PAREN, 1},
    {")", TOKEN_RIGHT_PAREN, 1},
    {"[", TOKEN_LEFT_BRACKET, 1},
    {"]", TOKEN_RIGHT_BRACKET, 1},
    {"{", TOKEN_LEFT_BRACE, 1},
    {"}", TOKEN_RIGHT_BRACE, 1},
    {"#(", TOKEN_HASH_PAREN, 2},
    {"#[", TOKEN_HASH_BRACKET, 2},
    {"^", TOKEN_CARET, 1},
    {".", TOKEN_PERIOD, 1},
    {";", TOKEN_SEMICOLON, 1},
    {"\"c\" \"d\"x", TOKEN_IDENTIFIER, 8},
    {"\xC2\xA0x", TOKEN_IDENTIFIER, 3},
    {"\xEF\xBB\xBFx", TOKEN_IDENTIFIER, 4},
    {"`", TOKEN_ERROR, 0},
    {"\x01", TOKEN_ERROR, 0},
    {"$", TOKEN_ERROR, 0},
    {"#", TOKEN_ERROR, 0},
    {"'a", TOKEN_ERROR, 0},
    {"\"a", TOKEN_ERROR, 0},
    {"$\xFF", TOKEN_ERROR, 0},
    {"$\xC3", TOKEN_ERROR, 0},
};

START_TEST(a_token_has_its_kind_and_end) {
  Token t = first(tokens[_i].source);
  ck_assert_msg(t.kind == tokens[_i].kind, "'%s' is of kind %d", tokens[_i].source, (int)t.kind);
  ck_assert_uint_eq(t.end, tokens[_i].end);
  if (t.kind != TOKEN_ERROR) ck_assert_uint_eq(lexer.position, t.end);
}
END_TEST

START_TEST(what_is_blank_is_no_part_of_a_token) {
  static const char *const sources[] = {" \t\n\f\rx", "\"c\"x", "\"a\" \"b\"x", "\xC2\xA0x", "\xEF\xBB\xBFx"};
  for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
    Token t = first(sources[i]);
    expect_text(t.text, "x");
    ck_assert_uint_eq(t.start, strlen(sources[i]) - 1);
  }
}
END_TEST

START_TEST(an_error_is_passed_over) {
  for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
    start(tokens[i].source);
    size_t steps = 0;
    while (lexer_next(&lexer).kind != TOKEN_END) ck_assert_uint_lt(steps++, 20);
    ck_assert_uint_eq(lexer.position, strlen(tokens[i].source));
  }
}
END_TEST

// --- literals

static const struct {
  const char *source;
  int64_t value;
} integers[] = {{"0", 0},         {"42", 42},    {"1_000_000", 1000000}, {"16rFF", 255}, {"2r1010", 10}, {"36rZZ", 1295},
                {"16r-FF", -255}, {"1e3", 1000}, {"12e0", 12},           {"2r1e3", 8},   {"16r1_0", 16}, {"1152921504606846975", SMALL_INTEGER_MAX},
                {"007", 7}};

START_TEST(integers_have_their_value) {
  Token t = first(integers[_i].source);
  ck_assert_int_eq(t.kind, TOKEN_LITERAL);
  ck_assert_int_eq(t.literal.kind, LITERAL_INTEGER);
  ck_assert_int_eq(t.literal.integer, integers[_i].value);
  ck_assert_uint_eq(t.end, strlen(integers[_i].source));
}
END_TEST

START_TEST(integers_beyond_the_small_ones_keep_their_digits) {
  Token t = first("1152921504606846976");
  ck_assert_int_eq(t.literal.kind, LITERAL_LARGE_INTEGER);
  expect_text(t.literal.text, "1152921504606846976");
  t = first("16rFFFF_FFFF_FFFF_FFFF_FFFF");
  ck_assert_int_eq(t.literal.kind, LITERAL_LARGE_INTEGER);
  ck_assert_int_eq(t.literal.radix, 16);
  expect_text(t.literal.text, "FFFFFFFFFFFFFFFFFFFF");
  t = first("3e30");
  expect_text(t.literal.text, "3000000000000000000000000000000");
}
END_TEST

START_TEST(a_sign_belongs_to_the_number_where_the_parser_says_so) {
  start("-1152921504606846976");
  Token t = lexer_number(&lexer, true);
  ck_assert_int_eq(t.literal.kind, LITERAL_INTEGER);
  ck_assert_int_eq(t.literal.integer, SMALL_INTEGER_MIN);
  start("-1152921504606846977");
  t = lexer_number(&lexer, true);
  ck_assert_int_eq(t.literal.kind, LITERAL_LARGE_INTEGER);
  expect_text(t.literal.text, "-1152921504606846977");
  start("-0.0");
  t = lexer_number(&lexer, true);
  ck_assert(t.literal.kind == LITERAL_FLOAT && signbit(t.literal.number));
}
END_TEST

static const struct {
  const char *source;
  double value;
} floats[] = {{"1.5", 1.5},       {"0.1", 0.1},
              {"1.0e10", 1e10},   {"1.5e-3", 1.5e-3},
              {"1e-3", 1e-3},     {"1.0e+2", 100.0},
              {"1.25d2", 125},    {"1.25q2", 125},
              {"2r1.1", 1.5},     {"16r1.8", 1.5},
              {"16r0.A", 0.625},  {"16r1.AF", 1.68359375},
              {"1_0.2_5", 10.25}, {"1.7976931348623157e308", 1.7976931348623157e308},
              {"5e-324", 5e-324}, {"1.0e-400", 0.0}};

START_TEST(floats_have_the_nearest_value) {
  Token t = first(floats[_i].source);
  ck_assert_int_eq(t.literal.kind, LITERAL_FLOAT);
  ck_assert_mem_eq(&t.literal.number, &floats[_i].value, 8);
  ck_assert_uint_eq(t.end, strlen(floats[_i].source));
}
END_TEST

static const struct {
  const char *source, *digits;
  int fraction_digits, scale;
} scaled[] = {{"3s2", "3", 0, 2}, {"3.14s2", "314", 2, 2}, {"3.14s", "314", 2, 2},    {"3.14s5", "314", 2, 5},
              {"3s", "3", 0, 0},  {"1e2s2", "100", 0, 2},  {"1.5e3s1", "1500", 0, 1}, {"1.5e-1s1", "15", 2, 1}};

START_TEST(scaled_decimals_have_digits_and_scale) {
  Token t = first(scaled[_i].source);
  ck_assert_int_eq(t.literal.kind, LITERAL_SCALED);
  expect_text(t.literal.text, scaled[_i].digits);
  ck_assert_int_eq(t.literal.fraction_digits, scaled[_i].fraction_digits);
  ck_assert_int_eq(t.literal.scale, scaled[_i].scale);
}
END_TEST

// What looks like the start of a longer number but is not.
static const struct {
  const char *source;
  size_t end;
} short_numbers[] = {{"3.", 1},  {"3.x", 1}, {"3..4", 1}, {"3e", 1},         {"3ex", 1},  {"3e-", 1},
                     {"3sx", 1}, {"3_", 1},  {"3__4", 1}, {"16r1.Array", 4}, {"2r12", 3}, {"3size", 1}};

START_TEST(a_number_ends_where_it_makes_no_sense_any_more) {
  Token t = first(short_numbers[_i].source);
  ck_assert_int_eq(t.kind, TOKEN_LITERAL);
  ck_assert_msg(t.end == short_numbers[_i].end, "%s ends at %zu", short_numbers[_i].source, t.end);
}
END_TEST

static const struct {
  const char *source, *text;
  LiteralKind kind;
} textual[] = {{"'abc'", "abc", LITERAL_STRING},
               {"''", "", LITERAL_STRING},
               {"'it''s'", "it's", LITERAL_STRING},
               {"''''", "'", LITERAL_STRING},
               {"'a\"b\nc'", "a\"b\nc", LITERAL_STRING},
               {"#abc", "abc", LITERAL_SYMBOL},
               {"#at:put:", "at:put:", LITERAL_SYMBOL},
               {"#'a b'", "a b", LITERAL_SYMBOL},
               {"#''", "", LITERAL_SYMBOL},
               {"#+", "+", LITERAL_SYMBOL},
               {"#->", "->", LITERAL_SYMBOL},
               {"##foo", "foo", LITERAL_SYMBOL},
               {"#a.b", "a.b", LITERAL_SYMBOL},
               {"#a:=", "a", LITERAL_SYMBOL},
               {"#\xC3\xA9", "\xC3\xA9", LITERAL_SYMBOL},
               {"#a.", "a", LITERAL_SYMBOL},
               {"#-1", "-", LITERAL_SYMBOL}};

START_TEST(strings_and_symbols_have_their_text) {
  Token t = first(textual[_i].source);
  ck_assert_int_eq(t.kind, TOKEN_LITERAL);
  ck_assert_int_eq(t.literal.kind, textual[_i].kind);
  expect_text(t.literal.text, textual[_i].text);
}
END_TEST

static const struct {
  const char *source;
  uint32_t code_point;
  size_t end;
} characters[] = {{"$a", 'a', 2},
                  {"$$", '$', 2},
                  {"$'", '\'', 2},
                  {"$ ", ' ', 2},
                  {"$\n", '\n', 2},
                  {"$\xC3\xA9", 0xE9, 3},
                  {"$\xE2\x82\xAC", 0x20AC, 4},
                  {"$\xF0\x9F\x98\x80", 0x1F600, 5}};

START_TEST(characters_have_their_code_point) {
  Token t = first(characters[_i].source);
  ck_assert_int_eq(t.literal.kind, LITERAL_CHARACTER);
  ck_assert_uint_eq(t.literal.integer, characters[_i].code_point);
  ck_assert_uint_eq(t.end, characters[_i].end);
}
END_TEST

START_TEST(in_an_array_keywords_that_touch_are_one_token) {
  start("at:put: foo. bar.baz -5 - 5");
  expect_text(lexer_next_in_array(&lexer).text, "at:put:");
  expect_text(lexer_next_in_array(&lexer).text, "foo");
  expect_text(lexer_next_in_array(&lexer).text, ".");
  expect_text(lexer_next_in_array(&lexer).text, "bar.baz");
  ck_assert_int_eq(lexer_next_in_array(&lexer).literal.integer, -5);
  expect_text(lexer_next_in_array(&lexer).text, "-");
  ck_assert_int_eq(lexer_next_in_array(&lexer).literal.integer, 5);
}
END_TEST

// --- the arena

START_TEST(an_arena_gives_zeroed_memory_of_any_size) {
  const size_t sizes[] = {0, 1, 15, 16, 65535, 65536, 65537, 1 << 20};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    uint8_t *p = arena_allocate(&arena, sizes[i]);
    ck_assert_uint_eq((uintptr_t)p % 16, 0);
    for (size_t j = 0; j < sizes[i]; j++) ck_assert_uint_eq(p[j], 0);
    if (sizes[i] > 0) memset(p, 0xFF, sizes[i]);
  }
}
END_TEST

START_TEST(arrays_grow_one_by_one_and_keep_what_they_have) {
  uint64_t *a = NULL, *b = NULL;
  for (size_t i = 0; i < 1000; i++) {
    a = arena_grow(&arena, a, i, sizeof *a);
    b = arena_grow(&arena, b, i, sizeof *b);
    a[i] = i;
    b[i] = 1000 + i;
  }
  for (size_t i = 0; i < 1000; i++) ck_assert(a[i] == i && b[i] == 1000 + i);
}
END_TEST

Suite *lexer_suite(void) {
  Suite *s = suite_create("lexer");
  TCase *c = test_case(s, "tokens", open_arena, close_arena);
  add_rows(c, a_token_has_its_kind_and_end, tokens);
  tcase_add_test(c, what_is_blank_is_no_part_of_a_token);
  tcase_add_test(c, an_error_is_passed_over);
  tcase_add_test(c, in_an_array_keywords_that_touch_are_one_token);
  c = test_case(s, "literals", open_arena, close_arena);
  add_rows(c, integers_have_their_value, integers);
  tcase_add_test(c, integers_beyond_the_small_ones_keep_their_digits);
  tcase_add_test(c, a_sign_belongs_to_the_number_where_the_parser_says_so);
  add_rows(c, floats_have_the_nearest_value, floats);
  add_rows(c, scaled_decimals_have_digits_and_scale, scaled);
  add_rows(c, a_number_ends_where_it_makes_no_sense_any_more, short_numbers);
  add_rows(c, strings_and_symbols_have_their_text, textual);
  add_rows(c, characters_have_their_code_point, characters);
  c = test_case(s, "arena", open_arena, close_arena);
  tcase_add_test(c, an_arena_gives_zeroed_memory_of_any_size);
  tcase_add_test(c, arrays_grow_one_by_one_and_keep_what_they_have);
  return s;
}
