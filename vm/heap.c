// The heap: a copying nursery and Boehm's collector as an old space that never moves.
//
// Nursery: one mapping: eden, then two survivor halves. Objects lie one behind the other; one of SIZE_IN_FRONT words or more has
// its size word first. A scavenge copies what the roots, the remembered set and the slot buffer reach to the other half or, by age
// or pressure, to old space (old_space.c), which is marked only when heap_collect asks.
//
// Invariants. An old object with a young reference in it is in the remembered set (flag HEADER_REMEMBERED), or that slot is in the slot
// buffer. Every word of a pointer block is an oop or has a non-zero tag. The used words of a stack are given by its slot 0.
#include "vm/heap_private.h"
#include "vm/platform.h"
#include <sys/mman.h>

// Enters a weak or ephemeron object in the queue of what is to be finalized, once until it is fetched: HEADER_MARK says that it is there.
void heap_enqueue_finalizable(Heap *heap, Oop o) {
  if (object_header(o) & HEADER_MARK) return;
  *object_words(o) |= HEADER_MARK;
  push(&heap->finalizable, o);
}

size_t heap_named_slots(Heap *heap, Oop o) {
  Oop class = heap->options.class_at(heap->options.owner, header_class_index(object_header(o)));
  if (heap_is_young(heap, class) && forwarded(class)) class = (Oop)object_header(class);
  return is_pointer(class) ? layout_named_slots(AS(Class, class)->layout) : 0;
}

// Once the limit has been reached, those who handle that may use so much more.
static size_t reserve_bytes(const Heap *heap) {
  size_t sixteenth = heap->options.max_heap_bytes / 16;
  return sixteenth > RESERVE_MAX ? RESERVE_MAX : sixteenth;
}

static size_t limit_bytes(const Heap *heap) { return heap->options.max_heap_bytes + (heap->reserve_open ? reserve_bytes(heap) : 0); }

static bool over_limit(const Heap *heap, size_t more) {
  return heap->options.max_heap_bytes != 0 && old_space_in_use() + more + heap->mapping_bytes > limit_bytes(heap);
}

Oop heap_allocate_beyond_limit(Heap *heap, uint32_t class_index, Format format, size_t words) { return old_space_allocate(heap, class_index, format, words); }

Oop heap_allocate_old(Heap *heap, uint32_t class_index, Format format, size_t words) {
  size_t bytes = block_bytes(words);
  if (bytes > 65536 && over_limit(heap, bytes)) {
    heap->shortage = bytes;
    return OOP_NONE;
  }
  Oop o = old_space_allocate(heap, class_index, format, words);
  if (o == OOP_NONE) heap->shortage = bytes;
  return o;
}

Oop heap_allocate_immobile(Heap *heap, uint32_t class_index, Format format, size_t words) {
  if (heap->old_since_full <= heap->ask_at) return heap_allocate_old(heap, class_index, format, words);
  heap->shortage = block_bytes(words);
  return OOP_NONE;
}

size_t heap_shortage(const Heap *heap) { return heap->shortage; }

Oop heap_allocate_slow(Heap *heap, uint32_t class_index, Format format, size_t words) {
  size_t bytes = block_bytes(words);
  heap->shortage = bytes;
  if (format == FORMAT_STACK) return heap_allocate_old(heap, class_index, format, words);
  if (bytes > heap->eden_bytes / 4) return heap_allocate_immobile(heap, class_index, format, words);
#if defined(BATON_STRESS)
  if (heap->granted < bytes) return OOP_NONE;
  heap->granted -= bytes;
  uint8_t *limit = heap->eden + heap->eden_bytes;
#else
  uint8_t *limit = heap->fast.eden_end;
#endif
  if (bytes > (size_t)(limit - heap->fast.eden_next)) return OOP_NONE;
  uint64_t *block = (uint64_t *)(void *)heap->fast.eden_next;
  heap->fast.eden_next += bytes;
#if defined(BATON_STRESS)
  heap->fast.eden_end = heap->fast.eden_next;
#endif
  Oop o = format_block(block, class_index, format, words);
  uint64_t fill = format_has_pointers(format) ? OOP_NIL : 0;
  for (size_t i = 0; i < words; i++) object_slots(o)[i] = fill;
  return o;
}

