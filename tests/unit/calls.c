// Programs that call C, run in VMs that are made and freed here: what is left when a VM has ended.
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#include "image/launch.h"
#include "vm/ownership.h"

#include "tests/unit/unit.h"

static char library_path[4096];

// Runs a script in a new VM with the standard image, LIBRARY in it standing for the library of the tests. Answers the exit code.
static int run(const char *script) {
  static char text[16384];
  open_image();
  const char *place = strstr(script, "LIBRARY");
  snprintf(text, sizeof text, "%.*s%s%s", (int)(place - script), script, library_path, place + strlen("LIBRARY"));
  Launch launch = {.kind = "script", .source = text, .source_length = strlen(text), .file = "test"};
  vm->image_services = &launch;
  ck_assert(vm_spawn_main(vm, vm->smalltalk, vm->selectors[SELECTOR_START_UP]));
  return vm_run(vm);
}

static bool free_vm(void) {
  bool freed = vm_free(vm);
  vm = NULL;
  return freed;
}

static void *library_symbol(const char *name) {
  void *library = dlopen(library_path, RTLD_NOW);
  ck_assert_msg(library != NULL, "%s", dlerror());
  return dlsym(library, name);
}

typedef int IntFunction(int);

static void *call_function(void *function) {
  static int answer;
  answer = (*(IntFunction **)function)(5);
  return &answer;
}

START_TEST(a_callback_after_the_end_answers_its_default) {
  int code =
      run("| lib cb |\n"
          "lib := CLibrary named: 'LIBRARY' declaring: 'extern int (*kept_function)(int); int call_back(int (*function)(int), int value);'.\n"
          "cb := CCallback on: [ :x | x * 2 ] type: 'int (*)(int)'.\n"
          "cb defaultValue: -9.\n"
          "(lib call: #call_back with: cb with: 21) = 42 ifFalse: [ Smalltalk exit: 7 ].\n"
          "(lib variableAt: 'kept_function') value: cb.\n");
  ck_assert_int_eq(code, 0);
  ck_assert(free_vm());
  IntFunction **kept = library_symbol("kept_function");
  ck_assert_int_eq((*kept)(5), -9);
  pthread_t thread;
  void *answer;
  ck_assert_int_eq(pthread_create(&thread, NULL, call_function, kept), 0);
  pthread_join(thread, &answer);
  ck_assert_int_eq(*(int *)answer, -9);
  *kept = NULL;
}
END_TEST

START_TEST(one_vm_comes_after_another) {
  for (int i = 0; i < 3; i++) {
    int code =
        run("| lib s |\n"
            "lib := CLibrary named: 'LIBRARY' declaring: 'int sleep_milliseconds(int milliseconds);'.\n"
            "s := Semaphore new.\n"
            "10 timesRepeat: [ [ lib call: #sleep_milliseconds with: 20. s signal ] fork ].\n"
            "10 timesRepeat: [ s wait ].\n"
            "Smalltalk exit: (Calls statistics at: #threads)\n");
    ck_assert_int_gt(code, 1);
    ck_assert_uint_gt(vm->ownership->statistics.hand_ins, 0);
    ck_assert(free_vm());
  }
}
END_TEST

START_TEST(another_thread_may_end_the_program) {
  int code =
      run("| lib |\n"
          "lib := CLibrary named: 'LIBRARY' declaring: 'int sleep_milliseconds(int milliseconds);'.\n"
          "[ lib call: #sleep_milliseconds with: 20. Calls thread = 1 ifTrue: [ (Delay forMilliseconds: 1) wait ]. Smalltalk exit: 5 ] fork.\n"
          "(Delay forSeconds: 20) wait\n");
  ck_assert_int_eq(code, 5);
  ck_assert(free_vm());
}
END_TEST

START_TEST(calls_in_flight_at_the_end_are_cancelled) {
  int code =
      run("| lib |\n"
          "lib := CLibrary named: 'LIBRARY' declaring: 'int wait_for_signal(void);'.\n"
          "20 timesRepeat: [ [ lib call: #wait_for_signal ] fork ].\n"
          "(Delay forMilliseconds: 50) wait.\n"
          "Smalltalk exit: Calls inFlight size\n");
  ck_assert_int_eq(code, 20);
  ck_assert_uint_eq(vm->ownership->in_flight_count, 0);
  ck_assert(free_vm());
}
END_TEST

START_TEST(the_first_thread_in_c_is_waited_for_at_the_end) {
  int code =
      run("| lib |\n"
          "lib := CLibrary named: 'LIBRARY' declaring: 'int wait_for_signal(void);'.\n"
          "[ (Delay forMilliseconds: 20) wait. Smalltalk exit: 6 ] fork.\n"
          "lib call: #wait_for_signal\n");
  ck_assert_int_eq(code, 6);
  ck_assert(free_vm());
}
END_TEST

Suite *calls_suite(void) {
  snprintf(library_path, sizeof library_path, "%s/libbatontest.so", build_directory);
  Suite *s = suite_create("calls");
  TCase *c = tcase_create("programs");
  tcase_set_timeout(c, 120);
  tcase_add_test(c, a_callback_after_the_end_answers_its_default);
  tcase_add_test(c, one_vm_comes_after_another);
  tcase_add_test(c, another_thread_may_end_the_program);
  // ThreadSanitizer holds signals back
  if (getenv("BATON_TEST_WITHOUT_SIGNALS") == NULL) {
    tcase_add_test(c, calls_in_flight_at_the_end_are_cancelled);
    tcase_add_test(c, the_first_thread_in_c_is_waited_for_at_the_end);
  }
  suite_add_tcase(s, c);
  return s;
}
