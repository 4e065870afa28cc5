// The lexer: makes the token at its position; knows nothing of grammar. The parser decides where a `-` before a digit is a sign.
#include "compiler/lexer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_EXPONENT = 100000 };
static const int64_t small_max = 0x0FFFFFFFFFFFFFFF;

static int byte_at(const Lexer *l, size_t i) { return i < l->source.length ? (unsigned char)l->source.bytes[i] : -1; }
static bool is_digit(int c) { return c >= '0' && c <= '9'; }
static bool is_letter(int c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 128; }
static bool is_word(int c) { return is_letter(c) || is_digit(c); }
static bool is_binary(int c) { return c > 0 && c < 128 && strchr("+-*/\\~<>=@%|&?,!", c) != NULL; }
static bool is_space(int c) { return c == ' ' || (c >= 9 && c <= 13) || c == 0; }
bool lexer_digit_at(const Lexer *l, size_t position) { return is_digit(byte_at(l, position)); }

// A source without text may have no bytes at all.
static Text text_between(const Lexer *l, size_t start, size_t end) { return (Text){l->source.bytes == NULL ? "" : l->source.bytes + start, end - start}; }

static Token token(const Lexer *l, TokenKind kind, size_t start, size_t end) {
  return (Token){.kind = kind, .start = start, .end = end, .text = text_between(l, start, end)};
}

// The text from `start` cannot be a token. The lexer goes on behind what it has read, at least one character.
static Token error_token(Lexer *l, size_t start, const char *message) {
  if (l->position <= start) l->position = start + 1;
  if (l->position > l->source.length) l->position = l->source.length;
  return (Token){.kind = TOKEN_ERROR, .start = start, .end = start, .text = {message, strlen(message)}};
}

// What begins at `start` never ends: everything behind is part of it, so there is nothing more to find.
static Token unterminated(Lexer *l, size_t start, const char *message) {
  l->position = l->source.length;
  return error_token(l, start, message);
}

// Skips white space and comments. False: a comment does not end; *start says where it began.
static bool skip_blanks(Lexer *l, size_t *start) {
  for (;;) {
    while (is_space(byte_at(l, l->position))) l->position++;
    if (byte_at(l, l->position) == 0xEF && byte_at(l, l->position + 1) == 0xBB && byte_at(l, l->position + 2) == 0xBF) {
      l->position += 3;  // a byte order mark
      continue;
    }
    if (byte_at(l, l->position) == 0xC2 && byte_at(l, l->position + 1) == 0xA0) {
      l->position += 2;  // a no-break space
      continue;
    }
    if (byte_at(l, l->position) != '"') return true;
    *start = l->position++;
    while (byte_at(l, l->position) != '"') {
      if (byte_at(l, l->position) < 0) return false;
      l->position++;
    }
    l->position++;
  }
}

// Decodes the UTF-8 character at p; 0 length when it is malformed.
static size_t decode(const Lexer *l, size_t p, uint32_t *code_point) {
  int c = byte_at(l, p);
  if (c < 0) return 0;
  if (c < 0x80) {
    *code_point = (uint32_t)c;
    return 1;
  }
  size_t n = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 0;
  if (n == 0) return 0;
  uint32_t value = (uint32_t)c & (0xFFu >> (n + 1));
  for (size_t i = 1; i < n; i++) {
    int next = byte_at(l, p + i);
    if ((next & 0xC0) != 0x80) return 0;
    value = (value << 6) | ((uint32_t)next & 0x3F);
  }
  *code_point = value;
  return n;
}

// The text between quotes, the opening one at start; l->position moves behind the closing one. Doubled quotes become one.
static bool quoted(Lexer *l, size_t start, Text *out) {
  size_t p = start + 1, doubled = 0;
  for (;; p++) {
    int c = byte_at(l, p);
    if (c < 0) return false;
    if (c != '\'') continue;
    if (byte_at(l, p + 1) != '\'') break;
    doubled++;
    p++;
  }
  l->position = p + 1;
  *out = text_between(l, start + 1, p);
  if (doubled == 0) return true;
  char *copy = arena_allocate(l->arena, out->length - doubled + 1);
  size_t n = 0;
  for (size_t i = 0; i < out->length; i++) {
    copy[n++] = out->bytes[i];
    if (out->bytes[i] == '\'') i++;
  }
  *out = (Text){copy, n};
  return true;
}

