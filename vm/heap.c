// The heap: a copying nursery and Boehm's collector as an old space that never moves.
//
// Nursery: one mapping: eden, then two survivor halves. Objects lie one behind the other; one of SIZE_IN_FRONT words or more has
// its size word first. A scavenge copies what the roots, the remembered set and the slot buffer reach to the other half or, by age
// or pressure, to old space. Old space: our own kinds of Boehm's blocks, with our own free lists; marked only when heap_collect asks,
// on a thread of its own that never holds an oop.
//
// Invariants. An old object with a young reference in it is in the remembered set (flag HEADER_REMEMBERED), or that slot is in the slot
// buffer. Every word of a pointer block is an oop or has a non-zero tag. The used words of a stack are given by its slot 0.
#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS
#include "vm/heap.h"
#include "vm/layouts.h"
#include "vm/platform.h"
#include <gc/gc.h>
#include <gc/gc_inline.h>
#include <gc/gc_mark.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

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
  size_t slots_wanted;           // when the slot buffer is longer, what stands twice in it is dropped
  bool reserve_open, exhausted;  // the limit has been reached; the reserve too
  uint32_t hash_state;
  HeapStatistics statistics;
  Vector marking;  // stack of the ephemeron pass
#if defined(BATON_STRESS)
  size_t granted;
#endif
};

static void push(Vector *v, Oop o) {
  if (v->count == v->capacity) {
    v->capacity = v->capacity ? 2 * v->capacity : 1024;
    v->items = realloc(v->items, v->capacity * sizeof(Oop));
    if (v->items == NULL) abort();
  }
  v->items[v->count++] = o;
}

// --- objects in memory

static size_t block_bytes(size_t words) { return 8 * words + (words >= SIZE_IN_FRONT ? 16 : 8); }

// Writes header (and size word) at `block` and answers the oop.
static Oop format_block(uint64_t *block, uint32_t class_index, Format format, size_t words) {
  if (words >= SIZE_IN_FRONT) *block++ = ((uint64_t)words << 3) | TAG_SIZE;
  uint64_t size = words >= SIZE_IN_FRONT ? SIZE_IN_FRONT : words;
  *block = TAG_HEADER | ((uint64_t)format << HEADER_FORMAT_SHIFT) | ((uint64_t)class_index << HEADER_CLASS_SHIFT) | (size << HEADER_SIZE_SHIFT);
  return (Oop)(uintptr_t)block;
}

static bool has_front(Oop o) { return object_header(o) >> HEADER_SIZE_SHIFT == SIZE_IN_FRONT; }
static void *block_of(Oop o) { return object_words(o) - (has_front(o) ? 1 : 0); }
static Oop block_object(void *block) {
  uint64_t *w = block;
  return (Oop)(uintptr_t)((*w & TAG_MASK) == TAG_SIZE ? w + 1 : w);
}

static size_t named_slots_of(Heap *heap, Oop o);

// Enters a weak or ephemeron object in the queue of what is to be finalized, once until it is fetched: HEADER_MARK says that it is there.
static void enqueue_finalizable(Heap *heap, Oop o) {
  if (object_header(o) & HEADER_MARK) return;
  *object_words(o) |= HEADER_MARK;
  push(&heap->finalizable, o);
}

// Number of slots that hold oops the collector follows (weak ones included).
static size_t slot_count(Oop o) {
  Format f = object_format(o);
  if (!format_has_pointers(f)) return 0;
  if (f == FORMAT_STACK) return (size_t)oop_to_integer(object_slots(o)[0]);
  return object_size(o);
}

static bool is_old_pointer(Heap *heap, Oop o) { return is_pointer(o) && o != OOP_NONE && !heap_is_young(heap, o); }

// --- old space

