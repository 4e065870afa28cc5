// The instructions, but for sends (send.c), contexts (context.c) and processes (process.c); the table; the loop.
//
// Fast paths need no stack frame of C: what is not simple ends in a tail call of a function with the same signature. An
// instruction that may send returns its result into register A of its own word, so any of them can be completed by a method.
#include "vm/interpreter.h"
#include "vm/primitives.h"
#include <math.h>

// --- moving and loading

static int instruction_nop(ARGS) { NEXT; }

static int instruction_move(ARGS) {
  fp[A] = fp[B];
  NEXT;
}

static int instruction_load_integer(ARGS) {
  fp[A] = oop_from_integer(SIGNED_BX);
  NEXT;
}

static int instruction_load_literal(ARGS) {
  fp[A] = k[BX];
  NEXT;
}

static int instruction_load_nil(ARGS) {
  Oop *p = fp + A;
  for (size_t i = 0, n = B; i <= n; i++) p[i] = OOP_NIL;
  NEXT;
}

static int instruction_load_true(ARGS) {
  fp[A] = OOP_TRUE;
  NEXT;
}

static int instruction_load_false(ARGS) {
  fp[A] = OOP_FALSE;
  NEXT;
}

static int instruction_get_field(ARGS) {
  fp[A] = object_slots(fp[B])[C];
  NEXT;
}

SLOW int immutable_store(ARGS) { return send_known_1(PASS, SELECTOR_CANNOT_ASSIGN, fp[B], oop_from_integer((int64_t)C + 1)); }

static int instruction_set_field(ARGS) {
  Oop object = fp[B];
  if (unlikely(object_is_immutable(object))) return immutable_store(PASS);
  heap_store(vm->heap, object, C, fp[A]);
  NEXT;
}

static int instruction_get_global(ARGS) {
  fp[A] = AS(Association, k[BX])->value;
  NEXT;
}

static int instruction_set_global(ARGS) {
  heap_store(vm->heap, k[BX], SLOT_OF(Association, value), fp[A]);
  NEXT;
}

static int instruction_get_copied(ARGS) {
  fp[A] = object_slots(fp[0])[NAMED_SLOTS(BlockClosure) + B];
  NEXT;
}

// --- making objects

// An instruction that could not allocate runs again after a collection, or after OutOfMemory has been resumed.
int again_after_collection(ARGS) {
  bool room = collect_at(vm, ip, fp, k, NULL, heap_shortage(vm->heap));
  fp = vm->fp;
  ip = vm->ip - 1;
  if (!room) return interject_known(PASS, SELECTOR_OUT_OF_MEMORY, vm->process, oop_from_integer((int64_t)heap_shortage(vm->heap)));
  NEXT;
}

INLINE int new_array(ARGS, size_t size) {
  Oop array = heap_allocate(vm->heap, CLASS_Array, FORMAT_INDEXABLE, size);
  if (unlikely(array == OOP_NONE)) return again_after_collection(PASS);
  fp[A] = array;
  NEXT;
}

static int instruction_new_vector(ARGS) { return new_array(PASS, B); }
static int instruction_new_array(ARGS) { return new_array(PASS, (size_t)oop_to_integer(k[BX])); }

static int instruction_store_element(ARGS) {
  heap_store(vm->heap, fp[B], C, fp[A]);
  NEXT;
}

static int instruction_store_element_wide(ARGS) {
  heap_store(vm->heap, fp[B], OPERAND_BX(*ip), fp[A]);
  ip++;
  NEXT;
}

static int instruction_home(ARGS) {
  Oop context = context_of_frame(vm, vm->process, fp, OOP_NONE);
  if (unlikely(context == OOP_NONE)) return again_after_collection(PASS);
  fp[A] = context;
  NEXT;
}

static int instruction_closure(ARGS) {
  size_t count = C;
  Oop closure = heap_allocate(vm->heap, CLASS_BlockClosure, FORMAT_INDEXABLE, 1 + count);
  if (unlikely(closure == OOP_NONE)) return again_after_collection(PASS);
  const Oop *from = fp + B;
  Oop *to = object_slots(closure);
  uint32_t literal = OPERAND_BX(*ip);
  if (likely(heap_is_young(vm->heap, closure))) {
    to[0] = k[literal];
    for (size_t i = 0; i < count; i++) to[1 + i] = from[i];
  } else {
    heap_store(vm->heap, closure, 0, k[literal]);
    for (size_t i = 0; i < count; i++) heap_store(vm->heap, closure, 1 + i, from[i]);
  }
  fp[A] = closure;
  ip++;
  NEXT;
}

// --- returns

SLOW int return_slowly(ARGS) { return return_value(PASS, fp, fp[A]); }

// ip is the return address already.
INLINE int return_fast(ARGS, Oop value) {
  fp = (Oop *)((uint8_t *)fp - (fp[-3] - oop_from_integer(0)));  // a SmallInteger of words is eight times as many bytes, plus the tag
  k = code_literals(fp[-1]);
  fp[A] = value;
  NEXT;
}

static int instruction_return(ARGS) {
  if (unlikely(fp[-3] >> 32)) return return_slowly(PASS);
  Oop value = fp[A];
  ip = oop_to_ip(fp[-2]);
  return return_fast(PASS, value);
}

