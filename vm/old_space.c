// Old space: Boehm's collector, set up so that it marks exactly and only when asked.
//
// Our own kinds of blocks, with our own free lists. Objects with pointers are scanned whole: every word is an oop or has a non-zero tag, and
// but for the displacement of an oop behind a size word only addresses of blocks count. Objects with bytes are not scanned. Weak and ephemeron
// objects are noted while marking, and seen to at its end, before the sweep. The library is opened, and collects, on a thread of its own that never holds
// an oop, since its registers and stack are scanned conservatively; no other thread is known to it. It never collects by itself.
#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS
#include "vm/heap_private.h"
#include <gc/gc.h>
#include <gc/gc_inline.h>
#include <gc/gc_mark.h>
#include <pthread.h>
#include <signal.h>

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
    size_t named = heap_named_slots(library.heap, o);
    Oop *slots = object_slots(o);
    for (size_t i = 0; i < named; i++)
      if (is_pointer(slots[i])) sp = GC_MARK_AND_PUSH((void *)(uintptr_t)slots[i], sp, limit, (void **)(void *)&slots[i]);
  }
  return sp;
}

bool old_space_is_marked(Heap *heap, Oop o) { return !is_old_pointer(heap, o) || GC_is_marked(block_of(o)); }

// Marks what is reachable from o, by hand: only at the end of marking.
static void mark_from(Heap *heap, Oop o) {
  if (old_space_is_marked(heap, o)) return;
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
      n = heap_named_slots(heap, p);
    }
    for (size_t i = 0; i < n; i++) {
      Oop q = object_slots(p)[i];
      if (old_space_is_marked(heap, q)) continue;
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
      if (e == OOP_NONE || !old_space_is_marked(heap, object_slots(e)[0])) continue;
      heap->ephemerons.items[i] = OOP_NONE;
      mark_ephemeron_slots(heap, e);
      progress = true;
    }
  }
  for (size_t i = 0; i < heap->ephemerons.count; i++) {
    Oop e = heap->ephemerons.items[i];
    if (e == OOP_NONE) continue;
    heap->ephemerons.items[i] = OOP_NONE;
    heap_enqueue_finalizable(heap, e);
    mark_ephemeron_slots(heap, e);
  }
}

static void weaks_at_mark_end(Heap *heap) {
  for (size_t i = 0; i < heap->weaks.count; i++) {
    Oop w = heap->weaks.items[i];
    bool lost = false;
    for (size_t j = heap_named_slots(heap, w), n = object_size(w); j < n; j++)
      if (!old_space_is_marked(heap, object_slots(w)[j])) {
        object_slots(w)[j] = OOP_NIL;
        lost = true;
      }
    if (lost) heap_enqueue_finalizable(heap, w);
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

void old_space_collect(void) {
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

size_t old_space_in_use(void) { return GC_get_heap_size() - GC_get_free_bytes(); }

Oop old_space_allocate_unfilled(Heap *heap, uint32_t class_index, Format format, size_t words) {
  size_t bytes = block_bytes(words), rounded = (bytes + GRANULE - 1) / GRANULE * GRANULE;
  uint64_t *block = old_block(heap, kind_of(format), bytes);
  if (block == NULL) return OOP_NONE;
  block[rounded / 8 - 1] = format_has_pointers(format) ? OOP_NIL : 0;
  return format_block(block, class_index, format, words);
}

Oop old_space_allocate(Heap *heap, uint32_t class_index, Format format, size_t words) {
  Oop o = old_space_allocate_unfilled(heap, class_index, format, words);
  if (o == OOP_NONE) return OOP_NONE;
  uint64_t fill = format_has_pointers(format) ? OOP_NIL : 0;
  for (size_t i = 0; i < words; i++) object_slots(o)[i] = fill;
  if (format == FORMAT_STACK && words > 0) object_slots(o)[0] = oop_from_integer(1);
  return o;
}

size_t old_space_bytes(size_t *free_bytes) {
  *free_bytes = GC_get_free_bytes();
  return GC_get_heap_size();
}

bool old_space_is_object(Oop o) { return GC_base(block_of(o)) == block_of(o); }

static void add_block(void *block, size_t size, void *context) {
  (void)size;
  if (*(uint64_t *)block != 0 && ((*(uint64_t *)block & TAG_MASK) == TAG_HEADER || (*(uint64_t *)block & TAG_MASK) == TAG_SIZE))
    push(context, block_object(block));
}

static void *enumerate_locked(void *context) {
  GC_enumerate_reachable_objects_inner(add_block, context);
  return NULL;
}

void old_space_each(Vector *out) { GC_call_with_alloc_lock(enumerate_locked, out); }

bool old_space_open(Heap *heap, int markers) {
  if (!library_start(markers)) return false;
  library.heap = heap;
  return true;
}

void old_space_close(void) { library.heap = NULL; }
