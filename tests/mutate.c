// Loads an image many times, each time damaged in another way but with a right checksum, and expects that the loader refuses it or loads
// it. Each load runs in a process of its own.   mutate IMAGE COUNT [SEED]
#include "ffi/foreign.h"
#include "image/launch.h"
#include "image/snapshot.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HEADER_WORDS = 16, REFUSED = 10, LOADED = 11, TIME_LIMIT = 20 };

static uint64_t state;

static uint64_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

// One to four words become something else: a flipped bit, another word of the file, a small number, a random reference.
static size_t damage(uint64_t *words, size_t count) {
  if (next_random() % 50 == 0) return next_random() % count;  // cut off
  for (uint64_t n = 1 + next_random() % 4; n > 0; n--) {
    size_t at = next_random() % 8 == 0 ? next_random() % HEADER_WORDS : next_random() % count;
    switch (next_random() % 4) {
      case 0: words[at] ^= (uint64_t)1 << next_random() % 64; break;
      case 1: words[at] = words[next_random() % count]; break;
      case 2: words[at] = next_random() % 300; break;
      default: words[at] = next_random() % count << 3; break;
    }
  }
  return count;
}

static int load(const uint64_t *words, size_t count) {
  static const Launch launch = {.kind = "resume"};
  VM *vm = vm_new(NULL);
  if (vm == NULL) return 1;
  launch_register(vm, &launch);
  snapshot_register(vm);
  foreign_register(vm);
  alarm(TIME_LIMIT);
  return snapshot_load(vm, (const uint8_t *)words, 8 * count, false) == NULL ? LOADED : REFUSED;
}

static uint64_t *read_words(const char *path, size_t *count) {
  FILE *in = fopen(path, "rb");
  if (in == NULL) return NULL;
  fseek(in, 0, SEEK_END);
  long size = ftell(in);
  rewind(in);
  uint64_t *words = malloc((size_t)size + 8);
  *count = words == NULL ? 0 : fread(words, 8, (size_t)size / 8, in);
  fclose(in);
  return words;
}

int main(int argc, char **argv) {
  size_t count = 0;
  uint64_t *original = argc < 3 ? NULL : read_words(argv[1], &count);
  if (original == NULL || count < HEADER_WORDS) {
    fputs("usage: mutate IMAGE COUNT [SEED]\n", stderr);
    return 2;
  }
  long rounds = strtol(argv[2], NULL, 10), refused = 0, loaded = 0, crashed = 0;
  uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
  uint64_t *words = malloc(8 * count);
  if (words == NULL) return 1;
  for (long i = 0; i < rounds; i++) {
    memcpy(words, original, 8 * count);
    state = (seed * 1000003 + (uint64_t)i + 1) * 0x9E3779B97F4A7C15u;
    size_t left = damage(words, count);
    if (left >= HEADER_WORDS) snapshot_seal(words, left);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) _exit(load(words, left));
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == REFUSED) refused++;
    else if (WIFEXITED(status) && WEXITSTATUS(status) == LOADED) loaded++;
    else {
      crashed++;
      printf("mutation %ld of seed %llu: %s %d\n", i, (unsigned long long)seed, WIFSIGNALED(status) ? "signal" : "exit",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
  }
  printf("%ld mutations: %ld refused, %ld loaded, %ld crashed\n", rounds, refused, loaded, crashed);
  free(words);
  free(original);
  return crashed != 0;
}
