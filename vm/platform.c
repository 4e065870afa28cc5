// What the operating system provides; the only file with conditions on the platform.
#include "vm/platform.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

uint64_t platform_monotonic_nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t platform_wall_microseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

size_t platform_memory_bytes(void) {
  long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? (size_t)pages * (size_t)size : 0;
}

bool platform_open_pipe(int ends[2]) {
  if (pipe(ends) != 0) return false;
  for (int i = 0; i < 2; i++) {
    (void)fcntl(ends[i], F_SETFL, fcntl(ends[i], F_GETFL) | O_NONBLOCK);
    (void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
  }
  return true;
}

void platform_poke(int end) {
  int saved = errno;
  ssize_t ignored = write(end, "!", 1);
  (void)ignored;
  errno = saved;
}

void platform_sleep(int end, uint64_t until) {
  struct pollfd p = {end, POLLIN, 0};
  uint64_t now = platform_monotonic_nanoseconds(), left = until > now ? until - now : 0;
  struct timespec t = {(time_t)(left / 1000000000), (long)(left % 1000000000)};
  char buffer[64];
  if (ppoll(&p, 1, until == UINT64_MAX ? NULL : &t, NULL) > 0)
    while (read(end, buffer, sizeof buffer) > 0) {
    }
}

#if defined(__APPLE__)
char *platform_stack_low(void) { return (char *)pthread_get_stackaddr_np(pthread_self()) - pthread_get_stacksize_np(pthread_self()); }
#else
char *platform_stack_low(void) {
  pthread_attr_t attributes;
  void *low = NULL;
  size_t size;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return NULL;
  if (pthread_attr_getstack(&attributes, &low, &size) != 0) low = NULL;
  pthread_attr_destroy(&attributes);
  return low;
}
#endif
