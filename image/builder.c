// Code objects from compiled data, and the names that methods of a class see.
//
// Everything made here lives in old space: the interpreter relies on code, literal frames and bindings that never move. If
// memory runs out in the middle, what was made so far is garbage, and the caller collects and starts again.
#include "image/builder.h"
#include "image/snapshot.h"
#include "vm/interpreter.h"
#include <gmp.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
  VM *vm;
  Oop class;
  Oop method;
  Origin origin;
  bool failed;
} Builder;

// --- names

static Oop instance_side(Oop class) { return class_index_of(class) == CLASS_Metaclass ? AS(Metaclass, class)->thisClass : class; }
static bool is_metaclass(Oop o) { return class_index_of(o) == CLASS_Metaclass; }

static Oop pool_binding(Oop pool, Oop name) {
  if (pool == OOP_NIL || class_index_of(pool) != CLASS_Array) return OOP_NONE;
  for (size_t i = 0; i < object_size(pool); i++) {
    Oop binding = object_slots(pool)[i];
    if (class_index_of(binding) == CLASS_Binding && AS(Binding, binding)->key == name) return binding;
  }
  return OOP_NONE;
}

static Oop shared_pools_binding(Oop class, Oop name) {
  Oop pools = AS(Class, class)->sharedPools;
  if (pools == OOP_NIL || class_index_of(pools) != CLASS_Array) return OOP_NONE;
  for (size_t i = 0; i < object_size(pools); i++) {
    for (Oop pool = object_slots(pools)[i]; is_pointer(pool); pool = AS(Class, pool)->superclass) {
      Oop binding = pool_binding(AS(Class, pool)->classPool, name);
      if (binding != OOP_NONE) return binding;
    }
  }
  return OOP_NONE;
}

// The Binding that methods of `class` see under a name, or OOP_NONE.
static Oop visible_binding(VM *vm, Oop class, const char *name, size_t length) {
  Oop symbol = symbol_find(vm, name, length);
  if (symbol == OOP_NONE) return OOP_NONE;
  for (Oop c = class == OOP_NIL ? OOP_NIL : instance_side(class); c != OOP_NIL; c = AS(Class, c)->superclass) {
    if (is_metaclass(c) || !is_pointer(c)) break;
    Oop binding = pool_binding(AS(Class, c)->classPool, symbol);
    if (binding == OOP_NONE) binding = shared_pools_binding(c, symbol);
    if (binding != OOP_NONE) return binding;
  }
  return global_binding(vm, name, length);
}

static bool name_is_visible(void *context, Text name) {
  const Builder *b = context;
  return visible_binding(b->vm, b->class, name.bytes, name.length) != OOP_NONE;
}

// The instance variables' names, superclass first. The texts are malloced.
static Text *instance_variables(Oop class, size_t *count) {
  size_t total = 0;
  for (Oop c = class; c != OOP_NIL; c = AS(Class, c)->superclass)
    if (AS(Class, c)->instanceVariables != OOP_NIL) total += object_size(AS(Class, c)->instanceVariables);
  Text *names = calloc(total + 1, sizeof *names);
  if (names == NULL) abort();
  *count = total;
  for (Oop c = class; c != OOP_NIL; c = AS(Class, c)->superclass) {
    Oop own = AS(Class, c)->instanceVariables;
    for (size_t i = own == OOP_NIL ? 0 : object_size(own); i-- > 0;) {
      size_t length;
      char *text = string_to_utf8(object_slots(own)[i], &length);
      names[--total] = (Text){text == NULL ? "" : text, text == NULL ? 0 : length};
    }
  }
  return names;
}

Compilation *builder_compile(VM *vm, Oop class, Text source, Origin origin, CompileMode mode) {
  Builder b = {.vm = vm, .class = class};
  size_t count = 0;
  Text *names = instance_variables(class, &count);
  CompileRequest request = {.source = source,
                            .first_line = origin.line == 0 ? 1 : origin.line,
                            .first_column = 1,
                            .mode = mode,
                            .instance_variables = names,
                            .instance_variable_count = count,
                            .lookup = name_is_visible,
                            .lookup_context = &b};
  Compilation *r = compile(&request);
  for (size_t i = 0; i < count; i++)
    if (names[i].length > 0) free((char *)(uintptr_t)names[i].bytes);
  free(names);
  return r;
}

