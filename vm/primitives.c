// The table of primitives: folders register theirs; methods name them, and compiled code holds their index.
#include "vm/vm.h"
#include <stdlib.h>

int primitives_index(const VM *vm, const char *name, size_t length) {
  for (uint32_t i = 0; i < vm->primitive_count; i++)
    if (strlen(vm->primitives[i]->name) == length && memcmp(vm->primitives[i]->name, name, length) == 0) return (int)i;
  return -1;
}

void primitives_register(VM *vm, const PrimitiveEntry *entries, size_t count) {
  vm->primitives = realloc(vm->primitives, (vm->primitive_count + count) * sizeof *vm->primitives);
  if (vm->primitives == NULL) abort();
  for (size_t i = 0; i < count; i++) vm->primitives[vm->primitive_count++] = &entries[i];
}
