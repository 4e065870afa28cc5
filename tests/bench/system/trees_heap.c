// What tests/bench/trees.st does, in C on the VM's heap: its allocator and collectors without the interpreter. The precise roots are a stack
// of oops, as an interpreter's frames would be.
#include "vm/heap.h"
#include <stdio.h>
#include <stdlib.h>

enum { LEFT, RIGHT, SLOTS, TREE_CLASS = 1, TREE_BYTES = 8 + 8 * SLOTS };

static Heap *heap;
static Oop roots[256];
static size_t root_count;

static void enumerate(void *owner, bool young_only, RootVisitor visit, void *context) {
  (void)owner, (void)young_only;
  for (size_t i = 0; i < root_count; i++) visit(context, &roots[i]);
}

static Oop class_at(void *owner, uint32_t index) {
  (void)owner, (void)index;
  return OOP_NIL;
}

// The new tree is in no root yet.
static Oop make(int depth) {
  if (depth > 0)
    for (int i = 0; i < SLOTS; i++) {
      Oop part = make(depth - 1);
      roots[root_count++] = part;
    }
  Oop tree;
  while ((tree = heap_allocate(heap, TREE_CLASS, FORMAT_FIXED, SLOTS)) == OOP_NONE)
    if (!heap_make_room(heap, TREE_BYTES)) exit(1);
  if (depth > 0) {
    heap_store(heap, tree, RIGHT, roots[--root_count]);
    heap_store(heap, tree, LEFT, roots[--root_count]);
  }
  return tree;
}

static int count(Oop tree) {
  const Oop *slots = object_slots(tree);
  return slots[LEFT] == OOP_NIL ? 1 : count(slots[LEFT]) + count(slots[RIGHT]) + 1;
}

int main(int argc, char **argv) {
  int greatest = argc > 1 ? atoi(argv[1]) : 16;
  HeapOptions options = {.roots = enumerate, .class_at = class_at};
  heap = heap_new(&options);
  if (heap == NULL) return 1;
  printf("%d\n", count(make(greatest + 1)));
  Oop kept = make(greatest);
  roots[root_count++] = kept;
  for (int depth = 4; depth <= greatest; depth += 2) {
    int total = 0;
    for (int i = 0; i < 1 << (greatest - depth + 4); i++) total += count(make(depth));
    printf("%d\n", total);
  }
  printf("%d\n", count(roots[0]));
}
