// An image file, in words of 64 bits, least byte first:
//
//   header    HEADER_WORDS words, see the enum
//   classes   class_count words: the class of each index
//   objects   each: a size word if its body has SIZE_IN_FRONT words or more, its header, its body; grouped by class index
//   texts     the sources of methods as UTF-8 and the source maps of code, one behind the other, filled up with zero bytes
//
// Code whose source or source map is among the texts has a SmallInteger in the slot for it: position << TEXT_LENGTH_BITS | length. It stays
// so after loading: they are read when somebody asks (methodSource, snapshot_text), not made objects at every start.
//
// An oop that points to the n-th object (from 1) is n * 8; all others are themselves. Order: objects as a walk from the roots meets them,
// then by class. So the same objects give the same file, whatever their addresses.
//
// What depends on addresses is converted: inline caches are emptied, return addresses and program counters on process stacks become
// instruction offsets, times to wake up become differences to the time of saving, and primitives are found again by the name in
// their method. Reading trusts nothing: every word is checked before it is used.
#include "image/snapshot.h"
#include "vm/ownership.h"
#include "vm/process.h"
#include "vm/interpreter.h"
#include "vm/platform.h"
#include "vm/verifier.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  WORD_MAGIC,
  WORD_VERSION,
  WORD_CHECKSUM,
  WORD_OBJECTS,
  WORD_CLASSES,
  WORD_BODY,  // words behind the header
  WORD_SMALLTALK,
  WORD_PROCESSOR,
  WORD_TIMERS,
  WORD_TIMER_COUNT,
  WORD_CHARACTER_SYMBOLS,
  WORD_MAIN_PROCESS,
  WORD_ACTIVE_PROCESS,
  WORD_TEXTS,  // words of texts
  HEADER_WORDS = 16
};

static const uint64_t magic = 0x474D494E4F544142;  // "BATONIMG"
enum { FORMAT_VERSION = 2, MAX_OBJECTS = 1 << 28, TEXT_LENGTH_BITS = 28 };

static uint64_t checksum(const uint64_t *words, size_t count) {
  uint64_t h = 0xCBF29CE484222325u;
  for (size_t i = 0; i < count; i++) {
    h = (h ^ (i == WORD_CHECKSUM ? 0 : words[i])) * 0x100000001B3u;
    h ^= h >> 29;
  }
  return h;
}

void snapshot_seal(uint64_t *words, size_t count) { words[WORD_CHECKSUM] = checksum(words, count); }

// --- writing

typedef struct {
  VM *vm;
  Oop *objects;  // in the order of the walk, then of the file
  size_t count, capacity;
  Oop *keys;  // open addressing from object to its number
  uint32_t *numbers;
  size_t mask;
  uint64_t *out;
  size_t out_count, out_capacity;
  char *texts;
  size_t texts_length, texts_capacity;
  uint64_t now;
} Writer;

const char *snapshot_text(const VM *vm, Oop reference, size_t *length) {
  if (class_index_of(reference) == CLASS_ByteArray) {
    *length = object_element_count(reference);
    return (const char *)object_bytes(reference);
  }
  if (!is_integer(reference) || oop_to_integer(reference) < 0) return NULL;
  uint64_t n = (uint64_t)oop_to_integer(reference), position = n >> TEXT_LENGTH_BITS;
  *length = n & ((1u << TEXT_LENGTH_BITS) - 1);
  return position <= vm->texts_length && *length <= vm->texts_length - position ? vm->texts + position : NULL;
}

static size_t hash_place(const Writer *w, Oop o) {
  size_t i = (size_t)((o >> 3) * 0x9E3779B97F4A7C15u >> 20) & w->mask;
  while (w->keys[i] != OOP_NONE && w->keys[i] != o) i = (i + 1) & w->mask;
  return i;
}

static void grow_hash(Writer *w) {
  size_t size = w->keys == NULL ? 1 << 16 : 2 * (w->mask + 1);
  free(w->keys);
  free(w->numbers);
  w->keys = calloc(size, sizeof *w->keys);
  w->numbers = calloc(size, sizeof *w->numbers);
  if (w->keys == NULL || w->numbers == NULL) abort();
  w->mask = size - 1;
  for (size_t i = 0; i < w->count; i++) w->keys[hash_place(w, w->objects[i])] = w->objects[i];
}

static void reach(Writer *w, Oop o) {
  if (!is_pointer(o) || o == OOP_NONE) return;
  if (w->keys == NULL || 2 * w->count > w->mask) grow_hash(w);
  size_t place = hash_place(w, o);
  if (w->keys[place] == o) return;
  w->keys[place] = o;
  if (w->count == w->capacity) {
    w->capacity = w->capacity ? 2 * w->capacity : 1 << 16;
    w->objects = realloc(w->objects, w->capacity * sizeof(Oop));
    if (w->objects == NULL) abort();
  }
  w->objects[w->count++] = o;
}

