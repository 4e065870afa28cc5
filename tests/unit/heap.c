// The heap by itself: each test has a fresh one whose roots are a C array, and a class table for the classes with named slots.
//
// A scavenge ages what it copies; what has been copied twice is promoted by the third. The tests name objects by their root, since every
// collection moves them.
#include <stdlib.h>

#include "tests/unit/unit.h"
#include "vm/layouts.h"

enum { EDEN = 1 << 20, GRANT = 512 << 10, ROOTS = 64, LARGE = 2000, CLASS_NAMED_WEAK = CLASS_KNOWN_LIMIT, CLASSES };

static Heap *heap;
static Oop roots[ROOTS], classes[CLASSES];

static void enumerate(void *owner, bool young_only, RootVisitor visit, void *context) {
  (void)owner, (void)young_only;
  for (size_t i = 0; i < ROOTS; i++) visit(context, &roots[i]);
  for (size_t i = 0; i < CLASSES; i++) visit(context, &classes[i]);
}

static Oop class_at_index(void *owner, uint32_t index) {
  (void)owner;
  return index < CLASSES ? classes[index] : OOP_NIL;
}

static void make_class_of(uint32_t index, size_t slots, Format format) {
  classes[index] = heap_allocate_old(heap, CLASS_Class, FORMAT_FIXED, NAMED_SLOTS(Class));
  AS(Class, classes[index])->layout = oop_from_integer((int64_t)slots | (int64_t)format << 16);
}

static void open_heap_limited(size_t max_bytes) {
  for (size_t i = 0; i < ROOTS; i++) roots[i] = OOP_NIL;
  for (size_t i = 0; i < CLASSES; i++) classes[i] = OOP_NIL;
  HeapOptions options = {.eden_bytes = EDEN, .max_heap_bytes = max_bytes, .roots = enumerate, .class_at = class_at_index};
  heap = heap_new(&options);
  ck_assert_ptr_nonnull(heap);
  make_class_of(CLASS_WeakArray, 0, FORMAT_WEAK);
  make_class_of(CLASS_NAMED_WEAK, 1, FORMAT_WEAK);
  make_class_of(CLASS_Ephemeron, 2, FORMAT_EPHEMERON);
  heap_make_room(heap, GRANT);  // the stress build collects when more than granted is allocated
}

static void open_heap(void) { open_heap_limited(0); }

static void close_heap(void) {
  heap_free(heap);
  heap = NULL;
}

static Oop young(uint32_t class_index, Format format, size_t words) { return young_object(heap, class_index, format, words); }
static Oop young_array(size_t words) { return young(CLASS_Array, FORMAT_INDEXABLE, words); }

static Oop old_array(size_t words) {
  Oop o = heap_allocate_old(heap, CLASS_Array, FORMAT_INDEXABLE, words);
  ck_assert(o != OOP_NONE && !heap_is_young(heap, o));
  return o;
}

// A young object that can be told from others.
static Oop young_with(int64_t mark) {
  Oop o = young_array(1);
  object_slots(o)[0] = oop_from_integer(mark);
  return o;
}

static int64_t mark_of(Oop o) { return oop_to_integer(object_slots(o)[0]); }
static Oop slot(Oop o, size_t i) { return object_slots(o)[i]; }
static unsigned age_of(Oop o) { return (unsigned)(object_header(o) >> HEADER_AGE_SHIFT) & 3; }
static bool remembered(Oop o) { return (object_header(o) & HEADER_REMEMBERED) != 0; }
static void check_heap(void) { ck_assert_uint_eq(heap_verify_all(heap, stderr), 0); }

static HeapStatistics statistics(void) {
  HeapStatistics s;
  heap_statistics(heap, &s);
  return s;
}

// --- allocation

START_TEST(a_new_object_of_pointers_is_filled_with_nil) {
  const size_t sizes[] = {0, 1, 7, SIZE_IN_FRONT - 1, SIZE_IN_FRONT, LARGE};
  Oop o = young_array(sizes[_i]);
  ck_assert(heap_is_young(heap, o));
  ck_assert_uint_eq(object_size(o), sizes[_i]);
  ck_assert_uint_eq(class_index_of(o), CLASS_Array);
  ck_assert_uint_eq(o % 8, 0);
  for (size_t i = 0; i < sizes[_i]; i++) ck_assert_uint_eq(slot(o, i), OOP_NIL);
  roots[0] = o;
  check_heap();
}
END_TEST

START_TEST(a_new_object_of_bytes_is_filled_with_zeros) {
  const size_t sizes[] = {0, 1, 7, SIZE_IN_FRONT - 1, SIZE_IN_FRONT, LARGE};
  Oop o = roots[0] = young(CLASS_ByteArray, FORMAT_BYTES, sizes[_i]), p = heap_allocate_old(heap, CLASS_ByteArray, FORMAT_BYTES, sizes[_i]);
  for (size_t i = 0; i < 8 * sizes[_i]; i++) ck_assert(object_bytes(o)[i] == 0 && object_bytes(p)[i] == 0);
  ck_assert_uint_eq(object_size(p), sizes[_i]);
  check_heap();
}
END_TEST

