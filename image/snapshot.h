// Image files: writing the objects of a VM, and loading them into an empty one.
#ifndef BATON_IMAGE_SNAPSHOT_H
#define BATON_IMAGE_SNAPSHOT_H

#include "vm/vm.h"

// Writes all objects reachable from the VM's roots, atomically: under a temporary name, then renamed. Collects; only where that is allowed. When a process is
// running (in a primitive, its state saved), it is saved as if that primitive had failed with the reason `resumed`.
// False: nothing was changed; errno says why.
bool snapshot_write(VM *vm, const char *path);
// Loads an image into a VM fresh from vm_new. NULL: done; else what is wrong with it (a constant string), and the VM is not usable.
// `trusted`: it is the executable's own, as good as its code; checksum, shapes and methods are not checked again.
const char *snapshot_load(VM *vm, const uint8_t *bytes, size_t length, bool trusted);
// Enters the checksum in the header of an image file's words.
void snapshot_seal(uint64_t *words, size_t count);
// Whether these bytes begin like an image file.
bool snapshot_is_image(const uint8_t *bytes, size_t length);

// The bytes that a slot for a method's source or source map refers to, among the texts of the image or in a ByteArray; NULL if it refers to none.
// They are valid until the next collection.
const char *snapshot_text(const VM *vm, Oop reference, size_t *length);

void snapshot_register(VM *vm);  // its primitives

#endif
