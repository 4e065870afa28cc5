// Builds the standard image's objects from the kernel's Tonel sources.
#ifndef BATON_IMAGE_BOOTSTRAP_H
#define BATON_IMAGE_BOOTSTRAP_H

#include "vm/vm.h"
#include <stdio.h>

// Makes all classes and methods found under `directory` and under the `more` others in an empty VM, and runs the class-side initialize
// methods. What is wrong goes to `report`, a line each, and makes the answer false.
bool bootstrap(VM *vm, const char *directory, const char *const *more, int more_count, FILE *report);

#endif