SLOW int return_self_slowly(ARGS) { return return_value(PASS, fp, fp[0]); }

static int instruction_return_self(ARGS) {
  if (unlikely(fp[-3] >> 32)) return return_self_slowly(PASS);
  ip = oop_to_ip(fp[-2]);
  return return_fast(PASS, fp[0]);
}

// --- jumps. Backward ones are safepoints.

static inline bool wants_attention(VM *vm, const Oop *fp) { return unlikely(fp > atomic_load_explicit(&vm->stack_limit, memory_order_relaxed)); }

static int instruction_jump(ARGS) {
  int32_t distance = SIGNED_J;
  ip += distance;
  if (distance < 0 && wants_attention(vm, fp)) return safepoint(PASS);
  NEXT;
}

#define JUMP_BY(distance)                                                 \
  do {                                                                    \
    int32_t distance_ = (distance);                                       \
    ip += distance_;                                                      \
    if (distance_ < 0 && wants_attention(vm, fp)) return safepoint(PASS); \
  } while (0)

static int instruction_jump_nil(ARGS) {
  if (fp[A] == OOP_NIL) JUMP_BY(SIGNED_BX);
  NEXT;
}

static int instruction_jump_not_nil(ARGS) {
  if (fp[A] != OOP_NIL) JUMP_BY(SIGNED_BX);
  NEXT;
}

SLOW int must_be_boolean(ARGS) {
  Oop *frame = free_frame(fp);
  frame[0] = fp[A];
  return ask_boolean(PASS, frame);
}

static int instruction_jump_false(ARGS) {
  Oop value = fp[A];
  if (value == OOP_FALSE) JUMP_BY(SIGNED_BX);
  else if (unlikely(value != OOP_TRUE)) return must_be_boolean(PASS);
  NEXT;
}

static int instruction_jump_true(ARGS) {
  Oop value = fp[A];
  if (value == OOP_TRUE) JUMP_BY(SIGNED_BX);
  else if (unlikely(value != OOP_FALSE)) return must_be_boolean(PASS);
  NEXT;
}

// --- arithmetic

static inline bool both_integers(Oop a, Oop b) { return (((a - TAG_INTEGER) | (b - TAG_INTEGER)) & TAG_MASK) == 0; }

static inline bool both_floats(Oop a, Oop b) { return (((a ^ TAG_FLOAT) | (b ^ TAG_FLOAT)) & TAG_FLOAT_MASK) == 0; }

// The value of an immediate float or a SmallInteger that a double holds exactly.
static inline bool float_operand(Oop o, double *out) {
  if (is_immediate_float(o)) {
    *out = immediate_float_value(o);
    return true;
  }
  int64_t n = oop_to_integer(o);
  if (!is_integer(o) || n > (1ll << 53) || n < -(1ll << 53)) return false;
  *out = (double)n;
  return true;
}

// The values of two operands one of which is a float at least.
static inline bool float_operands(Oop a, Oop b, double *x, double *y) {
  if (likely(both_floats(a, b))) {
    *x = tagged_float_value(a);
    *y = tagged_float_value(b);
    return true;
  }
  return (is_immediate_float(a) || is_immediate_float(b)) && float_operand(a, x) && float_operand(b, y);
}

#define BINARY_SLOW(name) \
  SLOW int name##_slow(ARGS) { return send_known_1(PASS, SELECTOR_##name, fp[B], fp[C]); }

#define BINARY_INTEGER_SLOW(name, base) \
  SLOW int name##_slow(ARGS) { return send_known_1(PASS, SELECTOR_##base, fp[B], oop_from_integer(SIGNED_C)); }

// Rewrites the instruction before ip.
static inline void become_instruction(const uint32_t *ip, int op) { ((uint8_t *)(uintptr_t)ip)[-4] = (uint8_t)op; }

// Addition, subtraction, multiplication: integers in line; where two tagged floats have met, the instruction becomes one that looks for them first,
// until it meets something else. `integers` computes r from a and b, or says that it overflows. What is left are 0.0 and mixed
// operands, then a send.
#define ARITHMETIC(name, function, integers, tag, expression)                                                            \
  BINARY_SLOW(name)                                                                                                      \
  SLOW int name##_mixed(ARGS) {                                                                                          \
    double x, y;                                                                                                         \
    Oop result;                                                                                                          \
    if (!float_operands(fp[B], fp[C], &x, &y)) return name##_slow(PASS);                                                 \
    if (both_floats(fp[B], fp[C])) become_instruction(ip, OP_##name##_FLOAT);                                            \
    if (!float_is_immediate(expression, &result)) return name##_slow(PASS);                                              \
    fp[A] = result;                                                                                                      \
    NEXT;                                                                                                                \
  }                                                                                                                      \
  static int instruction_##function(ARGS) {                                                                              \
    Oop a = fp[B], b = fp[C];                                                                                            \
    int64_t r;                                                                                                           \
    if (unlikely(!both_integers(a, b)) || unlikely(integers)) return name##_mixed(PASS);                                 \
    fp[A] = (Oop)r + (tag);                                                                                              \
    NEXT;                                                                                                                \
  }                                                                                                                      \
  SLOW int name##_not_floats(ARGS) {                                                                                     \
    if (!both_floats(fp[B], fp[C])) become_instruction(ip, OP_##name);                                                   \
    return both_integers(fp[B], fp[C]) ? instruction_##function(PASS) : name##_mixed(PASS);                              \
  }                                                                                                                      \
  static int instruction_##function##_float(ARGS) {                                                                      \
    Oop a = fp[B], b = fp[C], result;                                                                                    \
    double x = tagged_float_value(a), y = tagged_float_value(b);                                                         \
    if (unlikely(!both_floats(a, b)) || unlikely(!float_to_tagged(expression, &result))) return name##_not_floats(PASS); \
    fp[A] = result;                                                                                                      \
    NEXT;                                                                                                                \
  }

