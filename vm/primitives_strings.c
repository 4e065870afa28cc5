// Plain primitives on strings, symbols, bytes and characters. A string is bytes (code points to 255) or 32-bit words; results are byte
// strings whenever all their characters fit, so equal text has one form. Symbols among the arguments count as strings.
#include "vm/interpreter.h"
#include "vm/primitives.h"
#include <locale.h>
#include <stdlib.h>
#include <wctype.h>

static size_t length_of(Oop string) { return object_element_count(string); }
static bool is_wide(Oop string) { return object_format(string) < FORMAT_WORDS16; }

// A new string with room for count characters; they are still zero.
static Oop new_string(VM *vm, size_t count, bool wide) {
  size_t words;
  Format f = format_for_count(wide ? FORMAT_WORDS32 : FORMAT_BYTES, count, &words);
  return heap_allocate(vm->heap, wide ? CLASS_WideString : CLASS_String, f, words);
}

static void set_code_point(Oop string, size_t i, uint32_t c) {
  if (is_wide(string)) ((uint32_t *)(void *)object_slots(string))[i] = c;
  else object_bytes(string)[i] = (uint8_t)c;
}

// --- elements

static Oop object_string_at(VM *vm, Oop *args) {
  if (!is_string(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!is_integer(args[1])) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  int64_t i = oop_to_integer(args[1]);
  if (i < 1 || (uint64_t)i > length_of(args[0])) return primitive_fail(vm, FAIL_BAD_INDEX);
  return oop_from_character(string_code_point(args[0], (size_t)i - 1));
}

static Oop object_string_at_put(VM *vm, Oop *args) {
  if (!is_string(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!is_integer(args[1]) || !is_character(args[2])) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  int64_t i = oop_to_integer(args[1]);
  if (i < 1 || (uint64_t)i > length_of(args[0])) return primitive_fail(vm, FAIL_BAD_INDEX);
  if (object_is_immutable(args[0])) return primitive_fail(vm, FAIL_IMMUTABLE);
  uint32_t c = oop_to_character(args[2]);
  if (c > 255 && !is_wide(args[0])) return primitive_fail(vm, FAIL_OUT_OF_RANGE);
  set_code_point(args[0], (size_t)i - 1, c);
  return args[2];
}

// --- comparing and searching

int64_t string_hash_value(Oop string) { return (int64_t)(string_hash(string) & 0x3FFFFFFF); }

static Oop string_hash_(VM *vm, Oop *args) {
  if (!is_string(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  return oop_from_integer(string_hash_value(args[0]));
}

static int compare_strings(Oop a, Oop b) {
  size_t m = length_of(a), n = length_of(b);
  for (size_t i = 0; i < m && i < n; i++) {
    uint32_t x = string_code_point(a, i), y = string_code_point(b, i);
    if (x != y) return x < y ? -1 : 1;
  }
  return m == n ? 0 : m < n ? -1 : 1;
}

bool strings_equal(Oop a, Oop b) {
  if (a == b) return true;
  if (length_of(a) != length_of(b)) return false;
  if (is_wide(a) == is_wide(b)) return memcmp(object_bytes(a), object_bytes(b), length_of(a) * (is_wide(a) ? 4 : 1)) == 0;
  return compare_strings(a, b) == 0;
}

static Oop string_equal(VM *vm, Oop *args) {
  if (!is_string(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  return oop_from_boolean(is_string(args[1]) && strings_equal(args[0], args[1]));
}

static Oop string_compare(VM *vm, Oop *args) {
  if (!is_string(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!is_string(args[1])) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  return oop_from_integer(compare_strings(args[0], args[1]));
}

static bool search_start(Oop argument, size_t *out) {
  if (!is_integer(argument)) return false;
  *out = oop_to_integer(argument) < 1 ? 0 : (size_t)oop_to_integer(argument) - 1;
  return true;
}

static Oop string_index_of(VM *vm, Oop *args) {
  size_t start;
  if (!is_string(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!is_character(args[1]) || !search_start(args[2], &start)) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  uint32_t c = oop_to_character(args[1]);
  size_t n = length_of(args[0]);
  if (!is_wide(args[0])) {
    const uint8_t *bytes = object_bytes(args[0]), *hit = c > 255 || start >= n ? NULL : memchr(bytes + start, (int)c, n - start);
    return oop_from_integer(hit == NULL ? 0 : hit - bytes + 1);
  }
  for (size_t i = start; i < n; i++)
    if (string_code_point(args[0], i) == c) return oop_from_integer((int64_t)i + 1);
  return oop_from_integer(0);
}

static bool matches_at(Oop string, Oop pattern, size_t at) {
  for (size_t i = 0; i < length_of(pattern); i++)
    if (string_code_point(string, at + i) != string_code_point(pattern, i)) return false;
  return true;
}

static Oop string_find(VM *vm, Oop *args) {
  size_t start;
  if (!is_string(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!is_string(args[1]) || !search_start(args[2], &start)) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  size_t m = length_of(args[0]), n = length_of(args[1]);
  if (n == 0 || n > m) return oop_from_integer(0);
  if (!is_wide(args[0]) && !is_wide(args[1]) && start < m) {
    const uint8_t *from = object_bytes(args[0]), *hit = memmem(from + start, m - start, object_bytes(args[1]), n);
    return oop_from_integer(hit == NULL ? 0 : hit - from + 1);
  }
  for (size_t i = start; i + n <= m; i++)
    if (matches_at(args[0], args[1], i)) return oop_from_integer((int64_t)i + 1);
  return oop_from_integer(0);
}

static Oop string_begins_with(VM *vm, Oop *args) {
  if (!is_string(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!is_string(args[1])) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  return oop_from_boolean(length_of(args[1]) <= length_of(args[0]) && matches_at(args[0], args[1], 0));
}

static bool contains(Oop string, uint32_t c) {
  size_t n = length_of(string);
  if (!is_wide(string)) return c < 256 && n > 0 && memchr(object_bytes(string), (int)c, n) != NULL;
  for (size_t i = 0; i < n; i++)
    if (string_code_point(string, i) == c) return true;
  return false;
}

// Where delimiter()'s search ends in a text of bytes.
static size_t scan_bytes(Oop text, Oop set, size_t i, bool wanted) {
  if (length_of(set) == 1) {
    const uint8_t *bytes = object_bytes(text);
    uint32_t delimiter = string_code_point(set, 0);
    for (size_t n = length_of(text); i < n && (bytes[i] == delimiter) != wanted; i++) {
    }
    return i;
  }
  bool in_set[256] = {false};
  for (size_t j = 0; j < length_of(set); j++)
    if (string_code_point(set, j) < 256) in_set[string_code_point(set, j)] = true;
  const uint8_t *bytes = object_bytes(text);
  size_t n = length_of(text);
  while (i < n && in_set[bytes[i]] != wanted) i++;
  return i;
}

// The index of the first character from a start on that is in the second string, or is not; else one behind the end.
static Oop delimiter(VM *vm, Oop *args, bool wanted) {
  size_t i, n;
  if (!is_string(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!is_string(args[1]) || !search_start(args[2], &i)) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  n = length_of(args[0]);
  if (i >= n) return oop_from_integer((int64_t)n + 1);
  if (!is_wide(args[0])) return oop_from_integer((int64_t)scan_bytes(args[0], args[1], i, wanted) + 1);
  while (i < n && contains(args[1], string_code_point(args[0], i)) != wanted) i++;
  return oop_from_integer((int64_t)i + 1);
}

static Oop string_find_delimiter(VM *vm, Oop *args) { return delimiter(vm, args, true); }
static Oop string_skip_delimiters(VM *vm, Oop *args) { return delimiter(vm, args, false); }

// --- converting

static Oop bytes_object(VM *vm, const void *data, size_t count) {
  size_t words;
  Format f = format_for_count(FORMAT_BYTES, count, &words);
  Oop o = heap_allocate(vm->heap, CLASS_ByteArray, f, words);
  if (o == OOP_NONE) return primitive_needs_collection(vm);
  if (count > 0) memcpy(object_bytes(o), data, count);
  return o;
}

static Oop string_as_utf8(VM *vm, Oop *args) {
  size_t length;
  char *text = string_to_utf8(args[0], &length);
  if (text == NULL) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  Oop result = bytes_object(vm, text, length);
  free(text);
  return result;
}

static Oop string_as_symbol(VM *vm, Oop *args) {
  size_t length;
  if (class_index_of(args[0]) == CLASS_Symbol || class_index_of(args[0]) == CLASS_WideSymbol) return args[0];
  char *text = string_to_utf8(args[0], &length);
  if (text == NULL) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  Oop symbol = symbol_intern(vm, text, length);
  free(text);
  return symbol == OOP_NONE ? primitive_needs_collection(vm) : symbol;
}

typedef uint32_t Mapping(VM *vm, uint32_t c);

static uint32_t upper(VM *vm, uint32_t c) {
  if (c < 128) return c >= 'a' && c <= 'z' ? c - 32 : c;
  return (uint32_t)towupper_l((wint_t)c, (locale_t)vm->locale);
}

static uint32_t lower(VM *vm, uint32_t c) {
  if (c < 128) return c >= 'A' && c <= 'Z' ? c + 32 : c;
  return (uint32_t)towlower_l((wint_t)c, (locale_t)vm->locale);
}

static bool is_ascii(const uint8_t *bytes, size_t n) {
  uint8_t all = 0;
  for (size_t i = 0; i < n; i++) all |= bytes[i];
  return all < 128;
}

static inline __attribute__((always_inline)) Oop mapped(VM *vm, Oop *args, Mapping *map) {
  if (!is_string(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  size_t n = length_of(args[0]);
  bool wide = false;
  if (!is_wide(args[0]) && is_ascii(object_bytes(args[0]), n)) {
    Oop result = new_string(vm, n, false);
    if (result == OOP_NONE) return primitive_needs_collection(vm);
    for (size_t i = 0; i < n; i++) object_bytes(result)[i] = (uint8_t)map(vm, object_bytes(args[0])[i]);
    return result;
  }
  for (size_t i = 0; i < n; i++) wide |= map(vm, string_code_point(args[0], i)) > 255;
  Oop result = new_string(vm, n, wide);
  if (result == OOP_NONE) return primitive_needs_collection(vm);
  for (size_t i = 0; i < n; i++) set_code_point(result, i, map(vm, string_code_point(args[0], i)));
  return result;
}

static Oop string_as_uppercase(VM *vm, Oop *args) { return mapped(vm, args, upper); }
static Oop string_as_lowercase(VM *vm, Oop *args) { return mapped(vm, args, lower); }

static Oop string_concatenate(VM *vm, Oop *args) {
  if (!is_string(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (!is_string(args[1])) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  size_t m = length_of(args[0]), n = length_of(args[1]);
  bool wide = is_wide(args[0]) || is_wide(args[1]);
  Oop result = new_string(vm, m + n, wide);
  if (result == OOP_NONE) return primitive_needs_collection(vm);
  if (!wide) {
    if (m > 0) memcpy(object_bytes(result), object_bytes(args[0]), m);
    if (n > 0) memcpy(object_bytes(result) + m, object_bytes(args[1]), n);
    return result;
  }
  for (size_t i = 0; i < m; i++) set_code_point(result, i, string_code_point(args[0], i));
  for (size_t i = 0; i < n; i++) set_code_point(result, m + i, string_code_point(args[1], i));
  return result;
}

// --- bytes

static bool is_bytes(Oop o) { return is_pointer(o) && object_format(o) >= FORMAT_BYTES; }

// The length of the character at p, of which n bytes are there; 0 when it is malformed.
static size_t utf8_length(const uint8_t *p, size_t n) {
  uint32_t c = p[0];
  if (c < 0x80) return 1;
  size_t more = c >= 0xF0 && c < 0xF5 ? 3 : c >= 0xE0 && c < 0xF0 ? 2 : c >= 0xC2 && c < 0xE0 ? 1 : 0;
  if (more == 0 || n <= more) return 0;
  uint32_t value = c & (0x3Fu >> more);
  for (size_t i = 1; i <= more; i++) {
    if ((p[i] & 0xC0) != 0x80) return 0;
    value = value << 6 | (p[i] & 0x3Fu);
  }
  static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
  return value < least[more] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000) ? 0 : more + 1;
}

size_t utf8_valid_length(const char *text, size_t length) {
  size_t i = 0;
  for (size_t n; i < length && (n = utf8_length((const uint8_t *)text + i, length - i)) > 0;) i += n;
  return i;
}

static Oop bytes_decode_utf8(VM *vm, Oop *args) {
  if (!is_bytes(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  size_t n = object_element_count(args[0]);
  if (utf8_valid_length((const char *)object_bytes(args[0]), n) != n) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  Oop result = string_from_utf8(vm, (const char *)object_bytes(args[0]), n);
  return result == OOP_NONE ? primitive_needs_collection(vm) : result;
}

static Oop bytes_hash(VM *vm, Oop *args) {
  if (!is_bytes(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  uint64_t h = 1469598103934665603u;
  for (size_t i = 0; i < object_element_count(args[0]); i++) h = (h ^ object_bytes(args[0])[i]) * 1099511628211u;
  return oop_from_integer((int64_t)((h ^ h >> 32) & 0x3FFFFFFF));
}

static Oop bytes_equal(VM *vm, Oop *args) {
  if (!is_bytes(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  bool same = is_bytes(args[1]) && class_index_of(args[0]) == class_index_of(args[1]) && object_element_count(args[0]) == object_element_count(args[1]);
  return oop_from_boolean(same && memcmp(object_bytes(args[0]), object_bytes(args[1]), object_element_count(args[0])) == 0);
}

// --- characters

static Oop character_value(VM *vm, Oop *args) {
  if (!is_integer(args[1]) || oop_to_integer(args[1]) < 0 || oop_to_integer(args[1]) > 0x10FFFF) return primitive_fail(vm, FAIL_OUT_OF_RANGE);
  return oop_from_character((uint32_t)oop_to_integer(args[1]));
}

static Oop character_as_integer(VM *vm, Oop *args) {
  return is_character(args[0]) ? oop_from_integer(oop_to_character(args[0])) : primitive_fail(vm, FAIL_BAD_RECEIVER);
}

static Oop character_as_uppercase(VM *vm, Oop *args) { return oop_from_character(upper(vm, oop_to_character(args[0]))); }
static Oop character_as_lowercase(VM *vm, Oop *args) { return oop_from_character(lower(vm, oop_to_character(args[0]))); }
static Oop character_is_letter(VM *vm, Oop *args) {
  return oop_from_boolean(iswalpha_l((wint_t)oop_to_character(args[0]), (locale_t)vm->locale) &&
                          !(oop_to_character(args[0]) >= '0' && oop_to_character(args[0]) <= '9'));
}
static Oop character_is_uppercase(VM *vm, Oop *args) { return oop_from_boolean(iswupper_l((wint_t)oop_to_character(args[0]), (locale_t)vm->locale)); }
static Oop character_is_lowercase(VM *vm, Oop *args) { return oop_from_boolean(iswlower_l((wint_t)oop_to_character(args[0]), (locale_t)vm->locale)); }

void string_primitives_register(VM *vm) {
  static const PrimitiveEntry entries[] = {
      {"objectStringAt", 1, object_string_at, NULL, false},
      {"objectStringAtPut", 2, object_string_at_put, NULL, false},
      {"stringHash", 0, string_hash_, NULL, false},
      {"stringEqual", 1, string_equal, NULL, false},
      {"stringCompare", 1, string_compare, NULL, false},
      {"stringIndexOf", 2, string_index_of, NULL, false},
      {"stringFind", 2, string_find, NULL, false},
      {"stringBeginsWith", 1, string_begins_with, NULL, false},
      {"stringFindDelimiter", 2, string_find_delimiter, NULL, false},
      {"stringSkipDelimiters", 2, string_skip_delimiters, NULL, false},
      {"stringAsUtf8", 0, string_as_utf8, NULL, false},
      {"stringAsSymbol", 0, string_as_symbol, NULL, false},
      {"stringAsUppercase", 0, string_as_uppercase, NULL, false},
      {"stringAsLowercase", 0, string_as_lowercase, NULL, false},
      {"stringConcatenate", 1, string_concatenate, NULL, false},
      {"bytesDecodeUtf8", 0, bytes_decode_utf8, NULL, false},
      {"bytesHash", 0, bytes_hash, NULL, false},
      {"bytesEqual", 1, bytes_equal, NULL, false},
      {"characterValue", 1, character_value, NULL, false},
      {"characterAsInteger", 0, character_as_integer, NULL, false},
      {"characterAsUppercase", 0, character_as_uppercase, NULL, false},
      {"characterAsLowercase", 0, character_as_lowercase, NULL, false},
      {"characterIsLetter", 0, character_is_letter, NULL, false},
      {"characterIsUppercase", 0, character_is_uppercase, NULL, false},
      {"characterIsLowercase", 0, character_is_lowercase, NULL, false},
  };
  primitives_register(vm, entries, sizeof entries / sizeof *entries);
}
