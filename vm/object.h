// Oops and objects: how every Smalltalk value is laid out in memory.
//
// An Oop is a 64-bit word whose low three bits say what it is:
//
//   000  pointer to an object (8-byte aligned); the word 0 itself is never an oop and means "none" in C
//   001  SmallInteger, 61 bits signed
//   010  Character, the code point in the upper bits
//   100  Float, absolute value from 2^-255 to 2
//   101  Float, absolute value from 2 to 2^257; all other floats but 0.0 are boxed objects of the same class
//   110  one of nil, false, true, 0.0
//   011  never an oop: the size word in front of a large object
//   111  never an oop: an object's header
//
// An object is a header word followed by its body. The oop points to the header.
//
//   bits 0-2    tag 111 (while a scavenge runs, a header with tag 000 is the address the object moved to)
//   bits 3-7    format
//   bits 8-13   flags: remembered, age (2 bits), immutable, mark, spare
//   bits 14-31  class index
//   bits 32-53  identity hash (0: not yet asked for)
//   bits 54-63  size of the body in 8-byte words; 1023: the size is in the word before the header
//
// Every word of a pointer object is thus an oop or has a non-zero tag, which is what makes marking exact.
#ifndef BATON_VM_OBJECT_H
#define BATON_VM_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t Oop;

enum { TAG_POINTER = 0, TAG_INTEGER = 1, TAG_CHARACTER = 2, TAG_SIZE = 3, TAG_FLOAT = 4, TAG_FLOAT_MASK = 6, TAG_SPECIAL = 6, TAG_HEADER = 7, TAG_MASK = 7 };

#define OOP_NONE ((Oop)0)
#define OOP_NIL ((Oop)6)
#define OOP_FALSE ((Oop)14)
#define OOP_TRUE ((Oop)22)
#define OOP_ZERO ((Oop)30)  // 0.0

// How the body of an object is made up. Named slots come first in the first five formats.
typedef enum {
  FORMAT_FIXED = 0,      // named slots only
  FORMAT_INDEXABLE = 1,  // named slots, then indexable slots
  FORMAT_WEAK = 2,       // named slots, then weak indexable slots
  FORMAT_EPHEMERON = 3,  // named slots; the first is the key
  FORMAT_STACK = 4,      // a process stack: slot 0 counts the words in use (a SmallInteger), frames follow
  FORMAT_WORDS64 = 8,
  FORMAT_WORDS32 = 10,  // 10 and 11: with 0 or 1 unused elements at the end
  FORMAT_WORDS16 = 12,  // 12 to 15
  FORMAT_BYTES = 16,    // 16 to 23
  FORMAT_LIMIT = 24
} Format;

enum {
  HEADER_FORMAT_SHIFT = 3,
  HEADER_REMEMBERED = 1 << 8,
  HEADER_AGE_SHIFT = 9,
  HEADER_AGE_MASK = 3 << 9,
  HEADER_IMMUTABLE = 1 << 11,
  HEADER_MARK = 1 << 12,
  HEADER_CLASS_SHIFT = 14,
  HEADER_HASH_SHIFT = 32,
  HEADER_HASH_BITS = 22,
  HEADER_SIZE_SHIFT = 54,
  CLASS_INDEX_LIMIT = 1 << 18,
  SIZE_IN_FRONT = 1023  // the value of the size field of objects with this many words or more
};

#define SMALL_INTEGER_MAX ((int64_t)0x0FFFFFFFFFFFFFFF)
#define SMALL_INTEGER_MIN (-SMALL_INTEGER_MAX - 1)

// --- immediate values

static inline bool is_pointer(Oop o) { return (o & TAG_MASK) == TAG_POINTER; }
static inline bool is_integer(Oop o) { return (o & TAG_MASK) == TAG_INTEGER; }
static inline bool is_character(Oop o) { return (o & TAG_MASK) == TAG_CHARACTER; }
static inline bool is_tagged_float(Oop o) { return (o & TAG_FLOAT_MASK) == TAG_FLOAT; }
static inline bool is_immediate_float(Oop o) { return is_tagged_float(o) || o == OOP_ZERO; }
static inline bool is_boolean(Oop o) { return o == OOP_TRUE || o == OOP_FALSE; }