ARITHMETIC(ADD, add, __builtin_add_overflow((int64_t)a, (int64_t)(b - TAG_INTEGER), &r), 0, x + y)
ARITHMETIC(SUBTRACT, subtract, __builtin_sub_overflow((int64_t)a, (int64_t)(b - TAG_INTEGER), &r), 0, x - y)
ARITHMETIC(MULTIPLY, multiply, __builtin_mul_overflow((int64_t)(a - TAG_INTEGER), oop_to_integer(b), &r), TAG_INTEGER, x *y)

BINARY_SLOW(DIVIDE)
static int instruction_divide(ARGS) {
  Oop a = fp[B], b = fp[C], result;
  if (both_integers(a, b)) {
    int64_t x = oop_to_integer(a), y = oop_to_integer(b);
    if (y != 0 && x % y == 0 && integer_fits(x / y)) {
      fp[A] = oop_from_integer(x / y);
      NEXT;
    }
    return DIVIDE_slow(PASS);
  }
  double x = 0.0, y = 0.0;
  if (likely(float_operands(a, b, &x, &y)) && y != 0.0 && likely(float_is_immediate(x / y, &result))) {
    fp[A] = result;
    NEXT;
  }
  return DIVIDE_slow(PASS);
}

// Two SmallIntegers as C integers, the second not 0.
static inline bool divisible(Oop a, Oop b) { return likely(both_integers(a, b)) && likely(b != oop_from_integer(0)); }

// Division of numbers below 2^32 is twice as fast.
static inline bool are_short(int64_t x, int64_t y) { return (((uint64_t)x | (uint64_t)y) >> 32) == 0; }

static inline int64_t floor_quotient(int64_t x, int64_t y) {
  if (likely(are_short(x, y))) return (uint32_t)x / (uint32_t)y;
  return x / y - (x % y != 0 && (x < 0) != (y < 0));
}

static inline int64_t floor_remainder(int64_t x, int64_t y) {
  if (likely(are_short(x, y))) return (uint32_t)x % (uint32_t)y;
  int64_t r = x % y;
  return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

// The result of a shift if it is a SmallInteger.
static inline bool shifted(int64_t x, int64_t n, Oop *out) {
  if (n > 60) return false;
  if (n < 0) {
    *out = oop_from_integer(n < -63 ? x >> 63 : x >> -n);
    return true;
  }
  int64_t result = (int64_t)((uint64_t)x << n);
  *out = oop_from_integer(result);
  return (result >> n) == x && integer_fits(result);
}

// An instruction on SmallIntegers alone, with the second operand in a register and as a constant: both send when `fits`, which may set
// result, does not hold for the operands a and b.
#define INTEGER_OPERATION(name, function, fits)              \
  BINARY_SLOW(name)                                          \
  BINARY_INTEGER_SLOW(name##_INTEGER, name)                  \
  static int instruction_##function(ARGS) {                  \
    Oop a = fp[B], b = fp[C], result;                        \
    if (unlikely(!(fits))) return name##_slow(PASS);         \
    fp[A] = result;                                          \
    NEXT;                                                    \
  }                                                          \
  static int instruction_##function##_integer(ARGS) {        \
    Oop a = fp[B], b = oop_from_integer(SIGNED_C), result;   \
    if (unlikely(!(fits))) return name##_INTEGER_slow(PASS); \
    fp[A] = result;                                          \
    NEXT;                                                    \
  }

static inline Oop set(Oop *result, Oop value) { return *result = value; }

// the quotient of the least SmallInteger and -1 is none
INTEGER_OPERATION(FLOOR_DIVIDE, floor_divide,
                  divisible(a, b) && likely(b != oop_from_integer(-1)) && set(&result, oop_from_integer(floor_quotient(oop_to_integer(a), oop_to_integer(b)))))
INTEGER_OPERATION(MODULO, modulo, divisible(a, b) && set(&result, oop_from_integer(floor_remainder(oop_to_integer(a), oop_to_integer(b)))))
INTEGER_OPERATION(BIT_AND, bit_and, likely(both_integers(a, b)) && set(&result, a &b))
INTEGER_OPERATION(BIT_SHIFT, bit_shift, likely(both_integers(a, b)) && shifted(oop_to_integer(a), oop_to_integer(b), &result))

#define BITWISE(name, function, expression)                       \
  BINARY_SLOW(name)                                               \
  static int instruction_##function(ARGS) {                       \
    Oop a = fp[B], b = fp[C];                                     \
    if (unlikely(!both_integers(a, b))) return name##_slow(PASS); \
    fp[A] = (expression);                                         \
    NEXT;                                                         \
  }