static size_t words_in_use(Oop o) {
  if (object_format(o) != FORMAT_STACK) return object_size(o);
  size_t used = (size_t)oop_to_integer(object_slots(o)[0]);
  return used < object_size(o) ? used : object_size(o);
}

static bool is_code(Oop o) { return is_pointer(o) && o != OOP_NONE && (class_index_of(o) == CLASS_CompiledMethod || class_index_of(o) == CLASS_CompiledBlock); }

// Whether that slot of an object refers to a text.
static bool is_text(Oop o, size_t slot) {
  if (slot == SLOT_OF(CompiledMethod, sourceMap)) return is_code(o);
  return slot == SLOT_OF(CompiledMethod, source) && class_index_of(o) == CLASS_CompiledMethod;
}

static void walk(Writer *w) {
  VM *vm = w->vm;
  Oop roots[] = {vm->smalltalk, vm->processor, vm->timers, vm->character_symbols, vm->main_process, vm->process, vm->reasons[FAIL_RESUMED]};
  for (uint32_t i = 1; i < vm->class_count; i++) reach(w, vm->class_table[i]);
  for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) reach(w, roots[i]);
  for (size_t i = 0; i < w->count; i++) {
    Oop o = w->objects[i];
    if (!format_has_pointers(object_format(o))) continue;
    for (size_t j = 0, n = words_in_use(o); j < n; j++)
      if (!is_text(o, j)) reach(w, object_slots(o)[j]);
  }
}

// Puts back what the interpreter has rewritten.
static void restore_instructions(const Writer *w) {
  for (size_t i = 0; i < w->count; i++) {
    if (!is_code(w->objects[i])) continue;
    uint32_t *words = code_instructions(w->objects[i]);
    for (size_t j = 0, n = object_element_count(AS(CompiledMethod, w->objects[i])->code); j < n; j++) words[j] = instruction_original(words[j]);
  }
}

// Sorts by class index, keeping the order within a class.
static void cluster(Writer *w) {
  size_t *starts = calloc(w->vm->class_count + 1, sizeof *starts);
  Oop *sorted = malloc(w->count * sizeof(Oop));
  if (starts == NULL || sorted == NULL) abort();
  for (size_t i = 0; i < w->count; i++) starts[class_index_of(w->objects[i]) + 1]++;
  for (uint32_t i = 0; i < w->vm->class_count; i++) starts[i + 1] += starts[i];
  for (size_t i = 0; i < w->count; i++) sorted[starts[class_index_of(w->objects[i])]++] = w->objects[i];
  free(w->objects);
  free(starts);
  w->objects = sorted;
  for (size_t i = 0; i < w->count; i++) w->numbers[hash_place(w, sorted[i])] = (uint32_t)i + 1;
}

static void put(Writer *w, uint64_t word) {
  if (w->out_count == w->out_capacity) {
    w->out_capacity = w->out_capacity ? 2 * w->out_capacity : 1 << 20;
    w->out = realloc(w->out, w->out_capacity * sizeof *w->out);
    if (w->out == NULL) abort();
  }
  w->out[w->out_count++] = word;
}

static uint64_t encode(const Writer *w, Oop o) {
  if (!is_pointer(o)) return o;
  return o == OOP_NONE ? OOP_NIL : (uint64_t)w->numbers[hash_place(w, o)] << 3;
}

static uint64_t instruction_offset(Oop code, Oop address) { return oop_from_integer(oop_to_ip(address) - code_instructions(code)); }

// The words of a suspended process's stack, addresses made offsets. `process` owns it.
static void convert_stack(Writer *w, Oop process, Oop *words) {
  Oop *fp = words + oop_to_integer(AS(Process, process)->frame);
  // the process that saves, and those in a call of C, find that their primitive has failed
  if (process == w->vm->process || state_of(process) == STATE_IN_CALL) {
    uint32_t call = oop_to_ip(AS(Process, process)->pc)[-1];
    if ((call & 255) == OP_PRIMITIVE && (call >> 8 & 255) != 0) fp[call >> 8 & 255] = w->vm->reasons[FAIL_RESUMED];
  }
  while (!(fp[-3] & FRAME_IS_BASE)) {
    Oop *caller = frame_caller(fp);
    fp[-2] = instruction_offset(caller[-1], fp[-2]);
    fp = caller;
  }
}

