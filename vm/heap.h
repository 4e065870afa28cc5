// The heap's interface: a copying nursery of our own, and an old space in Boehm's collector that never moves.
//
// Allocation never collects: it answers OOP_NONE when there is no room ("needs collection"), before anything has changed;
// the caller gives up, the interpreter collects at a place where all oops are in known roots, and the caller runs again.
// So an oop may live in a C variable across an allocation, and dies only at a collection.
#ifndef BATON_VM_HEAP_H
#define BATON_VM_HEAP_H

#include "vm/object.h"
#include <stdio.h>

typedef struct Heap Heap;

// Called with the address of each root; may change the oop there.
typedef void (*RootVisitor)(void *context, Oop *root);
// The owner of the heap enumerates its roots: calls visit(visit_context, &root) for each. With young_only, roots that can only
// hold old objects may be left out.
typedef void (*RootEnumerator)(void *owner, bool young_only, RootVisitor visit, void *visit_context);

typedef struct {
  size_t eden_bytes;      // 0: default 1 MB, which the processor's caches hold
  size_t survivor_bytes;  // 0: a quarter of eden, each
  size_t max_heap_bytes;  // soft limit for old space and nursery together; 0: three quarters of the machine's memory
  int marker_threads;     // 0: number of cores, at most 4
  RootEnumerator roots;
  Oop (*class_at)(void *owner, uint32_t index);  // the class of an index, as the owner's table has it
  void (*before_full)(void *owner);              // before marking: flush method caches and the like; may be NULL
  void (*after_full)(void *owner);               // after marking, before sweep: drop dead entries of C tables, test with heap_is_live; may be NULL
  bool (*defers_full)(void *owner);              // whether a full collection should rather wait; may be NULL
  void *owner;
} HeapOptions;

typedef struct {
  uint64_t scavenges, full_collections, promoted_bytes, allocated_bytes;  // allocated: as of the last scavenge plus eden used
  uint64_t scavenge_nanoseconds, scavenge_max_nanoseconds, full_nanoseconds, full_max_nanoseconds;
  uint64_t finalized;
  uint64_t deferred_collections, deferred_nanoseconds, bounded_collections;  // full ones put off, for how long, and how many could not wait
  size_t eden_bytes, eden_used, survivor_used, old_bytes, old_free_bytes, max_heap_bytes;
} HeapStatistics;

// The part that inlined code reads. It is the first member of Heap.
typedef struct {
  uint8_t *eden_next, *eden_end;  // bump allocation; eden_end is eden_next in the stress build when a collection is due
  uintptr_t young_start;          // the nursery is one mapping
  size_t young_size;
} HeapFast;

static inline bool heap_is_young(const Heap *heap, Oop o) {
  const HeapFast *fast = (const HeapFast *)heap;
  return is_pointer(o) && (uintptr_t)o - fast->young_start < fast->young_size;
}

Heap *heap_new(const HeapOptions *options);  // NULL when memory cannot be mapped
void heap_free(Heap *heap);

// A new object whose body has `words` words, filled with nil (pointer formats) or zero. Objects larger than a quarter of eden
// and FORMAT_STACK objects come from old space. OOP_NONE: needs collection (see heap_shortage for how many bytes).
Oop heap_allocate_slow(Heap *heap, uint32_t class_index, Format format, size_t words);
// The same in old space at once: code, classes, symbols, what C will see. OOP_NONE when over the heap's limit.
Oop heap_allocate_old(Heap *heap, uint32_t class_index, Format format, size_t words);
// The same for objects that programs make, so that full collections keep step: OOP_NONE also when one is due.
Oop heap_allocate_immobile(Heap *heap, uint32_t class_index, Format format, size_t words);
// heap_allocate_old without regard to the limit, for what little an error needs that tells of it.
Oop heap_allocate_beyond_limit(Heap *heap, uint32_t class_index, Format format, size_t words);
size_t heap_shortage(const Heap *heap);  // bytes that the last failed allocation wanted

