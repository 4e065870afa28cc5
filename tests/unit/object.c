// Tags, immediate values, headers and formats: everything of vm/object.h and vm/layouts.h that needs no heap.
#include <math.h>

#include "tests/unit/unit.h"

START_TEST(small_integers_keep_their_value) {
  const int64_t values[] = {0, 1, -1, 7, -8, 1000000007, -1000000007, SMALL_INTEGER_MAX, SMALL_INTEGER_MIN};
  Oop o = oop_from_integer(values[_i]);
  ck_assert(is_integer(o) && !is_pointer(o) && !is_character(o) && !is_immediate_float(o) && !is_boolean(o));
  ck_assert_int_eq(oop_to_integer(o), values[_i]);
  ck_assert_uint_eq(class_index_of(o), CLASS_SmallInteger);
}
END_TEST

START_TEST(integers_beyond_61_bits_do_not_fit) {
  ck_assert(integer_fits(SMALL_INTEGER_MAX) && integer_fits(SMALL_INTEGER_MIN));
  ck_assert(!integer_fits(SMALL_INTEGER_MAX + 1) && !integer_fits(SMALL_INTEGER_MIN - 1));
  ck_assert(!integer_fits(INT64_MAX) && !integer_fits(INT64_MIN));
}
END_TEST

START_TEST(characters_keep_their_code_point) {
  const uint32_t values[] = {0, 'a', 255, 256, 0xD7FF, 0x1F600, 0x10FFFF};
  Oop o = oop_from_character(values[_i]);
  ck_assert(is_character(o) && !is_pointer(o) && !is_integer(o));
  ck_assert_uint_eq(oop_to_character(o), values[_i]);
  ck_assert_uint_eq(class_index_of(o), CLASS_Character);
}
END_TEST

START_TEST(nil_true_and_false_are_no_pointers_and_differ) {
  const Oop values[] = {OOP_NIL, OOP_FALSE, OOP_TRUE};
  const uint32_t classes[] = {CLASS_UndefinedObject, CLASS_False, CLASS_True};
  for (int i = 0; i < 3; i++) {
    ck_assert_uint_eq(values[i] & TAG_MASK, TAG_SPECIAL);
    ck_assert_uint_eq(class_index_of(values[i]), classes[i]);
    ck_assert(is_boolean(values[i]) == (i > 0));
    ck_assert(values[i] != values[(i + 1) % 3]);
  }
  ck_assert_uint_eq(oop_from_boolean(true), OOP_TRUE);
  ck_assert_uint_eq(oop_from_boolean(false), OOP_FALSE);
}
END_TEST

// --- immediate floats: biased exponents 768 to 1279, and 0.0 but not -0.0

static double double_of(uint64_t sign, uint64_t exponent, uint64_t mantissa) {
  uint64_t bits = sign << 63 | exponent << 52 | mantissa;
  double d;
  memcpy(&d, &bits, 8);
  return d;
}

static bool same_bits(double a, double b) { return memcmp(&a, &b, 8) == 0; }

static const uint64_t mantissas[] = {0, 1, 0x8000000000000, 0xFFFFFFFFFFFFF};

static void check_float(double d, bool immediate) {
  Oop o = OOP_NONE;
  ck_assert_msg(float_is_immediate(d, &o) == immediate, "%a should be %s", d, immediate ? "immediate" : "boxed");
  if (!immediate) return;
  ck_assert(is_immediate_float(o) && class_index_of(o) == CLASS_Float);
  ck_assert_msg(same_bits(immediate_float_value(o), d), "%a comes back as %a", d, immediate_float_value(o));
}

static void check_exponent(uint64_t exponent) {
  for (uint64_t sign = 0; sign < 2; sign++)
    for (size_t i = 0; i < sizeof mantissas / sizeof *mantissas; i++) {
      bool zero = sign == 0 && exponent == 0 && mantissas[i] == 0;
      check_float(double_of(sign, exponent, mantissas[i]), zero || (exponent >= 768 && exponent <= 1279));
    }
}

// All 2048 biased exponents, 128 a time.
START_TEST(a_float_is_immediate_exactly_when_its_exponent_is_in_the_middle) {
  for (uint64_t i = 0; i < 128; i++) check_exponent((uint64_t)_i * 128 + i);
}
END_TEST

START_TEST(zero_is_one_word_and_minus_zero_is_boxed) {
  Oop zero, minus_zero;
  ck_assert(float_is_immediate(0.0, &zero) && zero == OOP_ZERO && !is_tagged_float(zero));
  ck_assert(!signbit(immediate_float_value(zero)));
  ck_assert(!float_is_immediate(-0.0, &minus_zero));
}
END_TEST

START_TEST(nan_and_infinities_are_boxed) {
  check_float((double)NAN, false);
  check_float((double)INFINITY, false);
  check_float(-(double)INFINITY, false);
}
END_TEST

// --- headers: objects in a C array, as the heap would lay them out

static Oop object_with(uint64_t *words, size_t front, uint64_t header) {
  words[0] = (uint64_t)front << 3 | TAG_SIZE;
  words[1] = header | TAG_HEADER;
  return (Oop)(uintptr_t)&words[1];
}