static struct {
  Heap *heap;  // Boehm's callbacks have no argument: the one heap of this process
  bool initialised;
  unsigned kinds[KIND_LIMIT];
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  pthread_mutex_t specials;  // markers note weak and ephemeron objects in parallel
  int request;               // 1: collect
} library = {.mutex = PTHREAD_MUTEX_INITIALIZER, .specials = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int kind_of(Format f) {
  return !format_has_pointers(f) ? KIND_BYTES : f == FORMAT_WEAK ? KIND_WEAK : f == FORMAT_EPHEMERON ? KIND_EPHEMERON : KIND_POINTERS;
}

static void push_roots(void) {
  Heap *heap = library.heap;
  if (heap == NULL) return;
  for (size_t i = 0; i < heap->roots.count; i++) GC_push_all_eager(&heap->roots.items[i], &heap->roots.items[i] + 1);
}

// Weak and ephemeron objects: noted, and only their strong part marked. Weak: named slots. Ephemeron: nothing yet.
static struct GC_ms_entry *mark_special(GC_word *block, struct GC_ms_entry *sp, struct GC_ms_entry *limit, GC_word env) {
  if (*block == 0 || library.heap == NULL) return sp;
  Oop o = block_object(block);
  if ((object_header(o) & TAG_MASK) != TAG_HEADER) return sp;
  pthread_mutex_lock(&library.specials);
  push(env == FORMAT_WEAK ? &library.heap->weaks : &library.heap->ephemerons, o);
  pthread_mutex_unlock(&library.specials);
  if (env == FORMAT_WEAK) {
    size_t named = named_slots_of(library.heap, o);
    Oop *slots = object_slots(o);
    for (size_t i = 0; i < named; i++)
      if (is_pointer(slots[i])) sp = GC_MARK_AND_PUSH((void *)(uintptr_t)slots[i], sp, limit, (void **)(void *)&slots[i]);
  }
  return sp;
}

static bool marked(Heap *heap, Oop o) { return !is_old_pointer(heap, o) || GC_is_marked(block_of(o)); }

// Marks what is reachable from o, by hand: only at the end of marking.
static void mark_from(Heap *heap, Oop o) {
  if (marked(heap, o)) return;
  GC_set_mark_bit(block_of(o));
  push(&heap->marking, o);
  while (heap->marking.count > 0) {
    Oop p = heap->marking.items[--heap->marking.count];
    Format f = object_format(p);
    if (f == FORMAT_EPHEMERON) {
      push(&heap->ephemerons, p);
      continue;
    }
    size_t n = slot_count(p);
    if (f == FORMAT_WEAK) {
      push(&heap->weaks, p);
      n = named_slots_of(heap, p);
    }
    for (size_t i = 0; i < n; i++) {
      Oop q = object_slots(p)[i];
      if (marked(heap, q)) continue;
      GC_set_mark_bit(block_of(q));
      push(&heap->marking, q);
    }
  }
}

static void mark_ephemeron_slots(Heap *heap, Oop e) {
  for (size_t i = 0, n = object_size(e); i < n; i++) mark_from(heap, object_slots(e)[i]);
}

static void ephemerons_at_mark_end(Heap *heap) {
  bool progress = true;
  while (progress) {
    progress = false;
    for (size_t i = 0; i < heap->ephemerons.count; i++) {
      Oop e = heap->ephemerons.items[i];
      if (e == OOP_NONE || !marked(heap, object_slots(e)[0])) continue;
      heap->ephemerons.items[i] = OOP_NONE;
      mark_ephemeron_slots(heap, e);
      progress = true;
    }
  }
  for (size_t i = 0; i < heap->ephemerons.count; i++) {
    Oop e = heap->ephemerons.items[i];
    if (e == OOP_NONE) continue;
    heap->ephemerons.items[i] = OOP_NONE;
    enqueue_finalizable(heap, e);
    mark_ephemeron_slots(heap, e);
  }
}

static void weaks_at_mark_end(Heap *heap) {
  for (size_t i = 0; i < heap->weaks.count; i++) {
    Oop w = heap->weaks.items[i];
    bool lost = false;
    for (size_t j = named_slots_of(heap, w), n = object_size(w); j < n; j++)
      if (!marked(heap, object_slots(w)[j])) {
        object_slots(w)[j] = OOP_NIL;
        lost = true;
      }
    if (lost) enqueue_finalizable(heap, w);
  }
}

static void on_event(GC_EventType event) {
  Heap *heap = library.heap;
  if (event != GC_EVENT_MARK_END || heap == NULL) return;
  ephemerons_at_mark_end(heap);
  weaks_at_mark_end(heap);
  if (heap->options.after_full != NULL) heap->options.after_full(heap->options.owner);
}

static void library_initialise(int markers) {
  static const char *const names[] = {"GC_FIND_LEAK",        "GC_DONT_GC", "GC_ENABLE_INCREMENTAL", "GC_MAXIMUM_HEAP_SIZE", "GC_ALL_INTERIOR_POINTERS",
                                      "GC_INITIAL_HEAP_SIZE"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
  GC_set_all_interior_pointers(0);
  GC_set_no_dls(1);
  GC_set_dont_precollect(1);
  GC_set_markers_count((unsigned)markers);
  GC_set_warn_proc(GC_ignore_warn_proc);  // a failed allocation is the VM's to tell
  GC_INIT();
  GC_disable();
  GC_clear_roots();
  GC_register_displacement(8);
  GC_set_push_other_roots(push_roots);
  GC_set_on_collection_event(on_event);
  library.kinds[KIND_POINTERS] = GC_new_kind(GC_new_free_list(), GC_DS_LENGTH, 1, 1);
  library.kinds[KIND_BYTES] = GC_new_kind(GC_new_free_list(), 8 | GC_DS_LENGTH, 0, 1);
  unsigned proc = GC_new_proc(mark_special);
  library.kinds[KIND_WEAK] = GC_new_kind(GC_new_free_list(), GC_MAKE_PROC(proc, FORMAT_WEAK), 0, 1);
  library.kinds[KIND_EPHEMERON] = GC_new_kind(GC_new_free_list(), GC_MAKE_PROC(proc, FORMAT_EPHEMERON), 0, 1);
}

// Boehm looks through this thread's stack too, where words that an earlier collection left might keep objects alive.
static __attribute__((noinline)) void clear_stack_below(void) {
  volatile uint64_t words[8192];
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) words[i] = 0;
}

static void *collector_main(void *argument) {
  pthread_mutex_lock(&library.mutex);
  library_initialise(*(int *)argument);
  library.initialised = true;
  pthread_cond_broadcast(&library.changed);
  for (;;) {
    while (library.request == 0) pthread_cond_wait(&library.changed, &library.mutex);
    GC_word before = GC_get_gc_no();
    clear_stack_below();
    GC_enable();
    GC_gcollect();
    GC_disable();
    if (GC_get_gc_no() == before) abort();
    library.request = 0;
    pthread_cond_broadcast(&library.changed);
  }
  return NULL;
}

static bool library_start(int markers) {
  if (library.initialised) return true;
  sigset_t all, former;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &former);
  bool ok = pthread_create(&library.thread, NULL, collector_main, &markers) == 0;
  pthread_sigmask(SIG_SETMASK, &former, NULL);
  if (!ok) return false;
  pthread_detach(library.thread);
  pthread_mutex_lock(&library.mutex);
  while (!library.initialised) pthread_cond_wait(&library.changed, &library.mutex);
  pthread_mutex_unlock(&library.mutex);
  return true;
}