// --- write barrier

void heap_remember(Heap *heap, Oop object) {
  if (object_header(object) & HEADER_REMEMBERED) return;
  *object_words(object) |= HEADER_REMEMBERED;
  push(&heap->remembered, object);
}

static int compare_addresses(const void *a, const void *b) {
  Oop x = *(const Oop *)a, y = *(const Oop *)b;
  return (x > y) - (x < y);
}

// Drops what stands twice, or no longer refers to a young object: a program that only stores must not fill the memory.
static void slots_condense(Heap *heap) {
  Oop *items = heap->slots.items;
  qsort(items, heap->slots.count, sizeof *items, compare_addresses);
  size_t kept = 0;
  for (size_t i = 0; i < heap->slots.count; i++)
    if ((kept == 0 || items[kept - 1] != items[i]) && heap_is_young(heap, *(Oop *)(uintptr_t)items[i])) items[kept++] = items[i];
  heap->slots.count = kept;
  heap->slots_wanted = 2 * kept > SLOTS_WANTED ? 2 * kept : SLOTS_WANTED;
}

void heap_remember_slot(Heap *heap, Oop *slot) {
  if (heap->slots.count > 0 && heap->slots.items[heap->slots.count - 1] == (Oop)(uintptr_t)slot) return;
  push(&heap->slots, (Oop)(uintptr_t)slot);
  if (heap->slots.count > heap->slots_wanted) slots_condense(heap);
}

// --- scavenge

static uint64_t *survivor_block(Heap *heap, size_t bytes) {
  if ((size_t)(heap->to_end - heap->to_next) < bytes) return NULL;
  uint64_t *p = (uint64_t *)(void *)heap->to_next;
  heap->to_next += bytes;
  return p;
}

static Oop promote(Heap *heap, Oop o, size_t words) {
  Format f = object_format(o);
  Oop copy = old_space_allocate_unfilled(heap, header_class_index(object_header(o)), f, words);
  if (copy == OOP_NONE) abort();
  heap->statistics.promoted_bytes += block_bytes(words);
  if (format_has_pointers(f)) push(&heap->promoted, copy);
  return copy;
}

static Oop copy_object(Heap *heap, Oop o) {
  if (forwarded(o)) return (Oop)object_header(o);
  uint64_t h = object_header(o);
  size_t words = object_size(o), front = has_front(o) ? 8 : 0;
  unsigned age = (unsigned)(h >> HEADER_AGE_SHIFT) & 3;
  uint64_t *block = heap->tenure_all || age >= TENURE_AGE ? NULL : survivor_block(heap, block_bytes(words));
  Oop copy;
  uint64_t flags = h & ~(uint64_t)(HEADER_AGE_MASK | HEADER_REMEMBERED);
  if (block == NULL) {
    copy = promote(heap, o, words);
  } else {
    copy = (Oop)(uintptr_t)((uint8_t *)block + front);
    flags |= (uint64_t)(age + 1) << HEADER_AGE_SHIFT;
    if (front) *block = object_words(o)[-1];
  }
  memcpy(object_slots(copy), object_slots(o), 8 * words);
  *object_words(copy) = flags;
  *object_words(o) = copy;
  return copy;
}

static void scavenge_slot(Heap *heap, Oop *p) {
  if (heap_is_young(heap, *p)) *p = copy_object(heap, *p);
}

// The same for a slot that may be remembered twice: the second time it refers to the copy already.
static void scavenge_remembered_slot(Heap *heap, Oop *p) {
  uint8_t *target = (uint8_t *)(uintptr_t)*p;
  if (!is_pointer(*p) || target < heap->survivors[1 - heap->current] || target >= heap->to_end) scavenge_slot(heap, p);
}

static void scavenge_remembered_slots(Heap *heap) {
  enum { AHEAD = 16 };  // the slots may lie anywhere in memory: they are fetched ahead
  const Oop *items = heap->slots.items;
  for (size_t i = 0, n = heap->slots.count; i < n; i++) {
    if (i + AHEAD < n) __builtin_prefetch((const void *)(uintptr_t)items[i + AHEAD]);
    scavenge_remembered_slot(heap, (Oop *)(uintptr_t)items[i]);
  }
}

