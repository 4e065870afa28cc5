// The verifier of compiled code. For every instruction there is a small program that it accepts, made from the table's operand letters;
// then each operand in turn is put out of range, and the program must be refused.
//
// The program: the instruction at word 0, with the words that belong to it; at FIXED_AT an AT and its EXT; a return at the end. The frame has
// REGISTERS registers, the code two send sites (unary, and two arguments) and a literal of each kind.
#include "vm/verifier.h"

#include "tests/unit/unit.h"

enum { REGISTERS = 12, SITES = 2, UNARY_SITE = 0, BINARY_SITE = 1, COUNT = 9, FIXED_AT = 6 };
enum { LITERAL_BINDING = 4 * SITES, LITERAL_SIZE, LITERAL_BLOCK, LITERAL_LIMIT };

static const struct {
  const char *name, *operands;
} rows[] = {
#define OP(name, operands, effect) {#name, operands},
#include "vm/opcodes.def"
#undef OP
};

static uint32_t words[COUNT];
static Oop code;

static bool has(int op, char letter) { return strchr(rows[op].operands, letter) != NULL; }
static uint32_t word(int op, int a, int b, int c) { return (uint32_t)op | (uint32_t)a << 8 | (uint32_t)b << 16 | (uint32_t)c << 24; }
static uint32_t wide(int op, int a, int bx) { return (uint32_t)op | (uint32_t)a << 8 | ((uint32_t)bx & 0xFFFF) << 16; }

static Oop old_object_of(uint32_t class_index, Format f, size_t size) { return heap_allocate_old(vm->heap, class_index, f, size); }

static void set_header(int64_t flags, size_t registers) {
  AS(CompiledMethod, code)->header =
      oop_from_integer((int64_t)registers << CODE_REGISTERS_SHIFT | (int64_t)SITES << CODE_SITES_SHIFT | (int64_t)1 << CODE_ARGUMENTS_SHIFT | flags);
}

static Oop literal_frame(void) {
  Oop k = old_object_of(CLASS_Array, FORMAT_INDEXABLE, LITERAL_LIMIT);
  static const char *const selectors[SITES] = {"size", "at:put:"};
  for (size_t i = 0; i < SITES; i++) {
    object_slots(k)[CACHE_WORDS * i + CACHE_CLASS] = CACHE_EMPTY;
    object_slots(k)[CACHE_WORDS * i + CACHE_EXTRA] = oop_from_integer(0);
    object_slots(k)[CACHE_WORDS * i + CACHE_SELECTOR] = symbol_intern(vm, selectors[i], strlen(selectors[i]));
  }
  object_slots(k)[LITERAL_BINDING] = old_object_of(CLASS_Binding, FORMAT_FIXED, NAMED_SLOTS(Binding));
  object_slots(k)[LITERAL_SIZE] = oop_from_integer(3);
  object_slots(k)[LITERAL_BLOCK] = old_object_of(CLASS_CompiledBlock, FORMAT_FIXED, NAMED_SLOTS(CompiledBlock));
  return k;
}

static void open_code(void) {
  open_vm();
  code = old_object_of(CLASS_CompiledMethod, FORMAT_FIXED, NAMED_SLOTS(CompiledMethod));
  AS(CompiledMethod, code)->literals = literal_frame();
  set_header(0, REGISTERS);
}

static const char *verify_words(const uint32_t *from, size_t count) {
  size_t size;
  Format f = format_for_count(FORMAT_WORDS32, count, &size);
  Oop o = AS(CompiledMethod, code)->code = old_object_of(CLASS_WordArray, f, size);
  memcpy(object_slots(o), from, 4 * count);
  return verify_code(vm, code);
}

static const char *verify(void) { return verify_words(words, COUNT); }

// --- the program of an instruction

static int literal_for(int op) { return op == OP_GET_GLOBAL || op == OP_SET_GLOBAL ? LITERAL_BINDING : op == OP_CLOSURE ? LITERAL_BLOCK : LITERAL_SIZE; }
static int extension_for(int op) { return op == OP_CLOSURE ? LITERAL_BLOCK : op == OP_STORE_ELEMENT_WIDE ? 1000 : UNARY_SITE; }

