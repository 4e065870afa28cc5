// What the operating system provides.
#ifndef BATON_VM_PLATFORM_H
#define BATON_VM_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t platform_monotonic_nanoseconds(void);  // of a clock that never jumps
uint64_t platform_wall_microseconds(void);      // since 1970-01-01 UTC
size_t platform_memory_bytes(void);             // of the machine; 0: unknown

// A pipe for waking a thread: neither end blocks or is inherited. False: no descriptors.
bool platform_open_pipe(int ends[2]);
void platform_poke(int end);  // writes to one; async-signal-safe, keeps errno
// Sleeps until the pipe is written or the time has come (monotonic nanoseconds; UINT64_MAX: never), and empties it.
void platform_sleep(int end, uint64_t until);

// The lowest address of this thread's C stack; NULL: unknown.
char *platform_stack_low(void);

#endif