static void visit_root(void *context, Oop *root) { scavenge_slot(context, root); }

// Makes the words above a stack's top nil. What was written there since the last time are frames, one behind the other, each with a
// header that is not nil; so behind a run of nils longer than the largest frame there is nothing to do.
static void clear_above_top(Oop stack) {
  enum { LARGEST_FRAME = 512 };
  Oop *slots = object_slots(stack);
  size_t end = object_size(stack), nils = 0;
  for (size_t i = (size_t)oop_to_integer(slots[0]); i < end && nils < LARGEST_FRAME; i++) {
    nils = slots[i] == OOP_NIL ? nils + 1 : 0;
    slots[i] = OOP_NIL;
  }
}

// Follows the slots of an object that has just been copied or is remembered.
static void scan_object(Heap *heap, Oop o) {
  Format f = object_format(o);
  size_t n = slot_count(o);
  if (f == FORMAT_WEAK) {
    push(&heap->weaks, o);
    n = heap_named_slots(heap, o);
  } else if (f == FORMAT_EPHEMERON) {
    push(&heap->ephemerons, o);
    return;
  } else if (f == FORMAT_STACK) {
    clear_above_top(o);
  }
  Oop *slots = object_slots(o);
  for (size_t i = 0; i < n; i++) scavenge_slot(heap, &slots[i]);
}

static bool points_young(Heap *heap, Oop o) {
  for (size_t i = 0, n = slot_count(o); i < n; i++)
    if (heap_is_young(heap, object_slots(o)[i])) return true;
  return false;
}

static uint8_t *scan_survivors(Heap *heap, uint8_t *scan) {
  while (scan < heap->to_next) {
    Oop o = block_object(scan);
    scan_object(heap, o);
    scan += block_bytes(object_size(o));
  }
  return scan;
}

static uint8_t *trace(Heap *heap, uint8_t *scan, Vector *promoted_all) {
  do {
    scan = scan_survivors(heap, scan);
    while (heap->promoted.count > 0) {
      Oop o = heap->promoted.items[--heap->promoted.count];
      scan_object(heap, o);
      push(promoted_all, o);
    }
  } while (scan < heap->to_next);
  return scan;
}

static bool key_lives(Heap *heap, Oop key) { return !heap_is_young(heap, key) || forwarded(key); }

static void scan_ephemeron(Heap *heap, Oop e) {
  for (size_t i = 0, n = object_size(e); i < n; i++) scavenge_slot(heap, &object_slots(e)[i]);
}

static uint8_t *scavenge_ephemerons(Heap *heap, uint8_t *scan, Vector *promoted_all) {
  bool progress = true;
  while (progress) {
    progress = false;
    for (size_t i = 0; i < heap->ephemerons.count; i++) {
      Oop e = heap->ephemerons.items[i];
      if (e == OOP_NONE || !key_lives(heap, object_slots(e)[0])) continue;
      heap->ephemerons.items[i] = OOP_NONE;
      scan_ephemeron(heap, e);
      scan = trace(heap, scan, promoted_all);
      progress = true;
    }
  }
  for (size_t i = 0; i < heap->ephemerons.count; i++) {
    Oop e = heap->ephemerons.items[i];
    if (e == OOP_NONE) continue;
    heap->ephemerons.items[i] = OOP_NONE;
    heap_enqueue_finalizable(heap, e);
    scan_ephemeron(heap, e);
    scan = trace(heap, scan, promoted_all);
  }
  heap->ephemerons.count = 0;
  return scan;
}

static void scavenge_weaks(Heap *heap) {
  for (size_t i = 0; i < heap->weaks.count; i++) {
    Oop w = heap->weaks.items[i];
    bool lost = false;
    for (size_t j = heap_named_slots(heap, w), n = object_size(w); j < n; j++) {
      Oop *p = &object_slots(w)[j];
      if (!heap_is_young(heap, *p)) continue;
      lost |= !forwarded(*p);
      *p = forwarded(*p) ? (Oop)object_header(*p) : OOP_NIL;
    }
    if (lost) heap_enqueue_finalizable(heap, w);
  }
  heap->weaks.count = 0;
}

