// The table of instructions: each row is well formed, and the assumptions that other files make about numbers hold.
#include "tests/unit/unit.h"

static const struct {
  const char *name, *operands, *effect;
} rows[] = {
#define OP(name, operands, effect) {#name, operands, effect},
#include "vm/opcodes.def"
#undef OP
};

static bool has(int op, char letter) { return strchr(rows[op].operands, letter) != NULL; }

static size_t count_of(int op, const char *letters) {
  size_t n = 0;
  for (const char *p = rows[op].operands; *p != 0; p++) n += strchr(letters, *p) != NULL;
  return n;
}

START_TEST(every_operand_letter_is_known) {
  for (const char *p = rows[_i].operands; *p != 0; p++) ck_assert_msg(strchr("daxbcwifnmskjJIEFTg", *p) != NULL, "%s has %c", rows[_i].name, *p);
  ck_assert(rows[_i].effect[0] != 0);
}
END_TEST

START_TEST(no_two_operands_share_a_field) {
  ck_assert_uint_le(count_of(_i, "daxJ"), 1);
  ck_assert_uint_le(count_of(_i, "bwngkjIJ"), 1);
  ck_assert_uint_le(count_of(_i, "cifmsgkjIJ"), 1);
  if (has(_i, 'J')) ck_assert_uint_eq(strlen(rows[_i].operands), 1);
}
END_TEST

START_TEST(a_wide_form_has_the_operands_of_the_narrow_one) {
  static const int pairs[][2] = {{OP_SEND, OP_SEND_WIDE}, {OP_SUPER, OP_SUPER_WIDE}, {OP_STORE_ELEMENT, OP_STORE_ELEMENT_WIDE}};
  for (size_t i = 0; i < 3; i++) {
    const char *narrow = rows[pairs[i][0]].operands, *wide = rows[pairs[i][1]].operands;
    ck_assert_uint_eq(strlen(narrow), strlen(wide));
    ck_assert_int_eq(strncmp(narrow, wide, strlen(narrow) - 1), 0);
    ck_assert(has(pairs[i][1], 'E'));
  }
}
END_TEST

START_TEST(jumps_on_booleans_are_a_pair_that_differs_in_the_last_bit) {
  ck_assert_int_eq(OP_JUMP_FALSE % 2, 0);
  ck_assert_int_eq(OP_JUMP_TRUE, OP_JUMP_FALSE + 1);
}
END_TEST

START_TEST(rewritten_instructions_lie_behind_the_table) {
  ck_assert_int_lt(OP_LIMIT, OP_SEND_METHOD);
  ck_assert_int_le(OP_REWRITTEN_LIMIT, 255);
}
END_TEST

START_TEST(an_instruction_as_compiled_is_itself) {
  uint32_t word = (uint32_t)_i | 0xA5C37100;
  ck_assert_uint_eq(instruction_original(word), word);
}
END_TEST

START_TEST(a_rewritten_send_goes_back_to_a_send) {
  uint32_t word = (uint32_t)(OP_SEND_METHOD + _i) | 0xA5C37100;
  ck_assert_uint_eq(instruction_original(word), (uint32_t)OP_SEND | 0xA5C37100);
}
END_TEST

START_TEST(rewritten_arithmetic_goes_back_to_its_own) {
  static const uint32_t rewritten[] = {OP_ADD_FLOAT, OP_SUBTRACT_FLOAT, OP_MULTIPLY_FLOAT}, original[] = {OP_ADD, OP_SUBTRACT, OP_MULTIPLY};
  for (int i = 0; i < 3; i++) ck_assert_uint_eq(instruction_original(rewritten[i] | 0xA5C37100), original[i] | 0xA5C37100);
}
END_TEST

#if !defined(BATON_TRAMPOLINE)
START_TEST(exactly_the_known_instructions_have_a_function) {
  bool known = _i < OP_LIMIT || (_i >= OP_SEND_METHOD && _i < OP_REWRITTEN_LIMIT);
  ck_assert(instruction_table[_i] != NULL);
  ck_assert_msg((instruction_table[_i] != instruction_table[255]) == known, "%d", _i);  // 255 is unknown
}
END_TEST
#endif

Suite *opcodes_suite(void) {
  Suite *s = suite_create("opcodes");
  TCase *c = test_case(s, "table", NULL, NULL);
  tcase_add_loop_test(c, every_operand_letter_is_known, 0, OP_LIMIT);
  tcase_add_loop_test(c, no_two_operands_share_a_field, 0, OP_LIMIT);
  tcase_add_test(c, a_wide_form_has_the_operands_of_the_narrow_one);
  tcase_add_test(c, jumps_on_booleans_are_a_pair_that_differs_in_the_last_bit);
  tcase_add_test(c, rewritten_instructions_lie_behind_the_table);
  tcase_add_loop_test(c, an_instruction_as_compiled_is_itself, 0, OP_LIMIT);
  tcase_add_loop_test(c, a_rewritten_send_goes_back_to_a_send, 0, OP_SEND_BLOCK - OP_SEND_METHOD + 1);
  tcase_add_test(c, rewritten_arithmetic_goes_back_to_its_own);
#if !defined(BATON_TRAMPOLINE)
  tcase_add_loop_test(c, exactly_the_known_instructions_have_a_function, 0, 256);
#endif
  return s;
}
