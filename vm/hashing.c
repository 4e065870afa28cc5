// Searching the hash tables of the class library.
//
// A HashedCollection keeps its elements in `array`: a Set one in each place, a Dictionary a key and its value. The number of places is a power
// of two; an element is at the place that its hash gives or, if that is taken, at the next free one; nil is free. The rule from hash to
// place is written here alone (hashIndex). The primitives are for keys whose hash and equality this file knows (Integers, Characters and
// strings, or anything by identity) among elements that it can compare them with; for others they fail, and the method behind the
// primitive does the same with sends of hash and =. Those that read and write elements are for Set, Dictionary and their identity forms
// alone: a subclass may have another idea of equality.
#include "vm/primitives.h"

typedef enum { EQUALITY, IDENTITY } Comparison;
typedef enum { DIFFERENT, SAME, UNKNOWN } Match;
enum { SMALL_TABLE = 64 };

typedef struct {
  const Oop *slots;
  size_t places, step;  // step: 2 when values lie between the keys
} Table;

// In small tables small Integers lie in their order, which makes for nice printing. In larger ones Fibonacci hashing keeps sequences of
// all kinds from meeting, but four neighbours stay together, so that counting through a table touches each cache line once.
static size_t place_for(int64_t hash, size_t places) {
  uint64_t h = (uint64_t)hash, group = h >> 2;
  if (places <= SMALL_TABLE) return (size_t)(h + (h >> 11) * 5) & (places - 1);
  group = (group ^ group >> 32) * 0x9E3779B97F4A7C15u;
  group = (group ^ group >> 29) >> (__builtin_clzll(places) + 3);
  return (size_t)(group << 2 | (h & 3));
}

static inline bool table_of(VM *vm, Oop collection, size_t step, Table *t) {
  Oop array = is_pointer(collection) && object_format(collection) == FORMAT_FIXED && object_size(collection) >= NAMED_SLOTS(HashedCollection)
                  ? AS(HashedCollection, collection)->array
                  : OOP_NIL;
  if (class_index_of(array) != CLASS_Array) return primitive_fail(vm, FAIL_BAD_RECEIVER), false;
  *t = (Table){object_slots(array), object_size(array) / step, step};
  if (t->places == 0 || (t->places & (t->places - 1)) != 0) return primitive_fail(vm, FAIL_BAD_RECEIVER), false;
  return true;
}

static inline bool hash_of(VM *vm, Oop key, Comparison comparison, int64_t *hash) {
  if (comparison == IDENTITY) *hash = oop_to_integer(object_identity_hash(vm, &key));
  else if (is_integer(key)) *hash = oop_to_integer(key);
  else if (is_character(key)) *hash = oop_to_character(key);
  else if (is_string(key)) *hash = string_hash_value(key);
  else return primitive_fail(vm, FAIL_BAD_ARGUMENT), false;
  return true;
}

// Whether an element equals a key that hash_of takes and that it is not identical with.
static inline Match match_integer(Oop element, Oop key) {
  (void)key;
  return is_integer(element) || is_character(element) || is_string(element) ? DIFFERENT : UNKNOWN;
}

static inline Match match_string(Oop element, Oop key) {
  if (!is_string(element)) return is_integer(element) || is_character(element) ? DIFFERENT : UNKNOWN;
  return strings_equal(element, key) ? SAME : DIFFERENT;
}

static inline Match match_identity(Oop element, Oop key) {
  (void)element, (void)key;
  return DIFFERENT;
}

static Oop index_of_place(const Table *t, size_t place) { return oop_from_integer((int64_t)(place * t->step + 1)); }

enum { NOWHERE = -1 };

