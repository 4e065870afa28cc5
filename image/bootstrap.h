// Builds the standard image's objects from the kernel's Tonel sources.
#ifndef BATON_IMAGE_BOOTSTRAP_H
#define BATON_IMAGE_BOOTSTRAP_H

#include "vm/vm.h"
#include <stdio.h>

// Makes all classes and methods found under `directory` in an empty VM and runs the class-side initialize methods. What is wrong goes to
// `report`, a line each. False: the VM is not usable.
bool bootstrap(VM *vm, const char *directory, FILE *report);

#endif
