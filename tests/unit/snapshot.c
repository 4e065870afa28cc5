// Image files: what is damaged is refused with a message that says how; what is loaded is written as it was.
//
// The numbers of header words are those of image/snapshot.c.
#include "image/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "image/launch.h"
#include "tests/unit/unit.h"

enum {
  WORD_MAGIC,
  WORD_VERSION,
  WORD_CHECKSUM,
  WORD_OBJECTS,
  WORD_CLASSES,
  WORD_BODY,
  WORD_SMALLTALK,
  WORD_PROCESSOR,
  WORD_TIMERS,
  WORD_TIMER_COUNT,
  WORD_CHARACTER_SYMBOLS,
  WORD_MAIN_PROCESS,
  WORD_ACTIVE_PROCESS,
  WORD_TEXTS,
  HEADER_WORDS = 16
};

static uint64_t *words;
static size_t count;

static char *image_path(void) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/standard.image", build_directory);
  return path;
}

static void open_words(void) {
  size_t length;
  words = (uint64_t *)(void *)read_file(image_path(), &length);
  count = length / 8;
  ck_assert_uint_gt(count, HEADER_WORDS);
  open_vm();
}

static void close_words(void) {
  close_vm();
  free(words);
}

static const char *load(void) { return snapshot_load(vm, (const uint8_t *)words, 8 * count, false); }

static void expect_refusal(const char *message) {
  const char *wrong = load();
  ck_assert_msg(wrong != NULL, "the image is loaded, not refused with '%s'", message);
  ck_assert_str_eq(wrong, message);
}

START_TEST(the_standard_image_is_loaded) {
  const char *wrong = load();
  ck_assert_msg(wrong == NULL, "%s", wrong);
  ck_assert_uint_eq(heap_verify(vm->heap, stderr), 0);
  ck_assert(global_binding(vm, "OrderedCollection", 17) != OOP_NONE);
  ck_assert(snapshot_is_image((const uint8_t *)words, 8 * count));
}
END_TEST

START_TEST(sealing_again_changes_nothing) {
  uint64_t before = words[WORD_CHECKSUM];
  words[WORD_CHECKSUM] = 0;
  snapshot_seal(words, count);
  ck_assert_uint_eq(words[WORD_CHECKSUM], before);
}
END_TEST

// --- damage to the header; the checksum is made right again

enum { TO_VALUE, ADD, FLIP };

