// Plain primitives on objects of any kind and on classes: elements, slots, copies, instances, method dictionaries.
//
// Each answers the result, or fails with a reason before it has changed anything.
#include "vm/interpreter.h"
#include "vm/primitives.h"
#include <stdlib.h>

static size_t named_slots(VM *vm, Oop o) { return layout_named_slots(AS(Class, class_of(vm, o))->layout); }

static bool has_elements(Oop o) {
  if (!is_pointer(o)) return false;
  Format f = object_format(o);
  return f == FORMAT_INDEXABLE || f == FORMAT_WEAK || f >= FORMAT_WORDS64;
}

static Oop result_or_collection(VM *vm, Oop o) { return o == OOP_NONE ? primitive_needs_collection(vm) : o; }

// --- integers of 64 bits

Oop integer_object(VM *vm, uint64_t magnitude, bool negative) {
  if (magnitude <= (uint64_t)SMALL_INTEGER_MAX) return oop_from_integer(negative ? -(int64_t)magnitude : (int64_t)magnitude);
  if (negative && magnitude == (uint64_t)SMALL_INTEGER_MAX + 1) return oop_from_integer(SMALL_INTEGER_MIN);
  Oop o = heap_allocate(vm->heap, negative ? CLASS_LargeNegativeInteger : CLASS_LargePositiveInteger, FORMAT_WORDS64, 1);
  if (o == OOP_NONE) return primitive_needs_collection(vm);
  object_slots(o)[0] = magnitude;
  return o;
}

bool integer_magnitude(Oop o, uint64_t *magnitude, bool *negative) {
  if (is_integer(o)) {
    int64_t n = oop_to_integer(o);
    *negative = n < 0;
    *magnitude = n < 0 ? (uint64_t)-n : (uint64_t)n;
    return true;
  }
  uint32_t index = class_index_of(o);
  if ((index != CLASS_LargePositiveInteger && index != CLASS_LargeNegativeInteger) || object_size(o) != 1) return false;
  *negative = index == CLASS_LargeNegativeInteger;
  *magnitude = object_slots(o)[0];
  return true;
}

static bool is_behavior(VM *vm, Oop o) {
  if (!is_pointer(o) || object_size(o) < NAMED_SLOTS(Metaclass) - 1 || !is_integer(AS(Class, o)->index)) return false;
  int64_t index = oop_to_integer(AS(Class, o)->index);
  return index > 0 && index < vm->class_count && class_at(vm, (uint32_t)index) == o;
}

// --- elements

// The element index (from 0) named by an argument; false when it is none.
static bool element_index(Oop argument, size_t count, size_t *out) {
  if (!is_integer(argument) || oop_to_integer(argument) < 1 || (uint64_t)oop_to_integer(argument) > count) return false;
  *out = (size_t)oop_to_integer(argument) - 1;
  return true;
}

static Oop raw_at(VM *vm, Oop o, size_t i) {
  const void *body = object_slots(o);
  Format f = object_format(o);
  if (f >= FORMAT_BYTES) return oop_from_integer(((const uint8_t *)body)[i]);
  if (f >= FORMAT_WORDS16) return oop_from_integer(((const uint16_t *)body)[i]);
  if (f >= FORMAT_WORDS32) return oop_from_integer(((const uint32_t *)body)[i]);
  return integer_object(vm, ((const uint64_t *)body)[i], false);
}

static Oop raw_at_put(VM *vm, Oop o, size_t i, Oop value) {
  uint64_t n;
  bool negative;
  void *body = object_slots(o);
  Format f = object_format(o);
  if (!integer_magnitude(value, &n, &negative)) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  size_t size = format_element_size(f);
  if (negative || (size < 8 && n >> (8 * size) != 0)) return primitive_fail(vm, FAIL_OUT_OF_RANGE);
  switch (size) {
    case 1: ((uint8_t *)body)[i] = (uint8_t)n; break;
    case 2: ((uint16_t *)body)[i] = (uint16_t)n; break;
    case 4: ((uint32_t *)body)[i] = (uint32_t)n; break;
    default: ((uint64_t *)body)[i] = n; break;
  }
  return value;
}