START_TEST(allocation_answers_none_when_eden_is_full) {
  size_t made = 0;
  while (heap_allocate(heap, CLASS_Array, FORMAT_INDEXABLE, 100) != OOP_NONE) made++;
  ck_assert_uint_gt(made, 500);
  ck_assert_uint_le(made, EDEN / 808);
  ck_assert_uint_eq(heap_shortage(heap), 808);
  ck_assert(heap_make_room(heap, 808));
  ck_assert(heap_allocate(heap, CLASS_Array, FORMAT_INDEXABLE, 100) != OOP_NONE);
}
END_TEST

START_TEST(objects_larger_than_a_quarter_of_eden_are_old) {
  ck_assert(!heap_is_young(heap, heap_allocate(heap, CLASS_Array, FORMAT_INDEXABLE, EDEN / 8 / 4)));
  ck_assert(heap_is_young(heap, young_array(EDEN / 8 / 4 - 2)));
}
END_TEST

START_TEST(stacks_are_old_and_begin_with_one_word_in_use) {
  Oop o = heap_allocate(heap, CLASS_ProcessStack, FORMAT_STACK, 20);
  ck_assert(!heap_is_young(heap, o));
  ck_assert_int_eq(oop_to_integer(slot(o, 0)), 1);
}
END_TEST

// --- scavenges

START_TEST(a_scavenge_keeps_what_a_root_reaches_and_nothing_else) {
  roots[0] = young_array(2);
  object_slots(roots[0])[0] = young_with(42);
  for (int i = 0; i < 100; i++) young_array(10);
  Oop before = roots[0];
  heap_scavenge(heap);
  ck_assert(roots[0] != before && heap_is_young(heap, roots[0]));
  ck_assert_int_eq(mark_of(slot(roots[0], 0)), 42);
  ck_assert_uint_eq(slot(roots[0], 1), OOP_NIL);
  ck_assert_uint_eq(statistics().survivor_used, 8 * 3 + 8 * 2);
  ck_assert_uint_eq(statistics().eden_used, 0);
  check_heap();
}
END_TEST

START_TEST(an_object_is_copied_once_however_it_is_reached) {
  roots[0] = young_array(2);
  roots[1] = young_with(1);
  object_slots(roots[0])[0] = roots[1];
  object_slots(roots[0])[1] = roots[0];  // a cycle
  heap_scavenge(heap);
  ck_assert_uint_eq(slot(roots[0], 0), roots[1]);
  ck_assert_uint_eq(slot(roots[0], 1), roots[0]);
  ck_assert_uint_eq(statistics().survivor_used, 8 * 3 + 8 * 2);
}
END_TEST

START_TEST(a_scavenge_keeps_bytes_flags_and_class) {
  roots[0] = young(CLASS_String, FORMAT_BYTES, 2);
  memcpy(object_bytes(roots[0]), "sixteen letters!", 16);
  *object_words(roots[0]) |= HEADER_IMMUTABLE;
  for (int i = 0; i < 4; i++) {
    heap_scavenge(heap);
    ck_assert_mem_eq(object_bytes(roots[0]), "sixteen letters!", 16);
    ck_assert(object_is_immutable(roots[0]));
    ck_assert_uint_eq(class_index_of(roots[0]), CLASS_String);
  }
}
END_TEST

START_TEST(an_object_ages_twice_and_is_then_promoted) {
  roots[0] = young_with(3);
  for (unsigned age = 0; age <= 2; age++) {
    ck_assert(heap_is_young(heap, roots[0]));
    ck_assert_uint_eq(age_of(roots[0]), age);
    heap_scavenge(heap);
  }
  ck_assert(!heap_is_young(heap, roots[0]));
  ck_assert_uint_eq(age_of(roots[0]), 0);
  ck_assert_int_eq(mark_of(roots[0]), 3);
  ck_assert_uint_eq(statistics().promoted_bytes, 16);
  Oop before = roots[0];
  heap_scavenge(heap);
  heap_collect(heap);
  ck_assert_uint_eq(roots[0], before);
  check_heap();
}
END_TEST

START_TEST(what_does_not_fit_in_the_survivors_is_promoted) {
  enum { COUNT = 50, WORDS = 1000 };  // 400 KB, the survivors have 256
  for (int i = 0; i < COUNT; i++) {
    roots[i] = young_array(WORDS);
    object_slots(roots[i])[WORDS - 1] = oop_from_integer(i);
  }
  heap_scavenge(heap);
  int old = 0;
  for (int i = 0; i < COUNT; i++) {
    old += !heap_is_young(heap, roots[i]);
    ck_assert_int_eq(oop_to_integer(slot(roots[i], WORDS - 1)), i);
  }
  ck_assert(old > 0 && old < COUNT);
  check_heap();
}
END_TEST