static void make_program(int op) {
  for (size_t i = 0; i < COUNT; i++) words[i] = OP_RETURN_SELF;
  words[FIXED_AT] = word(OP_AT, 1, 2, 3);
  words[FIXED_AT + 1] = wide(OP_EXT, 1, UNARY_SITE);
  if (has(op, 'k')) words[0] = wide(op, 1, literal_for(op));
  else if (has(op, 'j') || has(op, 'J')) words[0] = (uint32_t)op | 1 << 8;
  else words[0] = word(op, 1, 2, has(op, 's') ? UNARY_SITE : 3);
  if (has(op, 'J')) words[0] = (uint32_t)op;
  if (has(op, 'E')) words[1] = wide(OP_EXT, 1, extension_for(op));
  if (has(op, 'F')) words[1] = wide(OP_JUMP_FALSE, 1, 0);
  if (has(op, 'T')) words[1] = wide(OP_JUMP_TRUE, 1, 0);
  if (op == OP_FOR_LOOP || op == OP_FOR_NEXT) words[1] = (uint32_t)OP_JUMP;
}

static void expect_good(const char *what) {
  const char *wrong = verify();
  ck_assert_msg(wrong == NULL, "%s is refused: %s", what, wrong);
}

static void expect_bad(int op, const char *what) { ck_assert_msg(verify() != NULL, "%s with %s is accepted", rows[op].name, what); }

// The program with another first word.
static void refuse_first(int op, uint32_t first, const char *what) {
  uint32_t saved = words[0];
  words[0] = first;
  expect_bad(op, what);
  words[0] = saved;
}

static void refuse_second(int op, uint32_t second, const char *what) {
  uint32_t saved = words[1];
  words[1] = second;
  expect_bad(op, what);
  words[1] = saved;
}

static uint32_t with_byte(uint32_t w, int byte, int value) { return (w & ~(0xFFu << 8 * byte)) | (uint32_t)value << 8 * byte; }
static uint32_t with_bx(uint32_t w, int value) { return (w & 0xFFFF) | ((uint32_t)value & 0xFFFF) << 16; }

START_TEST(a_program_of_every_instruction_is_accepted) {
  if (_i == OP_EXT) return;
  make_program(_i);
  expect_good(rows[_i].name);
}
END_TEST

START_TEST(registers_beyond_the_frame_are_refused) {
  int op = _i;
  if (op == OP_EXT) return;
  make_program(op);
  for (int r = REGISTERS; r <= 255; r += 243) {
    if (has(op, 'd') || has(op, 'a') || has(op, 'x')) {
      uint32_t second = words[1];
      if (has(op, 'E') || has(op, 'F') || has(op, 'T')) words[1] = with_byte(second, 1, r);  // so that only the register is wrong
      refuse_first(op, with_byte(words[0], 1, r), "A out of range");
      words[1] = second;
    }
    if (has(op, 'b')) refuse_first(op, with_byte(words[0], 2, r), "B out of range");
    if (has(op, 'c')) refuse_first(op, with_byte(words[0], 3, r), "C out of range");
  }
}
END_TEST

START_TEST(a_register_at_the_end_of_the_frame_is_accepted) {
  int op = _i;
  if (op == OP_EXT) return;
  make_program(op);
  if (has(op, 'b')) words[0] = with_byte(words[0], 2, REGISTERS - 1);
  if (has(op, 'c')) words[0] = with_byte(words[0], 3, REGISTERS - 1);
  if (has(op, 'w')) words[0] = with_byte(words[0], 2, REGISTERS - 4);
  if (has(op, 'g')) words[0] = word(op, 1, REGISTERS - 3, 3);
  expect_good(rows[op].name);
}
END_TEST

START_TEST(windows_of_sends_beyond_the_frame_are_refused) {
  int op = _i;
  make_program(op);
  if (has(op, 'w')) {
    refuse_first(op, with_byte(words[0], 2, REGISTERS - 3), "a window beyond the frame");
    refuse_first(op, with_byte(words[0], 2, 255), "a window beyond the frame");
  }
  if (has(op, 'g')) {
    refuse_first(op, word(op, 1, REGISTERS - 2, 3), "registers beyond the frame");
    refuse_first(op, word(op, 1, 2, 255), "registers beyond the frame");
  }
  if (op == OP_LOAD_NIL) refuse_first(op, word(op, 1, REGISTERS - 1, 0), "registers beyond the frame");
}
END_TEST

