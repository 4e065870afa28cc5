// The primitives of the image layer: compiling, listings, what the command line asked for.
#ifndef BATON_IMAGE_LAUNCH_H
#define BATON_IMAGE_LAUNCH_H

#include "vm/vm.h"

// What the main process is to do; see SystemDictionary>>startUp.
typedef struct {
  const char *kind;    // "script", "expression", "test", "dis" or "resume"
  const char *source;  // text of a script or expression, or NULL
  size_t source_length;
  const char *file;  // its name, or NULL
  char **words;      // of tests the patterns, of dis the class and the selector
  int word_count;
} Launch;

// Registers the primitives; the launch is borrowed for the VM's life.
void launch_register(VM *vm, const Launch *launch);

#endif