START_TEST(a_large_young_object_moves_with_its_size) {
  roots[0] = young_array(LARGE);
  for (size_t i = 0; i < LARGE; i++) object_slots(roots[0])[i] = oop_from_integer((int64_t)i);
  roots[1] = young_with(9);
  for (int i = 0; i < 4; i++) {
    heap_scavenge(heap);
    ck_assert_uint_eq(object_size(roots[0]), LARGE);
    ck_assert_int_eq(oop_to_integer(slot(roots[0], LARGE - 1)), LARGE - 1);
    ck_assert_int_eq(mark_of(roots[1]), 9);
    check_heap();
  }
  ck_assert(!heap_is_young(heap, roots[0]));
}
END_TEST

START_TEST(only_the_used_words_of_a_stack_are_followed) {
  roots[0] = heap_allocate(heap, CLASS_ProcessStack, FORMAT_STACK, 20);
  Oop *words = object_slots(roots[0]);
  words[0] = oop_from_integer(3);
  words[1] = young_with(1);
  words[3] = young_with(3);  // above the top
  heap_remember(heap, roots[0]);
  heap_scavenge(heap);
  ck_assert_int_eq(mark_of(words[1]), 1);
  ck_assert_uint_eq(words[3], OOP_NIL);
  ck_assert_uint_eq(statistics().survivor_used, 16);
}
END_TEST

// --- the write barrier

START_TEST(an_old_object_that_refers_to_a_young_one_is_remembered) {
  roots[0] = old_array(3);
  ck_assert(!remembered(roots[0]));
  heap_store(heap, roots[0], 1, oop_from_integer(5));
  heap_store(heap, roots[0], 2, old_array(1));
  ck_assert(!remembered(roots[0]));
  heap_store(heap, roots[0], 0, young_with(8));
  ck_assert(remembered(roots[0]));
  heap_scavenge(heap);
  ck_assert_int_eq(mark_of(slot(roots[0], 0)), 8);
  ck_assert(remembered(roots[0]));
  check_heap();
}
END_TEST

START_TEST(an_old_object_is_forgotten_when_it_refers_to_no_young_one) {
  roots[0] = old_array(1);
  heap_store(heap, roots[0], 0, young_with(8));
  for (int i = 0; i < 3; i++) heap_scavenge(heap);
  ck_assert(!heap_is_young(heap, slot(roots[0], 0)));
  ck_assert(!remembered(roots[0]));
  check_heap();
}
END_TEST

START_TEST(a_promoted_object_that_refers_to_young_ones_is_remembered) {
  roots[0] = young_array(1);
  heap_scavenge(heap);
  heap_scavenge(heap);
  object_slots(roots[0])[0] = young_with(6);
  heap_scavenge(heap);
  ck_assert(!heap_is_young(heap, roots[0]) && heap_is_young(heap, slot(roots[0], 0)));
  ck_assert(remembered(roots[0]));
  heap_scavenge(heap);
  ck_assert_int_eq(mark_of(slot(roots[0], 0)), 6);
}
END_TEST

START_TEST(storing_in_a_young_object_remembers_nothing) {
  roots[0] = young_array(1);
  heap_store(heap, roots[0], 0, young_with(1));
  ck_assert(!remembered(roots[0]));
}
END_TEST

START_TEST(a_large_old_array_is_remembered_slot_by_slot) {
  roots[0] = old_array(LARGE);
  heap_store(heap, roots[0], 0, young_with(10));
  heap_store(heap, roots[0], LARGE - 1, young_with(11));
  ck_assert(!remembered(roots[0]));
  for (int i = 0; i < 4; i++) {
    heap_scavenge(heap);
    ck_assert_int_eq(mark_of(slot(roots[0], 0)), 10);
    ck_assert_int_eq(mark_of(slot(roots[0], LARGE - 1)), 11);
    check_heap();
  }
  ck_assert(!heap_is_young(heap, slot(roots[0], 0)));
}
END_TEST

START_TEST(a_slot_remembered_twice_is_scavenged_once) {
  roots[0] = old_array(LARGE);
  Oop a = young_with(1), b = young_with(2);
  heap_store(heap, roots[0], 5, a);
  heap_store(heap, roots[0], 6, b);
  heap_store(heap, roots[0], 5, b);
  heap_store(heap, roots[0], 6, a);
  heap_scavenge(heap);
  ck_assert_int_eq(mark_of(slot(roots[0], 5)), 2);
  ck_assert_int_eq(mark_of(slot(roots[0], 6)), 1);
  ck_assert_uint_eq(statistics().survivor_used, 32);
  check_heap();
}
END_TEST

START_TEST(a_slot_that_was_overwritten_keeps_nothing) {
  roots[0] = old_array(LARGE);
  heap_store(heap, roots[0], 5, young_with(1));
  heap_store(heap, roots[0], 5, OOP_NIL);
  heap_scavenge(heap);
  ck_assert_uint_eq(slot(roots[0], 5), OOP_NIL);
  ck_assert_uint_eq(statistics().survivor_used, 0);
}
END_TEST