BITWISE(BIT_OR, bit_or, a | b)
BITWISE(BIT_XOR, bit_xor, (a ^ b) | TAG_INTEGER)

BINARY_INTEGER_SLOW(MULTIPLY_INTEGER, MULTIPLY)
static int instruction_multiply_integer(ARGS) {
  int64_t r;
  Oop a = fp[B], result;
  if (likely(is_integer(a)) && likely(!__builtin_mul_overflow((int64_t)(a - TAG_INTEGER), (int64_t)SIGNED_C, &r))) {
    fp[A] = (Oop)r + TAG_INTEGER;
    NEXT;
  }
  if (!is_tagged_float(a) || !float_to_tagged(tagged_float_value(a) * SIGNED_C, &result)) return MULTIPLY_INTEGER_slow(PASS);
  fp[A] = result;
  NEXT;
}

BINARY_INTEGER_SLOW(ADD_INTEGER, ADD)
SLOW int add_integer_float(ARGS) {
  Oop result;
  if (is_immediate_float(fp[B]) && float_is_immediate(immediate_float_value(fp[B]) + SIGNED_C, &result)) {
    fp[A] = result;
    NEXT;
  }
  return ADD_INTEGER_slow(PASS);
}
static int instruction_add_integer(ARGS) {
  int64_t r;
  if (likely(is_integer(fp[B])) && likely(!__builtin_add_overflow((int64_t)fp[B], (int64_t)SIGNED_C * 8, &r))) {
    fp[A] = (Oop)r;
    NEXT;
  }
  return add_integer_float(PASS);
}

BINARY_INTEGER_SLOW(SUBTRACT_INTEGER, SUBTRACT)
SLOW int subtract_integer_float(ARGS) {
  Oop result;
  if (is_immediate_float(fp[B]) && float_is_immediate(immediate_float_value(fp[B]) - SIGNED_C, &result)) {
    fp[A] = result;
    NEXT;
  }
  return SUBTRACT_INTEGER_slow(PASS);
}
static int instruction_subtract_integer(ARGS) {
  int64_t r;
  if (likely(is_integer(fp[B])) && likely(!__builtin_sub_overflow((int64_t)fp[B], (int64_t)SIGNED_C * 8, &r))) {
    fp[A] = (Oop)r;
    NEXT;
  }
  return subtract_integer_float(PASS);
}

// --- comparison: as a value, and fused with the jump that follows. Each fused one exists twice, for a JUMP_FALSE and a JUMP_TRUE.

// Goes on behind the fused jump, or where it leads when the condition is `sense`.
#define BRANCH(sense, condition)               \
  do {                                         \
    bool holds_ = (condition);                 \
    ip++;                                      \
    if (holds_ == (sense)) JUMP_BY(SIGNED_BX); \
    NEXT;                                      \
  } while (0)

// With a small Integer as second operand.
#define CONSTANT_TESTS(name, function, relation, sense)                                           \
  SLOW int test_##function##_integer_mixed(ARGS) {                                                \
    if (is_immediate_float(fp[B])) BRANCH(sense, immediate_float_value(fp[B]) relation SIGNED_C); \
    return name##_INTEGER_slow(PASS);                                                             \
  }                                                                                               \
  static int instruction_test_##function##_integer(ARGS) {                                        \
    Oop a = fp[B];                                                                                \
    if (unlikely(!is_integer(a))) return test_##function##_integer_mixed(PASS);                   \
    BRANCH(sense, (int64_t)a relation(int64_t) oop_from_integer(SIGNED_C));                       \
  }

#define ORDER_TESTS(name, function, relation, sense)                                                    \
  SLOW int test_##function##_mixed(ARGS) {                                                              \
    double x, y;                                                                                        \
    if (float_operands(fp[B], fp[C], &x, &y)) BRANCH(sense, x relation y);                              \
    return name##_slow(PASS);                                                                           \
  }                                                                                                     \
  static int instruction_test_##function(ARGS) {                                                        \
    Oop a = fp[B], b = fp[C];                                                                           \
    if (likely(both_integers(a, b))) BRANCH(sense, (int64_t)a relation(int64_t) b);                     \
    if (likely(both_floats(a, b))) BRANCH(sense, tagged_float_value(a) relation tagged_float_value(b)); \
    return test_##function##_mixed(PASS);                                                               \
  }                                                                                                     \
  CONSTANT_TESTS(name, function, relation, sense)

