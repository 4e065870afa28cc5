// Symbols and strings: UTF-8 in and out, one object a symbol, byte and wide forms.
#include <stdlib.h>

#include "tests/unit/unit.h"

static Oop intern(const char *text) { return symbol_intern(vm, text, strlen(text)); }

START_TEST(a_symbol_is_one_object) {
  Oop a = intern("at:put:");
  ck_assert_uint_eq(class_index_of(a), CLASS_Symbol);
  ck_assert(!heap_is_young(vm->heap, a));
  ck_assert_uint_eq(intern("at:put:"), a);
  ck_assert_uint_eq(symbol_find(vm, "at:put:xx", 7), a);
  ck_assert(intern("at:pu") != a);
}
END_TEST

START_TEST(a_symbol_that_was_never_made_is_not_found) {
  ck_assert_uint_eq(symbol_find(vm, "neverMade", 9), OOP_NONE);
  Oop a = intern("neverMade");
  ck_assert_uint_eq(symbol_find(vm, "neverMade", 9), a);
}
END_TEST

START_TEST(ten_thousand_symbols_are_all_found) {
  enum { COUNT = 10000 };
  Oop *symbols = malloc(COUNT * sizeof(Oop));
  char text[20];
  for (int i = 0; i < COUNT; i++) {
    snprintf(text, sizeof text, "symbol%d", i);
    symbols[i] = intern(text);
  }
  heap_collect(vm->heap);
  // a symbol that was not kept would lie where one of these now lies
  for (int i = 0; i < 2 * COUNT; i++) heap_allocate_old(vm->heap, CLASS_ByteArray, FORMAT_BYTES, 2);
  for (int i = 0; i < COUNT; i++) {
    snprintf(text, sizeof text, "symbol%d", i);
    ck_assert_uint_eq(symbol_find(vm, text, strlen(text)), symbols[i]);
  }
  free(symbols);
}
END_TEST

// Whether the two have the same place in a table of the smallest size.
static bool collide(const char *a, const char *b) {
  return ((string_hash(string_from_utf8_old(vm, a, strlen(a))) ^ string_hash(string_from_utf8_old(vm, b, strlen(b)))) & 4095) == 0;
}

START_TEST(a_prefix_in_the_same_place_is_another_symbol) {
  int found = 0;
  char longer[20], prefix[20];
  for (int i = 0; i < 2000; i++)
    for (char c = 'a'; c <= 'h'; c++) {
      snprintf(prefix, sizeof prefix, "p%d", i);
      snprintf(longer, sizeof longer, "p%d%c", i, c);
      if (!collide(prefix, longer)) continue;
      found++;
      intern(longer);
      ck_assert_uint_eq(symbol_find(vm, prefix, strlen(prefix)), OOP_NONE);
    }
  ck_assert_int_gt(found, 0);
}
END_TEST

START_TEST(the_empty_symbol_exists) {
  Oop empty = intern("");
  ck_assert_uint_eq(object_element_count(empty), 0);
  ck_assert_uint_eq(intern(""), empty);
}
END_TEST

START_TEST(a_symbol_may_hold_nul) {
  Oop a = symbol_intern(vm, "a\0b", 3), b = symbol_intern(vm, "a\0c", 3);
  ck_assert(a != b);
  ck_assert_uint_eq(object_element_count(a), 3);
}
END_TEST

static const struct {
  const char *selector;
  int arguments;
} selectors[] = {{"size", 0}, {"at:", 1}, {"at:put:", 2}, {"+", 1}, {"->", 1}, {"_private", 0}, {"a:b:c:d:", 4}, {"\xC3\xA9tat", 0}, {"", 0}};

START_TEST(a_selector_tells_its_arguments) { ck_assert_int_eq(symbol_argument_count(intern(selectors[_i].selector)), selectors[_i].arguments); }
END_TEST

// --- strings

static const struct {
  const char *utf8;
  size_t count;
  bool wide;
} texts[] = {
    {"", 0, false},
    {"plain", 5, false},
    {"\xC3\xA9t\xC3\xA9", 3, false},  // Latin-1 fits in bytes
    {"\xC3\xBF", 1, false},           // 255
    {"\xC4\x80", 1, true},            // 256
    {"a\xF0\x9F\x98\x80z", 3, true},  // above the first plane
    {"\xF4\x8F\xBF\xBF", 1, true},    // the last code point
};