START_TEST(any_number_of_stores_in_a_large_array_keeps_its_elements) {
  enum { STORES = 300000, PLACES = LARGE - 2 };
  roots[0] = old_array(LARGE);
  roots[1] = young_with(1);
  roots[2] = young_with(2);
  heap_store(heap, roots[0], 0, roots[1]);  // the first and the last one are stored but once
  heap_store(heap, roots[0], LARGE - 1, roots[2]);
  for (size_t i = 0; i < STORES; i++) heap_store(heap, roots[0], 1 + i % PLACES, roots[1 + i / PLACES % 2]);
  heap_scavenge(heap);
  ck_assert_uint_eq(slot(roots[0], 0), roots[1]);
  ck_assert_uint_eq(slot(roots[0], LARGE - 1), roots[2]);
  for (size_t i = STORES - PLACES; i < STORES; i++) ck_assert_uint_eq(slot(roots[0], 1 + i % PLACES), roots[1 + i / PLACES % 2]);
  check_heap();
}
END_TEST

// --- full collections

START_TEST(a_full_collection_frees_old_objects_that_nothing_reaches) {
  roots[0] = heap_allocate_old(heap, CLASS_WeakArray, FORMAT_WEAK, 2);
  roots[1] = old_array(1);
  heap_store(heap, roots[0], 0, roots[1]);
  heap_store(heap, roots[0], 1, old_array(1));
  heap_collect(heap);
  ck_assert_uint_eq(slot(roots[0], 0), roots[1]);
  ck_assert_uint_eq(slot(roots[0], 1), OOP_NIL);
}
END_TEST

START_TEST(a_full_collection_follows_chains_through_both_spaces) {
  roots[0] = old_array(1);
  Oop young_link = young_array(1);
  heap_store(heap, roots[0], 0, young_link);
  heap_store(heap, young_link, 0, old_array(1));
  heap_store(heap, slot(young_link, 0), 0, young_with(77));
  heap_collect(heap);
  ck_assert_int_eq(mark_of(slot(slot(slot(roots[0], 0), 0), 0)), 77);
  check_heap();
}
END_TEST

START_TEST(tenuring_makes_all_objects_old) {
  roots[0] = young_array(1);
  heap_store(heap, roots[0], 0, young_with(5));
  heap_tenure_all(heap);
  ck_assert(!heap_is_young(heap, roots[0]) && !heap_is_young(heap, slot(roots[0], 0)));
  ck_assert_int_eq(mark_of(slot(roots[0], 0)), 5);
  roots[1] = young_with(6);
  heap_scavenge(heap);
  ck_assert(heap_is_young(heap, roots[1]));
  check_heap();
}
END_TEST

START_TEST(a_full_collection_is_wanted_when_old_space_has_grown) {
  ck_assert(!heap_wants_full(heap));
  for (int i = 0; i < 5; i++) old_array(1 << 20);
  ck_assert(heap_wants_full(heap));
  ck_assert(heap_make_room(heap, 100));
  ck_assert(!heap_wants_full(heap));
  ck_assert_uint_eq(statistics().full_collections, 1);
}
END_TEST

static void count_object(void *context, Oop o) {
  size_t *counts = context;
  if (class_index_of(o) == CLASS_Point && mark_of(o) < ROOTS) counts[mark_of(o)]++;
}

START_TEST(each_live_object_is_visited_once) {
  size_t counts[ROOTS] = {0};
  for (int i = 0; i < ROOTS; i++) {
    Oop o = i % 2 ? young(CLASS_Point, FORMAT_FIXED, 2) : heap_allocate_old(heap, CLASS_Point, FORMAT_FIXED, 2);
    object_slots(o)[0] = oop_from_integer(i);
    if (i % 4 < 2) roots[i] = o;
  }
  heap_each_object(heap, count_object, counts);
  for (int i = 0; i < ROOTS; i++) ck_assert_uint_eq(counts[i], i % 4 < 2);
}
END_TEST

// --- weak references

static Oop weak_array(bool old, size_t words) {
  return old ? heap_allocate_old(heap, CLASS_WeakArray, FORMAT_WEAK, words) : young(CLASS_WeakArray, FORMAT_WEAK, words);
}

static bool is_finalizable(Oop o) {
  Oop found[8];
  size_t n = heap_fetch_finalizable(heap, found, 8);
  return n == 1 && found[0] == o;
}

// The loop: a young array, an old one; then by a full collection.
static void collect(bool full) {
  if (full) heap_collect(heap);
  else heap_scavenge(heap);
}