// --- making objects

static Oop check(Builder *b, Oop o) {
  if (o != OOP_NONE) return o;
  if (!b->failed) {
    b->vm->failure = FAIL_NEEDS_COLLECTION;
    b->vm->needed_bytes = heap_shortage(b->vm->heap);
  }
  b->failed = true;
  return OOP_NIL;
}

static Oop new_object(Builder *b, uint32_t class_index, Format format, size_t words) {
  return check(b, heap_allocate_old(b->vm->heap, class_index, format, words));
}

static Oop new_array(Builder *b, size_t size) { return size == 0 ? OOP_NIL : new_object(b, CLASS_Array, FORMAT_INDEXABLE, size); }

static void put(Builder *b, Oop object, size_t slot, Oop value) {
  if (!b->failed) heap_store(b->vm->heap, object, slot, value);
}

static Oop symbol(Builder *b, Text text) { return check(b, symbol_intern(b->vm, text.bytes, text.length)); }
static Oop string(Builder *b, Text text) { return check(b, string_from_utf8_old(b->vm, text.bytes, text.length)); }

static Oop bytes(Builder *b, const void *data, size_t count) {
  size_t words;
  Format format = format_for_count(FORMAT_BYTES, count, &words);
  Oop o = new_object(b, CLASS_ByteArray, format, words);
  if (!b->failed && count > 0) memcpy(object_bytes(o), data, count);
  return o;
}

// An Integer in old space.
static Oop integer_object_old(Builder *b, const mpz_t z) {
  if (mpz_sizeinbase(z, 2) <= 60) return oop_from_integer(mpz_get_si(z));
  size_t size = mpz_size(z);
  Oop o = new_object(b, mpz_sgn(z) < 0 ? CLASS_LargeNegativeInteger : CLASS_LargePositiveInteger, FORMAT_WORDS64, size);
  if (!b->failed) memcpy(object_slots(o), mpz_limbs_read(z), 8 * size);
  return o;
}

// z is initialized.
static void read_digits(mpz_t z, Text digits, int radix) {
  char *text = malloc(digits.length + 1);
  if (text == NULL) abort();
  memcpy(text, digits.bytes, digits.length);
  text[digits.length] = 0;
  if (mpz_set_str(z, text, radix) != 0) mpz_set_ui(z, 0);
  free(text);
}

static Oop integer_from_digits(Builder *b, Text digits, int radix) {
  mpz_t z;
  mpz_init(z);
  read_digits(z, digits, radix);
  Oop o = integer_object_old(b, z);
  mpz_clear(z);
  return o;
}

static Oop float_object(Builder *b, double value) {
  Oop o;
  if (float_is_immediate(value, &o)) return o;
  o = new_object(b, CLASS_Float, FORMAT_WORDS64, 1);
  if (!b->failed) memcpy(object_slots(o), &value, 8);
  return o;
}

// The quotient of two integers, in lowest terms: an Integer or a Fraction.
static Oop quotient_object(Builder *b, mpz_t numerator, mpz_t denominator) {
  mpz_t divisor;
  mpz_init(divisor);
  mpz_gcd(divisor, numerator, denominator);
  mpz_divexact(numerator, numerator, divisor);
  mpz_divexact(denominator, denominator, divisor);
  mpz_clear(divisor);
  Oop n = integer_object_old(b, numerator);
  if (mpz_cmp_ui(denominator, 1) == 0) return n;
  Oop o = new_object(b, CLASS_Fraction, FORMAT_FIXED, NAMED_SLOTS(Fraction));
  put(b, o, SLOT_OF(Fraction, numerator), n);
  put(b, o, SLOT_OF(Fraction, denominator), integer_object_old(b, denominator));
  return o;
}

