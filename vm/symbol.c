// Strings to and from UTF-8, and the table of symbols.
//
// The table is open addressing over old-space Symbols, keyed by their characters; symbols are unique and never move. A string whose
// code points all fit in a byte is a byte string, any other a wide one, so that equal text has one form.
#include "vm/vm.h"
#include <stdlib.h>

struct SymbolTable {
  Oop *items;
  size_t count, capacity;
};

// --- UTF-8

// Decodes one code point; malformed bytes count as themselves (Latin-1).
static uint32_t utf8_next(const uint8_t **p, const uint8_t *end) {
  uint32_t c = *(*p)++;
  int more = c >= 0xF0 && c < 0xF5 ? 3 : c >= 0xE0 && c < 0xF0 ? 2 : c >= 0xC2 && c < 0xE0 ? 1 : 0;
  if (more == 0 || end - *p < more) return c;
  uint32_t value = c & (0x3Fu >> more);
  for (int i = 0; i < more; i++) {
    if (((*p)[i] & 0xC0) != 0x80) return c;
    value = value << 6 | ((*p)[i] & 0x3Fu);
  }
  static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
  if (value < least[more] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return c;
  *p += more;
  return value;
}

static size_t utf8_put(char *out, uint32_t c) {
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = n - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3F));
  out[0] = (char)((0xF0u << (4 - n)) | c);
  return n;
}

typedef struct {
  size_t count;
  bool wide;
} Measure;

static Measure utf8_measure(const char *utf8, size_t length) {
  Measure m = {0, false};
  const uint8_t *p = (const uint8_t *)utf8, *end = p + length;
  for (; p < end; m.count++)
    if (utf8_next(&p, end) > 255) m.wide = true;
  return m;
}

static void utf8_fill(Oop string, bool wide, const char *utf8, size_t length) {
  const uint8_t *p = (const uint8_t *)utf8, *end = p + length;
  for (size_t i = 0; p < end; i++) {
    uint32_t c = utf8_next(&p, end);
    if (wide) ((uint32_t *)(void *)object_slots(string))[i] = c;
    else object_bytes(string)[i] = (uint8_t)c;
  }
}

typedef Oop Allocate(Heap *heap, uint32_t class_index, Format format, size_t words);

static Oop allocate_anywhere(Heap *heap, uint32_t class_index, Format format, size_t words) { return heap_allocate(heap, class_index, format, words); }

static Oop make_string(VM *vm, const char *utf8, size_t length, Allocate *allocate, uint32_t byte_class, uint32_t wide_class) {
  Measure m = utf8_measure(utf8, length);
  size_t words;
  Format format = format_for_count(m.wide ? FORMAT_WORDS32 : FORMAT_BYTES, m.count, &words);
  Oop string = allocate(vm->heap, m.wide ? wide_class : byte_class, format, words);
  if (string != OOP_NONE) utf8_fill(string, m.wide, utf8, length);
  return string;
}

Oop string_from_utf8(VM *vm, const char *utf8, size_t length) { return make_string(vm, utf8, length, allocate_anywhere, CLASS_String, CLASS_WideString); }
Oop string_from_utf8_old(VM *vm, const char *utf8, size_t length) { return make_string(vm, utf8, length, heap_allocate_old, CLASS_String, CLASS_WideString); }

static bool is_wide(Oop string) { return format_base(object_format(string)) == FORMAT_WORDS32; }

uint32_t string_code_point(Oop string, size_t i) { return is_wide(string) ? ((uint32_t *)(void *)object_slots(string))[i] : object_bytes(string)[i]; }

char *string_to_utf8(Oop o, size_t *length) {
  if (!is_string(o)) return NULL;
  size_t n = object_element_count(o), used = 0;
  char *text = malloc(4 * n + 1);
  if (text == NULL) return NULL;
  for (size_t i = 0; i < n; i++) used += utf8_put(text + used, string_code_point(o, i));
  text[used] = 0;
  if (length != NULL) *length = used;
  return text;
}

// --- the table