START_TEST(a_weak_array_loses_dead_elements_and_is_finalizable) {
  roots[0] = weak_array(_i & 1, 4);
  roots[1] = young_with(1);
  heap_store(heap, roots[0], 0, roots[1]);
  heap_store(heap, roots[0], 1, young_with(2));
  heap_store(heap, roots[0], 2, oop_from_integer(3));
  collect(_i & 2);
  ck_assert_uint_eq(slot(roots[0], 0), roots[1]);
  ck_assert_uint_eq(slot(roots[0], 1), OOP_NIL);
  ck_assert_int_eq(oop_to_integer(slot(roots[0], 2)), 3);
  ck_assert(is_finalizable(roots[0]));
  check_heap();
}
END_TEST

START_TEST(a_weak_array_that_loses_nothing_is_not_finalizable) {
  Oop found[1];
  roots[0] = weak_array(_i & 1, 1);
  roots[1] = young_with(1);
  heap_store(heap, roots[0], 0, roots[1]);
  collect(_i & 2);
  ck_assert_uint_eq(slot(roots[0], 0), roots[1]);
  ck_assert_uint_eq(heap_fetch_finalizable(heap, found, 1), 0);
}
END_TEST

START_TEST(the_named_slots_of_a_weak_object_are_strong) {
  roots[0] = _i & 1 ? heap_allocate_old(heap, CLASS_NAMED_WEAK, FORMAT_WEAK, 3) : young(CLASS_NAMED_WEAK, FORMAT_WEAK, 3);
  heap_store(heap, roots[0], 0, young_with(1));
  heap_store(heap, roots[0], 1, young_with(2));
  collect(_i & 2);
  ck_assert_int_eq(mark_of(slot(roots[0], 0)), 1);
  ck_assert_uint_eq(slot(roots[0], 1), OOP_NIL);
  check_heap();
}
END_TEST

START_TEST(a_large_weak_array_loses_dead_elements) {
  roots[0] = weak_array(_i & 1, LARGE);
  roots[1] = young_with(1);
  heap_store(heap, roots[0], 0, roots[1]);
  heap_store(heap, roots[0], LARGE - 1, young_with(2));
  collect(true);
  ck_assert_uint_eq(slot(roots[0], 0), roots[1]);
  ck_assert_uint_eq(slot(roots[0], LARGE - 1), OOP_NIL);
  check_heap();
}
END_TEST

// --- ephemerons

static Oop ephemeron(bool old, Oop key, Oop value) {
  Oop e = old ? heap_allocate_old(heap, CLASS_Ephemeron, FORMAT_EPHEMERON, 2) : young(CLASS_Ephemeron, FORMAT_EPHEMERON, 2);
  heap_store(heap, e, 0, key);
  heap_store(heap, e, 1, value);
  return e;
}

START_TEST(an_ephemeron_whose_key_died_is_finalizable_and_keeps_key_and_value) {
  Oop key = young_with(1);
  roots[0] = ephemeron(_i & 1, key, young_with(2));
  object_slots(key)[0] = oop_from_integer(11);
  collect(_i & 2);
  ck_assert(is_finalizable(roots[0]));
  ck_assert_int_eq(mark_of(slot(roots[0], 0)), 11);
  ck_assert_int_eq(mark_of(slot(roots[0], 1)), 2);
  check_heap();
}
END_TEST

static Oop old_with(int64_t mark) {
  Oop o = old_array(1);
  object_slots(o)[0] = oop_from_integer(mark);
  return o;
}

START_TEST(an_old_key_dies_in_a_full_collection_only) {
  Oop found[1];
  roots[0] = ephemeron(_i & 1, old_with(1), _i & 2 ? old_with(2) : young_with(2));
  heap_scavenge(heap);
  ck_assert_uint_eq(heap_fetch_finalizable(heap, found, 1), 0);
  heap_collect(heap);
  ck_assert(is_finalizable(roots[0]));
  ck_assert_int_eq(mark_of(slot(roots[0], 0)), 1);
  ck_assert_int_eq(mark_of(slot(roots[0], 1)), 2);
  check_heap();
}
END_TEST

START_TEST(an_ephemeron_whose_key_lives_keeps_its_value) {
  Oop found[1];
  roots[1] = young_with(1);
  roots[0] = ephemeron(_i & 1, roots[1], young_with(2));
  collect(_i & 2);
  ck_assert_uint_eq(heap_fetch_finalizable(heap, found, 1), 0);
  ck_assert_uint_eq(slot(roots[0], 0), roots[1]);
  ck_assert_int_eq(mark_of(slot(roots[0], 1)), 2);
}
END_TEST

START_TEST(a_key_that_only_its_own_value_reaches_is_dead) {
  Oop key = young_with(1), value = young_array(1);
  heap_store(heap, value, 0, key);
  roots[0] = ephemeron(_i & 1, key, value);
  collect(_i & 2);
  ck_assert(is_finalizable(roots[0]));
  ck_assert_uint_eq(slot(slot(roots[0], 1), 0), slot(roots[0], 0));
}
END_TEST