static void library_collect(void) {
  pthread_mutex_lock(&library.mutex);
  library.request = 1;
  pthread_cond_broadcast(&library.changed);
  while (library.request != 0) pthread_cond_wait(&library.changed, &library.mutex);
  pthread_mutex_unlock(&library.mutex);
}

static uint64_t *old_block(Heap *heap, int kind, size_t bytes) {
  size_t granules = (bytes + GRANULE - 1) / GRANULE;
  heap->old_since_full += granules * GRANULE;
  if (granules >= SMALL_GRANULES) return GC_generic_malloc(bytes, (int)library.kinds[kind]);
  void **list = &heap->free_lists[kind][granules];
  if (*list == NULL) GC_generic_malloc_many(granules * GRANULE, (int)library.kinds[kind], list);
  void *block = *list;
  if (block != NULL) *list = *(void **)block;
  return block;
}

static size_t old_in_use(void) { return GC_get_heap_size() - GC_get_free_bytes(); }

// Once the limit has been reached, those who handle that may use so much more.
static size_t reserve_bytes(const Heap *heap) {
  size_t sixteenth = heap->options.max_heap_bytes / 16;
  return sixteenth > RESERVE_MAX ? RESERVE_MAX : sixteenth;
}

static size_t limit_bytes(const Heap *heap) { return heap->options.max_heap_bytes + (heap->reserve_open ? reserve_bytes(heap) : 0); }

static bool over_limit(const Heap *heap, size_t more) {
  return heap->options.max_heap_bytes != 0 && old_in_use() + more + heap->mapping_bytes > limit_bytes(heap);
}

// A new object whose body is not filled yet, but for a last word that is there only because blocks are multiples of a granule.
static Oop old_object_unfilled(Heap *heap, uint32_t class_index, Format format, size_t words) {
  size_t bytes = block_bytes(words), rounded = (bytes + GRANULE - 1) / GRANULE * GRANULE;
  uint64_t *block = old_block(heap, kind_of(format), bytes);
  if (block == NULL) return OOP_NONE;
  block[rounded / 8 - 1] = format_has_pointers(format) ? OOP_NIL : 0;
  return format_block(block, class_index, format, words);
}