static inline Oop oop_from_integer(int64_t n) { return ((uint64_t)n << 3) | TAG_INTEGER; }
static inline int64_t oop_to_integer(Oop o) { return (int64_t)o >> 3; }
static inline bool integer_fits(int64_t n) { return n >= SMALL_INTEGER_MIN && n <= SMALL_INTEGER_MAX; }
static inline Oop oop_from_character(uint32_t code_point) { return ((uint64_t)code_point << 3) | TAG_CHARACTER; }
static inline uint32_t oop_to_character(Oop o) { return (uint32_t)(o >> 3); }
static inline Oop oop_from_boolean(bool b) { return b ? OOP_TRUE : OOP_FALSE; }

// Tagged floats: rotated by four, a double has sign and the three upper bits of its exponent at the low end. Those three bits are 011 or 100
// in all but extreme values; plus one they are the two tags of Float (after Melançon, Serrano, Feeley: "Float Self-Tagging", 2024). So
// decoding is a subtraction and a rotation. 0.0 has a word of its own; -0.0, NaN, infinities and extreme exponents are boxed.
static inline bool float_to_tagged(double d, Oop *out) {
  uint64_t bits;
  memcpy(&bits, &d, 8);
  *out = ((bits << 4) | (bits >> 60)) + 1;
  return is_tagged_float(*out);
}

static inline bool float_is_immediate(double d, Oop *out) {
  static const double zero = 0.0;
  if (float_to_tagged(d, out)) return true;
  *out = OOP_ZERO;
  return memcmp(&d, &zero, 8) == 0;
}

static inline double tagged_float_value(Oop o) {
  uint64_t rotated = o - 1, bits = (rotated >> 4) | (rotated << 60);
  double d;
  memcpy(&d, &bits, 8);
  return d;
}

static inline double immediate_float_value(Oop o) { return o == OOP_ZERO ? 0.0 : tagged_float_value(o); }

// --- objects

static inline uint64_t *object_words(Oop o) { return (uint64_t *)(uintptr_t)o; }
static inline uint64_t object_header(Oop o) { return *object_words(o); }
static inline Oop *object_slots(Oop o) { return object_words(o) + 1; }
static inline uint8_t *object_bytes(Oop o) { return (uint8_t *)object_slots(o); }
static inline Format header_format(uint64_t h) { return (Format)((h >> HEADER_FORMAT_SHIFT) & 31); }
static inline uint32_t header_class_index(uint64_t h) { return (uint32_t)h >> HEADER_CLASS_SHIFT; }
static inline Format object_format(Oop o) { return header_format(object_header(o)); }
static inline bool format_has_pointers(Format f) { return f < FORMAT_WORDS64; }

// Size of the body in words, of any format.
static inline size_t object_size(Oop o) {
  size_t n = object_header(o) >> HEADER_SIZE_SHIFT;
  return n == SIZE_IN_FRONT ? (size_t)(object_words(o)[-1] >> 3) : n;
}

// Bytes of one element of a non-pointer format.
static inline size_t format_element_size(Format f) { return f < FORMAT_WORDS32 ? 8 : f < FORMAT_WORDS16 ? 4 : f < FORMAT_BYTES ? 2 : 1; }
static inline Format format_base(Format f) {
  return f < FORMAT_WORDS32 ? f : f < FORMAT_WORDS16 ? FORMAT_WORDS32 : f < FORMAT_BYTES ? FORMAT_WORDS16 : FORMAT_BYTES;
}

// Number of elements of an object of a non-pointer format.
static inline size_t object_element_count(Oop o) {
  Format f = object_format(o);
  return object_size(o) * (8 / format_element_size(f)) - (size_t)(f - format_base(f));
}

// The exact format (with its count of unused elements) and the body words for `count` elements of a base format.
static inline Format format_for_count(Format base, size_t count, size_t *words) {
  size_t per_word = 8 / format_element_size(base);
  *words = (count + per_word - 1) / per_word;
  return (Format)((size_t)base + (*words * per_word - count));
}

static inline bool object_is_immutable(Oop o) { return (object_header(o) & HEADER_IMMUTABLE) != 0; }

#endif