START_TEST(a_chain_of_ephemerons_lives_as_long_as_its_first_key) {
  enum { LENGTH = 20 };
  Oop found[1];
  roots[0] = young_with(0);
  roots[1] = young_array(LENGTH);
  // in reverse, so that one pass in the order of the array does not do
  Oop key = roots[0];
  for (size_t i = LENGTH; i-- > 0;) {
    Oop value = _i & 4 ? old_with((int64_t)i) : young_with((int64_t)i);
    heap_store(heap, roots[1], i, ephemeron(_i & 1, key, value));
    key = value;
  }
  collect(_i & 2);
  ck_assert_uint_eq(heap_fetch_finalizable(heap, found, 1), 0);
  for (size_t i = 0; i < LENGTH; i++) ck_assert_int_eq(mark_of(slot(slot(roots[1], i), 1)), (int64_t)i);
  check_heap();
}
END_TEST

START_TEST(what_is_finalizable_is_kept_until_it_is_fetched) {
  Oop found[3];
  for (int i = 0; i < 5; i++) ephemeron(false, young_with(1), oop_from_integer(i));
  roots[0] = young_array(5);
  for (size_t i = 0; i < 5; i++) heap_store(heap, roots[0], i, ephemeron(false, young_with(1), oop_from_integer((int64_t)i)));
  heap_scavenge(heap);
  roots[0] = OOP_NIL;
  heap_scavenge(heap);
  heap_collect(heap);
  ck_assert_uint_eq(heap_fetch_finalizable(heap, found, 3), 3);
  ck_assert_uint_eq(heap_fetch_finalizable(heap, found, 3), 2);
  ck_assert_uint_eq(heap_fetch_finalizable(heap, found, 3), 0);
  ck_assert_uint_eq(class_index_of(found[0]), CLASS_Ephemeron);
  ck_assert_uint_eq(statistics().finalized, 5);
}
END_TEST

// --- identity

START_TEST(the_identity_hash_survives_moves) {
  roots[0] = young_with(1);
  uint32_t hash = heap_identity_hash(heap, roots[0]);
  ck_assert(hash > 0 && hash < 1u << HEADER_HASH_BITS);
  for (int i = 0; i < 4; i++) {
    heap_scavenge(heap);
    ck_assert_uint_eq(heap_identity_hash(heap, roots[0]), hash);
  }
  heap_collect(heap);
  ck_assert_uint_eq(heap_identity_hash(heap, roots[0]), hash);
}
END_TEST

START_TEST(identity_hashes_differ_as_a_rule) {
  size_t same = 0;
  uint32_t last = 0;
  for (int i = 0; i < 1000; i++) {
    uint32_t hash = heap_identity_hash(heap, young_array(0));
    same += hash == last;
    last = hash;
  }
  ck_assert_uint_lt(same, 10);
}
END_TEST

// Roots 0 and 1: arrays of one young and one old pair; 2 to 5: the objects; 6: an old array that refers to all of them.
static void open_pairs(void) {
  open_heap();
  for (size_t i = 0; i < 4; i++) {
    roots[2 + i] = i < 2 ? young_with((int64_t)i) : old_array(1);
    object_slots(roots[2 + i])[0] = oop_from_integer((int64_t)i);
  }
  roots[0] = young_array(2);
  roots[1] = young_array(2);
  for (size_t i = 0; i < 2; i++) {
    heap_store(heap, roots[0], i, roots[2 + 2 * i]);
    heap_store(heap, roots[1], i, roots[3 + 2 * i]);
  }
  roots[6] = old_array(4);
  for (size_t i = 0; i < 4; i++) heap_store(heap, roots[6], i, roots[2 + i]);
}

START_TEST(become_exchanges_objects_everywhere) {
  uint32_t hash_0 = heap_identity_hash(heap, roots[2]), hash_1 = heap_identity_hash(heap, roots[3]);
  heap_become(heap, &roots[0], &roots[1], true, false);
  const int64_t marks[] = {1, 0, 3, 2};
  for (size_t i = 0; i < 4; i++) {
    ck_assert_int_eq(mark_of(roots[2 + i]), marks[i]);
    ck_assert_int_eq(mark_of(slot(roots[6], i)), marks[i]);
  }
  // the hash stays with the identity
  ck_assert_uint_eq(heap_identity_hash(heap, roots[2]), hash_0);
  ck_assert_uint_eq(heap_identity_hash(heap, roots[3]), hash_1);
  check_heap();
}
END_TEST

START_TEST(forwarding_replaces_objects_everywhere) {
  bool copy_hash = _i;
  uint32_t hash_from = heap_identity_hash(heap, roots[2]), hash_to = heap_identity_hash(heap, roots[3]);
  heap_become(heap, &roots[0], &roots[1], false, copy_hash);
  const int64_t marks[] = {1, 1, 3, 3};
  for (size_t i = 0; i < 4; i++) {
    ck_assert_int_eq(mark_of(roots[2 + i]), marks[i]);
    ck_assert_int_eq(mark_of(slot(roots[6], i)), marks[i]);
  }
  ck_assert_uint_eq(heap_identity_hash(heap, roots[2]), copy_hash ? hash_from : hash_to);
  // the arrays themselves keep what they held
  ck_assert_int_eq(mark_of(slot(roots[0], 0)), 0);
  ck_assert_int_eq(mark_of(slot(roots[1], 0)), 1);
  check_heap();
}
END_TEST