static void remember_again(Heap *heap, Vector *former, Vector *promoted_all) {
  for (size_t i = 0; i < former->count; i++) {
    Oop o = former->items[i];
    *object_words(o) &= ~(uint64_t)HEADER_REMEMBERED;
    if (points_young(heap, o)) heap_remember(heap, o);
  }
  for (size_t i = 0; i < promoted_all->count; i++)
    if (points_young(heap, promoted_all->items[i])) heap_remember(heap, promoted_all->items[i]);
}

static void keep_young_slots(Heap *heap) {
  size_t kept = 0;
  for (size_t i = 0; i < heap->slots.count; i++)
    if (heap_is_young(heap, *(Oop *)(uintptr_t)heap->slots.items[i])) heap->slots.items[kept++] = heap->slots.items[i];
  heap->slots.count = kept;
}

static void scavenge_finalizable(Heap *heap) {
  for (size_t i = 0; i < heap->finalizable.count; i++) scavenge_slot(heap, &heap->finalizable.items[i]);
}

#if defined(BATON_STRESS)
static void access_pages(uint8_t *from, uint8_t *to, int protection) {
  if (from < to && mprotect(from, (size_t)(to - from), protection) != 0) abort();
}

// What has been left behind cannot be touched any more: eden is used from its next page on, and from its start when half of it is used up.
static void eden_reset(Heap *heap) {
  uint8_t *end = heap->eden + heap->eden_bytes;
  uint8_t *next = heap->eden_start + (((size_t)(heap->fast.eden_next - heap->eden_start) + PAGE - 1) & ~(size_t)(PAGE - 1));
  heap->allocated += (size_t)(heap->fast.eden_next - heap->eden_start);
  access_pages(heap->eden_start, next, PROT_NONE);
  if ((size_t)(end - next) < heap->eden_bytes / 2) {
    access_pages(heap->eden, next, PROT_READ | PROT_WRITE);
    next = heap->eden;
  }
  heap->eden_start = heap->fast.eden_next = heap->fast.eden_end = next;
}

static void survivors_open(Heap *heap, int half) { access_pages(heap->survivors[half], heap->survivors[half] + heap->survivor_bytes, PROT_READ | PROT_WRITE); }
static void survivors_close(Heap *heap, int half) { access_pages(heap->survivors[half], heap->survivors[half] + heap->survivor_bytes, PROT_NONE); }
#else
static void eden_reset(Heap *heap) {
  heap->allocated += (size_t)(heap->fast.eden_next - heap->eden_start);
  heap->eden_start = heap->fast.eden_next = heap->eden;
  heap->fast.eden_end = heap->eden + heap->eden_bytes;
}

static void survivors_open(Heap *heap, int half) { (void)heap, (void)half; }
static void survivors_close(Heap *heap, int half) { (void)heap, (void)half; }
#endif

void heap_scavenge(Heap *heap) {
  uint64_t start = platform_monotonic_nanoseconds();
  int to = 1 - heap->current;
  survivors_open(heap, to);
  uint8_t *scan = heap->survivors[to];
  heap->to_next = scan;
  heap->to_end = scan + heap->survivor_bytes;
  Vector former = heap->remembered, promoted_all = {0};
  heap->remembered = (Vector){0};
  heap->options.roots(heap->options.owner, true, visit_root, heap);
  scavenge_finalizable(heap);
  for (size_t i = 0; i < former.count; i++) scan_object(heap, former.items[i]);
  scavenge_remembered_slots(heap);
  scan = trace(heap, scan, &promoted_all);
  scavenge_ephemerons(heap, scan, &promoted_all);
  scavenge_weaks(heap);
  remember_again(heap, &former, &promoted_all);
  keep_young_slots(heap);
  free(former.items);
  free(promoted_all.items);
  heap->survivor_top[to] = heap->to_next;
  heap->survivor_top[heap->current] = heap->survivors[heap->current];
  survivors_close(heap, heap->current);
  heap->current = to;
  eden_reset(heap);
  uint64_t spent = platform_monotonic_nanoseconds() - start;
  heap->statistics.scavenges++;
  heap->statistics.scavenge_nanoseconds += spent;
  if (spent > heap->statistics.scavenge_max_nanoseconds) heap->statistics.scavenge_max_nanoseconds = spent;
#if defined(BATON_STRESS)
  if (heap_verify(heap, stderr) != 0) abort();
#endif
}

