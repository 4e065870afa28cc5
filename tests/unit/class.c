// The class table, method dictionaries, lookup, globals, and the table of primitives.
#include "tests/unit/unit.h"

static Oop intern(const char *text) { return symbol_intern(vm, text, strlen(text)); }

static Oop numbered(int i) {
  char text[20];
  snprintf(text, sizeof text, "selector%d", i);
  return intern(text);
}

// Any object will do for a method here.
static Oop method_stub(void) { return heap_allocate_old(vm->heap, CLASS_CompiledMethod, FORMAT_FIXED, NAMED_SLOTS(CompiledMethod)); }

static Oop new_class(Oop superclass) {
  Oop class = heap_allocate_old(vm->heap, CLASS_Class, FORMAT_FIXED, NAMED_SLOTS(Class));
  AS(Class, class)->superclass = superclass;
  AS(Class, class)->methodDictionary = method_dictionary_new(vm, 4);
  return class;
}

static void add_method(Oop class, const char *selector, Oop method) {
  ck_assert(method_dictionary_put(vm, AS(Class, class)->methodDictionary, intern(selector), method));
}

// --- dictionaries

START_TEST(what_was_put_is_found_and_nothing_else) {
  Oop d = method_dictionary_new(vm, 4), m = method_stub();
  ck_assert_uint_eq(method_dictionary_at(d, intern("size")), OOP_NONE);
  ck_assert(method_dictionary_put(vm, d, intern("size"), m));
  ck_assert_uint_eq(method_dictionary_at(d, intern("size")), m);
  ck_assert_uint_eq(method_dictionary_at(d, intern("sizes")), OOP_NONE);
  ck_assert_uint_eq(method_dictionary_at(OOP_NIL, intern("size")), OOP_NONE);
}
END_TEST

START_TEST(putting_again_replaces) {
  Oop d = method_dictionary_new(vm, 4), other = method_stub();
  method_dictionary_put(vm, d, intern("size"), method_stub());
  method_dictionary_put(vm, d, intern("size"), other);
  ck_assert_uint_eq(method_dictionary_at(d, intern("size")), other);
  ck_assert_int_eq(oop_to_integer(AS(MethodDictionary, d)->tally), 1);
}
END_TEST

START_TEST(a_dictionary_grows_and_always_has_a_free_place) {
  Oop d = method_dictionary_new(vm, 1);
  for (int i = 0; i < 2000; i++) {
    ck_assert(method_dictionary_put(vm, d, numbered(i), oop_from_integer(i)));
    size_t pairs = object_size(AS(MethodDictionary, d)->table) / 2;
    ck_assert_uint_lt(i + 1, pairs);
    ck_assert_uint_eq(pairs & (pairs - 1), 0);
  }
  for (int i = 0; i < 2000; i++) ck_assert_uint_eq(method_dictionary_at(d, numbered(i)), oop_from_integer(i));
}
END_TEST

// Removing must keep reachable what had passed over the freed place.
START_TEST(removing_keeps_all_others) {
  enum { COUNT = 500 };
  Oop d = method_dictionary_new(vm, 4);
  for (int i = 0; i < COUNT; i++) method_dictionary_put(vm, d, numbered(i), oop_from_integer(i));
  for (int i = 0; i < COUNT; i += 2) {
    ck_assert(method_dictionary_remove(vm, d, numbered(i)));
    ck_assert(!method_dictionary_remove(vm, d, numbered(i)));
  }
  ck_assert_int_eq(oop_to_integer(AS(MethodDictionary, d)->tally), COUNT / 2);
  for (int i = 0; i < COUNT; i++) ck_assert_uint_eq(method_dictionary_at(d, numbered(i)), i % 2 ? oop_from_integer(i) : OOP_NONE);
}
END_TEST

// --- lookup

START_TEST(lookup_walks_the_superclasses) {
  Oop top = new_class(OOP_NIL), middle = new_class(top), bottom = new_class(middle);
  Oop in_top = method_stub(), in_middle = method_stub();
  add_method(top, "a", in_top);
  add_method(top, "b", in_top);
  add_method(middle, "b", in_middle);
  ck_assert_uint_eq(class_lookup(vm, bottom, intern("a")), in_top);
  ck_assert_uint_eq(class_lookup(vm, bottom, intern("b")), in_middle);
  ck_assert_uint_eq(class_lookup(vm, top, intern("b")), in_top);
  ck_assert_uint_eq(class_lookup(vm, bottom, intern("c")), OOP_NONE);
  ck_assert_uint_eq(class_lookup(vm, OOP_NIL, intern("a")), OOP_NONE);
}
END_TEST