static Oop owner_of_stack(const Writer *w, Oop stack) {
  for (size_t i = 0; i < w->count; i++)
    if (class_index_of(w->objects[i]) == CLASS_Process && AS(Process, w->objects[i])->stack == stack) return w->objects[i];
  return OOP_NONE;
}

static void put_stack(Writer *w, Oop o) {
  size_t size = object_size(o), used = words_in_use(o);
  Oop *words = malloc(size * sizeof(Oop));
  if (words == NULL) abort();
  for (size_t i = 0; i < size; i++) words[i] = i < used ? object_slots(o)[i] : OOP_NIL;
  Oop process = owner_of_stack(w, o);
  if (process != OOP_NONE) convert_stack(w, process, words);
  for (size_t i = 0; i < size; i++) put(w, encode(w, words[i]));
  free(words);
}

static uint64_t process_word(const Writer *w, Oop process, size_t slot) {
  ProcessObject *p = AS(Process, process);
  Oop value = object_slots(process)[slot];
  if (slot == SLOT_OF(Process, pc)) {
    if (p->stack == OOP_NIL || value == OOP_NIL) return OOP_NIL;  // it has ended, or never ran
    Oop code = object_slots(p->stack)[oop_to_integer(p->frame) - 1];
    return instruction_offset(code, value);
  }
  if (slot == SLOT_OF(Process, call)) return OOP_NIL;
  if (slot == SLOT_OF(Process, state) && state_of(process) == STATE_IN_CALL) return oop_from_integer(STATE_SUSPENDED);
  if (slot == SLOT_OF(Process, wakeTime) && is_integer(value)) return oop_from_integer(oop_to_integer(value) - (int64_t)w->now);
  return encode(w, value);
}

static void put_text(Writer *w, const char *text, size_t length) {
  if (w->texts_length + length > w->texts_capacity) {
    w->texts_capacity = 2 * (w->texts_length + length);
    w->texts = realloc(w->texts, w->texts_capacity);
    if (w->texts == NULL) abort();
  }
  memcpy(w->texts + w->texts_length, text, length);
  w->texts_length += length;
}

// What such a slot holds goes to the texts. A text that is longer than a reference can say (256 MB) is left out.
static uint64_t text_word(Writer *w, Oop o) {
  size_t length = 0;
  char *made = string_to_utf8(o, &length);
  const char *text = made != NULL ? made : snapshot_text(w->vm, o, &length);
  size_t position = w->texts_length;
  bool kept = text != NULL && length >> TEXT_LENGTH_BITS == 0;
  if (kept) put_text(w, text, length);
  free(made);
  return kept ? oop_from_integer((int64_t)(position << TEXT_LENGTH_BITS | length)) : OOP_NIL;
}

static void put_object(Writer *w, Oop o) {
  uint64_t header = object_header(o) & ~(uint64_t)(HEADER_REMEMBERED | HEADER_AGE_MASK | HEADER_MARK);
  size_t size = object_size(o);
  if (header >> HEADER_SIZE_SHIFT == SIZE_IN_FRONT) put(w, (uint64_t)size << 3 | TAG_SIZE);
  put(w, header);
  uint32_t class_index = class_index_of(o);
  if (object_format(o) == FORMAT_STACK) put_stack(w, o);
  else if (class_index == CLASS_Process)
    for (size_t i = 0; i < size; i++) put(w, process_word(w, o, i));
  else if (!format_has_pointers(object_format(o)))
    for (size_t i = 0; i < size; i++) put(w, object_slots(o)[i]);
  else
    for (size_t i = 0; i < size; i++) put(w, is_text(o, i) ? text_word(w, object_slots(o)[i]) : encode(w, object_slots(o)[i]));
}

// The texts as words; answers how many.
static uint64_t put_texts(Writer *w) {
  size_t words = (w->texts_length + 7) / 8;
  for (size_t i = 0; i < words; i++) {
    size_t n = w->texts_length - 8 * i;
    uint64_t word = 0;
    memcpy(&word, w->texts + 8 * i, n < 8 ? n : 8);
    put(w, word);
  }
  return words;
}

