// What the fuzzers share. Each is a program by libFuzzer that calls LLVMFuzzerTestOneInput with bytes it has made up.
#ifndef BATON_TESTS_FUZZ_FUZZ_H
#define BATON_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The standard image's bytes: of the file that the environment variable FUZZ_IMAGE names. They live as long as the program.
static inline const uint8_t *fuzz_image(size_t *length) {
  static uint8_t *bytes;
  static size_t count;
  if (bytes == NULL) {
    const char *path = getenv("FUZZ_IMAGE");
    FILE *in = path == NULL ? NULL : fopen(path, "rb");
    if (in == NULL) {
      fputs("FUZZ_IMAGE does not name an image\n", stderr);
      exit(2);
    }
    fseek(in, 0, SEEK_END);
    count = (size_t)ftell(in);
    rewind(in);
    bytes = malloc(count + 8);
    if (bytes == NULL || fread(bytes, 1, count, in) != count) abort();
    fclose(in);
  }
  *length = count;
  return bytes;
}

#endif