static Oop scaled_decimal(Builder *b, const Literal *literal) {
  mpz_t numerator, denominator;
  mpz_inits(numerator, denominator, NULL);
  read_digits(numerator, literal->text, 10);
  mpz_ui_pow_ui(denominator, 10, (unsigned long)literal->fraction_digits);
  Oop value = quotient_object(b, numerator, denominator);
  mpz_clear(numerator);
  mpz_clear(denominator);
  Oop o = new_object(b, CLASS_ScaledDecimal, FORMAT_FIXED, NAMED_SLOTS(ScaledDecimal));
  put(b, o, SLOT_OF(ScaledDecimal, fraction), value);
  put(b, o, SLOT_OF(ScaledDecimal, scale), oop_from_integer(literal->scale));
  return o;
}

static Oop code_object(Builder *b, const Code *code, Oop outer);
static Oop literal_object(Builder *b, const Literal *literal, Oop code);

static Oop literal_array(Builder *b, const Literal *literal, Oop code) {
  Oop array = new_object(b, CLASS_Array, FORMAT_INDEXABLE, literal->item_count);
  for (size_t i = 0; i < literal->item_count && !b->failed; i++) put(b, array, i, literal_object(b, &literal->items[i], code));
  return array;
}

static Oop binding_for(Builder *b, Text name) {
  Oop binding = visible_binding(b->vm, b->class, name.bytes, name.length);
  return binding != OOP_NONE ? binding : check(b, global_define(b->vm, name.bytes, name.length, OOP_NIL));
}

static Oop clean_closure(Builder *b, Oop code) {
  Oop closure = new_object(b, CLASS_BlockClosure, FORMAT_INDEXABLE, NAMED_SLOTS(BlockClosure));
  put(b, closure, SLOT_OF(BlockClosure, code), code);
  return closure;
}

static Oop literal_object(Builder *b, const Literal *literal, Oop code) {
  switch (literal->kind) {
    case LITERAL_NIL: return OOP_NIL;
    case LITERAL_TRUE: return OOP_TRUE;
    case LITERAL_FALSE: return OOP_FALSE;
    case LITERAL_INTEGER: return oop_from_integer(literal->integer);
    case LITERAL_LARGE_INTEGER: return integer_from_digits(b, literal->text, literal->radix);
    case LITERAL_FLOAT: return float_object(b, literal->number);
    case LITERAL_SCALED: return scaled_decimal(b, literal);
    case LITERAL_CHARACTER: return oop_from_character((uint32_t)literal->integer);
    case LITERAL_STRING: return string(b, literal->text);
    case LITERAL_SYMBOL: return symbol(b, literal->text);
    case LITERAL_ARRAY: return literal_array(b, literal, code);
    case LITERAL_BYTE_ARRAY: return bytes(b, literal->text.bytes, literal->text.length);
    case LITERAL_BINDING: return binding_for(b, literal->text);
    case LITERAL_CODE: {
      Oop block = code_object(b, literal->code, code);
      return literal->code->clean ? clean_closure(b, block) : block;
    }
  }
  return OOP_NIL;
}

// --- source maps: for each position three numbers, the differences of offset and line to the one before, and the column

static size_t put_varint(uint8_t *out, uint64_t n) {
  size_t i = 0;
  for (; n >= 128; n >>= 7) out[i++] = (uint8_t)(n | 128);
  out[i++] = (uint8_t)n;
  return i;
}

static uint64_t get_varint(const uint8_t **p, const uint8_t *end) {
  uint64_t n = 0;
  for (int shift = 0; *p < end && shift < 63; shift += 7) {
    uint8_t byte = *(*p)++;
    n |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) break;
  }
  return n;
}

static Oop source_map(Builder *b, const Code *code) {
  uint8_t *buffer = malloc(30 * code->position_count + 1);
  if (buffer == NULL) abort();
  size_t n = 0;
  uint32_t offset = 0;
  int64_t line = 0;
  for (size_t i = 0; i < code->position_count; i++) {
    const SourcePosition *p = &code->positions[i];
    int64_t difference = (int64_t)p->line - line;
    n += put_varint(buffer + n, p->offset - offset);
    n += put_varint(buffer + n, difference < 0 ? (uint64_t)(-difference) * 2 - 1 : (uint64_t)difference * 2);
    n += put_varint(buffer + n, p->column);
    offset = p->offset;
    line = p->line;
  }
  Oop map = bytes(b, buffer, n);
  free(buffer);
  return map;
}