static int digit_value(int c) { return is_digit(c) ? c - '0' : c >= 'A' && c <= 'Z' ? c - 'A' + 10 : 99; }

// Digits of a radix from the position on, with single underscores between them left out.
static Text digits(Lexer *l, int radix) {
  size_t start = l->position;
  while (digit_value(byte_at(l, l->position)) < radix ||
         (byte_at(l, l->position) == '_' && l->position > start && digit_value(byte_at(l, l->position + 1)) < radix))
    l->position++;
  char *copy = arena_allocate(l->arena, l->position - start + 1);
  size_t n = 0;
  for (size_t i = start; i < l->position; i++)
    if (l->source.bytes[i] != '_') copy[n++] = l->source.bytes[i];
  return (Text){copy, n};
}

static Text joined(Lexer *l, bool negative, Text a, Text b, size_t zeros) {
  char *copy = arena_allocate(l->arena, a.length + b.length + zeros + 2);
  size_t n = 0;
  if (negative) copy[n++] = '-';
  memcpy(copy + n, a.bytes, a.length);
  n += a.length;
  if (b.length > 0) memcpy(copy + n, b.bytes, b.length);
  n += b.length;
  memset(copy + n, '0', zeros);
  return (Text){copy, n + zeros};
}

// An integer of any size, by its digits.
static Literal integer_literal(Text text, int radix) {
  bool negative = text.length > 0 && text.bytes[0] == '-';
  int64_t value = 0;
  for (size_t i = negative; i < text.length; i++) {
    if (__builtin_mul_overflow(value, (int64_t)radix, &value) || __builtin_add_overflow(value, (int64_t)digit_value(text.bytes[i]), &value) ||
        value > small_max + 1)
      return (Literal){.kind = LITERAL_LARGE_INTEGER, .text = text, .radix = radix};
  }
  if (value > small_max && !negative) return (Literal){.kind = LITERAL_LARGE_INTEGER, .text = text, .radix = radix};
  return (Literal){.kind = LITERAL_INTEGER, .integer = negative ? -value : value};
}

static double float_value(Lexer *l, bool negative, Text whole, Text fraction, int radix, long exponent) {
  if (radix == 10) {
    size_t size = whole.length + fraction.length + 40;
    char *buffer = arena_allocate(l->arena, size);
    snprintf(buffer, size, "%s%.*s.%.*se%ld", negative ? "-" : "", (int)whole.length, whole.bytes, (int)fraction.length, fraction.bytes, exponent);
    return strtod(buffer, NULL);
  }
  long double value = 0, scale = 1;
  for (size_t i = 0; i < whole.length; i++) value = value * radix + digit_value(whole.bytes[i]);
  for (size_t i = 0; i < fraction.length; i++) {
    scale /= radix;
    value += scale * digit_value(fraction.bytes[i]);
  }
  for (long i = 0; i < exponent; i++) value *= radix;
  for (long i = 0; i > exponent; i--) value /= radix;
  return (double)(negative ? -value : value);
}

// The exponent behind e, d or q, if there is one: true, and the position moves.
static bool exponent_part(Lexer *l, long *exponent) {
  int c = byte_at(l, l->position);
  if (c != 'e' && c != 'd' && c != 'q') return false;
  size_t p = l->position + 1;
  bool negative = byte_at(l, p) == '-';
  if (negative || byte_at(l, p) == '+') p++;
  if (!is_digit(byte_at(l, p))) return false;
  long value = 0;
  for (; is_digit(byte_at(l, p)); p++)
    if (value < 10 * MAX_EXPONENT) value = value * 10 + (byte_at(l, p) - '0');
  l->position = p;
  *exponent = negative ? -value : value;
  return true;
}

// The scale behind s: digits, or none (then it is the number of fraction digits).
static bool scale_part(Lexer *l, size_t fraction_digits, int *scale) {
  if (byte_at(l, l->position) != 's') return false;
  size_t p = l->position + 1;
  if (!is_digit(byte_at(l, p))) {
    if (is_word(byte_at(l, p))) return false;
    *scale = (int)fraction_digits;
    l->position = p;
    return true;
  }
  int value = 0;
  for (; is_digit(byte_at(l, p)); p++)
    if (value < MAX_EXPONENT) value = value * 10 + (byte_at(l, p) - '0');
  l->position = p;
  *scale = value;
  return true;
}