#define ORDER(name, function, relation)                                  \
  BINARY_SLOW(name)                                                      \
  BINARY_INTEGER_SLOW(name##_INTEGER, name)                              \
  SLOW int name##_mixed(ARGS) {                                          \
    double x, y;                                                         \
    if (!float_operands(fp[B], fp[C], &x, &y)) return name##_slow(PASS); \
    fp[A] = oop_from_boolean(x relation y);                              \
    NEXT;                                                                \
  }                                                                      \
  static int instruction_##function(ARGS) {                              \
    Oop a = fp[B], b = fp[C];                                            \
    if (unlikely(!both_integers(a, b))) return name##_mixed(PASS);       \
    fp[A] = oop_from_boolean((int64_t)a relation(int64_t) b);            \
    NEXT;                                                                \
  }                                                                      \
  ORDER_TESTS(name, function, relation, false)                           \
  ORDER_TESTS(name, function##_true, relation, true)

ORDER(LESS, less, <)
ORDER(LESS_EQUAL, less_equal, <=)
ORDER(GREATER, greater, >)
ORDER(GREATER_EQUAL, greater_equal, >=)

// Whether `a = b` is identity for this receiver.
static inline bool equality_is_identity(Oop a, Oop b) {
  if (is_integer(a)) return is_integer(b);
  if (is_pointer(a)) return header_class_index(object_header(a)) == CLASS_Symbol && (!is_pointer(b) || header_class_index(object_header(b)) == CLASS_Symbol);
  return !is_immediate_float(a);
}

// Strings of the four classes whose equality is that of their characters.
static inline bool both_strings(Oop a, Oop b) { return is_string(a) && is_string(b); }

#define EQUALITY_TESTS(name, function, relation, sense)                                       \
  SLOW int test_##function##_mixed(ARGS) {                                                    \
    double x, y;                                                                              \
    if (both_strings(fp[B], fp[C])) BRANCH(sense, strings_equal(fp[B], fp[C]) relation true); \
    if (float_operands(fp[B], fp[C], &x, &y)) BRANCH(sense, x relation y);                    \
    return name##_slow(PASS);                                                                 \
  }                                                                                           \
  static int instruction_test_##function(ARGS) {                                              \
    Oop a = fp[B], b = fp[C];                                                                 \
    if (unlikely(!equality_is_identity(a, b))) return test_##function##_mixed(PASS);          \
    BRANCH(sense, a relation b);                                                              \
  }                                                                                           \
  CONSTANT_TESTS(name, function, relation, sense)

#define EQUALITY(name, function, relation)                                                                    \
  BINARY_SLOW(name)                                                                                           \
  BINARY_INTEGER_SLOW(name##_INTEGER, name)                                                                   \
  static int instruction_##function(ARGS) {                                                                   \
    double x, y;                                                                                              \
    if (likely(equality_is_identity(fp[B], fp[C]))) fp[A] = oop_from_boolean(fp[B] relation fp[C]);           \
    else if (both_strings(fp[B], fp[C])) fp[A] = oop_from_boolean(strings_equal(fp[B], fp[C]) relation true); \
    else if (float_operands(fp[B], fp[C], &x, &y)) fp[A] = oop_from_boolean(x relation y);                    \
    else return name##_slow(PASS);                                                                            \
    NEXT;                                                                                                     \
  }                                                                                                           \
  EQUALITY_TESTS(name, function, relation, false)                                                             \
  EQUALITY_TESTS(name, function##_true, relation, true)

EQUALITY(EQUAL, equal, ==)
EQUALITY(NOT_EQUAL, not_equal, !=)

#define IDENTITY(function, relation)                                                    \
  static int instruction_##function(ARGS) {                                             \
    fp[A] = oop_from_boolean(fp[B] relation fp[C]);                                     \
    NEXT;                                                                               \
  }                                                                                     \
  static int instruction_test_##function(ARGS) { BRANCH(false, fp[B] relation fp[C]); } \
  static int instruction_test_##function##_true(ARGS) { BRANCH(true, fp[B] relation fp[C]); }

IDENTITY(identical, ==)
IDENTITY(not_identical, !=)

// --- loops

static int instruction_for_loop(ARGS) {
  Oop i = fp[A], limit = fp[B];
  int64_t step = SIGNED_C;
  int64_t next;
  if (unlikely(!both_integers(i, limit) || __builtin_add_overflow((int64_t)i, step * 8, &next))) {
    ip++;
    NEXT;
  }
  fp[A] = (Oop)next;
  if (step > 0 ? next <= (int64_t)limit : next >= (int64_t)limit) {
    ip += 1 + OPERAND_SIGNED_J(*ip);
    if (wants_attention(vm, fp)) return safepoint(PASS);
    NEXT;
  }
  ip += 4;
  NEXT;
}

static int instruction_for_next(ARGS) {
  Oop i = fp[A], limit = fp[B];
  if (unlikely(!both_integers(i, limit))) {
    ip++;
    NEXT;
  }
  if (unlikely((int64_t)i >= (int64_t)limit)) {
    ip += 4;
    NEXT;
  }
  fp[A] = i + (oop_from_integer(1) - oop_from_integer(0));
  ip += 1 + OPERAND_SIGNED_J(*ip);
  if (wants_attention(vm, fp)) return safepoint(PASS);
  NEXT;
}

// --- elements

SLOW int at_slow(ARGS) {
  Oop *frame = free_frame(fp);
  frame[0] = fp[B];
  frame[1] = fp[C];
  uint32_t site = *ip++ >> 16;
  return send_by_cache(PASS, frame, k + (size_t)CACHE_WORDS * site);
}

static bool is_byte_sequence(uint32_t class_index) { return class_index == CLASS_String || class_index == CLASS_ByteArray || class_index == CLASS_Symbol; }

