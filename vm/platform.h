// What the operating system provides.
#ifndef BATON_VM_PLATFORM_H
#define BATON_VM_PLATFORM_H

#include <stddef.h>
#include <stdint.h>

uint64_t platform_monotonic_nanoseconds(void);  // of a clock that never jumps
uint64_t platform_wall_microseconds(void);      // since 1970-01-01 UTC
size_t platform_memory_bytes(void);             // of the machine; 0: unknown

#endif
