// Searching the hash tables of the class library.
//
// A HashedCollection keeps its elements in `array`: a Set one in each place, a Dictionary a key and its value. The number of places is a power
// of two; an element is at the place that its hash gives or, if that is taken, at the next free one; nil is free. The rule from hash to
// place is written here alone (hashIndex). The scans are for keys whose hash and equality this file knows (Integers, Characters and strings, or
// anything by identity) among elements that it can compare them with; for others they fail, and the method behind the
// primitive does the same with sends of hash and =.
#include "vm/primitives.h"

typedef enum { EQUALITY, IDENTITY } Comparison;
typedef enum { DIFFERENT, SAME, UNKNOWN } Match;

typedef struct {
  const Oop *slots;
  size_t places, step;  // step: 2 when values lie between the keys
} Table;

// Hashes may have no more than 22 bits (identity hashes), so they are spread when there are more places; else near numbers stay near and in
// order, which processors fetch ahead, and the upper bits count so much that multiples of powers of two do not all meet.
static size_t place_for(int64_t hash, size_t places) {
  size_t mask = places - 1;
  if (mask > 0x3FFFFF) hash = ((hash & 0xFFFFFFF) * 2654435769) >> 8;
  return (size_t)(hash + (hash >> 11) * 5) & mask;
}

static bool table_of(VM *vm, Oop collection, size_t step, Table *t) {
  Oop array = is_pointer(collection) && object_format(collection) == FORMAT_FIXED && object_size(collection) >= NAMED_SLOTS(HashedCollection) ? AS(HashedCollection, collection)->array : OOP_NIL;
  if (class_index_of(array) != CLASS_Array) return primitive_fail(vm, FAIL_BAD_RECEIVER), false;
  *t = (Table){object_slots(array), object_size(array) / step, step};
  if (t->places == 0 || (t->places & (t->places - 1)) != 0) return primitive_fail(vm, FAIL_BAD_RECEIVER), false;
  return true;
}

static bool hash_of(VM *vm, Oop key, Comparison comparison, int64_t *hash) {
  if (comparison == IDENTITY) *hash = oop_to_integer(object_identity_hash(vm, &key));
  else if (is_integer(key)) *hash = oop_to_integer(key);
  else if (is_character(key)) *hash = oop_to_character(key);
  else if (is_string(key)) *hash = string_hash_value(key);
  else return primitive_fail(vm, FAIL_BAD_ARGUMENT), false;
  return true;
}

// Whether an element equals a key that hash_of takes.
static Match match(Oop element, Oop key, Comparison comparison) {
  if (element == key) return SAME;
  if (comparison == IDENTITY) return DIFFERENT;
  if (is_string(element)) return is_string(key) && strings_equal(element, key) ? SAME : DIFFERENT;
  return is_integer(element) || is_character(element) ? DIFFERENT : UNKNOWN;
}

static Oop index_of_place(const Table *t, size_t place) { return oop_from_integer((int64_t)(place * t->step + 1)); }

// The index of the element equal to the key, or of the free place for it.
static Oop scan(VM *vm, Oop *args, size_t step, Comparison comparison) {
  Table t;
  int64_t hash;
  if (!table_of(vm, args[0], step, &t) || !hash_of(vm, args[1], comparison, &hash)) return OOP_NONE;
  size_t place = place_for(hash, t.places);
  for (size_t n = t.places; n > 0; n--, place = (place + 1) & (t.places - 1)) {
    Oop element = t.slots[place * step];
    if (element == OOP_NIL) return index_of_place(&t, place);
    Match m = match(element, args[1], comparison);
    if (m == SAME) return index_of_place(&t, place);
    if (m == UNKNOWN) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  }
  return primitive_fail(vm, FAIL_BAD_STATE);
}

static Oop set_scan(VM *vm, Oop *args) { return scan(vm, args, 1, EQUALITY); }
static Oop identity_set_scan(VM *vm, Oop *args) { return scan(vm, args, 1, IDENTITY); }
static Oop dictionary_scan(VM *vm, Oop *args) { return scan(vm, args, 2, EQUALITY); }
static Oop identity_dictionary_scan(VM *vm, Oop *args) { return scan(vm, args, 2, IDENTITY); }

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
  };
  primitives_register(vm, entries, sizeof entries / sizeof *entries);
}