START_TEST(a_headers_fields_do_not_touch_each_other) {
  _Alignas(16) uint64_t words[4] = {0};
  uint64_t header = (uint64_t)FORMAT_BYTES << HEADER_FORMAT_SHIFT | (uint64_t)(CLASS_INDEX_LIMIT - 1) << HEADER_CLASS_SHIFT | (uint64_t)2 << HEADER_SIZE_SHIFT;
  Oop o = object_with(words, 0, header);
  ck_assert_int_eq(object_format(o), FORMAT_BYTES);
  ck_assert_uint_eq(class_index_of(o), CLASS_INDEX_LIMIT - 1);
  ck_assert_uint_eq(object_size(o), 2);
  ck_assert(!object_is_immutable(o));
  words[1] |= HEADER_MARK;
  ck_assert(!object_is_immutable(o));
  words[1] |= HEADER_IMMUTABLE | HEADER_REMEMBERED | HEADER_AGE_MASK | HEADER_MARK | (((uint64_t)1 << HEADER_HASH_BITS) - 1) << HEADER_HASH_SHIFT;
  ck_assert(object_is_immutable(o));
  ck_assert_int_eq(object_format(o), FORMAT_BYTES);
  ck_assert_uint_eq(class_index_of(o), CLASS_INDEX_LIMIT - 1);
  ck_assert_uint_eq(object_size(o), 2);
}
END_TEST

START_TEST(sizes_from_1023_words_on_are_in_front) {
  _Alignas(16) uint64_t words[4] = {0};
  Oop o = object_with(words, 5000, (uint64_t)SIZE_IN_FRONT << HEADER_SIZE_SHIFT);
  ck_assert_uint_eq(object_size(o), 5000);
  o = object_with(words, 5000, (uint64_t)(SIZE_IN_FRONT - 1) << HEADER_SIZE_SHIFT);
  ck_assert_uint_eq(object_size(o), SIZE_IN_FRONT - 1);
}
END_TEST

// --- element counts

static const struct {
  Format base;
  size_t element_size;
} element_formats[] = {{FORMAT_WORDS64, 8}, {FORMAT_WORDS32, 4}, {FORMAT_WORDS16, 2}, {FORMAT_BYTES, 1}};

START_TEST(element_counts_are_kept_by_the_format) {
  _Alignas(16) uint64_t words[40] = {0};
  Format base = element_formats[_i].base;
  size_t size = element_formats[_i].element_size;
  ck_assert_uint_eq(format_element_size(base), size);
  for (size_t count = 0; count <= 64; count++) {
    size_t body;
    Format f = format_for_count(base, count, &body);
    ck_assert_uint_eq(body, (count * size + 7) / 8);
    ck_assert_int_eq(format_base(f), base);
    ck_assert_uint_eq(format_element_size(f), size);
    ck_assert(!format_has_pointers(f) && f < FORMAT_LIMIT);
    Oop o = object_with(words, 0, (uint64_t)f << HEADER_FORMAT_SHIFT | (uint64_t)body << HEADER_SIZE_SHIFT);
    ck_assert_uint_eq(object_element_count(o), count);
  }
}
END_TEST

START_TEST(the_first_five_formats_have_pointers) {
  for (int f = FORMAT_FIXED; f <= FORMAT_STACK; f++) ck_assert(format_has_pointers((Format)f));
  for (int f = FORMAT_WORDS64; f < FORMAT_LIMIT; f++) ck_assert(!format_has_pointers((Format)f));
}
END_TEST

START_TEST(a_layout_tells_slots_and_format) {
  Oop layout = oop_from_integer(300 | (int64_t)FORMAT_WEAK << 16 | (int64_t)1 << 24);
  ck_assert_uint_eq(layout_named_slots(layout), 300);
  ck_assert_int_eq(layout_format(layout), FORMAT_WEAK);
}
END_TEST

START_TEST(slots_of_known_classes_are_numbered_from_0) {
  ck_assert_uint_eq(SLOT_OF(Association, key), 0);
  ck_assert_uint_eq(SLOT_OF(Association, value), 1);
  ck_assert_uint_eq(NAMED_SLOTS(Association), 2);
  ck_assert_uint_eq(NAMED_SLOTS(Array), 0);
  ck_assert_uint_eq(SLOT_OF(CompiledBlock, header), SLOT_OF(CompiledMethod, header));
  ck_assert_uint_eq(SLOT_OF(Metaclass, methodDictionary), SLOT_OF(Class, methodDictionary));
}
END_TEST

Suite *object_suite(void) {
  Suite *s = suite_create("object");
  TCase *c = test_case(s, "values", NULL, NULL);
  tcase_add_loop_test(c, small_integers_keep_their_value, 0, 9);
  tcase_add_test(c, integers_beyond_61_bits_do_not_fit);
  tcase_add_loop_test(c, characters_keep_their_code_point, 0, 7);
  tcase_add_test(c, nil_true_and_false_are_no_pointers_and_differ);
  c = test_case(s, "floats", NULL, NULL);
  tcase_add_loop_test(c, a_float_is_immediate_exactly_when_its_exponent_is_in_the_middle, 0, 16);
  tcase_add_test(c, zero_is_one_word_and_minus_zero_is_boxed);
  tcase_add_test(c, nan_and_infinities_are_boxed);
  c = test_case(s, "objects", NULL, NULL);
  tcase_add_test(c, a_headers_fields_do_not_touch_each_other);
  tcase_add_test(c, sizes_from_1023_words_on_are_in_front);
  tcase_add_loop_test(c, element_counts_are_kept_by_the_format, 0, 4);
  tcase_add_test(c, the_first_five_formats_have_pointers);
  tcase_add_test(c, a_layout_tells_slots_and_format);
  tcase_add_test(c, slots_of_known_classes_are_numbered_from_0);
  return s;
}