START_TEST(utf8_comes_back_as_it_went_in) {
  size_t length, expected = strlen(texts[_i].utf8);
  Oop s = string_from_utf8(vm, texts[_i].utf8, expected), old = string_from_utf8_old(vm, texts[_i].utf8, expected), symbol = intern(texts[_i].utf8);
  ck_assert(is_string(s) && is_string(old) && is_string(symbol));
  ck_assert_uint_eq(class_index_of(s), texts[_i].wide ? CLASS_WideString : CLASS_String);
  ck_assert_uint_eq(class_index_of(symbol), texts[_i].wide ? CLASS_WideSymbol : CLASS_Symbol);
  ck_assert(!heap_is_young(vm->heap, old));
  ck_assert_uint_eq(object_element_count(s), texts[_i].count);
  char *text = string_to_utf8(s, &length);
  ck_assert_uint_eq(length, expected);
  ck_assert_str_eq(text, texts[_i].utf8);
  free(text);
  ck_assert_uint_eq(string_hash(s), string_hash(symbol));
}
END_TEST

static const struct {
  const char *bytes;
  size_t length, count;
} malformed[] = {
    {"\xC3", 1, 1},      // cut off
    {"\xC3\xA9", 1, 1},  // what follows the text does not count
    {"\xE2\x82\xAC", 2, 2},
    {"\x80", 1, 1},              // a continuation alone
    {"\xC0\xAF", 2, 2},          // overlong
    {"\xE0\x80\xAF", 3, 3},      // overlong
    {"\xED\xA0\x80", 3, 3},      // a surrogate
    {"\xF4\x90\x80\x80", 4, 4},  // beyond the last code point
    {"\xFF\xFE", 2, 2},
    {"a\xE2\x82", 3, 3},  // cut off
};

START_TEST(malformed_utf8_counts_byte_by_byte) {
  Oop s = string_from_utf8(vm, malformed[_i].bytes, malformed[_i].length);
  ck_assert_uint_eq(object_element_count(s), malformed[_i].count);
  for (size_t i = 0; i < malformed[_i].count; i++) ck_assert_uint_eq(string_code_point(s, i), (uint8_t)malformed[_i].bytes[i]);
}
END_TEST

START_TEST(what_is_no_string_has_no_text) {
  ck_assert_ptr_null(string_to_utf8(OOP_NIL, NULL));
  ck_assert_ptr_null(string_to_utf8(oop_from_integer(3), NULL));
  ck_assert_ptr_null(string_to_utf8(young_object(vm->heap, CLASS_Array, FORMAT_INDEXABLE, 2), NULL));
}
END_TEST

START_TEST(the_vm_knows_its_selectors_and_reasons) {
  for (size_t i = 0; i < SELECTOR_LIMIT; i++) ck_assert_uint_eq(class_index_of(vm->selectors[i]), CLASS_Symbol);
  for (size_t i = 0; i < FAIL_LIMIT; i++) ck_assert_uint_eq(class_index_of(vm->reasons[i]), CLASS_Symbol);
  ck_assert_uint_eq(vm->reasons[FAIL_BAD_INDEX], intern("badIndex"));
}
END_TEST

Suite *symbol_suite(void) {
  Suite *s = suite_create("symbol");
  TCase *c = test_case(s, "symbols", open_vm, close_vm);
  tcase_add_test(c, a_symbol_is_one_object);
  tcase_add_test(c, a_symbol_that_was_never_made_is_not_found);
  tcase_add_test(c, ten_thousand_symbols_are_all_found);
  tcase_add_test(c, a_prefix_in_the_same_place_is_another_symbol);
  tcase_add_test(c, the_empty_symbol_exists);
  tcase_add_test(c, a_symbol_may_hold_nul);
  add_rows(c, a_selector_tells_its_arguments, selectors);
  tcase_add_test(c, the_vm_knows_its_selectors_and_reasons);
  c = test_case(s, "strings", open_vm, close_vm);
  add_rows(c, utf8_comes_back_as_it_went_in, texts);
  add_rows(c, malformed_utf8_counts_byte_by_byte, malformed);
  tcase_add_test(c, what_is_no_string_has_no_text);
  return s;
}
