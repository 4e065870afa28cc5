// Memory that is freed all at once: a list of chunks, the newest first.
#include "compiler/arena.h"
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 65536 };

struct ArenaChunk {
  ArenaChunk *next;
  size_t used, size;
  max_align_t data[];
};

void *arena_allocate(Arena *arena, size_t bytes) {
  bytes = (bytes + 15) & ~(size_t)15;
  ArenaChunk *c = arena->chunks;
  if (c == NULL || c->size - c->used < bytes) {
    size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
    c = calloc(1, sizeof *c + size);
    if (c == NULL) abort();
    c->size = size;
    c->next = arena->chunks;
    arena->chunks = c;
  }
  void *p = (char *)c->data + c->used;
  c->used += bytes;
  return p;
}

char *arena_copy(Arena *arena, const char *bytes, size_t length) {
  char *copy = arena_allocate(arena, length + 1);
  memcpy(copy, bytes, length);
  return copy;
}

void *arena_grow(Arena *arena, void *array, size_t count, size_t item_size) {
  if ((count & (count - 1)) != 0) return array;
  void *larger = arena_allocate(arena, (count == 0 ? 1 : 2 * count) * item_size);
  if (count > 0) memcpy(larger, array, count * item_size);
  return larger;
}

void arena_free(Arena *arena) {
  for (ArenaChunk *c = arena->chunks, *next; c != NULL; c = next) {
    next = c->next;
    free(c);
  }
  arena->chunks = NULL;
}