static void put_all(Writer *w) {
  VM *vm = w->vm;
  for (size_t i = 0; i < HEADER_WORDS; i++) put(w, 0);
  for (uint32_t i = 0; i < vm->class_count; i++) put(w, i == 0 ? OOP_NIL : encode(w, vm->class_table[i]));
  for (size_t i = 0; i < w->count; i++) put_object(w, w->objects[i]);
  uint64_t texts = put_texts(w);
  uint64_t *h = w->out;
  h[WORD_MAGIC] = magic;
  h[WORD_VERSION] = FORMAT_VERSION;
  h[WORD_OBJECTS] = w->count;
  h[WORD_CLASSES] = vm->class_count;
  h[WORD_BODY] = w->out_count - HEADER_WORDS;
  h[WORD_SMALLTALK] = encode(w, vm->smalltalk);
  h[WORD_PROCESSOR] = encode(w, vm->processor);
  h[WORD_TIMERS] = encode(w, vm->timers);
  h[WORD_TIMER_COUNT] = vm->timer_count;
  h[WORD_CHARACTER_SYMBOLS] = encode(w, vm->character_symbols);
  h[WORD_MAIN_PROCESS] = encode(w, vm->main_process);
  h[WORD_ACTIVE_PROCESS] = encode(w, vm->process);
  h[WORD_TEXTS] = texts;
  snapshot_seal(h, w->out_count);
}

static bool write_bytes(int fd, const char *bytes, size_t count) {
  while (count > 0) {
    ssize_t n = write(fd, bytes, count);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes += n;
    count -= (size_t)n;
  }
  return true;
}

static bool write_to(int fd, const Writer *w, bool sync) {
  bool done = fd >= 0 && write_bytes(fd, (const char *)w->out, 8 * w->out_count) && (!sync || fsync(fd) == 0);
  int saved = errno;
  if (fd >= 0 && close(fd) != 0 && done) return false;
  errno = saved;
  return done;
}

// Whatever happens, there is the old file or the new one.
static bool replace_file(const Writer *w, const char *path) {
  size_t length = strlen(path) + 32;
  char *temporary = malloc(length);
  if (temporary == NULL) abort();
  snprintf(temporary, length, "%s.%ld.new", path, (long)getpid());
  int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  bool done = write_to(fd, w, true) && rename(temporary, path) == 0;
  int saved = errno;
  if (!done && fd >= 0) unlink(temporary);
  free(temporary);
  errno = saved;
  return done;
}

// A device or a pipe is written to, never replaced; a file is replaced, also one behind a symbolic link.
static bool write_file(const Writer *w, const char *path) {
  struct stat status;
  if (stat(path, &status) != 0) return replace_file(w, path);
  if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) return write_to(open(path, O_WRONLY | O_CLOEXEC), w, false);
  char *file = realpath(path, NULL);
  if (file == NULL) return false;
  bool done = replace_file(w, file);
  int saved = errno;
  free(file);
  errno = saved;
  return done;
}

bool snapshot_write(VM *vm, const char *path) {
  caches_flush(vm);
  heap_collect(vm->heap);
  Writer w = {.vm = vm, .now = platform_monotonic_nanoseconds()};
  walk(&w);
  restore_instructions(&w);
  cluster(&w);
  put_all(&w);
  bool done = write_file(&w, path);
  int saved = errno;
  free(w.objects);
  free(w.keys);
  free(w.numbers);
  free(w.texts);
  free(w.out);
  errno = saved;
  return done;
}

// --- loading

typedef struct {
  VM *vm;
  const uint64_t *words;
  size_t count;      // words in all
  Oop *objects;      // by number
  uint32_t *bodies;  // where each one's body begins in the file
  size_t end;        // of the objects, where the texts begin
  size_t object_count;
  const char *error;
  bool trusted;
} Reader;

static bool fail(Reader *r, const char *error) {
  if (r->error == NULL) r->error = error;
  return false;
}

bool snapshot_is_image(const uint8_t *bytes, size_t length) { return length >= 8 && memcmp(bytes, &magic, 8) == 0; }

static Oop decode(Reader *r, uint64_t word) {
  switch (word & TAG_MASK) {
    case TAG_POINTER:
      if (word >> 3 == 0 || word >> 3 > r->object_count) break;
      return r->objects[word >> 3];
    case TAG_INTEGER:
    case TAG_FLOAT:
    case TAG_FLOAT + 1: return word;
    case TAG_CHARACTER:
      if (word >> 3 <= 0x10FFFF) return word;
      break;
    case TAG_SPECIAL:
      if (word == OOP_NIL || word == OOP_TRUE || word == OOP_FALSE || word == OOP_ZERO) return word;
      break;
    default: break;
  }
  fail(r, "a word is no valid reference");
  return OOP_NIL;
}