SymbolTable *symbol_table_new(void) {
  SymbolTable *t = calloc(1, sizeof *t);
  if (t == NULL) return NULL;
  t->capacity = 4096;
  t->items = calloc(t->capacity, sizeof(Oop));
  if (t->items == NULL) {
    free(t);
    return NULL;
  }
  return t;
}

void symbol_table_free(SymbolTable *table) {
  free(table->items);
  free(table);
}

// The hash every string of the same characters has (FNV-1a over code points).
uint64_t string_hash(Oop string) {
  uint64_t h = 0xCBF29CE484222325u;
  size_t n = object_element_count(string);
  const uint8_t *bytes = object_bytes(string);
  if (is_wide(string))
    for (size_t i = 0; i < n; i++) h = (h ^ string_code_point(string, i)) * 0x100000001B3u;
  else
    for (size_t i = 0; i < n; i++) h = (h ^ bytes[i]) * 0x100000001B3u;
  return h;
}

static uint64_t utf8_hash(const char *utf8, size_t length) {
  uint64_t h = 0xCBF29CE484222325u;
  const uint8_t *p = (const uint8_t *)utf8, *end = p + length;
  while (p < end) h = (h ^ utf8_next(&p, end)) * 0x100000001B3u;
  return h;
}

static bool symbol_is(Oop symbol, const char *utf8, size_t length) {
  size_t n = object_element_count(symbol), i = 0;
  const uint8_t *p = (const uint8_t *)utf8, *end = p + length;
  while (p < end) {
    if (i == n || utf8_next(&p, end) != string_code_point(symbol, i)) return false;
    i++;
  }
  return i == n;
}

static void table_insert(SymbolTable *t, Oop symbol) {
  size_t i = string_hash(symbol) & (t->capacity - 1);
  while (t->items[i] != OOP_NONE) i = (i + 1) & (t->capacity - 1);
  t->items[i] = symbol;
  t->count++;
}

static void table_grow(SymbolTable *t) {
  SymbolTable larger = {calloc(2 * t->capacity, sizeof(Oop)), 0, 2 * t->capacity};
  if (larger.items == NULL) abort();
  for (size_t i = 0; i < t->capacity; i++)
    if (t->items[i] != OOP_NONE) table_insert(&larger, t->items[i]);
  free(t->items);
  *t = larger;
}

Oop symbol_find(VM *vm, const char *utf8, size_t length) {
  SymbolTable *t = vm->symbols;
  for (size_t i = utf8_hash(utf8, length) & (t->capacity - 1); t->items[i] != OOP_NONE; i = (i + 1) & (t->capacity - 1))
    if (symbol_is(t->items[i], utf8, length)) return t->items[i];
  return OOP_NONE;
}

void symbol_table_rebuild_add(VM *vm, Oop symbol) {
  if (2 * vm->symbols->count >= vm->symbols->capacity) table_grow(vm->symbols);
  table_insert(vm->symbols, symbol);
}

Oop symbol_intern(VM *vm, const char *utf8, size_t length) {
  Oop symbol = symbol_find(vm, utf8, length);
  if (symbol != OOP_NONE) return symbol;
  symbol = make_string(vm, utf8, length, heap_allocate_old, CLASS_Symbol, CLASS_WideSymbol);
  if (symbol == OOP_NONE) return OOP_NONE;
  heap_identity_hash(vm->heap, symbol);
  symbol_table_rebuild_add(vm, symbol);
  return symbol;
}

void symbol_each(VM *vm, void (*visit)(void *context, Oop *symbol), void *context) {
  for (size_t i = 0; i < vm->symbols->capacity; i++)
    if (vm->symbols->items[i] != OOP_NONE) visit(context, &vm->symbols->items[i]);
}

int symbol_argument_count(Oop symbol) {
  int colons = 0;
  size_t n = object_element_count(symbol);
  for (size_t i = 0; i < n; i++) colons += string_code_point(symbol, i) == ':';
  if (colons > 0 || n == 0) return colons;
  uint32_t first = string_code_point(symbol, 0);
  bool letter = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '_' || first > 127;
  return letter ? 0 : 1;
}