static inline Oop heap_allocate(Heap *heap, uint32_t class_index, Format format, size_t words) {
  HeapFast *fast = (HeapFast *)heap;
  size_t bytes = 8 + 8 * words;
  if (__builtin_expect(words < SIZE_IN_FRONT && bytes <= (size_t)(fast->eden_end - fast->eden_next) && format != FORMAT_STACK, 1)) {
    uint64_t *p = (uint64_t *)(void *)fast->eden_next;
    fast->eden_next += bytes;
    p[0] = TAG_HEADER | ((uint64_t)format << HEADER_FORMAT_SHIFT) | ((uint64_t)class_index << HEADER_CLASS_SHIFT) | ((uint64_t)words << HEADER_SIZE_SHIFT);
    uint64_t fill = format_has_pointers(format) ? OOP_NIL : 0;
    for (size_t i = 1; i <= words; i++) p[i] = fill;
    return (Oop)(uintptr_t)p;
  }
  return heap_allocate_slow(heap, class_index, format, words);
}

void heap_remember(Heap *heap, Oop object);      // enters an old object in the remembered set
void heap_remember_slot(Heap *heap, Oop *slot);  // the same for one slot of a large old object

// Stores with the write barrier. `slot` counts from 0 in the body.
static inline void heap_store(Heap *heap, Oop object, size_t slot, Oop value) {
  Oop *p = &object_slots(object)[slot];
  *p = value;
  if (__builtin_expect(heap_is_young(heap, value) && !heap_is_young(heap, object), 0)) {
    uint64_t h = object_header(object);
    if (h >> HEADER_SIZE_SHIFT == SIZE_IN_FRONT) heap_remember_slot(heap, p);
    else if (!(h & HEADER_REMEMBERED)) heap_remember(heap, object);
  }
}

// Collections. Only at a place where every live oop is in a root. `wanted`: bytes that must fit in eden afterwards.
void heap_scavenge(Heap *heap);
// Full collection: scavenge that tenures everything, mark and sweep old space, weak references, ephemerons.
void heap_collect(Heap *heap);
// What the interpreter calls after an allocation failed: scavenges, or collects fully when old space has grown enough
// or the limit is near. A full collection that the owner wants put off waits until old space has grown by half since, at least by 32 MB, or
// the limit is near. Answers false if even then `bytes` will not fit under the limit (out of memory). From then on, until a good part of
// the heap is free again, a reserve (a sixteenth of the limit, at most 16 MB) lies above the limit, for those who handle that.
bool heap_make_room(Heap *heap, size_t bytes);
// Whether heap_make_room has answered false because the reserve is used up too.
bool heap_is_exhausted(const Heap *heap);
bool heap_full_was_deferred(const Heap *heap);  // a full collection is due that was put off
void heap_set_max_bytes(Heap *heap, size_t bytes);
// True when old space has grown so much since the last full collection that one is due.
bool heap_wants_full(const Heap *heap);

// Only inside after_full: whether an object has survived.
bool heap_is_live(Heap *heap, Oop object);

// Ephemerons whose key died, and weak objects that lost an element, since the last call: each is moved out to `visit`.
// The collector keeps them alive until they have been fetched. For the finalization process.
size_t heap_fetch_finalizable(Heap *heap, Oop *out, size_t capacity);

// Identity hash of a pointer object, 1 .. 2^22-1, given on first request.
uint32_t heap_identity_hash(Heap *heap, Oop object);
// Moves an object to old space and updates every reference (a scavenge that tenures everything reachable): the new address is read
// from the root the object was in.
void heap_tenure_all(Heap *heap);

// Calls visit for every live object, young and old (collects fully first). visit must not allocate.
void heap_each_object(Heap *heap, void (*visit)(void *context, Oop object), void *context);
// Exchanges identities (two_way) or forwards from[i] to to[i], in all references everywhere: roots, both spaces. Identity hashes follow
// the ANSI/Pharo rule: with forwarding, `to` keeps its own hash unless copy_hash. The arrays hold n pointer objects each.
// Collects first; from and to must be Arrays held in roots (passed by address).
void heap_become(Heap *heap, Oop *from_array, Oop *to_array, bool two_way, bool copy_hash);

// Checks every young object, the remembered ones and the roots; prints what is wrong to `report` and answers the number of faults.
size_t heap_verify(Heap *heap, FILE *report);
// The same, and every old object that the last full collection found: its references, and that young ones are remembered.
size_t heap_verify_all(Heap *heap, FILE *report);
void heap_statistics(const Heap *heap, HeapStatistics *out);

#endif