// The next object at *at: its header, size and where its body begins.
static bool next_object(Reader *r, size_t *at, uint64_t *header, size_t *size, size_t *body) {
  if (*at >= r->end) return fail(r, "the file is cut off");
  uint64_t word = r->words[*at], front = 0;
  if ((word & TAG_MASK) == TAG_SIZE) {
    front = word;
    if (++*at >= r->end) return fail(r, "the file is cut off");
    word = r->words[*at];
  }
  size_t n = word >> HEADER_SIZE_SHIFT;
  if ((word & TAG_MASK) != TAG_HEADER || (n == SIZE_IN_FRONT) != (front != 0)) return fail(r, "an object's header is damaged");
  if (front != 0) n = front >> 3;
  if (front != 0 && n < SIZE_IN_FRONT) return fail(r, "an object's size is damaged");
  Format f = header_format(word);
  bool known = f <= FORMAT_STACK || f == FORMAT_WORDS64 || (f >= FORMAT_WORDS32 && f < FORMAT_LIMIT);
  if (!known || (word & (HEADER_REMEMBERED | HEADER_AGE_MASK | HEADER_MARK)) != 0 || header_class_index(word) == 0 ||
      header_class_index(word) >= r->words[WORD_CLASSES])
    return fail(r, "an object's header is damaged");
  if (n > r->end - *at - 1) return fail(r, "the file is cut off");
  if (n == 0 && f != format_base(f)) return fail(r, "an object's format is damaged");
  *header = word;
  *size = n;
  *body = *at + 1;
  *at += 1 + n;
  return true;
}

static bool allocate_all(Reader *r, size_t first) {
  size_t at = first, size, body;
  uint64_t header;
  for (size_t i = 1; i <= r->object_count; i++) {
    if (!next_object(r, &at, &header, &size, &body)) return false;
    Oop o = heap_allocate_old(r->vm->heap, header_class_index(header), header_format(header), size);
    if (o == OOP_NONE) return fail(r, "there is no memory for its objects");
    *object_words(o) |= header & (HEADER_IMMUTABLE | (uint64_t)((1u << HEADER_HASH_BITS) - 1) << HEADER_HASH_SHIFT);
    r->objects[i] = o;
    r->bodies[i] = (uint32_t)body;
  }
  return at == r->end ? true : fail(r, "something follows the last object");
}

static bool fill_all(Reader *r) {
  for (size_t i = 1; i <= r->object_count; i++) {
    Oop o = r->objects[i], *slots = object_slots(o);
    const uint64_t *body = r->words + r->bodies[i];
    size_t size = object_size(o);
    if (!format_has_pointers(object_format(o))) {
      memcpy(slots, body, 8 * size);
      continue;
    }
    for (size_t j = 0; j < size; j++) {
      uint64_t word = body[j], number = word >> 3;
      slots[j] = (word & TAG_MASK) == TAG_POINTER && number - 1 < r->object_count ? r->objects[number] : decode(r, word);
    }
  }
  return r->error == NULL;
}

static bool check_header(Reader *r) {
  const uint64_t *h = r->words;
  if (r->count < HEADER_WORDS || h[WORD_MAGIC] != magic) return fail(r, "this is no image file");
  if (h[WORD_VERSION] != FORMAT_VERSION) return fail(r, "it is of another version");
  if (h[WORD_BODY] != r->count - HEADER_WORDS) return fail(r, "the file is cut off, or something follows it");
  if (h[WORD_OBJECTS] > MAX_OBJECTS || h[WORD_OBJECTS] > h[WORD_BODY] || h[WORD_CLASSES] > h[WORD_BODY] || h[WORD_CLASSES] >= CLASS_INDEX_LIMIT ||
      h[WORD_CLASSES] < CLASS_KNOWN_LIMIT || h[WORD_TEXTS] > h[WORD_BODY])
    return fail(r, "its header is damaged");
  r->end = r->count - h[WORD_TEXTS];
  return r->trusted || checksum(h, r->count) == h[WORD_CHECKSUM] ? true : fail(r, "its checksum is wrong");
}

static bool load_roots(Reader *r) {
  VM *vm = r->vm;
  const uint64_t *h = r->words;
  for (uint32_t i = 1; i < h[WORD_CLASSES]; i++) {
    class_register(vm, OOP_NIL);
    vm->class_table[i] = decode(r, h[HEADER_WORDS + i]);
  }
  vm->smalltalk = decode(r, h[WORD_SMALLTALK]);
  vm->processor = decode(r, h[WORD_PROCESSOR]);
  vm->timers = decode(r, h[WORD_TIMERS]);
  vm->timer_count = decode(r, h[WORD_TIMER_COUNT]);
  vm->character_symbols = decode(r, h[WORD_CHARACTER_SYMBOLS]);
  vm->main_process = decode(r, h[WORD_MAIN_PROCESS]);
  return r->error == NULL;
}

// --- checks of what was loaded

static bool is_behavior_like(Oop o) { return is_pointer(o) && format_has_pointers(object_format(o)) && object_size(o) >= NAMED_SLOTS(Metaclass) - 1; }

