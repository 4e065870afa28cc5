// Fuzzes the image reader: the input is a list of damages to the standard image, whose checksum is then made right again. What is accepted must
// be a heap without faults.
//
// A damage is DAMAGE_BYTES bytes: what to do, a word's place (24 bits), a value. Most places are those of headers, classes and the first
// objects, where everything has its meaning; some are anywhere.
#include <string.h>

#include "ffi/foreign.h"
#include "image/launch.h"
#include "image/snapshot.h"
#include "tests/fuzz/fuzz.h"

enum { DAMAGE_BYTES = 8, MAX_DAMAGES = 32, HEADER_WORDS = 16, RUNS_TO_COLLECTION = 20 };

typedef struct {
  const uint64_t *original;
  uint64_t *words;
  size_t count;
} Image;

static Image image;

static void read_image(void) {
  size_t length;
  image.original = (const uint64_t *)(const void *)fuzz_image(&length);
  image.count = length / 8;
  image.words = malloc(length);
  if (image.words == NULL || image.count < HEADER_WORDS) abort();
}

static size_t apply(const uint8_t *damage, size_t count) {
  size_t place = damage[1] | (size_t)damage[2] << 8 | (size_t)damage[3] << 16;
  uint32_t value;
  memcpy(&value, damage + 4, 4);
  size_t at = damage[0] & 0x80 ? place % HEADER_WORDS : place % count;
  uint64_t *word = &image.words[at];
  switch (damage[0] & 7) {
    case 0: *word ^= (uint64_t)1 << value % 64; break;
    case 1: *word = image.words[value % count]; break;
    case 2: *word = value; break;
    case 3: *word = (uint64_t)(value % count) << 3; break;
    case 4: *word = (*word & ~(uint64_t)0xFFFFFFFF) | value; break;
    case 5: *word = (*word & 0xFFFFFFFF) | (uint64_t)value << 32; break;
    case 6: *word = oop_from_integer((int32_t)value); break;
    default: return count - value % 100 > HEADER_WORDS ? count - value % 100 : count;  // cut off
  }
  return count;
}

static size_t damage_all(const uint8_t *data, size_t size) {
  size_t count = image.count;
  memcpy(image.words, image.original, 8 * image.count);
  for (size_t i = 0; i + DAMAGE_BYTES <= size && i < MAX_DAMAGES * DAMAGE_BYTES; i += DAMAGE_BYTES) count = apply(data + i, count);
  snapshot_seal(image.words, count);
  return count;
}

// What earlier VMs have left in old space is garbage to a new one.
static void collect_sometimes(VM *vm) {
  static unsigned runs;
  if (++runs % RUNS_TO_COLLECTION == 0) heap_collect(vm->heap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const Launch launch = {.kind = "resume"};
  if (image.words == NULL) read_image();
  size_t count = damage_all(data, size);
  VM *vm = vm_new(NULL);
  if (vm == NULL) abort();
  collect_sometimes(vm);
  launch_register(vm, &launch);
  snapshot_register(vm);
  foreign_register(vm);
  const char *wrong = snapshot_load(vm, (const uint8_t *)image.words, 8 * count, false);
  if (wrong == NULL && heap_verify(vm->heap, stderr) != 0) abort();
  vm_free(vm);
  return 0;
}