// The place of the element that matches the key, or the free place for it, from a place on; NOWHERE after setting vm->failure.
static inline __attribute__((always_inline)) int64_t search(VM *vm, const Table *t, size_t place, Oop key, Match (*match)(Oop, Oop)) {
  for (size_t n = t->places; n > 0; n--, place = (place + 1) & (t->places - 1)) {
    Oop element = t->slots[place * t->step];
    if (element == key || element == OOP_NIL) return (int64_t)place;
    Match m = match(element, key);
    if (m == SAME) return (int64_t)place;
    if (m == UNKNOWN) return primitive_fail(vm, FAIL_BAD_ARGUMENT), NOWHERE;
  }
  return primitive_fail(vm, FAIL_BAD_STATE), NOWHERE;
}

static inline __attribute__((always_inline)) int64_t find(VM *vm, Oop *args, size_t step, Comparison comparison, Table *t) {
  int64_t hash;
  Oop key = args[1];
  if (!table_of(vm, args[0], step, t) || !hash_of(vm, key, comparison, &hash)) return NOWHERE;
  size_t place = place_for(hash, t->places);
  if (comparison == IDENTITY) return search(vm, t, place, key, match_identity);
  return is_pointer(key) ? search(vm, t, place, key, match_string) : search(vm, t, place, key, match_integer);
}

static Oop scan(VM *vm, Oop *args, size_t step, Comparison comparison) {
  Table t;
  int64_t place = find(vm, args, step, comparison, &t);
  return place == NOWHERE ? OOP_NONE : index_of_place(&t, (size_t)place);
}

static Oop set_scan(VM *vm, Oop *args) { return scan(vm, args, 1, EQUALITY); }
static Oop identity_set_scan(VM *vm, Oop *args) { return scan(vm, args, 1, IDENTITY); }
static Oop dictionary_scan(VM *vm, Oop *args) { return scan(vm, args, 2, EQUALITY); }
static Oop identity_dictionary_scan(VM *vm, Oop *args) { return scan(vm, args, 2, IDENTITY); }

// --- elements

static int64_t find_in_set(VM *vm, Oop *args, Table *t) {
  switch (class_index_of(args[0])) {
    case CLASS_Set: return find(vm, args, 1, EQUALITY, t);
    case CLASS_IdentitySet: return args[1] == OOP_NIL ? (primitive_fail(vm, FAIL_BAD_ARGUMENT), NOWHERE) : find(vm, args, 1, IDENTITY, t);
    default: return primitive_fail(vm, FAIL_BAD_RECEIVER), NOWHERE;
  }
}

static int64_t find_in_dictionary(VM *vm, Oop *args, Table *t) {
  switch (class_index_of(args[0])) {
    case CLASS_Dictionary: return find(vm, args, 2, EQUALITY, t);
    case CLASS_IdentityDictionary: return args[1] == OOP_NIL ? (primitive_fail(vm, FAIL_BAD_ARGUMENT), NOWHERE) : find(vm, args, 2, IDENTITY, t);
    default: return primitive_fail(vm, FAIL_BAD_RECEIVER), NOWHERE;
  }
}

static Oop set_includes(VM *vm, Oop *args) {
  Table t;
  int64_t place = find_in_set(vm, args, &t);
  return place == NOWHERE ? OOP_NONE : oop_from_boolean(t.slots[place] != OOP_NIL);
}

static Oop dictionary_includes_key(VM *vm, Oop *args) {
  Table t;
  int64_t place = find_in_dictionary(vm, args, &t);
  return place == NOWHERE ? OOP_NONE : oop_from_boolean(t.slots[2 * place] != OOP_NIL);
}

// The value at the key; fails with notFound.
static Oop dictionary_at_key(VM *vm, Oop *args) {
  Table t;
  int64_t place = find_in_dictionary(vm, args, &t);
  if (place == NOWHERE) return OOP_NONE;
  return t.slots[2 * place] == OOP_NIL ? primitive_fail(vm, FAIL_NOT_FOUND) : t.slots[2 * place + 1];
}