START_TEST(a_window_has_room_for_the_selectors_arguments) {
  static const int ops[] = {OP_SEND, OP_SUPER, OP_SEND_WIDE, OP_SUPER_WIDE};
  int op = ops[_i], window = REGISTERS - 6;
  make_program(op);
  bool ext = has(op, 'E');
  words[0] = word(op, 1, window, ext ? 0 : BINARY_SITE);
  if (ext) words[1] = wide(OP_EXT, 1, BINARY_SITE);
  expect_good(rows[op].name);
  refuse_first(op, with_byte(words[0], 2, window + 1), "no room for the arguments");
}
END_TEST

START_TEST(send_sites_that_do_not_exist_are_refused) {
  int op = _i;
  make_program(op);
  if (has(op, 's')) {
    refuse_first(op, with_byte(words[0], 3, SITES), "a site out of range");
    refuse_first(op, with_byte(words[0], 3, 255), "a site out of range");
  }
  if (!has(op, 'E') || op == OP_CLOSURE || op == OP_STORE_ELEMENT_WIDE) return;
  refuse_second(op, with_bx(words[1], SITES), "a site out of range");
  refuse_second(op, with_bx(words[1], 65535), "a site out of range");
}
END_TEST

START_TEST(literals_that_do_not_exist_are_refused) {
  int op = _i;
  if (op == OP_EXT || op == OP_PRIMITIVE) return;
  make_program(op);
  static const int wrong[] = {0, 4 * SITES - 1, LITERAL_LIMIT, 65535};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    if (has(op, 'k')) refuse_first(op, with_bx(words[0], wrong[i]), "a literal out of range");
    if (op == OP_CLOSURE) refuse_second(op, with_bx(words[1], wrong[i]), "a literal out of range");
  }
}
END_TEST

START_TEST(literals_of_another_kind_are_refused) {
  static const int ops[] = {OP_GET_GLOBAL, OP_SET_GLOBAL, OP_NEW_ARRAY, OP_CLOSURE};
  int op = ops[_i];
  make_program(op);
  for (int literal = LITERAL_BINDING; literal < LITERAL_LIMIT; literal++) {
    if (literal == literal_for(op)) continue;
    if (op == OP_CLOSURE) refuse_second(op, with_bx(words[1], literal), "a literal of another kind");
    else refuse_first(op, with_bx(words[0], literal), "a literal of another kind");
  }
}
END_TEST

START_TEST(an_array_literals_size_has_limits) {
  static const int64_t sizes[] = {-1, 1 << 24, SMALL_INTEGER_MAX};
  make_program(OP_NEW_ARRAY);
  for (size_t i = 0; i < 3; i++) {
    object_slots(AS(CompiledMethod, code)->literals)[LITERAL_SIZE] = oop_from_integer(sizes[i]);
    expect_bad(OP_NEW_ARRAY, "a wrong size");
  }
}
END_TEST

// --- jumps; distances count from the word behind

static uint32_t jump_of(int op, int distance) { return has(op, 'J') ? (uint32_t)op | (uint32_t)distance << 8 : wide(op, 1, distance); }

START_TEST(jumps_that_leave_the_code_are_refused) {
  int op = _i;
  if (!has(op, 'j') && !has(op, 'J')) return;
  make_program(op);
  static const int wrong[] = {-2, -3, COUNT - 1, 10000, -32768, 32767};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) refuse_first(op, jump_of(op, wrong[i]), "a jump out of the code");
  static const int right[] = {-1, 0, FIXED_AT - 1, COUNT - 2};
  for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
    words[0] = jump_of(op, right[i]);
    expect_good(rows[op].name);
  }
}
END_TEST

START_TEST(jumps_into_an_instruction_are_refused) {
  int op = _i;
  if (!has(op, 'j') && !has(op, 'J')) return;
  make_program(op);
  refuse_first(op, jump_of(op, FIXED_AT), "a jump to an operand word");
}
END_TEST

// --- words that belong together

START_TEST(an_instruction_without_its_operand_word_is_refused) {
  int op = _i;
  if (!has(op, 'E')) return;
  make_program(op);
  refuse_second(op, OP_RETURN_SELF, "no EXT");
  refuse_second(op, with_byte(words[1], 1, 2), "an EXT for another register");
  words[COUNT - 1] = words[0];
  expect_bad(op, "its operand word cut off");
}
END_TEST

