// Makes an image from kernel sources: bootstrap IMAGE DIRECTORY [MORE-DIRECTORIES]
#include "ffi/foreign.h"
#include "image/bootstrap.h"
#include "image/launch.h"
#include "image/snapshot.h"
#include <errno.h>
#include <string.h>

int main(int argc, char **argv) {
  static const Launch launch = {.kind = "resume"};
  if (argc < 3) {
    fputs("usage: bootstrap IMAGE DIRECTORY [MORE-DIRECTORIES]\n", stderr);
    return 2;
  }
  VM *vm = vm_new(NULL);
  if (vm == NULL) {
    fputs("bootstrap: no memory\n", stderr);
    return 1;
  }
  launch_register(vm, &launch);
  snapshot_register(vm);
  foreign_register(vm);
  bool good = bootstrap(vm, argv[2], (const char *const *)(argv + 3), argc - 3, stderr);
  if (!snapshot_write(vm, argv[1])) {
    fprintf(stderr, "bootstrap: %s: %s\n", argv[1], strerror(errno));
    good = false;
  }
  vm_free(vm);
  return good ? 0 : 1;
}