// Enters a key (or element) at a free place; false when the table would have to grow then.
static bool enter(VM *vm, Oop collection, const Table *t, size_t place, Oop key) {
  int64_t tally = oop_to_integer(AS(HashedCollection, collection)->tally) + 1;
  if ((size_t)tally * 4 > t->places * 3) return primitive_fail(vm, FAIL_BAD_STATE), false;
  heap_store(vm->heap, AS(HashedCollection, collection)->array, place * t->step, key);
  AS(HashedCollection, collection)->tally = oop_from_integer(tally);
  return true;
}

static Oop set_add(VM *vm, Oop *args) {
  Table t;
  int64_t place = find_in_set(vm, args, &t);
  if (place == NOWHERE) return OOP_NONE;
  if (object_is_immutable(args[0])) return primitive_fail(vm, FAIL_IMMUTABLE);
  if (t.slots[place] == OOP_NIL && !enter(vm, args[0], &t, (size_t)place, args[1])) return OOP_NONE;
  return args[1];
}

static Oop dictionary_at_put(VM *vm, Oop *args) {
  Table t;
  int64_t place = find_in_dictionary(vm, args, &t);
  if (place == NOWHERE) return OOP_NONE;
  if (object_is_immutable(args[0])) return primitive_fail(vm, FAIL_IMMUTABLE);
  if (t.slots[2 * place] == OOP_NIL && !enter(vm, args[0], &t, (size_t)place, args[1])) return OOP_NONE;
  heap_store(vm->heap, AS(HashedCollection, args[0])->array, 2 * (size_t)place + 1, args[2]);
  return args[2];
}

// --- for methods that do the rest in Smalltalk

// The first free index from `start` (an index) on.
static Oop next_free(VM *vm, Oop *args, size_t step) {
  Table t;
  if (!table_of(vm, args[0], step, &t)) return OOP_NONE;
  if (!is_integer(args[1]) || oop_to_integer(args[1]) < 1) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  size_t place = (size_t)(oop_to_integer(args[1]) - 1) / step;
  if (place >= t.places) return primitive_fail(vm, FAIL_BAD_INDEX);
  for (size_t n = t.places; n > 0; n--, place = (place + 1) & (t.places - 1))
    if (t.slots[place * step] == OOP_NIL) return index_of_place(&t, place);
  return primitive_fail(vm, FAIL_BAD_STATE);
}

static Oop set_next_free(VM *vm, Oop *args) { return next_free(vm, args, 1); }
static Oop dictionary_next_free(VM *vm, Oop *args) { return next_free(vm, args, 2); }

// Arguments: a hash, and the number of places less one.
static Oop hash_index(VM *vm, Oop *args) {
  if (!is_integer(args[1]) || !is_integer(args[2]) || oop_to_integer(args[2]) < 0) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  return oop_from_integer((int64_t)place_for(oop_to_integer(args[1]), (size_t)oop_to_integer(args[2]) + 1) + 1);
}

void hashing_primitives_register(VM *vm) {
  static const PrimitiveEntry entries[] = {
      {"hashIndex", 2, hash_index, NULL, false},
      {"setScan", 1, set_scan, NULL, false},
      {"setNextFree", 1, set_next_free, NULL, false},
      {"identitySetScan", 1, identity_set_scan, NULL, false},
      {"dictionaryScan", 1, dictionary_scan, NULL, false},
      {"dictionaryNextFree", 1, dictionary_next_free, NULL, false},
      {"identityDictionaryScan", 1, identity_dictionary_scan, NULL, false},
      {"setIncludes", 1, set_includes, NULL, false},
      {"setAdd", 1, set_add, NULL, false},
      {"dictionaryAt", 1, dictionary_at_key, NULL, false},
      {"dictionaryAtIfAbsent", 2, dictionary_at_key, NULL, false},
      {"dictionaryAtPut", 2, dictionary_at_put, NULL, false},
      {"dictionaryIncludesKey", 1, dictionary_includes_key, NULL, false},
  };
  primitives_register(vm, entries, sizeof entries / sizeof *entries);
}