static size_t element_count(VM *vm, Oop o) {
  if (!has_elements(o)) return 0;
  return format_has_pointers(object_format(o)) ? object_size(o) - named_slots(vm, o) : object_element_count(o);
}

static Oop object_basic_at(VM *vm, Oop *args) {
  size_t i;
  if (!has_elements(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!element_index(args[1], element_count(vm, args[0]), &i)) return primitive_fail(vm, is_integer(args[1]) ? FAIL_BAD_INDEX : FAIL_BAD_ARGUMENT);
  if (format_has_pointers(object_format(args[0]))) return object_slots(args[0])[named_slots(vm, args[0]) + i];
  return raw_at(vm, args[0], i);
}

static Oop object_basic_at_put(VM *vm, Oop *args) {
  size_t i;
  if (!has_elements(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!element_index(args[1], element_count(vm, args[0]), &i)) return primitive_fail(vm, is_integer(args[1]) ? FAIL_BAD_INDEX : FAIL_BAD_ARGUMENT);
  if (object_is_immutable(args[0])) return primitive_fail(vm, FAIL_IMMUTABLE);
  if (!format_has_pointers(object_format(args[0]))) return raw_at_put(vm, args[0], i, args[2]);
  heap_store(vm->heap, args[0], named_slots(vm, args[0]) + i, args[2]);
  return args[2];
}

static Oop object_basic_size(VM *vm, Oop *args) { return oop_from_integer((int64_t)element_count(vm, args[0])); }

static bool slot_index(VM *vm, Oop o, Oop argument, size_t *out) {
  if (!is_pointer(o) || !format_has_pointers(object_format(o)) || object_format(o) == FORMAT_STACK) return false;
  (void)vm;
  return element_index(argument, object_size(o), out);
}

static Oop object_inst_var_at(VM *vm, Oop *args) {
  size_t i;
  return slot_index(vm, args[0], args[1], &i) ? object_slots(args[0])[i] : primitive_fail(vm, FAIL_BAD_INDEX);
}

// What only the VM and the compiler make: an empty one of these could not be run.
static bool is_made_by_vm(uint32_t index) {
  return index == CLASS_BlockClosure || index == CLASS_CompiledMethod || index == CLASS_CompiledBlock || index == CLASS_Context || index == CLASS_Process;
}

// Slots that the VM reads unchecked are not for reflection.
static bool may_set_slot(VM *vm, Oop o, size_t i) {
  if (is_behavior(vm, o)) return i >= SLOT_OF(Metaclass, thisClass);
  return !is_made_by_vm(class_index_of(o));
}

static Oop object_inst_var_at_put(VM *vm, Oop *args) {
  size_t i;
  if (!slot_index(vm, args[0], args[1], &i)) return primitive_fail(vm, FAIL_BAD_INDEX);
  if (!may_set_slot(vm, args[0], i)) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (object_is_immutable(args[0])) return primitive_fail(vm, FAIL_IMMUTABLE);
  heap_store(vm->heap, args[0], i, args[2]);
  return args[2];
}

// --- identity

static Oop object_class(VM *vm, Oop *args) { return class_of(vm, args[0]); }
static Oop object_identical(VM *vm, Oop *args) {
  (void)vm;
  return oop_from_boolean(args[0] == args[1]);
}

Oop object_identity_hash(VM *vm, Oop *args) {
  Oop o = args[0];
  if (is_pointer(o)) return oop_from_integer(heap_identity_hash(vm->heap, o));
  if (is_integer(o)) return o;
  return oop_from_integer((int64_t)((o ^ (o >> 32) * 0x9E3779B1u) & 0x3FFFFFFF));
}

static Oop object_shallow_copy(VM *vm, Oop *args) {
  Oop o = args[0];
  if (!is_pointer(o)) return o;
  if (object_format(o) == FORMAT_STACK) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  size_t words = object_size(o);
  Oop copy = heap_allocate(vm->heap, class_index_of(o), object_format(o), words);
  if (copy == OOP_NONE) return primitive_needs_collection(vm);
  if (heap_is_young(vm->heap, copy) || !format_has_pointers(object_format(o))) memcpy(object_slots(copy), object_slots(o), 8 * words);
  else
    for (size_t i = 0; i < words; i++) heap_store(vm->heap, copy, i, object_slots(o)[i]);
  return copy;
}

static Oop object_is_young(VM *vm, Oop *args) { return oop_from_boolean(heap_is_young(vm->heap, args[0])); }

static Oop object_tenured(VM *vm, Oop *args) {
  if (heap_is_young(vm->heap, args[0])) heap_tenure_all(vm->heap);
  return args[0];
}

static Oop object_is_immutable_(VM *vm, Oop *args) {
  (void)vm;
  return oop_from_boolean(!is_pointer(args[0]) || object_is_immutable(args[0]));
}

static Oop object_set_immutable(VM *vm, Oop *args) {
  if (!is_boolean(args[1])) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  if (!is_pointer(args[0])) return args[1] == OOP_TRUE ? args[0] : primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (args[1] == OOP_TRUE) *object_words(args[0]) |= HEADER_IMMUTABLE;
  else *object_words(args[0]) &= ~(uint64_t)HEADER_IMMUTABLE;
  return args[0];
}

// --- become

// Objects whose insides the VM reads unchecked, where it expects that very kind.
static bool is_of_the_vm(Oop o) {
  switch (class_index_of(o)) {
    case CLASS_Process:
    case CLASS_ProcessStack:
    case CLASS_Context:
    case CLASS_BlockClosure:
    case CLASS_CompiledMethod:
    case CLASS_CompiledBlock:
    case CLASS_MethodDictionary:
    case CLASS_Binding:
    case CLASS_Symbol:
    case CLASS_WideSymbol:
    case CLASS_ProcessorScheduler:
    case CLASS_SystemDictionary: return true;
    default: return false;
  }
}

static bool is_list(Oop o) { return class_index_of(o) == CLASS_Semaphore || class_index_of(o) == CLASS_LinkedList; }

// A class that is to take another's place in the table.
static bool is_new_version(VM *vm, Oop class, Oop other) {
  return is_pointer(other) && class_index_of(class_of(vm, other)) == CLASS_Metaclass && AS(Class, other)->index == AS(Class, class)->index;
}

// Processes wait in lists, and classes are in the table of classes: the others must do for that.
static bool may_replace(VM *vm, Oop former, Oop other) {
  if (!is_pointer(former) || is_of_the_vm(former)) return false;
  if (is_list(former) && class_index_of(other) != class_index_of(former)) return false;
  return !is_behavior(vm, former) || is_behavior(vm, other) || is_new_version(vm, former, other);
}

static bool pairs_are_good(VM *vm, Oop a, Oop b, bool two_way) {
  if (class_index_of(a) != CLASS_Array || class_index_of(b) != CLASS_Array || object_size(a) != object_size(b)) return false;
  for (size_t i = 0; i < object_size(a); i++) {
    Oop from = object_slots(a)[i], to = object_slots(b)[i];
    if (!may_replace(vm, from, to) || (two_way && !may_replace(vm, to, from))) return false;
  }
  return true;
}

static Oop exchange(VM *vm, Oop *args, bool two_way, bool copy_hash) {
  if (!pairs_are_good(vm, args[0], args[1], two_way)) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  heap_become(vm->heap, &args[0], &args[1], two_way, copy_hash);
  caches_flush(vm);
  return args[0];
}

static Oop objects_become(VM *vm, Oop *args) { return exchange(vm, args, true, false); }
static Oop objects_become_forward(VM *vm, Oop *args) { return exchange(vm, args, false, false); }
static Oop objects_become_forward_with_hash(VM *vm, Oop *args) { return exchange(vm, args, false, true); }

static Oop object_change_class(VM *vm, Oop *args) {
  Oop class = args[1];
  if (!is_pointer(args[0]) || !is_pointer(class) || !is_integer(AS(Class, class)->layout)) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  Oop layout = AS(Class, class)->layout, former = AS(Class, class_of(vm, args[0]))->layout;
  Format now = object_format(args[0]);
  bool same = layout_format(layout) == layout_format(former) && layout_named_slots(layout) == layout_named_slots(former);
  if (!same || now == FORMAT_STACK) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  uint64_t h = object_header(args[0]);
  h &= ~((uint64_t)(CLASS_INDEX_LIMIT - 1) << HEADER_CLASS_SHIFT);
  *object_words(args[0]) = h | (uint64_t)oop_to_integer(AS(Class, class)->index) << HEADER_CLASS_SHIFT;
  return args[0];
}

// --- replacing ranges

static bool replace_range(Oop *args, size_t to_count, size_t from_count, size_t *start, size_t *count, size_t *from) {
  if (!is_integer(args[1]) || !is_integer(args[2]) || !is_integer(args[4])) return false;
  int64_t first = oop_to_integer(args[1]), last = oop_to_integer(args[2]), source = oop_to_integer(args[4]);
  if (last < first) {
    *count = 0;
    return last == first - 1 && first >= 1;
  }
  if (first < 1 || (uint64_t)last > to_count || source < 1 || (uint64_t)source > from_count || (uint64_t)(last - first) > from_count - (uint64_t)source)
    return false;
  *start = (size_t)first - 1;
  *count = (size_t)(last - first) + 1;
  *from = (size_t)source - 1;
  return true;
}

static Oop replace_pointers(VM *vm, Oop *args) {
  size_t start = 0, count = 0, from = 0, a = named_slots(vm, args[0]), b = named_slots(vm, args[3]);
  if (!replace_range(args, object_size(args[0]) - a, object_size(args[3]) - b, &start, &count, &from)) return primitive_fail(vm, FAIL_BAD_INDEX);
  Oop *source = object_slots(args[3]) + b + from;
  if (heap_is_young(vm->heap, args[0])) {
    if (count > 0) memmove(object_slots(args[0]) + a + start, source, 8 * count);
  } else if (args[0] == args[3] && from < start) {
    for (size_t i = count; i-- > 0;) heap_store(vm->heap, args[0], a + start + i, source[i]);
  } else {
    for (size_t i = 0; i < count; i++) heap_store(vm->heap, args[0], a + start + i, source[i]);
  }
  return args[0];
}

// Between strings of different width; only what fits.
static Oop replace_characters(VM *vm, Oop *args, size_t start, size_t count, size_t from) {
  bool narrow = object_format(args[0]) >= FORMAT_BYTES;
  for (size_t i = 0; i < count && narrow; i++)
    if (string_code_point(args[3], from + i) > 255) return primitive_fail(vm, FAIL_OUT_OF_RANGE);
  for (size_t i = 0; i < count; i++) {
    uint32_t c = string_code_point(args[3], from + i);
    if (narrow) object_bytes(args[0])[start + i] = (uint8_t)c;
    else ((uint32_t *)(void *)object_slots(args[0]))[start + i] = c;
  }
  return args[0];
}

static Oop object_replace(VM *vm, Oop *args) {
  if (!has_elements(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!has_elements(args[3])) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  if (object_is_immutable(args[0])) return primitive_fail(vm, FAIL_IMMUTABLE);
  bool pointers = format_has_pointers(object_format(args[0]));
  if (pointers != format_has_pointers(object_format(args[3]))) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  if (pointers) return replace_pointers(vm, args);
  size_t start = 0, count, from = 0;
  if (!replace_range(args, object_element_count(args[0]), object_element_count(args[3]), &start, &count, &from)) return primitive_fail(vm, FAIL_BAD_INDEX);
  size_t size = format_element_size(object_format(args[0]));
  bool strings = is_string(args[0]) && is_string(args[3]);
  if (size != format_element_size(object_format(args[3])))
    return strings ? replace_characters(vm, args, start, count, from) : primitive_fail(vm, FAIL_BAD_ARGUMENT);
  if (count > 0) memmove(object_bytes(args[0]) + size * start, object_bytes(args[3]) + size * from, size * count);
  return args[0];
}

// What class a copy of a part of it has: those classes whose species and elements are known; 0 for others.
static uint32_t part_class(Oop o) {
  uint32_t class_index = class_index_of(o);
  switch (class_index) {
    case CLASS_Array:
    case CLASS_ByteArray:
    case CLASS_String:
    case CLASS_WideString: return class_index;
    case CLASS_Symbol: return CLASS_String;
    default: return 0;
  }
}

// Arguments: the first and last index, from 1; first = last + 1 gives an empty copy.
static Oop sequence_copy(VM *vm, Oop *args) {
  Oop o = args[0];
  uint32_t class_index = part_class(o);
  if (class_index == 0) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!is_integer(args[1]) || !is_integer(args[2])) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  bool pointers = class_index == CLASS_Array;
  int64_t first = oop_to_integer(args[1]), last = oop_to_integer(args[2]), size = (int64_t)(pointers ? object_size(o) : object_element_count(o));
  if (first < 1 || last > size || first > last + 1) return primitive_fail(vm, FAIL_BAD_INDEX);
  size_t count = (size_t)(last - first + 1), words = count, from = (size_t)first - 1;
  Format f = pointers ? FORMAT_INDEXABLE : format_for_count(format_base(object_format(o)), count, &words);
  Oop copy = heap_allocate(vm->heap, class_index, f, words);
  if (copy == OOP_NONE) return primitive_needs_collection(vm);
  if (!pointers) {
    size_t element = format_element_size(f);
    if (count > 0) memcpy(object_bytes(copy), object_bytes(o) + element * from, element * count);
  } else if (heap_is_young(vm->heap, copy)) {
    memcpy(object_slots(copy), object_slots(o) + from, count * sizeof(Oop));
  } else {
    for (size_t i = 0; i < count; i++) heap_store(vm->heap, copy, i, object_slots(o)[from + i]);
  }
  return copy;
}

// --- classes

// From this size on a ByteArray is born where it never moves: it may be a buffer for C.
enum { BUFFER_BYTES = 1024 };

static Oop new_instance(VM *vm, Oop class, size_t count) {
  Oop layout = AS(Class, class)->layout;
  Format f = layout_format(layout);
  size_t words = layout_named_slots(layout);
  if (f >= FORMAT_WORDS64) f = format_for_count(f, count, &words);
  else words += count;
  uint32_t index = (uint32_t)oop_to_integer(AS(Class, class)->index);
  if (index == CLASS_ByteArray && count >= BUFFER_BYTES) return result_or_collection(vm, heap_allocate_immobile(vm->heap, index, f, words));
  return result_or_collection(vm, heap_allocate(vm->heap, index, f, words));
}

static bool makes_instances(VM *vm, Oop class) {
  return is_behavior(vm, class) && !is_made_by_vm((uint32_t)oop_to_integer(AS(Class, class)->index)) &&
         (oop_to_integer(AS(Class, class)->layout) & 1 << 24) == 0 && layout_format(AS(Class, class)->layout) != FORMAT_STACK;
}

static Oop behavior_new(VM *vm, Oop *args) { return makes_instances(vm, args[0]) ? new_instance(vm, args[0], 0) : primitive_fail(vm, FAIL_BAD_RECEIVER); }

// `self basicNew initialize` for classes with the usual basicNew whose initialize does nothing; fails for others.
static Oop behavior_new_initialized(VM *vm, Oop *args) {
  if (!makes_instances(vm, args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!answers_self(vm, (uint32_t)oop_to_integer(AS(Class, args[0])->index), vm->selectors[SELECTOR_INITIALIZE]) ||
      !runs_primitive(vm, class_index_of(args[0]), vm->selectors[SELECTOR_BASIC_NEW], behavior_new))
    return primitive_fail(vm, FAIL_UNSUPPORTED);
  return new_instance(vm, args[0], 0);
}

static Oop behavior_new_size(VM *vm, Oop *args) {
  if (!makes_instances(vm, args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!is_integer(args[1]) || oop_to_integer(args[1]) < 0) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  if (oop_to_integer(args[1]) > (int64_t)1 << 40) return primitive_fail(vm, FAIL_OUT_OF_MEMORY);
  Format f = layout_format(AS(Class, args[0])->layout);
  if ((f == FORMAT_FIXED || f == FORMAT_EPHEMERON) && args[1] != oop_from_integer(0)) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  return new_instance(vm, args[0], (size_t)oop_to_integer(args[1]));
}

typedef struct {
  uint32_t class_index;
  size_t count, capacity;
  Oop *items;
} Found;

static void find_instance(void *context, Oop o) {
  Found *found = context;
  if (class_index_of(o) != found->class_index) return;
  if (found->count == found->capacity) {
    found->capacity = found->capacity ? 2 * found->capacity : 64;
    found->items = realloc(found->items, found->capacity * sizeof(Oop));
    if (found->items == NULL) abort();
  }
  found->items[found->count++] = o;
}

static Oop behavior_all_instances(VM *vm, Oop *args) {
  if (!is_behavior(vm, args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  Found found = {.class_index = (uint32_t)oop_to_integer(AS(Class, args[0])->index)};
  heap_each_object(vm->heap, find_instance, &found);
  Oop array = heap_allocate_old(vm->heap, CLASS_Array, FORMAT_INDEXABLE, found.count);
  for (size_t i = 0; array != OOP_NONE && i < found.count; i++) heap_store(vm->heap, array, i, found.items[i]);
  free(found.items);
  return result_or_collection(vm, array);
}

static Oop behavior_register(VM *vm, Oop *args) {
  if (!is_pointer(args[0]) || object_size(args[0]) < NAMED_SLOTS(Metaclass) - 1) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  uint32_t index = class_register(vm, args[0]);
  return index == 0 ? primitive_fail(vm, FAIL_OUT_OF_RANGE) : oop_from_integer(index);
}

static Oop behavior_is_known(VM *vm, Oop *args) {
  if (!is_behavior(vm, args[0])) return OOP_FALSE;
  return oop_from_boolean(oop_to_integer(AS(Class, args[0])->index) < CLASS_KNOWN_LIMIT);
}

static Oop behavior_lookup(VM *vm, Oop *args) {
  if (!is_behavior(vm, args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (class_index_of(args[1]) != CLASS_Symbol && class_index_of(args[1]) != CLASS_WideSymbol) return OOP_NIL;
  Oop method = class_lookup(vm, args[0], args[1]);
  return method == OOP_NONE ? OOP_NIL : method;
}

static Oop behavior_flush_caches(VM *vm, Oop *args) {
  if (args[1] == OOP_NIL) caches_flush(vm);
  else caches_flush_selector(vm, args[1]);
  return args[0];
}

static void note_proxy(VM *vm, Oop class, Oop selector) {
  bool special = selector == vm->selectors[SELECTOR_CLASS] || selector == vm->selectors[SELECTOR_IS_NIL] || selector == vm->selectors[SELECTOR_NOT_NIL];
  uint32_t index = (uint32_t)oop_to_integer(AS(Class, class)->index);
  if (special && index >= CLASS_KNOWN_LIMIT) vm->proxies = true;
}

static Oop behavior_method_at_put(VM *vm, Oop *args) {
  if (!is_behavior(vm, args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if ((class_index_of(args[1]) != CLASS_Symbol && class_index_of(args[1]) != CLASS_WideSymbol) || class_index_of(args[2]) != CLASS_CompiledMethod)
    return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  if (AS(Class, args[0])->methodDictionary == OOP_NIL) {
    Oop dictionary = method_dictionary_new(vm, 4);
    if (dictionary == OOP_NONE) return primitive_needs_collection(vm);
    heap_store(vm->heap, args[0], SLOT_OF(Class, methodDictionary), dictionary);
  }
  if (!method_dictionary_put(vm, AS(Class, args[0])->methodDictionary, args[1], args[2])) return primitive_needs_collection(vm);
  note_proxy(vm, args[0], args[1]);
  caches_flush_selector(vm, args[1]);
  return args[2];
}

static Oop behavior_remove_selector(VM *vm, Oop *args) {
  if (!is_behavior(vm, args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (AS(Class, args[0])->methodDictionary == OOP_NIL || !method_dictionary_remove(vm, AS(Class, args[0])->methodDictionary, args[1]))
    return primitive_fail(vm, FAIL_NOT_FOUND);
  caches_flush_selector(vm, args[1]);
  return args[0];
}

static Oop dictionary_at(VM *vm, Oop *args) {
  if (class_index_of(args[0]) != CLASS_MethodDictionary || !is_pointer(args[1])) return primitive_fail(vm, FAIL_NOT_FOUND);
  heap_identity_hash(vm->heap, args[1]);
  Oop value = method_dictionary_at(args[0], args[1]);
  return value == OOP_NONE ? primitive_fail(vm, FAIL_NOT_FOUND) : value;
}

static Oop dictionary_keys(VM *vm, Oop *args) {
  if (class_index_of(args[0]) != CLASS_MethodDictionary) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  Oop table = AS(MethodDictionary, args[0])->table;
  Oop array = heap_allocate(vm->heap, CLASS_Array, FORMAT_INDEXABLE, (size_t)oop_to_integer(AS(MethodDictionary, args[0])->tally));
  if (array == OOP_NONE) return primitive_needs_collection(vm);
  for (size_t i = 0, n = 0; i < object_size(table) && n < object_size(array); i += 2)
    if (object_slots(table)[i] != OOP_NIL) heap_store(vm->heap, array, n++, object_slots(table)[i]);
  return array;
}

void object_primitives_register(VM *vm) {
  static const PrimitiveEntry entries[] = {
      {"objectClass", 0, object_class, NULL, false},
      {"objectIdentical", 1, object_identical, NULL, false},
      {"objectIdentityHash", 0, object_identity_hash, NULL, false},
      {"objectBasicAt", 1, object_basic_at, NULL, false},
      {"objectBasicAtPut", 2, object_basic_at_put, NULL, false},
      {"objectBasicSize", 0, object_basic_size, NULL, false},
      {"objectInstVarAt", 1, object_inst_var_at, NULL, false},
      {"objectInstVarAtPut", 2, object_inst_var_at_put, NULL, false},
      {"objectShallowCopy", 0, object_shallow_copy, NULL, false},
      {"objectIsYoung", 0, object_is_young, NULL, false},
      {"objectTenured", 0, object_tenured, NULL, true},
      {"objectIsImmutable", 0, object_is_immutable_, NULL, false},
      {"objectSetImmutable", 1, object_set_immutable, NULL, false},
      {"objectReplace", 4, object_replace, NULL, false},
      {"sequenceCopy", 2, sequence_copy, NULL, false},
      {"objectsBecome", 1, objects_become, NULL, true},
      {"objectsBecomeForward", 1, objects_become_forward, NULL, true},
      {"objectsBecomeForwardWithHash", 1, objects_become_forward_with_hash, NULL, true},
      {"objectChangeClassTo", 1, object_change_class, NULL, false},
      {"behaviorNew", 0, behavior_new, NULL, false},
      {"behaviorNewInitialized", 0, behavior_new_initialized, NULL, false},
      {"behaviorNewSize", 1, behavior_new_size, NULL, false},
      {"behaviorAllInstances", 0, behavior_all_instances, NULL, true},
      {"behaviorRegister", 0, behavior_register, NULL, false},
      {"behaviorIsKnown", 0, behavior_is_known, NULL, false},
      {"behaviorLookup", 1, behavior_lookup, NULL, false},
      {"behaviorFlushCaches", 1, behavior_flush_caches, NULL, false},
      {"behaviorMethodAtPut", 2, behavior_method_at_put, NULL, false},
      {"behaviorRemoveSelector", 1, behavior_remove_selector, NULL, false},
      {"methodDictionaryAt", 1, dictionary_at, NULL, false},
      {"methodDictionaryKeys", 0, dictionary_keys, NULL, false},
  };
  primitives_register(vm, entries, sizeof entries / sizeof *entries);
}