uint32_t code_line_at(const VM *vm, Oop code, size_t instruction) {
  size_t length;
  const uint8_t *p = (const uint8_t *)snapshot_text(vm, AS(CompiledMethod, code)->sourceMap, &length);
  if (p == NULL) return 0;
  const uint8_t *end = p + length;
  uint64_t offset = 0;
  int64_t line = 0, found = 0;
  while (p < end) {
    offset += get_varint(&p, end);
    uint64_t difference = get_varint(&p, end);
    line += difference & 1 ? -(int64_t)((difference + 1) / 2) : (int64_t)(difference / 2);
    get_varint(&p, end);
    if (offset > instruction && found != 0) break;
    found = line;
  }
  return (uint32_t)found;
}

// --- code

static Oop instruction_words(Builder *b, const Code *code) {
  size_t words;
  Format format = format_for_count(FORMAT_WORDS32, code->instruction_count, &words);
  Oop o = new_object(b, CLASS_WordArray, format, words);
  if (!b->failed) memcpy(object_slots(o), code->instructions, 4 * code->instruction_count);
  return o;
}

static Oop literal_frame(Builder *b, const Code *code, Oop owner) {
  size_t base = CACHE_WORDS * code->site_count;
  Oop frame = new_object(b, CLASS_Array, FORMAT_INDEXABLE, base + code->literal_count);
  for (size_t i = 0; i < code->site_count && !b->failed; i++) {
    put(b, frame, CACHE_WORDS * i + CACHE_CLASS, CACHE_EMPTY);
    put(b, frame, CACHE_WORDS * i + CACHE_EXTRA, oop_from_integer(0));
    put(b, frame, CACHE_WORDS * i + CACHE_SELECTOR, symbol(b, code->sites[i]));
  }
  for (size_t i = 0; i < code->literal_count && !b->failed; i++) put(b, frame, base + i, literal_object(b, &code->literals[i], owner));
  return frame;
}

static Oop variable_names(Builder *b, const Code *code) {
  Oop names = new_array(b, code->variable_count);
  for (size_t i = 0; i < code->variable_count && !b->failed; i++) put(b, names, i, code->variables[i].length == 0 ? OOP_NIL : symbol(b, code->variables[i]));
  return names;
}

// The primitive is found by name; marks become flags of the header.
static int64_t resolve_primitive(Builder *b, const Code *code, Oop words) {
  if (code->primitive.length == 0 || b->failed) return 0;
  uint32_t *first = (uint32_t *)(void *)object_slots(words);
  bool handler = code->primitive.length == 11 && memcmp(code->primitive.bytes, "handlerMark", 11) == 0;
  bool unwind = code->primitive.length == 10 && memcmp(code->primitive.bytes, "unwindMark", 10) == 0;
  if (handler || unwind) {
    *first = OP_NOP;
    return handler ? CODE_HANDLER_MARK : CODE_UNWIND_MARK;
  }
  int index = primitives_index(b->vm, code->primitive.bytes, code->primitive.length);
  if (index < 0) {
    b->failed = true;
    b->vm->failure = FAIL_NOT_FOUND;
  } else {
    *first |= (uint32_t)index << 16;
  }
  return 0;
}