SLOW int at_bytes(ARGS) {
  Oop object = fp[B];
  uint64_t index = (uint64_t)oop_to_integer(fp[C]) - 1;
  uint32_t class_index = header_class_index(object_header(object));
  if (!is_byte_sequence(class_index) || index >= object_element_count(object)) return at_slow(PASS);
  uint8_t byte = object_bytes(object)[index];
  fp[A] = class_index == CLASS_ByteArray ? oop_from_integer(byte) : oop_from_character(byte);
  ip++;
  NEXT;
}

static int instruction_at(ARGS) {
  Oop object = fp[B];
  if (unlikely(!is_pointer(object) || !is_integer(fp[C]))) return at_slow(PASS);
  uint64_t index = (uint64_t)oop_to_integer(fp[C]) - 1;
  uint32_t class_index = header_class_index(object_header(object));
  if (likely(class_index == CLASS_Array)) {
    if (unlikely(index >= object_size(object))) return at_slow(PASS);
    fp[A] = object_slots(object)[index];
    ip++;
    NEXT;
  }
  return at_bytes(PASS);
}

SLOW int at_put_slow(ARGS) {
  Oop *frame = free_frame(fp);
  frame[0] = fp[B];
  frame[1] = fp[C];
  frame[2] = fp[A];
  uint32_t site = *ip++ >> 16;
  return send_by_cache(PASS, frame, k + (size_t)CACHE_WORDS * site);
}

SLOW int at_put_bytes(ARGS) {
  Oop object = fp[B], value = fp[A];
  uint64_t index = (uint64_t)oop_to_integer(fp[C]) - 1;
  uint32_t class_index = header_class_index(object_header(object));
  if (class_index == CLASS_Symbol || !is_byte_sequence(class_index)) return at_put_slow(PASS);
  bool fits =
      class_index == CLASS_ByteArray ? is_integer(value) && (uint64_t)oop_to_integer(value) < 256 : is_character(value) && oop_to_character(value) < 256;
  if (!fits || index >= object_element_count(object)) return at_put_slow(PASS);
  object_bytes(object)[index] = (uint8_t)(value >> 3);
  ip++;
  NEXT;
}

SLOW int at_put_young(ARGS) {
  heap_store(vm->heap, fp[B], (size_t)oop_to_integer(fp[C]) - 1, fp[A]);
  ip++;
  NEXT;
}

static int instruction_at_put(ARGS) {
  Oop object = fp[B];
  if (unlikely(!is_pointer(object) || !is_integer(fp[C]) || object_is_immutable(object))) return at_put_slow(PASS);
  uint64_t index = (uint64_t)oop_to_integer(fp[C]) - 1;
  uint32_t class_index = header_class_index(object_header(object));
  if (likely(class_index == CLASS_Array)) {
    if (unlikely(index >= object_size(object))) return at_put_slow(PASS);
    Oop value = fp[A];
    if (unlikely(heap_is_young(vm->heap, value) && !heap_is_young(vm->heap, object))) return at_put_young(PASS);
    object_slots(object)[index] = value;
    ip++;
    NEXT;
  }
  return at_put_bytes(PASS);
}

SLOW int size_slow(ARGS) { return send_known_0(PASS, SELECTOR_SIZE, fp[B]); }

static int instruction_size(ARGS) {
  Oop object = fp[B];
  uint32_t class_index = class_index_of(object);
  if (class_index == CLASS_Array) fp[A] = oop_from_integer((int64_t)object_size(object));
  else if (is_byte_sequence(class_index)) fp[A] = oop_from_integer((int64_t)object_element_count(object));
  else return size_slow(PASS);
  NEXT;
}

// --- tests that nearly nobody overrides: proxies do, so pointers to objects of unknown classes go through a send when they may

SLOW int class_slow(ARGS) { return send_known_0(PASS, SELECTOR_CLASS, fp[B]); }
static int instruction_class(ARGS) {
  if (unlikely(vm->proxies && is_pointer(fp[B]))) return class_slow(PASS);
  fp[A] = class_of(vm, fp[B]);
  NEXT;
}

SLOW int is_nil_slow(ARGS) { return send_known_0(PASS, SELECTOR_IS_NIL, fp[B]); }
static int instruction_is_nil(ARGS) {
  if (unlikely(vm->proxies && is_pointer(fp[B]))) return is_nil_slow(PASS);
  fp[A] = oop_from_boolean(fp[B] == OOP_NIL);
  NEXT;
}

SLOW int not_nil_slow(ARGS) { return send_known_0(PASS, SELECTOR_NOT_NIL, fp[B]); }
static int instruction_not_nil(ARGS) {
  if (unlikely(vm->proxies && is_pointer(fp[B]))) return not_nil_slow(PASS);
  fp[A] = oop_from_boolean(fp[B] != OOP_NIL);
  NEXT;
}

SLOW int not_slow(ARGS) { return send_known_0(PASS, SELECTOR_NOT, fp[B]); }
static int instruction_not(ARGS) {
  if (unlikely(!is_boolean(fp[B]))) return not_slow(PASS);
  fp[A] = fp[B] == OOP_TRUE ? OOP_FALSE : OOP_TRUE;
  NEXT;
}

// --- primitives: the frame is set up; registers from 0 are the receiver and the arguments

