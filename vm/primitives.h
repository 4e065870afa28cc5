// What the files of plain primitives share.
#ifndef BATON_VM_PRIMITIVES_H
#define BATON_VM_PRIMITIVES_H

#include "vm/vm.h"

// An Integer of the sign and magnitude given. OOP_NONE: needs collection (the failure is set).
Oop integer_object(VM *vm, uint64_t magnitude, bool negative);
// False unless o is an Integer whose magnitude fits in 64 bits.
bool integer_magnitude(Oop o, uint64_t *magnitude, bool *negative);

// --- integers.c and floats.c
bool is_integer_object(Oop o);                // a SmallInteger or LargeInteger
double integer_to_double(Oop o);              // nearest; infinite when too large
Oop integer_from_double(VM *vm, double d);    // truncated; d finite
int integer_compare_double(Oop o, double d);  // as strcmp; d no NaN
Oop float_object(VM *vm, double value);       // immediate or boxed; OOP_NONE: needs collection (the failure is set)

// --- what hash tables need of others: the primitive, and a string's hash as Smalltalk sees it
Oop object_identity_hash(VM *vm, Oop *args);
int64_t string_hash_value(Oop string);
bool strings_equal(Oop a, Oop b);  // two strings of any kind

// An Array of names (Symbols) and numbers in turn, for statistics. OOP_NONE: needs collection (the failure is set).
typedef struct {
  const char *name;
  uint64_t value;
} NamedNumber;
Oop named_numbers(VM *vm, const NamedNumber *rows, size_t count);

#endif
