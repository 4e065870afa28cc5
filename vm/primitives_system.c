// Plain primitives that reach the operating system or the heap as a whole: clocks, arguments, files by descriptor, collection, leaving.
#include "vm/interpreter.h"
#include "vm/primitives.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static Oop string_or_collection(VM *vm, const char *text, size_t length) {
  Oop o = string_from_utf8(vm, text, length);
  return o == OOP_NONE ? primitive_needs_collection(vm) : o;
}

static uint64_t clock_nanoseconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static Oop clock_microseconds(VM *vm, Oop *args) {
  (void)vm, (void)args;
  return oop_from_integer((int64_t)(clock_nanoseconds(CLOCK_REALTIME) / 1000));
}

static Oop monotonic_nanoseconds(VM *vm, Oop *args) {
  (void)vm, (void)args;
  return oop_from_integer((int64_t)clock_nanoseconds(CLOCK_MONOTONIC));
}

static Oop arguments(VM *vm, Oop *args) {
  (void)args;
  Oop array = heap_allocate(vm->heap, CLASS_Array, FORMAT_INDEXABLE, (size_t)vm->argument_count);
  if (array == OOP_NONE) return primitive_needs_collection(vm);
  for (int i = 0; i < vm->argument_count; i++) {
    Oop s = string_from_utf8(vm, vm->arguments[i], strlen(vm->arguments[i]));
    if (s == OOP_NONE) return primitive_needs_collection(vm);
    heap_store(vm->heap, array, (size_t)i, s);
  }
  return array;
}

static Oop environment_at(VM *vm, Oop *args) {
  char *name = string_to_utf8(args[1], NULL);
  if (name == NULL) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  const char *value = getenv(name);
  free(name);
  return value == NULL ? OOP_NIL : string_or_collection(vm, value, strlen(value));
}

static Oop exit_(VM *vm, Oop *args) {
  if (!is_integer(args[1])) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  if (oop_to_integer(args[1]) < 0 || oop_to_integer(args[1]) > 255) return primitive_fail(vm, FAIL_OUT_OF_RANGE);
  vm->exit_code = (int)oop_to_integer(args[1]);
  vm->exiting = true;
  return args[0];
}

static Oop collect(VM *vm, Oop *args) {
  heap_collect(vm->heap);
  return args[0];
}

static Oop scavenge(VM *vm, Oop *args) {
  heap_scavenge(vm->heap);
  return args[0];
}

static Oop verify_heap(VM *vm, Oop *args) {
  (void)args;
  return oop_from_integer((int64_t)heap_verify_all(vm->heap, stderr));
}

Oop named_numbers(VM *vm, const NamedNumber *rows, size_t count) {
  Oop array = heap_allocate(vm->heap, CLASS_Array, FORMAT_INDEXABLE, 2 * count);
  if (array == OOP_NONE) return primitive_needs_collection(vm);
  for (size_t i = 0; i < count; i++) {
    Oop name = symbol_intern(vm, rows[i].name, strlen(rows[i].name));
    if (name == OOP_NONE) return primitive_needs_collection(vm);
    heap_store(vm->heap, array, 2 * i, name);
    heap_store(vm->heap, array, 2 * i + 1, oop_from_integer((int64_t)rows[i].value));
  }
  return array;
}

static Oop statistics(VM *vm, Oop *args) {
  (void)args;
  HeapStatistics s;
  heap_statistics(vm->heap, &s);
  const NamedNumber rows[] = {{"scavenges", s.scavenges},
                              {"fullCollections", s.full_collections},
                              {"promotedBytes", s.promoted_bytes},
                              {"allocatedBytes", s.allocated_bytes},
                              {"scavengeNanoseconds", s.scavenge_nanoseconds},
                              {"scavengeMaxNanoseconds", s.scavenge_max_nanoseconds},
                              {"fullNanoseconds", s.full_nanoseconds},
                              {"fullMaxNanoseconds", s.full_max_nanoseconds},
                              {"finalized", s.finalized},
                              {"deferredCollections", s.deferred_collections},
                              {"deferredNanoseconds", s.deferred_nanoseconds},
                              {"boundedCollections", s.bounded_collections},
                              {"edenBytes", s.eden_bytes},
                              {"edenUsed", s.eden_used},
                              {"survivorUsed", s.survivor_used},
                              {"oldBytes", s.old_bytes},
                              {"oldFreeBytes", s.old_free_bytes},
                              {"maxHeapBytes", s.max_heap_bytes}};
  return named_numbers(vm, rows, sizeof rows / sizeof *rows);
}

