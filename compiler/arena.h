// Memory that is freed all at once.
#ifndef BATON_COMPILER_ARENA_H
#define BATON_COMPILER_ARENA_H

#include <stddef.h>

typedef struct ArenaChunk ArenaChunk;
typedef struct {
  ArenaChunk *chunks;
} Arena;

void *arena_allocate(Arena *arena, size_t bytes);                             // zeroed; aborts when there is no memory
char *arena_copy(Arena *arena, const char *bytes, size_t length);             // NUL-terminated
void *arena_grow(Arena *arena, void *array, size_t count, size_t item_size);  // room for one more item; capacity doubles at powers of two
void arena_free(Arena *arena);

#endif