// --- the limit

enum { LIMIT = 24 << 20, CHUNK = 100 << 10 };

static void open_limited(void) { open_heap_limited(LIMIT); }

// Links old chunks from root 0 until there is no more memory; how many.
static size_t fill(void) {
  for (size_t n = 0;; n++) {
    Oop o;
    while ((o = heap_allocate_old(heap, CLASS_Array, FORMAT_INDEXABLE, CHUNK / 8)) == OOP_NONE)
      if (!heap_make_room(heap, CHUNK)) return n;
    heap_store(heap, o, 0, roots[0]);
    roots[0] = o;
  }
}

START_TEST(the_limit_answers_false_and_lets_go_when_there_is_room_again) {
  size_t first = fill();
  ck_assert(first > LIMIT / CHUNK / 2 && first <= LIMIT / CHUNK);
  ck_assert(!heap_is_exhausted(heap));
  roots[0] = OOP_NIL;
  ck_assert(heap_make_room(heap, CHUNK));
  size_t second = fill();
  ck_assert_msg(second + 20 > first, "%zu chunks fitted at first, %zu then", first, second);
}
END_TEST

START_TEST(a_reserve_opens_at_the_limit_and_is_used_up) {
  fill();
  size_t more = fill();
  ck_assert(more > 0 && more <= LIMIT / 16 / CHUNK + 1);
  ck_assert(heap_is_exhausted(heap));
}
END_TEST

START_TEST(a_raised_limit_gives_room) {
  fill();
  heap_set_max_bytes(heap, 2 * LIMIT);
  ck_assert_uint_gt(fill(), LIMIT / CHUNK / 2);
}
END_TEST

// --- the heap's own verifier

static size_t faults_told(const char *pattern) {
  char *text = NULL;
  size_t length;
  FILE *out = open_memstream(&text, &length);
  size_t faults = heap_verify_all(heap, out);
  fclose(out);
  ck_assert_msg(faults == 0 || strstr(text, pattern) != NULL, "the report does not say '%s': %s", pattern, text);
  free(text);
  return faults;
}

static void plant(Oop *place, Oop wrong, const char *pattern) {
  Oop right = *place;
  ck_assert_uint_eq(faults_told(""), 0);
  *place = wrong;
  ck_assert_uint_gt(faults_told(pattern), 0);
  *place = right;
}

START_TEST(the_verifier_finds_a_header_in_a_slot) {
  roots[0] = young_array(3);
  plant(&object_slots(roots[0])[1], TAG_HEADER, "a header in a slot");
  plant(&object_slots(roots[0])[1], TAG_SIZE, "a header in a slot");
}
END_TEST

START_TEST(the_verifier_finds_a_slot_without_an_oop) {
  roots[0] = young_array(3);
  plant(&object_slots(roots[0])[1], OOP_NONE, "no oop");
}
END_TEST

START_TEST(the_verifier_finds_a_reference_into_an_object) {
  roots[0] = young_array(3);
  roots[1] = old_array(3);
  plant(&object_slots(roots[0])[1], roots[0] + 8, "no object there");
  plant(&object_slots(roots[0])[1], roots[1] + 16, "no object there");
  plant(&roots[2], roots[1] + 8, "no object there");
}
END_TEST

START_TEST(the_verifier_finds_an_object_that_is_not_the_start_of_a_block) {
  roots[0] = young_array(1);
  roots[1] = heap_allocate_old(heap, CLASS_DoubleWordArray, FORMAT_WORDS64, 3);
  object_slots(roots[1])[1] = TAG_HEADER | CLASS_Array << HEADER_CLASS_SHIFT;
  plant(&object_slots(roots[0])[0], roots[1] + 16, "not the start of an old object");
}
END_TEST

START_TEST(the_verifier_finds_a_young_reference_that_is_not_remembered) {
  roots[0] = old_array(2);
  heap_collect(heap);
  roots[1] = young_with(1);
  plant(&object_slots(roots[0])[1], roots[1], "young reference not remembered");
}
END_TEST

START_TEST(one_heap_follows_another) {
  for (int i = 0; i < 5; i++) {
    roots[0] = old_array(10);
    heap_store(heap, roots[0], 3, young_with(i));
    heap_collect(heap);
    check_heap();
    ck_assert_int_eq(mark_of(slot(roots[0], 3)), i);
    close_heap();
    open_heap();
  }
}
END_TEST

