// What the unit tests share: the fixtures, and one suite a module.
#ifndef BATON_TESTS_UNIT_UNIT_H
#define BATON_TESTS_UNIT_UNIT_H

#include <check.h>

#include "vm/interpreter.h"

// The VM of the running test, fresh for each.
extern VM *vm;

void open_vm(void);       // empty: no classes
void open_classes(void);  // the known classes with names and layouts, without methods; Smalltalk with no bindings but those
void open_image(void);    // the standard image, loaded from UNIT_IMAGE or the file beside the executable
void close_vm(void);

// An object in eden of the running VM: the fixtures have seen to it that the stress build does not ask for a collection first.
Oop young_object(Heap *heap, uint32_t class_index, Format format, size_t words);
// A class made by open_classes for tests to add to: its instance variables are `first` and `second`.
Oop probe_class(void);

// A file's bytes, NUL-terminated and malloced; NULL if it cannot be read.
char *read_file(const char *path, size_t *length);
// The directory that holds the executable, and with it the images.
extern const char *build_directory;

Suite *object_suite(void);
Suite *heap_suite(void);
Suite *symbol_suite(void);
Suite *class_suite(void);
Suite *opcodes_suite(void);
Suite *verifier_suite(void);
Suite *lexer_suite(void);
Suite *parser_suite(void);
Suite *compiler_suite(void);
Suite *tonel_suite(void);
Suite *snapshot_suite(void);
Suite *ffi_suite(void);
Suite *calls_suite(void);

// Writes the listings of tests/unit/golden anew; the exit code.
int golden_write(void);

// A case of a suite with the fixture; tests are added to the answer.
static inline TCase *test_case(Suite *suite, const char *name, void (*open)(void), void (*close)(void)) {
  TCase *c = tcase_create(name);
  if (open != NULL) tcase_add_checked_fixture(c, open, close);
  tcase_set_timeout(c, 60);
  suite_add_tcase(suite, c);
  return c;
}

// Adds a loop test with one step a row of a table.
#define add_rows(tcase, test, table) tcase_add_loop_test(tcase, test, 0, (int)(sizeof(table) / sizeof *(table)))

#endif