START_TEST(a_selector_that_has_no_hash_is_no_method) {
  Oop class = new_class(OOP_NIL);
  ck_assert_uint_eq(class_lookup(vm, class, string_from_utf8(vm, "text", 4)), OOP_NONE);
}
END_TEST

// --- the class table

START_TEST(a_registered_class_gets_the_next_index) {
  uint32_t first = vm->class_count;
  for (uint32_t i = 0; i < 3000; i++) {
    Oop class = new_class(OOP_NIL);
    ck_assert_uint_eq(class_register(vm, class), first + i);
    ck_assert_uint_eq(class_at(vm, first + i), class);
    ck_assert_int_eq(oop_to_integer(AS(Class, class)->index), first + i);
  }
  heap_collect(vm->heap);
  ck_assert_int_eq(oop_to_integer(AS(Class, class_at(vm, first + 2999))->index), first + 2999);
}
END_TEST

START_TEST(immediate_values_have_classes) {
  ck_assert_uint_eq(class_of(vm, oop_from_integer(3)), class_at(vm, CLASS_SmallInteger));
  ck_assert_uint_eq(class_of(vm, OOP_NIL), class_at(vm, CLASS_UndefinedObject));
  ck_assert_uint_eq(class_of(vm, vm->smalltalk), class_at(vm, CLASS_SystemDictionary));
}
END_TEST

// --- globals

START_TEST(a_global_is_defined_once_and_changed_after) {
  Oop binding = global_define(vm, "Answer", 6, oop_from_integer(41));
  ck_assert_uint_eq(class_index_of(binding), CLASS_Binding);
  ck_assert_uint_eq(global_define(vm, "Answer", 6, oop_from_integer(42)), binding);
  ck_assert_uint_eq(global_binding(vm, "Answer", 6), binding);
  ck_assert_int_eq(oop_to_integer(AS(Binding, binding)->value), 42);
  ck_assert_uint_eq(AS(Binding, binding)->key, intern("Answer"));
  ck_assert_uint_eq(global_binding(vm, "Question", 8), OOP_NONE);
}
END_TEST

START_TEST(a_vm_without_smalltalk_has_no_globals) {
  intern("Answer");
  ck_assert_uint_eq(global_binding(vm, "Answer", 6), OOP_NONE);
}
END_TEST

// --- primitives

static Oop answer_receiver(VM *v, Oop *args) {
  (void)v;
  return args[0];
}

START_TEST(primitives_are_found_by_name) {
  static const PrimitiveEntry entries[] = {{"unitOne", 0, answer_receiver, NULL, false}, {"unitTwo", 1, answer_receiver, NULL, false}};
  uint32_t before = vm->primitive_count;
  primitives_register(vm, entries, 2);
  ck_assert_uint_eq(vm->primitive_count, before + 2);
  ck_assert_str_eq(vm->primitives[primitives_index(vm, "unitTwo...", 7)]->name, "unitTwo");
  ck_assert_int_eq(primitives_index(vm, "unitTwo", 6), -1);
  ck_assert_int_eq(primitives_index(vm, "unitThree", 9), -1);
}
END_TEST

START_TEST(every_primitive_is_plain_or_control_and_can_be_found) {
  for (uint32_t i = 0; i < vm->primitive_count; i++) {
    const PrimitiveEntry *e = vm->primitives[i];
    ck_assert_msg((e->plain == NULL) != (e->control == NULL), "%s", e->name);
    ck_assert_int_eq(primitives_index(vm, e->name, strlen(e->name)), (int)i);
  }
}
END_TEST

Suite *class_suite(void) {
  Suite *s = suite_create("class");
  TCase *c = test_case(s, "dictionaries", open_vm, close_vm);
  tcase_add_test(c, what_was_put_is_found_and_nothing_else);
  tcase_add_test(c, putting_again_replaces);
  tcase_add_test(c, a_dictionary_grows_and_always_has_a_free_place);
  tcase_add_test(c, removing_keeps_all_others);
  tcase_add_test(c, lookup_walks_the_superclasses);
  tcase_add_test(c, a_selector_that_has_no_hash_is_no_method);
  tcase_add_test(c, a_vm_without_smalltalk_has_no_globals);
  tcase_add_test(c, primitives_are_found_by_name);
  tcase_add_test(c, every_primitive_is_plain_or_control_and_can_be_found);
  c = test_case(s, "classes", open_classes, close_vm);
  tcase_add_test(c, a_registered_class_gets_the_next_index);
  tcase_add_test(c, immediate_values_have_classes);
  tcase_add_test(c, a_global_is_defined_once_and_changed_after);
  return s;
}