// Whether digits of a fraction begin there, behind a period. `16r1.A` has one; in `16r1.Array` the period ends a statement.
static bool is_fraction(Lexer *l, size_t at, int radix) {
  size_t end = at;
  while (digit_value(byte_at(l, end)) < radix) end++;
  return end > at && (is_digit(byte_at(l, at)) || !is_letter(byte_at(l, end)));
}

Token lexer_number(Lexer *l, bool negative) {
  size_t start = l->position;
  if (negative) l->position++;
  int radix = 10;
  Text whole = digits(l, 10), fraction = {NULL, 0};
  if (byte_at(l, l->position) == 'r') {
    radix = 0;
    for (size_t i = 0; i < whole.length && radix < 1000; i++) radix = radix * 10 + whole.bytes[i] - '0';
    if (radix < 2 || radix > 36) return error_token(l, start, "a radix is from 2 to 36");
    l->position++;
    if (byte_at(l, l->position) == '-') {
      negative = !negative;
      l->position++;
    }
    whole = digits(l, radix);
    if (whole.length == 0) return error_token(l, start, "no digits follow the radix");
  }
  bool has_fraction = byte_at(l, l->position) == '.' && is_fraction(l, l->position + 1, radix);
  if (has_fraction) {
    l->position++;
    fraction = digits(l, radix);
  }
  long exponent = 0;
  int scale = 0;
  bool has_exponent = exponent_part(l, &exponent);
  Literal literal;
  if (exponent > MAX_EXPONENT || exponent < -MAX_EXPONENT) {
    if (!has_fraction && exponent > 0) return error_token(l, start, "this exponent is too large");
  }
  if (scale_part(l, fraction.length, &scale)) {
    if (exponent < 0)
      literal = (Literal){
          .kind = LITERAL_SCALED, .text = joined(l, negative, whole, fraction, 0), .fraction_digits = (int)fraction.length - (int)exponent, .scale = scale};
    else {
      size_t zeros = (size_t)exponent > fraction.length ? (size_t)exponent - fraction.length : 0;
      int left = (size_t)exponent > fraction.length ? 0 : (int)fraction.length - (int)exponent;
      literal = (Literal){.kind = LITERAL_SCALED, .text = joined(l, negative, whole, fraction, zeros), .fraction_digits = left, .scale = scale};
    }
  } else if (has_fraction || exponent < 0) {
    literal = (Literal){.kind = LITERAL_FLOAT, .number = float_value(l, negative, whole, fraction, radix, exponent)};
  } else {
    literal = integer_literal(joined(l, negative, whole, (Text){NULL, 0}, has_exponent ? (size_t)exponent : 0), radix);
  }
  Token t = token(l, TOKEN_LITERAL, start, l->position);
  t.literal = literal;
  return t;
}

static size_t binary_end(const Lexer *l, size_t p) {
  size_t start = p;
  while (is_binary(byte_at(l, p))) {
    // a minus before a digit is the sign of what follows, unless it is the operator itself
    if (p > start && byte_at(l, p) == '-' && is_digit(byte_at(l, p + 1))) break;
    p++;
  }
  return p;
}

static size_t word_end(const Lexer *l, size_t p) {
  while (is_word(byte_at(l, p))) p++;
  return p;
}

// The end of a symbol's text without quotes: words with colons and dots between (#a:b:, #Core.Object), or a binary selector.
static size_t symbol_end(const Lexer *l, size_t p) {
  if (is_binary(byte_at(l, p))) {
    while (is_binary(byte_at(l, p))) p++;
    return p;
  }
  for (;;) {
    p = word_end(l, p);
    int c = byte_at(l, p), next = byte_at(l, p + 1);
    if (c == ':' && next != '=') p++;
    else if (c == '.' && is_letter(next)) p++;
    else return p;
    if (c == ':' && !is_letter(byte_at(l, p))) return p;
  }
}

static Token literal_token(const Lexer *l, size_t start, LiteralKind kind, Text text) {
  Token t = token(l, TOKEN_LITERAL, start, l->position);
  t.literal = (Literal){.kind = kind, .text = text};
  return t;
}