static Oop code_object(Builder *b, const Code *code, Oop outer) {
  bool block = code->is_block;
  Oop o = new_object(b, block ? CLASS_CompiledBlock : CLASS_CompiledMethod, FORMAT_FIXED, block ? NAMED_SLOTS(CompiledBlock) : NAMED_SLOTS(CompiledMethod));
  if (b->failed) return OOP_NIL;
  if (!block) b->method = o;
  Oop words = instruction_words(b, code);
  put(b, o, SLOT_OF(CompiledMethod, code), words);
  put(b, o, SLOT_OF(CompiledMethod, literals), literal_frame(b, code, o));
  put(b, o, SLOT_OF(CompiledMethod, sourceMap), source_map(b, code));
  put(b, o, SLOT_OF(CompiledMethod, variables), variable_names(b, code));
  if (block) put(b, o, SLOT_OF(CompiledBlock, outerCode), outer);
  int64_t header = (int64_t)code->argument_count << CODE_ARGUMENTS_SHIFT | (int64_t)code->register_count << CODE_REGISTERS_SHIFT |
                   (int64_t)code->site_count << CODE_SITES_SHIFT | (int64_t)code->copied_count << CODE_COPIED_SHIFT;
  if (block) header |= (int64_t)CODE_IS_BLOCK;
  if (code->has_nonlocal_return) header |= (int64_t)CODE_HAS_NONLOCAL_RETURN;
  header |= resolve_primitive(b, code, words);
  put(b, o, SLOT_OF(CompiledMethod, header), oop_from_integer(header));
  return o;
}

static Oop pragma_object(Builder *b, const PragmaData *data) {
  Oop arguments = new_object(b, CLASS_Array, FORMAT_INDEXABLE, data->argument_count);
  for (size_t i = 0; i < data->argument_count && !b->failed; i++) put(b, arguments, i, literal_object(b, &data->arguments[i], b->method));
  Oop pragma = new_object(b, CLASS_Pragma, FORMAT_FIXED, NAMED_SLOTS(Pragma));
  put(b, pragma, SLOT_OF(Pragma, method), b->method);
  put(b, pragma, SLOT_OF(Pragma, keyword), symbol(b, data->keyword));
  put(b, pragma, SLOT_OF(Pragma, arguments), arguments);
  return pragma;
}

Oop builder_method(VM *vm, Oop class, const Compilation *compilation, Origin origin, const char *protocol) {
  Builder b = {.vm = vm, .class = class, .method = OOP_NIL, .origin = origin};
  const Code *code = compilation->code;
  Oop method = code_object(&b, code, OOP_NIL);
  if (b.failed) return OOP_NONE;
  put(&b, method, SLOT_OF(CompiledMethod, selector), symbol(&b, code->selector));
  put(&b, method, SLOT_OF(CompiledMethod, methodClass), class);
  put(&b, method, SLOT_OF(CompiledMethod, source), string(&b, code->source));
  if (code->primitive.length > 0) put(&b, method, SLOT_OF(CompiledMethod, primitive), symbol(&b, code->primitive));
  if (protocol != NULL && protocol[0] != 0) put(&b, method, SLOT_OF(CompiledMethod, protocol), symbol(&b, (Text){protocol, strlen(protocol)}));
  if (origin.file != NULL) put(&b, method, SLOT_OF(CompiledMethod, origin), symbol(&b, (Text){origin.file, strlen(origin.file)}));
  Oop pragmas = new_array(&b, code->pragma_count);
  for (size_t i = 0; i < code->pragma_count && !b.failed; i++) put(&b, pragmas, i, pragma_object(&b, &code->pragmas[i]));
  put(&b, method, SLOT_OF(CompiledMethod, pragmas), pragmas);
  return b.failed ? OOP_NONE : method;
}

// --- listings

static const struct {
  const char *name, *operands;
} opcode_rows[] = {
#define OP(name, operands, effect) {#name, operands},
#include "vm/opcodes.def"
#undef OP
};

static void list_literal(VM *vm, FILE *out, Oop o) {
  size_t length;
  if (is_integer(o)) fprintf(out, "%lld", (long long)oop_to_integer(o));
  else if (is_string(o)) {
    char *text = string_to_utf8(o, &length);
    fprintf(out, "%s%s", class_index_of(o) == CLASS_Symbol || class_index_of(o) == CLASS_WideSymbol ? "#" : "'", text);
    free(text);
  } else if (class_index_of(o) == CLASS_Binding) list_literal(vm, out, AS(Binding, o)->key);
  else {
    char *text = string_to_utf8(AS(Class, class_of(vm, o))->name, &length);
    fprintf(out, "a %s", text == NULL ? "?" : text);
    free(text);
  }
}

