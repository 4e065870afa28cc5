// The class table, method dictionaries, lookup, globals.
//
// A MethodDictionary's table is an Array of alternating keys and values, a power of two of pairs, open addressing by the key symbol's
// identity hash; nil keys are free. SystemDictionary>>bindings is such a dictionary from names to Bindings.
#include "vm/vm.h"
#include <stdlib.h>

uint32_t class_register(VM *vm, Oop behavior) {
  if (vm->class_count >= vm->class_capacity) {
    uint32_t capacity = vm->class_capacity == 0 ? 1024 : 2 * vm->class_capacity;
    Oop *table = realloc(vm->class_table, capacity * sizeof(Oop));
    if (table == NULL) abort();
    for (uint32_t i = vm->class_capacity; i < capacity; i++) table[i] = OOP_NIL;
    vm->class_table = table;
    vm->class_capacity = capacity;
  }
  if (vm->class_count >= CLASS_INDEX_LIMIT) return 0;
  uint32_t index = vm->class_count++;
  vm->class_table[index] = behavior;
  if (behavior != OOP_NIL) AS(Class, behavior)->index = oop_from_integer(index);
  return index;
}

// --- dictionaries of symbols

static size_t dictionary_start(VM *vm, Oop key, size_t pairs) {
  (void)vm;
  return (size_t)(object_header(key) >> HEADER_HASH_SHIFT) & (((size_t)1 << HEADER_HASH_BITS) - 1) & (pairs - 1);
}

// Where the key is, or the free place for it.
static size_t dictionary_index(Oop table, Oop key) {
  size_t pairs = object_size(table) / 2;
  size_t i = dictionary_start(NULL, key, pairs);
  const Oop *slots = object_slots(table);
  while (slots[2 * i] != OOP_NIL && slots[2 * i] != key) i = (i + 1) & (pairs - 1);
  return i;
}

Oop method_dictionary_at(Oop dictionary, Oop selector) {
  if (dictionary == OOP_NIL) return OOP_NONE;
  Oop table = AS(MethodDictionary, dictionary)->table;
  size_t i = dictionary_index(table, selector);
  return object_slots(table)[2 * i] == selector ? object_slots(table)[2 * i + 1] : OOP_NONE;
}

static Oop new_table(VM *vm, size_t pairs) { return heap_allocate_old(vm->heap, CLASS_Array, FORMAT_INDEXABLE, 2 * pairs); }

Oop method_dictionary_new(VM *vm, size_t capacity) {
  size_t pairs = 4;
  while (3 * pairs < 4 * capacity) pairs *= 2;
  Oop dictionary = heap_allocate_old(vm->heap, CLASS_MethodDictionary, FORMAT_FIXED, NAMED_SLOTS(MethodDictionary));
  Oop table = dictionary == OOP_NONE ? OOP_NONE : new_table(vm, pairs);
  if (table == OOP_NONE) return OOP_NONE;
  AS(MethodDictionary, dictionary)->tally = oop_from_integer(0);
  heap_store(vm->heap, dictionary, SLOT_OF(MethodDictionary, table), table);
  return dictionary;
}

static void table_put(VM *vm, Oop table, Oop key, Oop value) {
  size_t i = dictionary_index(table, key);
  heap_store(vm->heap, table, 2 * i, key);
  heap_store(vm->heap, table, 2 * i + 1, value);
}

static bool dictionary_grow(VM *vm, Oop dictionary) {
  Oop former = AS(MethodDictionary, dictionary)->table;
  size_t pairs = object_size(former) / 2;
  Oop table = new_table(vm, 2 * pairs);
  if (table == OOP_NONE) return false;
  for (size_t i = 0; i < pairs; i++)
    if (object_slots(former)[2 * i] != OOP_NIL) table_put(vm, table, object_slots(former)[2 * i], object_slots(former)[2 * i + 1]);
  heap_store(vm->heap, dictionary, SLOT_OF(MethodDictionary, table), table);
  return true;
}

bool method_dictionary_put(VM *vm, Oop dictionary, Oop selector, Oop method) {
  MethodDictionaryObject *d = AS(MethodDictionary, dictionary);
  heap_identity_hash(vm->heap, selector);
  int64_t tally = oop_to_integer(d->tally);
  if (method_dictionary_at(dictionary, selector) == OOP_NONE) {
    if (8 * (tally + 1) > 3 * (int64_t)object_size(d->table) && !dictionary_grow(vm, dictionary)) return false;
    d->tally = oop_from_integer(tally + 1);
  }
  table_put(vm, d->table, selector, method);
  return true;
}

bool method_dictionary_remove(VM *vm, Oop dictionary, Oop selector) {
  MethodDictionaryObject *d = AS(MethodDictionary, dictionary);
  if (method_dictionary_at(dictionary, selector) == OOP_NONE) return false;
  size_t pairs = object_size(d->table) / 2;
  size_t i = dictionary_index(d->table, selector);
  Oop *slots = object_slots(d->table);
  slots[2 * i] = slots[2 * i + 1] = OOP_NIL;
  d->tally -= 8;
  // put back what may have passed the freed place
  for (i = (i + 1) & (pairs - 1); slots[2 * i] != OOP_NIL; i = (i + 1) & (pairs - 1)) {
    Oop key = slots[2 * i], value = slots[2 * i + 1];
    slots[2 * i] = slots[2 * i + 1] = OOP_NIL;
    table_put(vm, d->table, key, value);
  }
  return true;
}

Oop class_lookup(VM *vm, Oop behavior, Oop selector) {
  (void)vm;
  if ((object_header(selector) >> HEADER_HASH_SHIFT & (((uint64_t)1 << HEADER_HASH_BITS) - 1)) == 0) return OOP_NONE;
  for (; behavior != OOP_NIL; behavior = AS(Class, behavior)->superclass) {
    Oop method = method_dictionary_at(AS(Class, behavior)->methodDictionary, selector);
    if (method != OOP_NONE) return method;
  }
  return OOP_NONE;
}

// --- globals

Oop global_binding(VM *vm, const char *name, size_t length) {
  Oop symbol = symbol_find(vm, name, length);
  if (symbol == OOP_NONE || vm->smalltalk == OOP_NIL) return OOP_NONE;
  return method_dictionary_at(AS(SystemDictionary, vm->smalltalk)->bindings, symbol);
}

Oop global_define(VM *vm, const char *name, size_t length, Oop value) {
  Oop binding = global_binding(vm, name, length);
  if (binding == OOP_NONE) {
    Oop symbol = symbol_intern(vm, name, length);
    if (symbol == OOP_NONE) return OOP_NONE;
    binding = heap_allocate_old(vm->heap, CLASS_Binding, FORMAT_FIXED, NAMED_SLOTS(Binding));
    if (binding == OOP_NONE) return OOP_NONE;
    AS(Binding, binding)->key = symbol;
    if (!method_dictionary_put(vm, AS(SystemDictionary, vm->smalltalk)->bindings, symbol, binding)) return OOP_NONE;
  }
  heap_store(vm->heap, binding, SLOT_OF(Binding, value), value);
  return binding;
}