// Whether o is a class of the table; what else looks like one has not been checked.
static bool is_in_table(const VM *vm, Oop o) {
  if (!is_behavior_like(o) || !is_integer(AS(Class, o)->index)) return false;
  uint64_t index = (uint64_t)oop_to_integer(AS(Class, o)->index);
  return index > 0 && index < vm->class_count && vm->class_table[index] == o;
}

static bool check_classes(Reader *r) {
  VM *vm = r->vm;
  for (uint32_t i = 1; i < vm->class_count; i++) {
    Oop class = vm->class_table[i];
    if (class == OOP_NIL && i >= CLASS_KNOWN_LIMIT) continue;
    if (!is_behavior_like(class) || AS(Class, class)->index != oop_from_integer(i) || !is_integer(AS(Class, class)->layout))
      return fail(r, "a class is damaged");
    Oop super = AS(Class, class)->superclass, dictionary = AS(Class, class)->methodDictionary;
    if (super != OOP_NIL && !is_in_table(vm, super)) return fail(r, "a superclass is damaged");
    if (dictionary != OOP_NIL && class_index_of(dictionary) != CLASS_MethodDictionary) return fail(r, "a class's methods are damaged");
  }
  for (uint32_t i = 1; i < vm->class_count; i++) {
    // a chain of superclasses ends
    size_t steps = 0;
    for (Oop c = vm->class_table[i]; c != OOP_NIL; c = AS(Class, c)->superclass)
      if (++steps > vm->class_count) return fail(r, "a class inherits from itself");
  }
  return true;
}

static bool check_shapes(Reader *r) {
  for (size_t i = 1; i <= r->object_count; i++) {
    Oop o = r->objects[i], class = class_of(r->vm, o);
    if (class == OOP_NIL) return fail(r, "an object has no class");
    Oop layout = AS(Class, class)->layout;
    Format f = object_format(o), base = format_base(f);
    if (base != layout_format(layout)) return fail(r, "an object has not the format of its class");
    size_t named = layout_named_slots(layout);
    if (format_has_pointers(f) && (object_size(o) < named || ((f == FORMAT_FIXED || f == FORMAT_EPHEMERON) && object_size(o) != named)))
      return fail(r, "an object has not the size of its class");
  }
  return true;
}

static bool check_dictionary(Reader *r, Oop d) {
  Oop table = AS(MethodDictionary, d)->table;
  if (class_index_of(table) != CLASS_Array || !is_integer(AS(MethodDictionary, d)->tally)) return fail(r, "a dictionary is damaged");
  size_t pairs = object_size(table) / 2, used = 0;
  if (pairs == 0 || (pairs & (pairs - 1)) != 0 || object_size(table) % 2 != 0) return fail(r, "a dictionary is damaged");
  for (size_t i = 0; i < pairs; i++) {
    Oop key = object_slots(table)[2 * i];
    if (key == OOP_NIL) continue;
    used++;
    if (class_index_of(key) != CLASS_Symbol && class_index_of(key) != CLASS_WideSymbol) return fail(r, "a dictionary's key is no symbol");
  }
  return used < pairs && AS(MethodDictionary, d)->tally == oop_from_integer((int64_t)used) ? true : fail(r, "a dictionary is damaged");
}

static bool check_codes(Reader *r) {
  for (size_t i = 1; i <= r->object_count; i++) {
    Oop o = r->objects[i];
    uint32_t c = class_index_of(o);
    if (c == CLASS_MethodDictionary && !check_dictionary(r, o)) return false;
    if (c != CLASS_CompiledMethod && c != CLASS_CompiledBlock) continue;
    const char *wrong = verify_code(r->vm, o);
    if (wrong != NULL) return fail(r, wrong);
  }
  return true;
}

// Methods in dictionaries must be methods: the interpreter runs them without a further look.
static bool check_methods(Reader *r) {
  for (uint32_t i = 1; i < r->vm->class_count; i++) {
    Oop class = r->vm->class_table[i];
    if (class == OOP_NIL || AS(Class, class)->methodDictionary == OOP_NIL) continue;
    Oop table = AS(MethodDictionary, AS(Class, class)->methodDictionary)->table;
    for (size_t j = 0; j < object_size(table); j += 2) {
      if (object_slots(table)[j] == OOP_NIL) continue;
      if (class_index_of(object_slots(table)[j + 1]) != CLASS_CompiledMethod) return fail(r, "a method is no CompiledMethod");
    }
  }
  return true;
}

static bool check_objects(Reader *r) { return check_classes(r) && check_shapes(r) && check_codes(r) && check_methods(r); }