START_TEST(an_operand_word_alone_is_refused) {
  make_program(OP_NOP);
  refuse_first(OP_EXT, wide(OP_EXT, 1, LITERAL_SIZE), "nothing before it");
}
END_TEST

START_TEST(a_test_without_its_jump_is_refused) {
  int op = _i;
  if (!has(op, 'F') && !has(op, 'T')) return;
  int own = has(op, 'F') ? OP_JUMP_FALSE : OP_JUMP_TRUE, other = has(op, 'F') ? OP_JUMP_TRUE : OP_JUMP_FALSE;
  make_program(op);
  refuse_second(op, OP_RETURN_SELF, "no jump");
  refuse_second(op, wide(OP_JUMP_NIL, 1, 0), "a jump of another kind");
  refuse_second(op, wide(other, 1, 0), "a jump of the other sense");
  refuse_second(op, wide(own, 2, 0), "a jump on another register");
}
END_TEST

START_TEST(a_loop_without_its_words_is_refused) {
  make_program(OP_FOR_LOOP);
  refuse_second(OP_FOR_LOOP, OP_NOP, "no jump");
  words[4] = word(OP_AT, 1, 2, 3);
  words[5] = wide(OP_EXT, 1, UNARY_SITE);
  expect_bad(OP_FOR_LOOP, "an operand word where the loop ends");
  make_program(OP_FOR_LOOP);
  ck_assert_ptr_nonnull(verify_words(words, 5));
  ck_assert_ptr_null(verify_words(words, 6));
}
END_TEST

START_TEST(a_primitive_inside_a_method_is_refused) {
  make_program(OP_NOP);
  words[1] = wide(OP_PRIMITIVE, 0, 0);
  expect_bad(OP_PRIMITIVE, "another instruction before it");
}
END_TEST

START_TEST(unknown_instructions_are_refused) {
  make_program(OP_NOP);
  refuse_first(OP_NOP, (uint32_t)_i, "an unknown number");
}
END_TEST

// What ends the flow may be last, nothing else.
START_TEST(code_that_falls_off_its_end_is_refused) {
  int op = _i;
  if (op == OP_EXT) return;
  make_program(op);
  bool ends = op == OP_RETURN || op == OP_RETURN_SELF || op == OP_RETURN_NONLOCAL || op == OP_JUMP;
  words[0] = op == OP_JUMP ? jump_of(op, -1) : words[0];
  const char *wrong = verify_words(words, has(op, 'E') ? 2 : 1);
  ck_assert_msg((wrong == NULL) == ends, "%s at the end", rows[op].name);
}
END_TEST

// --- the code as a whole

START_TEST(code_without_instructions_is_refused) { ck_assert_ptr_nonnull(verify_words(words, 0)); }
END_TEST

START_TEST(frames_too_small_or_too_large_are_refused) {
  make_program(OP_NOP);
  words[FIXED_AT] = words[FIXED_AT + 1] = OP_NOP;
  static const struct {
    size_t registers;
    bool good;
  } frames[] = {{0, false}, {1, false}, {2, true}, {250, true}, {251, false}, {255, false}};
  for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
    set_header(0, frames[i].registers);
    ck_assert_msg((verify() == NULL) == frames[i].good, "%zu registers", frames[i].registers);
  }
}
END_TEST

static void refuse_part(Oop *part, Oop wrong) {
  Oop saved = *part;
  *part = wrong;
  ck_assert_ptr_nonnull(verify_code(vm, code));
  *part = saved;
  ck_assert_ptr_null(verify_code(vm, code));
}

START_TEST(damaged_parts_are_refused) {
  make_program(OP_NOP);
  expect_good("NOP");
  CompiledMethodObject *m = AS(CompiledMethod, code);
  refuse_part(&m->literals, OOP_NIL);
  refuse_part(&m->literals, m->code);
  refuse_part(&m->code, OOP_NIL);
  refuse_part(&m->code, m->literals);
  refuse_part(&m->code, oop_from_integer(5));
  refuse_part(&m->header, OOP_NIL);
}
END_TEST