void heap_tenure_all(Heap *heap) {
  heap->tenure_all = true;
  heap_scavenge(heap);
  heap->tenure_all = false;
}

// --- full collection

static void collect_root(void *context, Oop *root) {
  Heap *heap = context;
  if (is_old_pointer(heap, *root)) push(&heap->roots, *root);
}

void heap_collect(Heap *heap) {
#if defined(BATON_STRESS)
  if (heap_verify_all(heap, stderr) != 0) abort();
#endif
  uint64_t start = platform_monotonic_nanoseconds();
  heap_tenure_all(heap);
  if (heap->options.before_full != NULL) heap->options.before_full(heap->options.owner);
  heap->roots.count = 0;
  heap->options.roots(heap->options.owner, false, collect_root, heap);
  for (size_t i = 0; i < heap->finalizable.count; i++) collect_root(heap, &heap->finalizable.items[i]);
  for (size_t i = 0; i < heap->remembered.count; i++) *object_words(heap->remembered.items[i]) &= ~(uint64_t)HEADER_REMEMBERED;
  heap->remembered.count = heap->slots.count = heap->weaks.count = heap->ephemerons.count = 0;
  memset(heap->free_lists, 0, sizeof heap->free_lists);
  old_space_collect();
  heap->weaks.count = heap->ephemerons.count = 0;
  heap->old_since_full = 0;
  size_t live = old_space_in_use();
  heap->full_threshold = heap->ask_at = live > FULL_STEP ? live : FULL_STEP;
  if (heap->deferred_at != 0) heap->statistics.deferred_nanoseconds += platform_monotonic_nanoseconds() - heap->deferred_since;
  heap->deferred_at = 0;
  uint64_t spent = platform_monotonic_nanoseconds() - start;
  heap->statistics.full_collections++;
  heap->statistics.full_nanoseconds += spent;
  if (spent > heap->statistics.full_max_nanoseconds) heap->statistics.full_max_nanoseconds = spent;
#if defined(BATON_STRESS)
  if (heap_verify_all(heap, stderr) != 0) abort();
#endif
}

bool heap_is_live(Heap *heap, Oop object) { return old_space_is_marked(heap, object); }
bool heap_wants_full(const Heap *heap) { return heap->old_since_full > heap->full_threshold; }

bool heap_full_was_deferred(const Heap *heap) { return heap->deferred_at != 0; }

// Whether the full collection that is due shall wait.
static bool defer_full(Heap *heap) {
  if (heap->options.defers_full == NULL || !heap->options.defers_full(heap->options.owner)) return false;
  size_t used = old_space_in_use();
  if (heap->deferred_at == 0) {
    heap->deferred_at = used;
    heap->deferred_since = platform_monotonic_nanoseconds();
    heap->statistics.deferred_collections++;
  }
  size_t half = heap->deferred_at / 2;
  if (used < heap->deferred_at + (half > FULL_STEP ? half : FULL_STEP)) return true;
  heap->statistics.bounded_collections++;
  return false;
}

bool heap_make_room(Heap *heap, size_t bytes) {
  size_t young = (size_t)(heap->fast.eden_next - heap->eden_start);
  size_t step = heap->options.max_heap_bytes / 64;  // near the limit, a full collection pays only after so much
  if ((heap_wants_full(heap) && !defer_full(heap)) || (over_limit(heap, bytes + young) && heap->old_since_full > step)) heap_collect(heap);
  else heap_scavenge(heap);
  if (over_limit(heap, bytes) && heap->old_since_full > 0) heap_collect(heap);
  if (heap->old_since_full > heap->ask_at) heap->ask_at = heap->old_since_full + FULL_STEP;
  size_t reserve = reserve_bytes(heap);
  if (heap->reserve_open && old_space_in_use() + heap->mapping_bytes + reserve < heap->options.max_heap_bytes) heap->reserve_open = false;
  if (over_limit(heap, bytes)) {
    heap->exhausted = heap->reserve_open && bytes < reserve;
    heap->reserve_open |= over_limit(heap, reserve);
    return false;
  }
#if defined(BATON_STRESS)
  heap->granted = bytes;
#endif
  return true;
}