// --- converting back

// The texts of an image that is part of the program stay where they are; others are copied, and every reference to them is checked.
static bool load_texts(Reader *r) {
  VM *vm = r->vm;
  size_t length = 8 * (r->count - r->end);
  const char *texts = (const char *)(r->words + r->end);
  if (!r->trusted) {
    char *copy = malloc(length + 1);
    if (copy == NULL) return fail(r, "there is no memory for it");
    memcpy(copy, texts, length);
    free(vm->texts_owned);
    texts = vm->texts_owned = copy;
  }
  vm->texts = texts;
  vm->texts_length = length;
  if (r->trusted) return true;
  for (size_t i = 1; i <= r->object_count; i++)
    for (size_t slot = 0; is_code(r->objects[i]) && slot < object_size(r->objects[i]); slot++)
      if (is_text(r->objects[i], slot) && object_slots(r->objects[i])[slot] != OOP_NIL && snapshot_text(vm, object_slots(r->objects[i])[slot], &length) == NULL)
        return fail(r, "a method's source is damaged");
  return true;
}

// A method that calls C has its CFunction in the place of the primitive's name once it has been called.
static int primitive_index_of(VM *vm, Oop primitive) {
  if (class_index_of(primitive) == CLASS_CFunction) return primitives_index(vm, "foreignCall", 11);
  size_t length;
  char *name = string_to_utf8(primitive, &length);
  int index = name == NULL ? -1 : primitives_index(vm, name, length);
  free(name);
  return index;
}

static bool resolve_primitives(Reader *r) {
  for (size_t i = 1; i <= r->object_count; i++) {
    Oop o = r->objects[i];
    if (class_index_of(o) != CLASS_CompiledMethod) continue;
    uint32_t *first = code_instructions(o);
    if ((*first & 255) != OP_PRIMITIVE) continue;
    int index = primitive_index_of(r->vm, AS(CompiledMethod, o)->primitive);
    if (index < 0) return fail(r, "it needs a primitive that this VM does not have");
    *first = (*first & 0xFFFF) | (uint32_t)index << 16;
  }
  return true;
}

static bool address_of(Oop code, Oop offset, Oop *out) {
  if (!is_integer(offset) || oop_to_integer(offset) < 0 || (uint64_t)oop_to_integer(offset) >= object_element_count(AS(CompiledMethod, code)->code))
    return false;
  *out = ip_to_oop(code_instructions(code) + oop_to_integer(offset));
  return true;
}

// A frame at index `at` of a stack: it begins within the words in use, and its registers and the reserve lie within the stack.
static bool good_frame(Oop stack, size_t used, size_t at) {
  const Oop *words = object_slots(stack);
  return at >= 1 + FRAME_HEADER && at < used && is_integer(words[at - 3]) && is_code(words[at - 1]) &&
         at + code_registers(words[at - 1]) + STACK_RESERVE <= object_size(stack);
}

static bool restore_process(Reader *r, Oop process, uint64_t now) {
  ProcessObject *p = AS(Process, process);
  if (is_integer(p->wakeTime)) p->wakeTime = oop_from_integer(oop_to_integer(p->wakeTime) + (int64_t)now);
  p->call = OOP_NIL;
  if (p->stack == OOP_NIL) return true;
  if (p->state == oop_from_integer(STATE_IN_CALL)) return fail(r, "a process is damaged");
  if (!is_pointer(p->stack) || object_format(p->stack) != FORMAT_STACK || object_size(p->stack) < 8 || !is_integer(p->frame) ||
      !is_integer(object_slots(p->stack)[0]))
    return fail(r, "a process is damaged");
  Oop *words = object_slots(p->stack);
  size_t used = (size_t)oop_to_integer(words[0]), at = (size_t)oop_to_integer(p->frame);
  if (used > object_size(p->stack) || !good_frame(p->stack, used, at)) return fail(r, "a process's stack is damaged");
  if (!address_of(words[at - 1], p->pc, &p->pc)) return fail(r, "a process's position is damaged");
  while (!(words[at - 3] & FRAME_IS_BASE)) {
    size_t delta = frame_delta(words + at);
    if (words[at - 3] & FRAME_IS_CALLBACK || delta < 1 || delta >= at || !good_frame(p->stack, used, at - delta))
      return fail(r, "a process's frames are damaged");
    if (!address_of(words[at - delta - 1], words[at - 2], &words[at - 2])) return fail(r, "a return address is damaged");
    at -= delta;
  }
  heap_remember(r->vm->heap, p->stack);
  return true;
}