static Token hash_token(Lexer *l, size_t start) {
  size_t p = start + 1;
  while (byte_at(l, p) == '#') p++;  // ##foo is read as #foo
  int c = byte_at(l, p);
  Text text;
  if (c == '(' || c == '[') {
    l->position = p + 1;
    return token(l, c == '(' ? TOKEN_HASH_PAREN : TOKEN_HASH_BRACKET, start, p + 1);
  }
  if (c == '\'') {
    if (!quoted(l, p, &text)) return unterminated(l, start, "this symbol does not end");
    return literal_token(l, start, LITERAL_SYMBOL, text);
  }
  if (!is_letter(c) && !is_binary(c) && c != ':') return error_token(l, start, "no symbol follows #");
  if (c == ':') p++;  // #:name of Dolphin
  size_t end = symbol_end(l, p);
  l->position = end;
  return literal_token(l, start, LITERAL_SYMBOL, text_between(l, p, end));
}

static Token character_token(Lexer *l, size_t start) {
  uint32_t code_point;
  size_t n = decode(l, start + 1, &code_point);
  if (n == 0) return error_token(l, start, "no character follows $");
  l->position = start + 1 + n;
  Token t = token(l, TOKEN_LITERAL, start, l->position);
  t.literal = (Literal){.kind = LITERAL_CHARACTER, .integer = code_point};
  return t;
}

static Token word_token(Lexer *l, size_t start, bool in_array) {
  size_t end = word_end(l, start);
  TokenKind kind = TOKEN_IDENTIFIER;
  if (byte_at(l, end) == ':' && byte_at(l, end + 1) != '=') {
    kind = TOKEN_KEYWORD;
    end++;
    if (in_array) end = symbol_end(l, start);
  } else if (in_array && byte_at(l, end) == '.') {
    end = symbol_end(l, start);
  }
  if (l->underscore_assigns && end == start + 1 && byte_at(l, start) == '_') kind = TOKEN_ASSIGN;
  l->position = end;
  return token(l, kind, start, end);
}

static TokenKind single(int c) {
  switch (c) {
    case '(': return TOKEN_LEFT_PAREN;
    case ')': return TOKEN_RIGHT_PAREN;
    case '[': return TOKEN_LEFT_BRACKET;
    case ']': return TOKEN_RIGHT_BRACKET;
    case '{': return TOKEN_LEFT_BRACE;
    case '}': return TOKEN_RIGHT_BRACE;
    case '^': return TOKEN_CARET;
    case '.': return TOKEN_PERIOD;
    case ';': return TOKEN_SEMICOLON;
    case ':': return TOKEN_COLON;
    default: return TOKEN_END;
  }
}

static Token next(Lexer *l, bool in_array) {
  size_t start = l->position;
  if (!skip_blanks(l, &start)) return unterminated(l, start, "this comment does not end");
  start = l->position;
  int c = byte_at(l, start);
  if (c < 0) return token(l, TOKEN_END, start, start);
  if (is_letter(c)) return word_token(l, start, in_array);
  if (is_digit(c)) return lexer_number(l, false);
  if (c == '-' && in_array && is_digit(byte_at(l, start + 1))) return lexer_number(l, true);
  if (c == ':' && byte_at(l, start + 1) == '=') {
    l->position = start + 2;
    return token(l, TOKEN_ASSIGN, start, start + 2);
  }
  if (c == '#') return hash_token(l, start);
  if (c == '$') return character_token(l, start);
  if (c == '\'') {
    Text text;
    if (!quoted(l, start, &text)) return unterminated(l, start, "this string does not end");
    return literal_token(l, start, LITERAL_STRING, text);
  }
  if (is_binary(c)) {
    l->position = binary_end(l, start);
    return token(l, TOKEN_BINARY, start, l->position);
  }
  TokenKind kind = single(c);
  if (kind == TOKEN_END) {
    return error_token(l, start, "this character has no meaning here");
  }
  l->position = start + 1;
  return token(l, kind, start, start + 1);
}

Token lexer_next(Lexer *l) { return next(l, false); }
Token lexer_next_in_array(Lexer *l) { return next(l, true); }
