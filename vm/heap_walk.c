// All objects of the heap: visiting them, exchanging identities, and checking that everything is as the heap's invariants say.
#include "vm/heap_private.h"

void heap_each_object(Heap *heap, void (*visit)(void *context, Oop object), void *context) {
  heap_collect(heap);
  Vector all = {0};
  old_space_each(&all);
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
  old_space_each(&all);
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
  if (!heap_is_young(v->heap, o) && !old_space_is_object(o)) fault(v, o, "not the start of an old object");
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
  old_space_each(&all);
  for (size_t i = 0; i < all.count; i++) verify_object(&v, all.items[i], true);
  free(all.items);
  return v.faults + heap_verify(heap, report);
}