static const struct {
  const char *message;
  size_t word;
  int how;
  uint64_t value;
} damages[] = {
    {"this is no image file", WORD_MAGIC, FLIP, 1},
    {"it is of another version", WORD_VERSION, ADD, 1},
    {"it is of another version", WORD_VERSION, TO_VALUE, 0},
    {"the file is cut off, or something follows it", WORD_BODY, ADD, 1},
    {"the file is cut off, or something follows it", WORD_BODY, TO_VALUE, 0},
    {"the file is cut off, or something follows it", WORD_BODY, TO_VALUE, UINT64_MAX},
    {"its header is damaged", WORD_OBJECTS, TO_VALUE, UINT64_MAX},
    {"its header is damaged", WORD_OBJECTS, TO_VALUE, 1 << 28},
    {"its header is damaged", WORD_CLASSES, TO_VALUE, UINT64_MAX},
    {"its header is damaged", WORD_CLASSES, TO_VALUE, CLASS_KNOWN_LIMIT - 1},
    {"its header is damaged", WORD_CLASSES, TO_VALUE, CLASS_INDEX_LIMIT},
    {"something follows the last object", WORD_OBJECTS, ADD, UINT64_MAX},
    {"the file is cut off", WORD_OBJECTS, ADD, 1},
    {"an object's header is damaged", WORD_CLASSES, ADD, 1},
    {"its roots are damaged", WORD_SMALLTALK, TO_VALUE, OOP_NIL},
    {"its roots are damaged", WORD_PROCESSOR, TO_VALUE, OOP_TRUE},
    {"its roots are damaged", WORD_TIMERS, TO_VALUE, OOP_TRUE},
    {"its roots are damaged", WORD_TIMER_COUNT, TO_VALUE, OOP_NIL},
    {"its roots are damaged", WORD_TIMER_COUNT, TO_VALUE, (uint64_t)-8 | TAG_INTEGER},
    {"its roots are damaged", WORD_TIMER_COUNT, TO_VALUE, 1 << 20 | TAG_INTEGER},
    {"its roots are damaged", WORD_MAIN_PROCESS, TO_VALUE, 8},
    {"its active process is damaged", WORD_ACTIVE_PROCESS, TO_VALUE, 8},
    {"a word is no valid reference", WORD_SMALLTALK, TO_VALUE, 0},
    {"a word is no valid reference", WORD_SMALLTALK, TO_VALUE, (uint64_t)1 << 40},
    {"a word is no valid reference", WORD_ACTIVE_PROCESS, TO_VALUE, TAG_HEADER},
    {"a word is no valid reference", WORD_TIMERS, TO_VALUE, 38},  // no special value
    {"something follows the last object", WORD_TEXTS, TO_VALUE, 0},
    {"its header is damaged", WORD_TEXTS, TO_VALUE, UINT64_MAX},
    {"a word is no valid reference", WORD_TIMERS, TO_VALUE, (uint64_t)0x110000 << 3 | TAG_CHARACTER},
    {"a word is no valid reference", HEADER_WORDS + CLASS_Array, TO_VALUE, TAG_SIZE},
    {"a class is damaged", HEADER_WORDS + CLASS_Array, TO_VALUE, OOP_NIL},
    {"a class is damaged", HEADER_WORDS + CLASS_Array, TO_VALUE, 17},
};

START_TEST(a_damaged_header_is_refused_with_its_reason) {
  uint64_t *word = &words[damages[_i].word];
  switch (damages[_i].how) {
    case ADD: *word += damages[_i].value; break;
    case FLIP: *word ^= damages[_i].value; break;
    default: *word = damages[_i].value; break;
  }
  snapshot_seal(words, count);
  expect_refusal(damages[_i].message);
}
END_TEST

START_TEST(a_class_under_anothers_index_is_refused) {
  words[HEADER_WORDS + CLASS_Array] = words[HEADER_WORDS + CLASS_ByteArray];
  snapshot_seal(words, count);
  expect_refusal("a class is damaged");
}
END_TEST

START_TEST(a_flipped_bit_anywhere_is_found_by_the_checksum) {
  static const size_t places[] = {HEADER_WORDS, 100, 12345, 0};
  size_t at = places[_i] == 0 ? count - 1 : places[_i];
  words[at] ^= (uint64_t)1 << 37;
  expect_refusal("its checksum is wrong");
}
END_TEST

START_TEST(a_wrong_checksum_is_refused) {
  words[WORD_CHECKSUM]++;
  expect_refusal("its checksum is wrong");
}
END_TEST

START_TEST(a_cut_file_is_refused) {
  const char *expected = _i == 0 ? "this is no image file" : "the file is cut off, or something follows it";
  static const size_t lengths[] = {0, HEADER_WORDS, 1000, 0};
  count = _i == 0 ? HEADER_WORDS - 1 : _i == 3 ? count - 1 : lengths[_i];
  expect_refusal(expected);
}
END_TEST

START_TEST(a_file_of_odd_length_is_refused) { ck_assert_str_eq(snapshot_load(vm, (const uint8_t *)words, 8 * count - 3, false), "the file is cut off"); }
END_TEST

START_TEST(other_bytes_are_no_image) {
  ck_assert(!snapshot_is_image((const uint8_t *)"BATONIM", 7));
  ck_assert(!snapshot_is_image((const uint8_t *)"Transcript show: 3", 18));
  ck_assert(snapshot_is_image((const uint8_t *)"BATONIMG", 8));
  ck_assert_str_eq(snapshot_load(vm, (const uint8_t *)"", 0, false), "this is no image file");
}
END_TEST

// --- objects; the first object's header follows the class table