static Oop fetch_finalizable(VM *vm, Oop *args) {
  (void)args;
  enum { AT_ONCE = 64 };
  Oop array = heap_allocate(vm->heap, CLASS_Array, FORMAT_INDEXABLE, AT_ONCE), found[AT_ONCE];
  if (array == OOP_NONE) return primitive_needs_collection(vm);
  size_t n = heap_fetch_finalizable(vm->heap, found, AT_ONCE);
  for (size_t i = 0; i < n; i++) heap_store(vm->heap, array, i, found[i]);
  return array;
}

static Oop random_bits(VM *vm, Oop *args) {
  (void)args;
  uint64_t n = 0;
  if (getentropy(&n, sizeof n) != 0) return primitive_fail(vm, FAIL_OS_ERROR);
  return integer_object(vm, n, false);
}

// --- input and output

static bool write_all(int fd, const char *bytes, size_t count) {
  while (count > 0) {
    ssize_t n = write(fd, bytes, count);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes += n;
    count -= (size_t)n;
  }
  return true;
}

static Oop write_(VM *vm, Oop *args) {
  if (!is_integer(args[1])) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  int fd = (int)oop_to_integer(args[1]);
  bool done;
  if (is_string(args[2])) {
    size_t length;
    char *text = string_to_utf8(args[2], &length);
    done = write_all(fd, text, length);
    if (!done) primitive_fail_os(vm);
    free(text);
  } else if (class_index_of(args[2]) == CLASS_ByteArray) {
    done = write_all(fd, (const char *)object_bytes(args[2]), object_element_count(args[2]));
    if (!done) primitive_fail_os(vm);
  } else {
    return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  }
  return done ? args[2] : OOP_NONE;
}

// --- standard input: read(2) into a buffer of the VM, from which a primitive takes text only when it has made the String. So nothing is lost
// when it has to run again, after a collection or because the user has interrupted it.

// Waits for more input. False after setting vm->failure; at the end of the input true, with `ended`.
static bool fill_input(VM *vm) {
  Input *in = &vm->input;
  if (in->start > 0) memmove(in->bytes, in->bytes + in->start, in->end - in->start);
  in->end -= in->start;
  in->start = 0;
  if (in->end == in->capacity) {
    size_t capacity = in->capacity == 0 ? 65536 : 2 * in->capacity;
    char *larger = realloc(in->bytes, capacity);
    if (larger == NULL) return primitive_fail(vm, FAIL_OUT_OF_MEMORY), false;
    in->bytes = larger;
    in->capacity = capacity;
  }
  if (!scheduler_await_input(vm, STDIN_FILENO)) return primitive_fail(vm, FAIL_INTERRUPTED), false;
  ssize_t n = read(STDIN_FILENO, in->bytes + in->end, in->capacity - in->end);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  in->ended = n <= 0;
  if (n > 0) in->end += (size_t)n;
  return true;
}

// Takes so many bytes, the first `length` of which are the answer.
static Oop take_input(VM *vm, size_t bytes, size_t length) {
  Oop o = string_from_utf8(vm, vm->input.bytes + vm->input.start, length);
  if (o == OOP_NONE) return primitive_needs_collection(vm);
  vm->input.start += bytes;
  return o;
}