static bool restore_processes(Reader *r) {
  uint64_t now = platform_monotonic_nanoseconds();
  for (size_t i = 1; i <= r->object_count; i++)
    if (class_index_of(r->objects[i]) == CLASS_Process && !restore_process(r, r->objects[i], now)) return false;
  VM *vm = r->vm;
  bool roots = class_index_of(vm->smalltalk) == CLASS_SystemDictionary && class_index_of(vm->processor) == CLASS_ProcessorScheduler &&
               is_integer(vm->timer_count) && (vm->timers == OOP_NIL || class_index_of(vm->timers) == CLASS_Array) &&
               (vm->main_process == OOP_NIL || class_index_of(vm->main_process) == CLASS_Process) &&
               class_index_of(AS(SystemDictionary, vm->smalltalk)->bindings) == CLASS_MethodDictionary;
  size_t timers = roots && vm->timers != OOP_NIL ? object_size(vm->timers) : 0;
  if (!roots || oop_to_integer(vm->timer_count) < 0 || (uint64_t)oop_to_integer(vm->timer_count) > timers) return fail(r, "its roots are damaged");
  return true;
}

static void enter_symbols(Reader *r) {
  symbol_table_free(r->vm->symbols);
  r->vm->symbols = symbol_table_new();
  if (r->vm->symbols == NULL) abort();
  for (size_t i = 1; i <= r->object_count; i++) {
    uint32_t c = class_index_of(r->objects[i]);
    if (c == CLASS_Symbol || c == CLASS_WideSymbol) symbol_table_rebuild_add(r->vm, r->objects[i]);
  }
}

const char *snapshot_load(VM *vm, const uint8_t *bytes, size_t length, bool trusted) {
  if (length % 8 != 0) return "the file is cut off";
  Reader r = {.vm = vm, .words = (const uint64_t *)(const void *)bytes, .count = length / 8, .trusted = trusted};
  if (!check_header(&r)) return r.error;
  r.object_count = r.words[WORD_OBJECTS];
  r.objects = malloc((r.object_count + 1) * sizeof(Oop));
  r.bodies = malloc((r.object_count + 1) * sizeof *r.bodies);
  if (r.objects == NULL || r.bodies == NULL || r.count > UINT32_MAX) {
    free(r.objects);
    free(r.bodies);
    return "there is no memory for it";
  }
  size_t first = HEADER_WORDS + r.words[WORD_CLASSES];
  Oop active = OOP_NIL;
  bool good = allocate_all(&r, first) && fill_all(&r) && load_roots(&r) && (trusted || check_objects(&r)) && load_texts(&r) && resolve_primitives(&r) &&
              restore_processes(&r);
  if (good) {
    active = decode(&r, r.words[WORD_ACTIVE_PROCESS]);
    if (r.error != NULL || (active != OOP_NIL && (class_index_of(active) != CLASS_Process || AS(Process, active)->stack == OOP_NIL)))
      good = fail(&r, "its active process is damaged");
  }
  if (good) {
    enter_symbols(&r);
    if (!vm_intern_names(vm)) good = fail(&r, "there is no memory for it");
  }
  free(r.objects);
  free(r.bodies);
  if (good && active != OOP_NIL) process_make_ready(vm, active, true);
  return good ? NULL : r.error;
}

// --- primitives

static Oop save_image(VM *vm, Oop *args) {
  size_t length;
  for (const Call *c = vm->ownership->in_flight; c != NULL; c = c->next)
    if (c->in_callback) return primitive_fail(vm, FAIL_BAD_STATE);  // C code lies between a process's frames
  char *path = string_to_utf8(args[1], &length);
  if (path == NULL || strlen(path) != length) {
    free(path);
    return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  }
  bool done = snapshot_write(vm, path);
  if (!done) primitive_fail_os(vm);
  free(path);
  return done ? OOP_FALSE : OOP_NONE;
}

// The source of a method that is among the texts, as a String.
static Oop method_source(VM *vm, Oop *args) {
  size_t length;
  if (class_index_of(args[0]) != CLASS_CompiledMethod) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  const char *text = snapshot_text(vm, AS(CompiledMethod, args[0])->source, &length);
  if (text == NULL) return primitive_fail(vm, FAIL_NOT_FOUND);
  if (utf8_valid_length(text, length) != length) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  Oop source = string_from_utf8(vm, text, length);
  return source == OOP_NONE ? primitive_needs_collection(vm) : source;
}

void snapshot_register(VM *vm) {
  static const PrimitiveEntry entries[] = {{"systemSaveImage", 1, save_image, NULL, true}, {"methodSource", 0, method_source, NULL, false}};
  primitives_register(vm, entries, sizeof entries / sizeof *entries);
}