static Oop old_object(Heap *heap, uint32_t class_index, Format format, size_t words) {
  Oop o = old_object_unfilled(heap, class_index, format, words);
  if (o == OOP_NONE) return OOP_NONE;
  uint64_t fill = format_has_pointers(format) ? OOP_NIL : 0;
  for (size_t i = 0; i < words; i++) object_slots(o)[i] = fill;
  if (format == FORMAT_STACK && words > 0) object_slots(o)[0] = oop_from_integer(1);
  return o;
}

Oop heap_allocate_beyond_limit(Heap *heap, uint32_t class_index, Format format, size_t words) { return old_object(heap, class_index, format, words); }

Oop heap_allocate_old(Heap *heap, uint32_t class_index, Format format, size_t words) {
  size_t bytes = block_bytes(words);
  if (bytes > 65536 && over_limit(heap, bytes)) {
    heap->shortage = bytes;
    return OOP_NONE;
  }
  Oop o = old_object(heap, class_index, format, words);
  if (o == OOP_NONE) heap->shortage = bytes;
  return o;
}

size_t heap_shortage(const Heap *heap) { return heap->shortage; }

Oop heap_allocate_slow(Heap *heap, uint32_t class_index, Format format, size_t words) {
  size_t bytes = block_bytes(words);
  heap->shortage = bytes;
  if (format == FORMAT_STACK || bytes > heap->eden_bytes / 4) return heap_allocate_old(heap, class_index, format, words);
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

static bool forwarded(Oop o) { return (object_header(o) & TAG_MASK) == 0; }

static uint64_t *survivor_block(Heap *heap, size_t bytes) {
  if ((size_t)(heap->to_end - heap->to_next) < bytes) return NULL;
  uint64_t *p = (uint64_t *)(void *)heap->to_next;
  heap->to_next += bytes;
  return p;
}

static Oop promote(Heap *heap, Oop o, size_t words) {
  Format f = object_format(o);
  Oop copy = old_object_unfilled(heap, header_class_index(object_header(o)), f, words);
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
    n = named_slots_of(heap, o);
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
    enqueue_finalizable(heap, e);
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
    for (size_t j = named_slots_of(heap, w), n = object_size(w); j < n; j++) {
      Oop *p = &object_slots(w)[j];
      if (!heap_is_young(heap, *p)) continue;
      lost |= !forwarded(*p);
      *p = forwarded(*p) ? (Oop)object_header(*p) : OOP_NIL;
    }
    if (lost) enqueue_finalizable(heap, w);
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
  library_collect();
  heap->weaks.count = heap->ephemerons.count = 0;
  heap->old_since_full = 0;
  size_t live = old_in_use();
  heap->full_threshold = live > FULL_STEP ? live : FULL_STEP;
  uint64_t spent = platform_monotonic_nanoseconds() - start;
  heap->statistics.full_collections++;
  heap->statistics.full_nanoseconds += spent;
  if (spent > heap->statistics.full_max_nanoseconds) heap->statistics.full_max_nanoseconds = spent;
#if defined(BATON_STRESS)
  if (heap_verify_all(heap, stderr) != 0) abort();
#endif
}

bool heap_is_live(Heap *heap, Oop object) { return marked(heap, object); }
bool heap_wants_full(const Heap *heap) { return heap->old_since_full > heap->full_threshold; }

bool heap_make_room(Heap *heap, size_t bytes) {
  size_t young = (size_t)(heap->fast.eden_next - heap->eden_start);
  size_t step = heap->options.max_heap_bytes / 64;  // near the limit, a full collection pays only after so much
  if (heap_wants_full(heap) || (over_limit(heap, bytes + young) && heap->old_since_full > step)) heap_collect(heap);
  else heap_scavenge(heap);
  if (over_limit(heap, bytes) && heap->old_since_full > 0) heap_collect(heap);
  size_t reserve = reserve_bytes(heap);
  if (heap->reserve_open && old_in_use() + heap->mapping_bytes + reserve < heap->options.max_heap_bytes) heap->reserve_open = false;
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

// --- walking

static void add_block(void *block, size_t size, void *context) {
  (void)size;
  if (*(uint64_t *)block != 0 && ((*(uint64_t *)block & TAG_MASK) == TAG_HEADER || (*(uint64_t *)block & TAG_MASK) == TAG_SIZE))
    push(context, block_object(block));
}

static void *enumerate_locked(void *context) {
  GC_enumerate_reachable_objects_inner(add_block, context);
  return NULL;
}

void heap_each_object(Heap *heap, void (*visit)(void *context, Oop object), void *context) {
  heap_collect(heap);
  Vector all = {0};
  GC_call_with_alloc_lock(enumerate_locked, &all);
  for (size_t i = 0; i < all.count; i++) visit(context, all.items[i]);
  free(all.items);
}

typedef struct {
  Oop *keys, *values;
  size_t mask;
} Replacements;

static size_t replacement_index(const Replacements *r, Oop o) {
  size_t i = (size_t)(o >> 4) & r->mask;
  while (r->keys[i] != OOP_NONE && r->keys[i] != o) i = (i + 1) & r->mask;
  return i;
}

static void replace_add(Replacements *r, Oop from, Oop to) {
  size_t i = replacement_index(r, from);
  r->keys[i] = from;
  r->values[i] = to;
}

static void replace_slot(void *context, Oop *p) {
  Replacements *r = context;
  if (!is_pointer(*p) || *p == OOP_NONE) return;
  size_t i = replacement_index(r, *p);
  if (r->keys[i] != OOP_NONE) *p = r->values[i];
}

static void replace_in(void *context, Oop o) {
  for (size_t i = 0, n = slot_count(o); i < n; i++) replace_slot(context, &object_slots(o)[i]);
}

static uint64_t hash_bits(Oop o) { return object_header(o) & ((((uint64_t)1 << HEADER_HASH_BITS) - 1) << HEADER_HASH_SHIFT); }
static void set_hash_bits(Oop o, uint64_t bits) {
  *object_words(o) = (object_header(o) & ~((((uint64_t)1 << HEADER_HASH_BITS) - 1) << HEADER_HASH_SHIFT)) | bits;
}

static void exchange_hash(Oop a, Oop b, bool two_way, bool copy_hash) {
  uint64_t x = hash_bits(a), y = hash_bits(b);
  if (two_way) {
    set_hash_bits(a, y);
    set_hash_bits(b, x);
  } else if (copy_hash) {
    set_hash_bits(b, x);
  }
}

void heap_become(Heap *heap, Oop *from_array, Oop *to_array, bool two_way, bool copy_hash) {
  heap_collect(heap);
  size_t n = object_size(*from_array), capacity = 16;
  while (capacity < 4 * n + 4) capacity *= 2;
  Replacements r = {calloc(capacity, sizeof(Oop)), calloc(capacity, sizeof(Oop)), capacity - 1};
  if (r.keys == NULL || r.values == NULL) abort();
  Oop *from = malloc((n + 1) * sizeof(Oop)), *to = malloc((n + 1) * sizeof(Oop));
  if (from == NULL || to == NULL) abort();
  memcpy(from, object_slots(*from_array), n * sizeof(Oop));
  memcpy(to, object_slots(*to_array), n * sizeof(Oop));
  for (size_t i = 0; i < n; i++) {
    if (from[i] == to[i]) continue;
    replace_add(&r, from[i], to[i]);
    if (two_way) replace_add(&r, to[i], from[i]);
    if (is_pointer(from[i]) && is_pointer(to[i])) exchange_hash(from[i], to[i], two_way, copy_hash);
  }
  heap->options.roots(heap->options.owner, false, replace_slot, &r);
  Vector all = {0};
  GC_call_with_alloc_lock(enumerate_locked, &all);
  for (size_t i = 0; i < all.count; i++) replace_in(&r, all.items[i]);
  // the two arrays themselves keep what they held
  memcpy(object_slots(*from_array), from, n * sizeof(Oop));
  memcpy(object_slots(*to_array), to, n * sizeof(Oop));
  free(all.items);
  free(from);
  free(to);
  free(r.keys);
  free(r.values);
}

// --- verification

typedef struct {
  Heap *heap;
  FILE *report;
  size_t faults;
  Oop holder;
} Verification;

static void fault(Verification *v, Oop o, const char *what) {
  if (v->faults++ >= 20) return;
  if (v->holder == OOP_NONE) fprintf(v->report, "heap: object %#llx (in a root): %s\n", (unsigned long long)o, what);
  else
    fprintf(v->report, "heap: object %#llx (in %#llx of class %u, %zu words): %s\n", (unsigned long long)o, (unsigned long long)v->holder,
            class_index_of(v->holder), object_size(v->holder), what);
}

static void verify_reference(Verification *v, Oop o) {
  if (!is_pointer(o)) {
    if ((o & TAG_MASK) == TAG_HEADER || (o & TAG_MASK) == TAG_SIZE) fault(v, o, "a header in a slot");
    return;
  }
  if (o == OOP_NONE) return fault(v, o, "no oop");
  uint64_t h = object_header(o);
  if ((h & TAG_MASK) != TAG_HEADER || header_class_index(h) == 0 || header_format(h) >= FORMAT_LIMIT) return fault(v, o, "no object there");
  if (!heap_is_young(v->heap, o) && GC_base(block_of(o)) != block_of(o)) fault(v, o, "not the start of an old object");
}

static void verify_object(Verification *v, Oop o, bool remembered_needed) {
  v->holder = o;
  bool young = false;
  for (size_t i = 0, n = slot_count(o); i < n; i++) {
    verify_reference(v, object_slots(o)[i]);
    young |= heap_is_young(v->heap, object_slots(o)[i]);
  }
  if (young && remembered_needed && !has_front(o) && !(object_header(o) & HEADER_REMEMBERED)) fault(v, o, "young reference not remembered");
}

static void verify_root(void *context, Oop *root) {
  if (*root != OOP_NONE) verify_reference(context, *root);
}

size_t heap_verify(Heap *heap, FILE *report) {
  Verification v = {heap, report, 0, OOP_NONE};
  uint8_t *regions[2][2] = {{heap->eden_start, heap->fast.eden_next}, {heap->survivors[heap->current], heap->survivor_top[heap->current]}};
  for (int r = 0; r < 2; r++)
    for (uint8_t *p = regions[r][0]; p < regions[r][1];) {
      Oop o = block_object(p);
      verify_object(&v, o, false);
      p += block_bytes(object_size(o));
    }
  for (size_t i = 0; i < heap->remembered.count; i++) verify_object(&v, heap->remembered.items[i], true);
  v.holder = OOP_NONE;
  heap->options.roots(heap->options.owner, false, verify_root, &v);
  return v.faults;
}

size_t heap_verify_all(Heap *heap, FILE *report) {
  Verification v = {heap, report, 0, OOP_NONE};
  Vector all = {0};
  GC_call_with_alloc_lock(enumerate_locked, &all);
  for (size_t i = 0; i < all.count; i++) verify_object(&v, all.items[i], true);
  free(all.items);
  return v.faults + heap_verify(heap, report);
}

void heap_statistics(const Heap *heap, HeapStatistics *out) {
  *out = heap->statistics;
  out->eden_bytes = heap->eden_bytes;
  out->eden_used = (size_t)(heap->fast.eden_next - heap->eden_start);
  out->survivor_used = (size_t)(heap->survivor_top[heap->current] - heap->survivors[heap->current]);
  out->allocated_bytes = heap->allocated + out->eden_used;
  out->old_bytes = GC_get_heap_size();
  out->old_free_bytes = GC_get_free_bytes();
  out->max_heap_bytes = heap->options.max_heap_bytes;
}

// --- making

static size_t named_slots_of(Heap *heap, Oop o) {
  Oop class = heap->options.class_at(heap->options.owner, header_class_index(object_header(o)));
  if (heap_is_young(heap, class) && forwarded(class)) class = (Oop)object_header(class);
  return is_pointer(class) ? layout_named_slots(AS(Class, class)->layout) : 0;
}

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
  if (map == MAP_FAILED || !library_start(2)) {
    free(heap);
    return NULL;
  }
  heap->mapping = heap->eden = heap->eden_start = heap->fast.eden_next = map;
  heap->survivors[0] = heap->survivor_top[0] = heap->eden + heap->eden_bytes;
  heap->survivors[1] = heap->survivor_top[1] = heap->survivors[0] + heap->survivor_bytes;
  heap->fast.young_start = (uintptr_t)map;
  heap->fast.young_size = heap->mapping_bytes;
  heap->hash_state = 0x2545F491;
  heap->full_threshold = FULL_STEP;
  heap->slots_wanted = SLOTS_WANTED;
  library.heap = heap;
  eden_reset(heap);
  survivors_close(heap, 1 - heap->current);
  return heap;
}

void heap_free(Heap *heap) {
  if (heap == NULL) return;
  library.heap = NULL;
  munmap(heap->mapping, heap->mapping_bytes);
  Vector *all[] = {&heap->remembered, &heap->slots, &heap->promoted, &heap->weaks, &heap->ephemerons, &heap->finalizable, &heap->roots, &heap->marking};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]->items);
  free(heap);
}
