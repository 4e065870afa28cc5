// What the three files of the heap share: heap.c (the nursery, collections, the interface), old_space.c (Boehm's collector) and heap_walk.c
// (all objects: become, verification).
#ifndef BATON_VM_HEAP_PRIVATE_H
#define BATON_VM_HEAP_PRIVATE_H

#include "vm/heap.h"
#include "vm/layouts.h"
#include <stdlib.h>

typedef struct {
  Oop *items;
  size_t count, capacity;
} Vector;

enum { KIND_POINTERS, KIND_BYTES, KIND_WEAK, KIND_EPHEMERON, KIND_LIMIT };
enum { GRANULE = 16, SMALL_GRANULES = 129, TENURE_AGE = 2 };
enum { DEFAULT_EDEN = 1 << 20, FULL_STEP = 32 << 20, RESERVE_MAX = 16 << 20, SLOTS_WANTED = 1 << 16, PAGE = 4096 };

struct Heap {
  HeapFast fast;
  HeapOptions options;
  uint8_t *mapping, *eden, *survivors[2];
  uint8_t *eden_start;  // of the objects made since the last scavenge: eden, but in the stress build
  size_t mapping_bytes, eden_bytes, survivor_bytes;
  int current;  // the survivor half in use
  uint8_t *survivor_top[2];
  uint8_t *to_next, *to_end;  // while scavenging
  bool tenure_all;
  Vector remembered, slots, promoted, weaks, ephemerons, finalizable, roots;
  void *free_lists[KIND_LIMIT][SMALL_GRANULES];
  size_t shortage, old_since_full, full_threshold, allocated;
  size_t slots_wanted;  // when the slot buffer is longer, what stands twice in it is dropped
  size_t ask_at;        // when old_since_full is more, the next large object asks for a collection
  size_t deferred_at;   // old space in use when a full collection was first put off; 0: none is
  uint64_t deferred_since;
  bool reserve_open, exhausted;  // the limit has been reached; the reserve too
  uint32_t hash_state;
  HeapStatistics statistics;
  Vector marking;  // stack of the ephemeron pass
#if defined(BATON_STRESS)
  size_t granted;
#endif
};

static inline void push(Vector *v, Oop o) {
  if (v->count == v->capacity) {
    v->capacity = v->capacity ? 2 * v->capacity : 1024;
    v->items = realloc(v->items, v->capacity * sizeof(Oop));
    if (v->items == NULL) abort();
  }
  v->items[v->count++] = o;
}

// --- objects in memory

static inline size_t block_bytes(size_t words) { return 8 * words + (words >= SIZE_IN_FRONT ? 16 : 8); }

// Writes header (and size word) at `block` and answers the oop.
static inline Oop format_block(uint64_t *block, uint32_t class_index, Format format, size_t words) {
  if (words >= SIZE_IN_FRONT) *block++ = ((uint64_t)words << 3) | TAG_SIZE;
  uint64_t size = words >= SIZE_IN_FRONT ? SIZE_IN_FRONT : words;
  *block = TAG_HEADER | ((uint64_t)format << HEADER_FORMAT_SHIFT) | ((uint64_t)class_index << HEADER_CLASS_SHIFT) | (size << HEADER_SIZE_SHIFT);
  return (Oop)(uintptr_t)block;
}

static inline bool has_front(Oop o) { return object_header(o) >> HEADER_SIZE_SHIFT == SIZE_IN_FRONT; }
static inline void *block_of(Oop o) { return object_words(o) - (has_front(o) ? 1 : 0); }
static inline Oop block_object(void *block) {
  uint64_t *w = block;
  return (Oop)(uintptr_t)((*w & TAG_MASK) == TAG_SIZE ? w + 1 : w);
}

// Number of slots that hold oops the collector follows (weak ones included).
static inline size_t slot_count(Oop o) {
  Format f = object_format(o);
  if (!format_has_pointers(f)) return 0;
  if (f == FORMAT_STACK) return (size_t)oop_to_integer(object_slots(o)[0]);
  return object_size(o);
}

static inline bool is_old_pointer(Heap *heap, Oop o) { return is_pointer(o) && o != OOP_NONE && !heap_is_young(heap, o); }
static inline bool forwarded(Oop o) { return (object_header(o) & TAG_MASK) == 0; }

// --- heap.c
size_t heap_named_slots(Heap *heap, Oop o);  // of the object's class
void heap_enqueue_finalizable(Heap *heap, Oop o);

// --- old_space.c: one collector a process, used by one heap at a time
bool old_space_open(Heap *heap, int markers);  // false: no memory for its thread
void old_space_close(void);
void old_space_collect(void);                                                           // marks from heap->roots, then sweeps
Oop old_space_allocate(Heap *heap, uint32_t class_index, Format format, size_t words);  // OOP_NONE: no memory
// The same with a body that is not filled yet, but for a last word that is there only because blocks are multiples of a granule.
Oop old_space_allocate_unfilled(Heap *heap, uint32_t class_index, Format format, size_t words);
size_t old_space_in_use(void);                // bytes
size_t old_space_bytes(size_t *free_bytes);   // all of it, and what of it is free
bool old_space_is_marked(Heap *heap, Oop o);  // only at the end of marking; true for all that is not old
bool old_space_is_object(Oop o);              // whether an old object begins there
void old_space_each(Vector *out);             // all objects that the last collection has marked

#endif