// One operand letter of the table in opcodes.def.
static void list_operand(VM *vm, FILE *out, char letter, uint32_t ins, uint32_t next, size_t at, const Oop *k) {
  switch (letter) {
    case 'd':
    case 'a':
    case 'x': fprintf(out, " r%u", OPERAND_A(ins)); break;
    case 'b': fprintf(out, " r%u", OPERAND_B(ins)); break;
    case 'c': fprintf(out, " r%u", OPERAND_C(ins)); break;
    case 'w': fprintf(out, " r%u..", OPERAND_B(ins) + 3); break;
    case 'i': fprintf(out, " %d", (int8_t)OPERAND_C(ins)); break;
    case 'f':
    case 'm': fprintf(out, " %u", OPERAND_C(ins)); break;
    case 'n': fprintf(out, " %u", OPERAND_B(ins)); break;
    case 'g': fprintf(out, " r%u+%u", OPERAND_B(ins), OPERAND_C(ins)); break;
    case 'I': fprintf(out, " %d", OPERAND_SIGNED_BX(ins)); break;
    case 's':
      fputc(' ', out);
      list_literal(vm, out, k[CACHE_WORDS * OPERAND_C(ins) + CACHE_SELECTOR]);
      break;
    case 'k':
      fputc(' ', out);
      list_literal(vm, out, k[OPERAND_BX(ins)]);
      break;
    case 'E': fprintf(out, " (%u)", next >> 16); break;
    case 'j': fprintf(out, " -> %lld", (long long)at + 1 + OPERAND_SIGNED_BX(ins)); break;
    case 'J': fprintf(out, " -> %lld", (long long)at + 1 + OPERAND_SIGNED_J(ins)); break;
    default: break;
  }
}

static void list_code(VM *vm, FILE *out, Oop code, int depth) {
  const uint32_t *words = code_instructions(code);
  size_t count = object_element_count(AS(CompiledMethod, code)->code);
  const Oop *k = code_literals(code);
  bool primitive = !code_flag(code, CODE_IS_BLOCK) && AS(CompiledMethod, code)->primitive != OOP_NIL;
  for (size_t i = 0; i < count; i++) {
    uint32_t ins = instruction_original(words[i]), op = ins & 255;
    fprintf(out, "%*s%4zu  line %-4u %s", 2 * depth, "", i, code_line_at(vm, code, i), op < OP_LIMIT ? opcode_rows[op].name : "?");
    if (op == OP_EXT) fprintf(out, " %u", OPERAND_BX(ins));
    else if (op == OP_PRIMITIVE) {
      fputc(' ', out);
      if (primitive) list_literal(vm, out, AS(CompiledMethod, code)->primitive);
    } else {
      for (const char *p = op < OP_LIMIT ? opcode_rows[op].operands : ""; *p != 0; p++) list_operand(vm, out, *p, ins, i + 1 < count ? words[i + 1] : 0, i, k);
    }
    fputc('\n', out);
  }
  size_t frame = object_size(AS(CompiledMethod, code)->literals);
  for (size_t i = CACHE_WORDS * CODE_FIELD(AS(CompiledMethod, code)->header, CODE_SITES_SHIFT, 16); i < frame; i++) {
    Oop inner = k[i];
    if (class_index_of(inner) == CLASS_BlockClosure) inner = AS(BlockClosure, inner)->code;
    if (class_index_of(inner) != CLASS_CompiledBlock) continue;
    fprintf(out, "%*sblock (literal %zu)\n", 2 * depth, "", i);
    list_code(vm, out, inner, depth + 1);
  }
}

char *code_disassemble(VM *vm, Oop code) {
  char *text = NULL;
  size_t length = 0;
  FILE *out = open_memstream(&text, &length);
  if (out == NULL) abort();
  list_code(vm, out, code, 0);
  fclose(out);
  return text;
}