static void add_movement(Suite *s) {
  TCase *c = test_case(s, "allocation", open_heap, close_heap);
  tcase_add_loop_test(c, a_new_object_of_pointers_is_filled_with_nil, 0, 6);
  tcase_add_loop_test(c, a_new_object_of_bytes_is_filled_with_zeros, 0, 6);
  tcase_add_test(c, allocation_answers_none_when_eden_is_full);
  tcase_add_test(c, objects_larger_than_a_quarter_of_eden_are_old);
  tcase_add_test(c, stacks_are_old_and_begin_with_one_word_in_use);
  tcase_add_test(c, one_heap_follows_another);
  c = test_case(s, "scavenge", open_heap, close_heap);
  tcase_add_test(c, a_scavenge_keeps_what_a_root_reaches_and_nothing_else);
  tcase_add_test(c, an_object_is_copied_once_however_it_is_reached);
  tcase_add_test(c, a_scavenge_keeps_bytes_flags_and_class);
  tcase_add_test(c, an_object_ages_twice_and_is_then_promoted);
  tcase_add_test(c, what_does_not_fit_in_the_survivors_is_promoted);
  tcase_add_test(c, a_large_young_object_moves_with_its_size);
  tcase_add_test(c, only_the_used_words_of_a_stack_are_followed);
  c = test_case(s, "barrier", open_heap, close_heap);
  tcase_add_test(c, an_old_object_that_refers_to_a_young_one_is_remembered);
  tcase_add_test(c, an_old_object_is_forgotten_when_it_refers_to_no_young_one);
  tcase_add_test(c, a_promoted_object_that_refers_to_young_ones_is_remembered);
  tcase_add_test(c, storing_in_a_young_object_remembers_nothing);
  tcase_add_test(c, a_large_old_array_is_remembered_slot_by_slot);
  tcase_add_test(c, a_slot_remembered_twice_is_scavenged_once);
  tcase_add_test(c, a_slot_that_was_overwritten_keeps_nothing);
  tcase_add_test(c, any_number_of_stores_in_a_large_array_keeps_its_elements);
}

static void add_collection(Suite *s) {
  TCase *c = test_case(s, "full", open_heap, close_heap);
  tcase_add_test(c, a_full_collection_frees_old_objects_that_nothing_reaches);
  tcase_add_test(c, a_full_collection_follows_chains_through_both_spaces);
  tcase_add_test(c, tenuring_makes_all_objects_old);
  tcase_add_test(c, a_full_collection_is_wanted_when_old_space_has_grown);
  tcase_add_test(c, each_live_object_is_visited_once);
  c = test_case(s, "weak", open_heap, close_heap);
  tcase_add_loop_test(c, a_weak_array_loses_dead_elements_and_is_finalizable, 0, 4);
  tcase_add_loop_test(c, a_weak_array_that_loses_nothing_is_not_finalizable, 0, 4);
  tcase_add_loop_test(c, the_named_slots_of_a_weak_object_are_strong, 0, 4);
  tcase_add_loop_test(c, a_large_weak_array_loses_dead_elements, 0, 2);
  c = test_case(s, "ephemerons", open_heap, close_heap);
  tcase_add_loop_test(c, an_ephemeron_whose_key_died_is_finalizable_and_keeps_key_and_value, 0, 4);
  tcase_add_loop_test(c, an_old_key_dies_in_a_full_collection_only, 0, 4);
  tcase_add_loop_test(c, an_ephemeron_whose_key_lives_keeps_its_value, 0, 4);
  tcase_add_loop_test(c, a_key_that_only_its_own_value_reaches_is_dead, 0, 4);
  tcase_add_loop_test(c, a_chain_of_ephemerons_lives_as_long_as_its_first_key, 0, 8);
  tcase_add_test(c, what_is_finalizable_is_kept_until_it_is_fetched);
}

static void add_identity(Suite *s) {
  TCase *c = test_case(s, "identity", open_heap, close_heap);
  tcase_add_test(c, the_identity_hash_survives_moves);
  tcase_add_test(c, identity_hashes_differ_as_a_rule);
  c = test_case(s, "become", open_pairs, close_heap);
  tcase_add_test(c, become_exchanges_objects_everywhere);
  tcase_add_loop_test(c, forwarding_replaces_objects_everywhere, 0, 2);
}

Suite *heap_suite(void) {
  Suite *s = suite_create("heap");
  add_movement(s);
  add_collection(s);
  add_identity(s);
  TCase *c = test_case(s, "limit", open_limited, close_heap);
  tcase_add_test(c, the_limit_answers_false_and_lets_go_when_there_is_room_again);
  tcase_add_test(c, a_reserve_opens_at_the_limit_and_is_used_up);
  tcase_add_test(c, a_raised_limit_gives_room);
  c = test_case(s, "verifier", open_heap, close_heap);
  tcase_add_test(c, the_verifier_finds_a_header_in_a_slot);
  tcase_add_test(c, the_verifier_finds_a_slot_without_an_oop);
  tcase_add_test(c, the_verifier_finds_a_reference_into_an_object);
  tcase_add_test(c, the_verifier_finds_an_object_that_is_not_the_start_of_a_block);
  tcase_add_test(c, the_verifier_finds_a_young_reference_that_is_not_remembered);
  return s;
}