SLOW int primitive_failed(ARGS) {
  size_t reason_register = A;
  if (reason_register != 0) fp[reason_register] = vm->reasons[vm->failure];
  NEXT;
}

// A primitive that makes several objects may need several collections, each for more: what it wanted last is doubled.
enum { MAX_TRIES = 10 };

SLOW int run_plain(ARGS, const PrimitiveEntry *entry) {
  if (entry->collects) vm_save_state(vm, ip, fp, k);
  Oop result = entry->plain(vm, fp);
  for (int tries = 0; result == OOP_NONE && vm->failure == FAIL_NEEDS_COLLECTION; tries++) {
    size_t bytes = vm->needed_bytes;
    bool room = tries < MAX_TRIES && collect_at(vm, ip, fp, k, fp + code_arguments(fp[-1]) + 1, bytes << tries);
    fp = vm->fp;
    if (!room) return interject_known(PASS, SELECTOR_OUT_OF_MEMORY, vm->process, oop_from_integer((int64_t)bytes));
    result = entry->plain(vm, fp);
  }
  if (result == OOP_NONE) return primitive_failed(PASS);
  if (vm->exiting) return RUN_EXIT;
  return return_value(PASS, fp, result);
}

static int instruction_primitive(ARGS) {
  const PrimitiveEntry *entry = vm->primitives[BX];
  if (entry->control != NULL) return entry->control(PASS);
  if (entry->arguments >= 0 && (size_t)entry->arguments != code_arguments(fp[-1])) {
    vm->failure = FAIL_WRONG_ARGUMENT_COUNT;
    return primitive_failed(PASS);
  }
  return run_plain(PASS, entry);
}

static int instruction_ext(ARGS) {
  (void)ip, (void)fp, (void)k;
  vm_fatal(vm, "an operand word was executed");
}

static int instruction_unknown(ARGS) {
  (void)ip, (void)fp, (void)k;
  vm_fatal(vm, "an unknown instruction was executed");
}

// --- the table

static Instruction instruction_this_context;
static int instruction_this_context(ARGS) { return instruction_home(PASS); }