bool heap_is_exhausted(const Heap *heap) { return heap->exhausted; }

void heap_set_max_bytes(Heap *heap, size_t bytes) { heap->options.max_heap_bytes = bytes; }

size_t heap_fetch_finalizable(Heap *heap, Oop *out, size_t capacity) {
  size_t n = heap->finalizable.count < capacity ? heap->finalizable.count : capacity;
  heap->finalizable.count -= n;
  for (size_t i = 0; i < n; i++) {
    out[i] = heap->finalizable.items[heap->finalizable.count + i];
    *object_words(out[i]) &= ~(uint64_t)HEADER_MARK;
  }
  heap->statistics.finalized += n;
  return n;
}

uint32_t heap_identity_hash(Heap *heap, Oop object) {
  uint32_t mask = (1u << HEADER_HASH_BITS) - 1;
  uint32_t hash = (uint32_t)(object_header(object) >> HEADER_HASH_SHIFT) & mask;
  if (hash != 0) return hash;
  do {
    heap->hash_state ^= heap->hash_state << 13;
    heap->hash_state ^= heap->hash_state >> 17;
    heap->hash_state ^= heap->hash_state << 5;
    hash = (heap->hash_state >> 3) & mask;
  } while (hash == 0);
  *object_words(object) |= (uint64_t)hash << HEADER_HASH_SHIFT;
  return hash;
}

void heap_statistics(const Heap *heap, HeapStatistics *out) {
  *out = heap->statistics;
  out->eden_bytes = heap->eden_bytes;
  out->eden_used = (size_t)(heap->fast.eden_next - heap->eden_start);
  out->survivor_used = (size_t)(heap->survivor_top[heap->current] - heap->survivors[heap->current]);
  out->allocated_bytes = heap->allocated + out->eden_used;
  out->old_bytes = old_space_bytes(&out->old_free_bytes);
  out->max_heap_bytes = heap->options.max_heap_bytes;
}

// --- making

Heap *heap_new(const HeapOptions *options) {
  Heap *heap = calloc(1, sizeof *heap);
  if (heap == NULL) return NULL;
  heap->options = *options;
  if (options->max_heap_bytes == 0) heap->options.max_heap_bytes = platform_memory_bytes() / 4 * 3;
  heap->eden_bytes = options->eden_bytes ? options->eden_bytes : DEFAULT_EDEN;
  heap->survivor_bytes = options->survivor_bytes ? options->survivor_bytes : heap->eden_bytes / 4;
  heap->survivor_bytes = (heap->survivor_bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
  heap->eden_bytes = (heap->eden_bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
  heap->mapping_bytes = heap->eden_bytes + 2 * heap->survivor_bytes;
  void *hint = (void *)(uintptr_t)0x200000000000;
  void *map = mmap(hint, heap->mapping_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED || !old_space_open(heap, 2)) {
    free(heap);
    return NULL;
  }
  heap->mapping = heap->eden = heap->eden_start = heap->fast.eden_next = map;
  heap->survivors[0] = heap->survivor_top[0] = heap->eden + heap->eden_bytes;
  heap->survivors[1] = heap->survivor_top[1] = heap->survivors[0] + heap->survivor_bytes;
  heap->fast.young_start = (uintptr_t)map;
  heap->fast.young_size = heap->mapping_bytes;
  heap->hash_state = 0x2545F491;
  heap->full_threshold = heap->ask_at = FULL_STEP;
  heap->slots_wanted = SLOTS_WANTED;
  eden_reset(heap);
  survivors_close(heap, 1 - heap->current);
  return heap;
}

void heap_free(Heap *heap) {
  if (heap == NULL) return;
  old_space_close();
  munmap(heap->mapping, heap->mapping_bytes);
  Vector *all[] = {&heap->remembered, &heap->slots, &heap->promoted, &heap->weaks, &heap->ephemerons, &heap->finalizable, &heap->roots, &heap->marking};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]->items);
  free(heap);
}