static size_t first_object(void) { return HEADER_WORDS + words[WORD_CLASSES]; }

static const struct {
  const char *message;
  uint64_t bits;  // to flip in the first object's header
} object_damages[] = {
    {"an object's header is damaged", TAG_MASK},
    {"an object's header is damaged", HEADER_REMEMBERED},
    {"an object's header is damaged", HEADER_MARK},
    {"an object's header is damaged", (uint64_t)1 << HEADER_AGE_SHIFT},
    {"an object's header is damaged", (uint64_t)7 << HEADER_FORMAT_SHIFT ^ (uint64_t)FORMAT_WORDS64 << HEADER_FORMAT_SHIFT},
    {"an object's header is damaged", (uint64_t)1 << 31},
};

START_TEST(a_damaged_object_is_refused) {
  words[first_object()] ^= object_damages[_i].bits;
  snapshot_seal(words, count);
  expect_refusal(object_damages[_i].message);
}
END_TEST

// Where the header of the n-th object is (from 1).
static size_t object_place(uint64_t n) {
  for (size_t at = first_object();; n--) {
    if ((words[at] & TAG_MASK) == TAG_SIZE) at++;
    if (n == 1) return at;
    uint64_t size = words[at] >> HEADER_SIZE_SHIFT;
    at += 1 + (size_t)(size == SIZE_IN_FRONT ? words[at - 1] >> 3 : size);
  }
}

START_TEST(a_superclass_that_only_looks_like_a_class_is_refused) {
  uint64_t method = 1;
  while (header_class_index(words[object_place(method)]) != CLASS_CompiledMethod) method++;
  words[object_place(words[HEADER_WORDS + CLASS_Array] >> 3) + 1 + SLOT_OF(Class, superclass)] = method << 3;
  snapshot_seal(words, count);
  expect_refusal("a superclass is damaged");
}
END_TEST

// --- writing

static char *temporary_path(void) {
  static char path[100];
  snprintf(path, sizeof path, "/tmp/baton-unit-%ld.image", (long)getpid());
  return path;
}

START_TEST(what_was_loaded_is_written_as_it_was) {
  const char *wrong = load();
  ck_assert_msg(wrong == NULL, "%s", wrong);
  ck_assert(snapshot_write(vm, temporary_path()));
  size_t length;
  char *written = read_file(temporary_path(), &length);
  unlink(temporary_path());
  ck_assert_ptr_nonnull(written);
  ck_assert_uint_eq(length, 8 * count);
  ck_assert_mem_eq(written, words, length);
  free(written);
}
END_TEST

START_TEST(a_path_that_cannot_be_written_is_told) {
  ck_assert_ptr_null(load());
  errno = 0;
  ck_assert(!snapshot_write(vm, "/no/such/directory/x.image"));
  ck_assert_int_eq(errno, ENOENT);
}
END_TEST

Suite *snapshot_suite(void) {
  Suite *s = suite_create("snapshot");
  TCase *c = test_case(s, "loading", open_words, close_words);
  tcase_add_test(c, the_standard_image_is_loaded);
  tcase_add_test(c, sealing_again_changes_nothing);
  add_rows(c, a_damaged_header_is_refused_with_its_reason, damages);
  tcase_add_test(c, a_class_under_anothers_index_is_refused);
  tcase_add_test(c, a_superclass_that_only_looks_like_a_class_is_refused);
  tcase_add_loop_test(c, a_flipped_bit_anywhere_is_found_by_the_checksum, 0, 4);
  tcase_add_test(c, a_wrong_checksum_is_refused);
  tcase_add_loop_test(c, a_cut_file_is_refused, 0, 4);
  tcase_add_test(c, a_file_of_odd_length_is_refused);
  tcase_add_test(c, other_bytes_are_no_image);
  add_rows(c, a_damaged_object_is_refused, object_damages);
  c = test_case(s, "writing", open_words, close_words);
  tcase_add_test(c, what_was_loaded_is_written_as_it_was);
  tcase_add_test(c, a_path_that_cannot_be_written_is_told);
  return s;
}