Instruction *const instruction_table[256] = {
    [OP_NOP] = instruction_nop,
    [OP_MOVE] = instruction_move,
    [OP_LOAD_INTEGER] = instruction_load_integer,
    [OP_LOAD_LITERAL] = instruction_load_literal,
    [OP_LOAD_NIL] = instruction_load_nil,
    [OP_LOAD_TRUE] = instruction_load_true,
    [OP_LOAD_FALSE] = instruction_load_false,
    [OP_GET_FIELD] = instruction_get_field,
    [OP_SET_FIELD] = instruction_set_field,
    [OP_GET_GLOBAL] = instruction_get_global,
    [OP_SET_GLOBAL] = instruction_set_global,
    [OP_GET_COPIED] = instruction_get_copied,
    [OP_NEW_VECTOR] = instruction_new_vector,
    [OP_NEW_ARRAY] = instruction_new_array,
    [OP_STORE_ELEMENT] = instruction_store_element,
    [OP_STORE_ELEMENT_WIDE] = instruction_store_element_wide,
    [OP_HOME] = instruction_home,
    [OP_THIS_CONTEXT] = instruction_this_context,
    [OP_CLOSURE] = instruction_closure,
    [OP_EXT] = instruction_ext,
    [OP_SEND] = instruction_send,
    [OP_SEND_WIDE] = instruction_send_wide,
    [OP_SUPER] = instruction_super,
    [OP_SUPER_WIDE] = instruction_super_wide,
    [OP_RETURN] = instruction_return,
    [OP_RETURN_SELF] = instruction_return_self,
    [OP_RETURN_NONLOCAL] = instruction_return_nonlocal,
    [OP_JUMP] = instruction_jump,
    [OP_JUMP_NIL] = instruction_jump_nil,
    [OP_JUMP_NOT_NIL] = instruction_jump_not_nil,
    [OP_JUMP_FALSE] = instruction_jump_false,
    [OP_JUMP_TRUE] = instruction_jump_true,
    [OP_ADD] = instruction_add,
    [OP_SUBTRACT] = instruction_subtract,
    [OP_MULTIPLY] = instruction_multiply,
    [OP_DIVIDE] = instruction_divide,
    [OP_FLOOR_DIVIDE] = instruction_floor_divide,
    [OP_MODULO] = instruction_modulo,
    [OP_BIT_AND] = instruction_bit_and,
    [OP_BIT_OR] = instruction_bit_or,
    [OP_BIT_XOR] = instruction_bit_xor,
    [OP_BIT_SHIFT] = instruction_bit_shift,
    [OP_ADD_INTEGER] = instruction_add_integer,
    [OP_SUBTRACT_INTEGER] = instruction_subtract_integer,
    [OP_MULTIPLY_INTEGER] = instruction_multiply_integer,
    [OP_FLOOR_DIVIDE_INTEGER] = instruction_floor_divide_integer,
    [OP_MODULO_INTEGER] = instruction_modulo_integer,
    [OP_BIT_AND_INTEGER] = instruction_bit_and_integer,
    [OP_BIT_SHIFT_INTEGER] = instruction_bit_shift_integer,
    [OP_LESS] = instruction_less,
    [OP_LESS_EQUAL] = instruction_less_equal,
    [OP_GREATER] = instruction_greater,
    [OP_GREATER_EQUAL] = instruction_greater_equal,
    [OP_EQUAL] = instruction_equal,
    [OP_NOT_EQUAL] = instruction_not_equal,
    [OP_IDENTICAL] = instruction_identical,
    [OP_NOT_IDENTICAL] = instruction_not_identical,
    [OP_TEST_LESS] = instruction_test_less,
    [OP_TEST_LESS_TRUE] = instruction_test_less_true,
    [OP_TEST_LESS_EQUAL] = instruction_test_less_equal,
    [OP_TEST_LESS_EQUAL_TRUE] = instruction_test_less_equal_true,
    [OP_TEST_GREATER] = instruction_test_greater,
    [OP_TEST_GREATER_TRUE] = instruction_test_greater_true,
    [OP_TEST_GREATER_EQUAL] = instruction_test_greater_equal,
    [OP_TEST_GREATER_EQUAL_TRUE] = instruction_test_greater_equal_true,
    [OP_TEST_EQUAL] = instruction_test_equal,
    [OP_TEST_EQUAL_TRUE] = instruction_test_equal_true,
    [OP_TEST_NOT_EQUAL] = instruction_test_not_equal,
    [OP_TEST_NOT_EQUAL_TRUE] = instruction_test_not_equal_true,
    [OP_TEST_IDENTICAL] = instruction_test_identical,
    [OP_TEST_IDENTICAL_TRUE] = instruction_test_identical_true,
    [OP_TEST_NOT_IDENTICAL] = instruction_test_not_identical,
    [OP_TEST_NOT_IDENTICAL_TRUE] = instruction_test_not_identical_true,
    [OP_TEST_LESS_INTEGER] = instruction_test_less_integer,
    [OP_TEST_LESS_INTEGER_TRUE] = instruction_test_less_true_integer,
    [OP_TEST_LESS_EQUAL_INTEGER] = instruction_test_less_equal_integer,
    [OP_TEST_LESS_EQUAL_INTEGER_TRUE] = instruction_test_less_equal_true_integer,
    [OP_TEST_GREATER_INTEGER] = instruction_test_greater_integer,
    [OP_TEST_GREATER_INTEGER_TRUE] = instruction_test_greater_true_integer,
    [OP_TEST_GREATER_EQUAL_INTEGER] = instruction_test_greater_equal_integer,
    [OP_TEST_GREATER_EQUAL_INTEGER_TRUE] = instruction_test_greater_equal_true_integer,
    [OP_TEST_EQUAL_INTEGER] = instruction_test_equal_integer,
    [OP_TEST_EQUAL_INTEGER_TRUE] = instruction_test_equal_true_integer,
    [OP_TEST_NOT_EQUAL_INTEGER] = instruction_test_not_equal_integer,
    [OP_TEST_NOT_EQUAL_INTEGER_TRUE] = instruction_test_not_equal_true_integer,
    [OP_FOR_LOOP] = instruction_for_loop,
    [OP_FOR_NEXT] = instruction_for_next,
    [OP_AT] = instruction_at,
    [OP_AT_PUT] = instruction_at_put,
    [OP_SIZE] = instruction_size,
    [OP_CLASS] = instruction_class,
    [OP_IS_NIL] = instruction_is_nil,
    [OP_NOT_NIL] = instruction_not_nil,
    [OP_NOT] = instruction_not,
    [OP_PRIMITIVE] = instruction_primitive,
    [OP_PRIMITIVE + 1 ... OP_SEND_METHOD - 1] = instruction_unknown,
    [OP_SEND_METHOD] = instruction_send_method,
    [OP_SEND_PRIMITIVE] = instruction_send_primitive,
    [OP_SEND_GETTER] = instruction_send_getter,
    [OP_SEND_BLOCK] = instruction_send_block,
    [OP_ADD_FLOAT] = instruction_add_float,
    [OP_SUBTRACT_FLOAT] = instruction_subtract_float,
    [OP_MULTIPLY_FLOAT] = instruction_multiply_float,
    [OP_REWRITTEN_LIMIT... 255] = instruction_unknown,
};

uint32_t instruction_original(uint32_t instruction) {
  _Static_assert(OP_SUBTRACT == OP_ADD + 1 && OP_MULTIPLY == OP_ADD + 2, "the float forms are in the same order");
  uint32_t op = instruction & 255, original = op;
  if (op >= OP_SEND_METHOD && op <= OP_SEND_BLOCK) original = OP_SEND;
  if (op >= OP_ADD_FLOAT && op <= OP_MULTIPLY_FLOAT) original = op - OP_ADD_FLOAT + OP_ADD;
  return (instruction & ~255u) | original;
}

int interpret(VM *vm) {
#if defined(BATON_TRAMPOLINE)
  int status;
  do {
    const uint32_t *ip = vm->ip;
    status = instruction_table[*ip & 255](vm, ip + 1, vm->fp, vm->k);
  } while (status == RUN_ON);
  return status;
#else
  const uint32_t *ip = vm->ip;
  return instruction_table[*ip & 255](vm, ip + 1, vm->fp, vm->k);
#endif
}