static Oop read_line(VM *vm, Oop *args) {
  (void)args;
  Input *in = &vm->input;
  for (size_t looked_at = 0;;) {
    size_t count = in->end - in->start;
    const char *line = in->bytes + in->start, *found = count == looked_at ? NULL : memchr(line + looked_at, '\n', count - looked_at);
    if (found != NULL || (in->ended && count > 0)) {
      size_t length = found != NULL ? (size_t)(found - line) : count, bytes = found != NULL ? length + 1 : length;
      if (length > 0 && line[length - 1] == '\r') length--;
      return take_input(vm, bytes, length);
    }
    if (in->ended) {
      in->ended = false;  // of a terminal, one may go on behind the end
      return OOP_NIL;
    }
    looked_at = count;
    if (!fill_input(vm)) return OOP_NONE;
  }
}

static Oop read_all(VM *vm, Oop *args) {
  (void)args;
  Input *in = &vm->input;
  while (!in->ended)
    if (!fill_input(vm)) return OOP_NONE;
  return take_input(vm, in->end - in->start, in->end - in->start);
}

static char *read_stream(FILE *in, size_t *length) {
  size_t capacity = 65536, count = 0;
  char *text = malloc(capacity);
  for (size_t n; text != NULL && (n = fread(text + count, 1, capacity - count, in)) > 0;) {
    count += n;
    if (count < capacity) continue;
    char *larger = realloc(text, capacity *= 2);
    if (larger == NULL) free(text);
    text = larger;
  }
  *length = count;
  return text;
}

static Oop read_file(VM *vm, Oop *args) {
  char *path = string_to_utf8(args[1], NULL);
  if (path == NULL) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  FILE *in = fopen(path, "rb");
  if (in == NULL) primitive_fail_os(vm);
  free(path);
  if (in == NULL) return vm->os_error == ENOENT ? primitive_fail(vm, FAIL_NOT_FOUND) : OOP_NONE;
  size_t length;
  char *text = read_stream(in, &length);
  bool damaged = ferror(in) != 0;
  fclose(in);
  if (text == NULL || damaged) {
    free(text);
    return primitive_fail(vm, damaged ? FAIL_OS_ERROR : FAIL_OUT_OF_MEMORY);
  }
  size_t words;
  Format f = format_for_count(FORMAT_BYTES, length, &words);
  Oop o = heap_allocate(vm->heap, CLASS_ByteArray, f, words);
  if (o != OOP_NONE && length > 0) memcpy(object_bytes(o), text, length);
  free(text);
  return o == OOP_NONE ? primitive_needs_collection(vm) : o;
}

// Why the operating system refused what failed last.
static Oop error_text(VM *vm, Oop *args) {
  (void)args;
  const char *text = strerror(vm->os_error);
  return string_or_collection(vm, text, strlen(text));
}

static Oop version(VM *vm, Oop *args) {
  (void)args;
  return string_or_collection(vm, BATON_VERSION, strlen(BATON_VERSION));
}

void system_primitives_register(VM *vm) {
  static const PrimitiveEntry entries[] = {
      {"systemClockMicroseconds", 0, clock_microseconds, NULL, false},
      {"systemMonotonicNanoseconds", 0, monotonic_nanoseconds, NULL, false},
      {"systemArguments", 0, arguments, NULL, false},
      {"systemEnvironmentAt", 1, environment_at, NULL, false},
      {"systemExit", 1, exit_, NULL, true},
      {"systemCollect", 0, collect, NULL, true},
      {"systemScavenge", 0, scavenge, NULL, true},
      {"systemVerifyHeap", 0, verify_heap, NULL, true},
      {"systemStatistics", 0, statistics, NULL, false},
      {"systemFetchFinalizable", 0, fetch_finalizable, NULL, false},
      {"systemRandomBits", 0, random_bits, NULL, false},
      {"systemWrite", 2, write_, NULL, false},
      {"systemReadLine", 0, read_line, NULL, false},
      {"systemReadAll", 0, read_all, NULL, false},
      {"systemReadFile", 1, read_file, NULL, false},
      {"systemErrorText", 0, error_text, NULL, false},
      {"systemVersion", 0, version, NULL, false},
  };
  primitives_register(vm, entries, sizeof entries / sizeof *entries);
}
