// The C interface's part of a VM.
#include "ffi/foreign.h"
#include "ffi/callout.h"
#include <stdlib.h>

// Libraries stay open: their code may still be running.
static void foreign_free(VM *vm) {
  Foreign *foreign = foreign_of(vm);
  callouts_free(vm);
  function_table_free(foreign->functions);
  free(foreign->libraries);
  free(foreign->library_error);
  free(foreign);
}

void foreign_register(VM *vm) {
  Foreign *foreign = calloc(1, sizeof *foreign);
  if (foreign == NULL || (foreign->functions = function_table_new()) == NULL) abort();
  vm->foreign = foreign;
  foreign->served_by = OOP_NIL;
  vm->foreign_close = callbacks_close;
  vm->foreign_free = foreign_free;
  vm->foreign_roots = callbacks_enumerate_roots;
  cancelling_install();
  callout_primitives_register(vm);
  callback_primitives_register(vm);
  memory_primitives_register(vm);
  library_primitives_register(vm);
}