START_TEST(a_site_without_a_symbol_or_with_a_filled_cache_is_refused) {
  make_program(OP_NOP);
  Oop *site = object_slots(AS(CompiledMethod, code)->literals) + CACHE_WORDS;
  Oop selector = site[CACHE_SELECTOR];
  site[CACHE_SELECTOR] = string_from_utf8_old(vm, "at:put:", 7);
  expect_bad(OP_NOP, "a string as selector");
  site[CACHE_SELECTOR] = selector;
  site[CACHE_CLASS] = oop_from_integer(CLASS_Array);
  expect_bad(OP_NOP, "a filled cache");
}
END_TEST

START_TEST(more_sites_than_literals_are_refused) {
  make_program(OP_NOP);
  AS(CompiledMethod, code)->literals = old_object_of(CLASS_Array, FORMAT_INDEXABLE, CACHE_WORDS * SITES - 1);
  expect_bad(OP_NOP, "a short literal frame");
}
END_TEST

START_TEST(a_blocks_code_lies_in_a_method) {
  Oop method = code;
  make_program(OP_NOP);
  expect_good("NOP");
  Oop block = old_object_of(CLASS_CompiledBlock, FORMAT_FIXED, NAMED_SLOTS(CompiledBlock));
  memcpy(object_slots(block), object_slots(method), 8 * SLOT_OF(CompiledBlock, outerCode));
  code = block;
  AS(CompiledBlock, block)->outerCode = method;
  set_header((int64_t)CODE_IS_BLOCK, REGISTERS);
  expect_good("a block");
  set_header(0, REGISTERS);
  expect_bad(OP_NOP, "a block that says it is none");
  set_header((int64_t)CODE_IS_BLOCK, REGISTERS);
  AS(CompiledBlock, block)->outerCode = block;
  expect_bad(OP_NOP, "a block in itself");
  AS(CompiledBlock, block)->outerCode = OOP_NIL;
  expect_bad(OP_NOP, "a block in nothing");
}
END_TEST

static void add_operands(Suite *s) {
  TCase *c = test_case(s, "operands", open_code, close_vm);
  tcase_add_loop_test(c, a_program_of_every_instruction_is_accepted, 0, OP_LIMIT);
  tcase_add_loop_test(c, registers_beyond_the_frame_are_refused, 0, OP_LIMIT);
  tcase_add_loop_test(c, a_register_at_the_end_of_the_frame_is_accepted, 0, OP_LIMIT);
  tcase_add_loop_test(c, windows_of_sends_beyond_the_frame_are_refused, 0, OP_LIMIT);
  tcase_add_loop_test(c, a_window_has_room_for_the_selectors_arguments, 0, 4);
  tcase_add_loop_test(c, send_sites_that_do_not_exist_are_refused, 0, OP_LIMIT);
  tcase_add_loop_test(c, literals_that_do_not_exist_are_refused, 0, OP_LIMIT);
  tcase_add_loop_test(c, literals_of_another_kind_are_refused, 0, 4);
  tcase_add_test(c, an_array_literals_size_has_limits);
}

Suite *verifier_suite(void) {
  Suite *s = suite_create("verifier");
  add_operands(s);
  TCase *c = test_case(s, "flow", open_code, close_vm);
  tcase_add_loop_test(c, jumps_that_leave_the_code_are_refused, 0, OP_LIMIT);
  tcase_add_loop_test(c, jumps_into_an_instruction_are_refused, 0, OP_LIMIT);
  tcase_add_loop_test(c, an_instruction_without_its_operand_word_is_refused, 0, OP_LIMIT);
  tcase_add_test(c, an_operand_word_alone_is_refused);
  tcase_add_loop_test(c, a_test_without_its_jump_is_refused, 0, OP_LIMIT);
  tcase_add_test(c, a_loop_without_its_words_is_refused);
  tcase_add_test(c, a_primitive_inside_a_method_is_refused);
  tcase_add_loop_test(c, unknown_instructions_are_refused, OP_LIMIT, OP_SEND_METHOD);
  tcase_add_loop_test(c, code_that_falls_off_its_end_is_refused, 0, OP_LIMIT);
  c = test_case(s, "parts", open_code, close_vm);
  tcase_add_test(c, code_without_instructions_is_refused);
  tcase_add_test(c, frames_too_small_or_too_large_are_refused);
  tcase_add_test(c, damaged_parts_are_refused);
  tcase_add_test(c, a_site_without_a_symbol_or_with_a_filled_cache_is_refused);
  tcase_add_test(c, more_sites_than_literals_are_refused);
  tcase_add_test(c, a_blocks_code_lies_in_a_method);
  return s;
}
