// The table of primitives: folders register theirs; methods name them, and compiled code holds their index.
#include "vm/vm.h"
#include <stdlib.h>

static uint32_t name_place(const VM *vm, const char *name, size_t length) {
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < length; i++) h = (h ^ (uint8_t)name[i]) * 16777619u;
  return h & (vm->primitive_places - 1);
}

static bool is_named(const PrimitiveEntry *entry, const char *name, size_t length) {
  return strncmp(entry->name, name, length) == 0 && entry->name[length] == 0;
}

int primitives_index(const VM *vm, const char *name, size_t length) {
  for (uint32_t i = name_place(vm, name, length); vm->primitives_by_name[i] >= 0; i = (i + 1) & (vm->primitive_places - 1))
    if (is_named(vm->primitives[vm->primitives_by_name[i]], name, length)) return vm->primitives_by_name[i];
  return -1;
}

static void enter_name(VM *vm, int index) {
  const char *name = vm->primitives[index]->name;
  uint32_t i = name_place(vm, name, strlen(name));
  while (vm->primitives_by_name[i] >= 0) i = (i + 1) & (vm->primitive_places - 1);
  vm->primitives_by_name[i] = (int16_t)index;
}

void primitives_register(VM *vm, const PrimitiveEntry *entries, size_t count) {
  uint32_t total = vm->primitive_count + (uint32_t)count, places = vm->primitive_places == 0 ? 256 : vm->primitive_places;
  while (places < 2 * total) places *= 2;
  vm->primitives = realloc(vm->primitives, total * sizeof *vm->primitives);
  vm->primitives_by_name = realloc(vm->primitives_by_name, places * sizeof *vm->primitives_by_name);
  if (vm->primitives == NULL || vm->primitives_by_name == NULL) abort();
  for (size_t i = 0; i < count; i++) vm->primitives[vm->primitive_count++] = &entries[i];
  bool grown = places != vm->primitive_places;
  vm->primitive_places = places;
  if (grown) memset(vm->primitives_by_name, 0xFF, places * sizeof *vm->primitives_by_name);
  for (uint32_t i = grown ? 0 : total - (uint32_t)count; i < total; i++) enter_name(vm, (int)i);
}
