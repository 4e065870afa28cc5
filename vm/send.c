// Sends and returns.
//
// A send site has a cache of four words in its code's literal frame: class, target method, how to run it, selector. A
// site that has seen one class is rewritten to an instruction for just that way of running (a method, a primitive, an instance
// variable, a block); one that has seen two to four keeps them in an Array; beyond that it uses the global cache. Each filled site is
// listed in vm->linked, so that a change of methods can empty just the caches of that selector.
#include "vm/interpreter.h"
#include <stdlib.h>

enum { POLYMORPHIC_LIMIT = 4, POLYMORPHIC_WORDS = 3 * POLYMORPHIC_LIMIT };

size_t selector_arguments(Oop selector) { return (size_t)symbol_argument_count(selector); }

Oop code_method(Oop code) {
  while (class_index_of(code) == CLASS_CompiledBlock) code = AS(CompiledBlock, code)->outerCode;
  return code;
}

// --- what kind of method is it

static uint64_t extra_of(RunKind kind, uint64_t operand) { return oop_from_integer((int64_t)(operand << 8 | kind)); }
static RunKind extra_kind(uint64_t extra) { return (RunKind)((extra >> 3) & 255); }
static uint64_t extra_operand(uint64_t extra) { return extra >> 11; }

static const PrimitiveEntry *primitive_of(uint64_t extra) { return (const PrimitiveEntry *)(uintptr_t)extra_operand(extra); }

static uint64_t extra_for_frame(Oop method) {
  if (code_registers(method) > SMALL_FRAME) return extra_of(RUN_LARGE_METHOD, 0);
  return extra_of(RUN_METHOD, (uint64_t)(uintptr_t)code_instructions(method));
}

static uint64_t extra_of_two(Oop method, uint32_t first, uint32_t second) {
  uint32_t op = first & 255, a = (first >> 8) & 255, b = (first >> 16) & 255;
  if ((second & 255) == OP_RETURN && ((second >> 8) & 255) == a) {
    if (op == OP_GET_FIELD && b == 0) return extra_of(RUN_GETTER, first >> 24);
    if (op == OP_LOAD_LITERAL) return extra_of(RUN_LITERAL, first >> 16);
  }
  if (op == OP_SET_FIELD && a == 1 && b == 0 && (second & 255) == OP_RETURN_SELF) return extra_of(RUN_SETTER, first >> 24);
  return extra_for_frame(method);
}

// How a method can be run most simply. Getters and setters are only taken for methods of an ordinary receiver, since the class decides.
static uint64_t extra_for(VM *vm, Oop method) {
  uint32_t *code = code_instructions(method);
  size_t count = object_element_count(AS(CompiledMethod, method)->code);
  if ((code[0] & 255) == OP_PRIMITIVE) {
    const PrimitiveEntry *entry = vm->primitives[code[0] >> 16];
    bool fits = entry->arguments < 0 || (size_t)entry->arguments == code_arguments(method);
    if (entry->control == NULL && !entry->collects && fits) return extra_of(RUN_PRIMITIVE, (uint64_t)(uintptr_t)entry);
    if (entry->control != NULL && strcmp(entry->name, "blockValue") == 0) return extra_of(RUN_BLOCK, code_arguments(method));
    return extra_for_frame(method);
  }
  if ((code[0] & 255) == OP_RETURN_SELF) return extra_of(RUN_SELF, 0);
  return count >= 2 ? extra_of_two(method, code[0], code[1]) : extra_for_frame(method);
}

// --- lookup

static GlobalCacheEntry *global_entry(VM *vm, uint32_t class_index, Oop selector) {
  size_t h = (size_t)(selector >> 4) ^ ((size_t)class_index * 0x9E3779B1u);
  return &vm->global_cache[h & (GLOBAL_CACHE_SIZE - 1)];
}

// The method by the global cache; NULL when the class does not understand the selector.
static GlobalCacheEntry *look_up(VM *vm, uint32_t class_index, Oop selector) {
  GlobalCacheEntry *e = global_entry(vm, class_index, selector);
  if (e->class_index == class_index && e->selector == selector) return e;
  Oop method = class_lookup(vm, class_at(vm, class_index), selector);
  if (method == OOP_NONE || method == OOP_NIL) return NULL;
  *e = (GlobalCacheEntry){class_index, selector, method, extra_for(vm, method)};
  return e;
}

bool answers_self(VM *vm, uint32_t class_index, Oop selector) {
  const GlobalCacheEntry *e = look_up(vm, class_index, selector);
  return e != NULL && extra_kind(e->extra) == RUN_SELF;
}

bool runs_primitive(VM *vm, uint32_t class_index, Oop selector, PlainPrimitive primitive) {
  const GlobalCacheEntry *e = look_up(vm, class_index, selector);
  return e != NULL && extra_kind(e->extra) == RUN_PRIMITIVE && primitive_of(e->extra)->plain == primitive;
}

// --- linking

static void note_linked(VM *vm, Oop code, uint32_t *instruction, Oop *cache) {
  if (vm->linked_count == vm->linked_capacity) {
    vm->linked_capacity = vm->linked_capacity ? 2 * vm->linked_capacity : 1024;
    vm->linked = realloc(vm->linked, vm->linked_capacity * sizeof(LinkedSite));
    if (vm->linked == NULL) abort();
  }
  vm->linked[vm->linked_count++] = (LinkedSite){code, instruction, cache};
}

static void site_reset(LinkedSite *site) {
  *site->instruction = instruction_original(*site->instruction);
  site->cache[CACHE_CLASS] = CACHE_EMPTY;
  site->cache[CACHE_TARGET] = OOP_NIL;
  site->cache[CACHE_EXTRA] = oop_from_integer(0);
}

void caches_flush(VM *vm) {
  for (size_t i = 0; i < vm->linked_count; i++) site_reset(&vm->linked[i]);
  vm->linked_count = 0;
  memset(vm->global_cache, 0, GLOBAL_CACHE_SIZE * sizeof(GlobalCacheEntry));
}

void caches_flush_selector(VM *vm, Oop selector) {
  size_t kept = 0;
  for (size_t i = 0; i < vm->linked_count; i++) {
    if (vm->linked[i].cache[CACHE_SELECTOR] == selector) site_reset(&vm->linked[i]);
    else vm->linked[kept++] = vm->linked[i];
  }
  vm->linked_count = kept;
  for (size_t i = 0; i < GLOBAL_CACHE_SIZE; i++)
    if (vm->global_cache[i].selector == selector) vm->global_cache[i] = (GlobalCacheEntry){0};
}

static void quicken(uint32_t *instruction, RunKind kind) {
  static const uint8_t quick[] = {
      [RUN_METHOD] = OP_SEND_METHOD, [RUN_GETTER] = OP_SEND_GETTER, [RUN_PRIMITIVE] = OP_SEND_PRIMITIVE, [RUN_BLOCK] = OP_SEND_BLOCK};
  uint8_t op = kind < sizeof quick ? quick[kind] : 0;
  if (op != 0) *instruction = (*instruction & ~255u) | op;
}

static bool link_polymorphic(VM *vm, Oop *cache) {
  Oop array = heap_allocate_old(vm->heap, CLASS_Array, FORMAT_INDEXABLE, POLYMORPHIC_WORDS);
  if (array == OOP_NONE) return false;
  Oop *slots = object_slots(array);
  for (size_t i = 0; i < 3; i++) slots[i] = cache[i];
  cache[CACHE_CLASS] = CACHE_POLYMORPHIC;
  cache[CACHE_TARGET] = array;
  return true;
}

// Enters what the lookup found in the site's cache. instruction: the send's own word.
static void link_site(VM *vm, Oop code, uint32_t *instruction, Oop *cache, const GlobalCacheEntry *e) {
  Oop class_word = oop_from_integer(e->class_index);
  if (cache[CACHE_CLASS] == CACHE_EMPTY) {
    cache[CACHE_CLASS] = class_word;
    cache[CACHE_TARGET] = e->method;
    cache[CACHE_EXTRA] = e->extra;
    note_linked(vm, code, instruction, cache);
    if ((*instruction & 255) == OP_SEND) quicken(instruction, extra_kind(e->extra));
    return;
  }
  *instruction = instruction_original(*instruction);
  if (cache[CACHE_CLASS] == CACHE_MEGAMORPHIC) return;
  if (cache[CACHE_CLASS] != CACHE_POLYMORPHIC && !link_polymorphic(vm, cache)) return;
  Oop *slots = object_slots(cache[CACHE_TARGET]);
  for (size_t i = 0; i < POLYMORPHIC_WORDS; i += 3)
    if (slots[i] == OOP_NIL) {
      slots[i] = class_word;
      slots[i + 1] = e->method;
      slots[i + 2] = e->extra;
      return;
    }
  cache[CACHE_CLASS] = CACHE_MEGAMORPHIC;
  cache[CACHE_TARGET] = OOP_NIL;
}

// --- activation

// Sets up the callee's frame and goes on at its first instruction. registers: how many the code has, or SMALL_FRAME if no more than that.
INLINE int enter_frame(ARGS, Oop *frame, Oop code, const uint32_t *first, size_t registers) {
  frame[-3] = oop_from_integer(frame - fp);
  frame[-2] = ip_to_oop(ip);
  frame[-1] = code;
  ip = first;
  fp = frame;
  if (unlikely(frame_is_beyond(vm, frame, registers))) return enter_slowly(PASS);
  k = code_literals(code);
  NEXT;
}

INLINE int activate_inline(ARGS, Oop *frame, Oop code) { return enter_frame(PASS, frame, code, code_instructions(code), code_registers(code)); }

INLINE int activate_small(ARGS, Oop *frame, Oop method, uint64_t extra) {
  return enter_frame(PASS, frame, method, (const uint32_t *)(uintptr_t)extra_operand(extra), SMALL_FRAME);
}

int activate(ARGS, Oop *frame, Oop code) { return activate_inline(PASS, frame, code); }

INLINE int answer_here(ARGS, Oop value) {
  fp[A] = value;
  NEXT;
}

// target: `value` or the like, and RUN_BLOCK with the number of its arguments.
INLINE int activate_block(ARGS, Oop *frame, const Oop *target) {
  Oop code = AS(BlockClosure, frame[0])->code;
  if (unlikely(code_arguments(code) != extra_operand(target[1]))) return activate(PASS, frame, target[0]);
  return activate_inline(PASS, frame, code);
}

INLINE int run_setter(ARGS, Oop *frame, Oop method, uint64_t slot) {
  if (unlikely(object_is_immutable(frame[0]))) return activate(PASS, frame, method);
  heap_store(vm->heap, frame[0], slot, frame[1]);
  return answer_here(PASS, frame[0]);
}

// The primitive that the method begins with has failed: the method goes on behind it, or once more with it after a collection.
SLOW int primitive_missed(ARGS, Oop *frame, Oop method) {
  const uint32_t *first = code_instructions(method);
  uint32_t reason = OPERAND_A(*first);
  if (vm->failure == FAIL_NEEDS_COLLECTION || code_registers(method) > SMALL_FRAME) return activate(PASS, frame, method);
  if (reason != 0) frame[reason] = vm->reasons[vm->failure];
  return enter_frame(PASS, frame, method, first + 1, SMALL_FRAME);
}

INLINE int run_primitive(ARGS, Oop *frame, Oop method, uint64_t extra) {
  Oop result = primitive_of(extra)->plain(vm, frame);
  if (unlikely(result == OOP_NONE)) return primitive_missed(PASS, frame, method);
  return answer_here(PASS, result);
}

// target: a method and how to run it, two words of a cache.
static int run_target(ARGS, Oop *frame, const Oop *target) {
  Oop method = target[0];
  uint64_t extra = target[1];
  switch (extra_kind(extra)) {
    case RUN_GETTER: return answer_here(PASS, object_slots(frame[0])[extra_operand(extra)]);
    case RUN_SETTER: return run_setter(PASS, frame, method, extra_operand(extra));
    case RUN_SELF: return answer_here(PASS, frame[0]);
    case RUN_LITERAL: return answer_here(PASS, code_literals(method)[extra_operand(extra)]);
    case RUN_PRIMITIVE: return run_primitive(PASS, frame, method, extra);
    case RUN_BLOCK: return activate_block(PASS, frame, target);
    case RUN_METHOD: return activate_small(PASS, frame, method, extra);
    case RUN_LARGE_METHOD: break;
  }
  return activate_inline(PASS, frame, method);
}

// --- not understood

static Oop message_new(VM *vm, Oop selector, const Oop *arguments, size_t count) {
  Oop array = heap_allocate(vm->heap, CLASS_Array, FORMAT_INDEXABLE, count);
  if (array == OOP_NONE) return OOP_NONE;
  for (size_t i = 0; i < count; i++) heap_store(vm->heap, array, i, arguments[i]);
  Oop message = heap_allocate(vm->heap, CLASS_Message, FORMAT_FIXED, NAMED_SLOTS(Message));
  if (message == OOP_NONE) return OOP_NONE;
  heap_store(vm->heap, message, SLOT_OF(Message, selector), selector);
  heap_store(vm->heap, message, SLOT_OF(Message, arguments), array);
  heap_store(vm->heap, message, SLOT_OF(Message, lookupClass), class_of(vm, arguments[-1]));
  return message;
}

SLOW int not_understood(ARGS, Oop *frame, Oop selector) {
  Oop dnu = vm->selectors[SELECTOR_DOES_NOT_UNDERSTAND];
  if (selector == dnu) vm_fatal(vm, "doesNotUnderstand: is not understood");
  size_t count = selector_arguments(selector);
  Oop message;
  while ((message = message_new(vm, selector, frame + 1, count)) == OOP_NONE) {
    ptrdiff_t distance = frame - fp;
    if (!collect_at(vm, ip, fp, k, frame + count + 1, 8 * (count + 2 + NAMED_SLOTS(Message))))
      vm_fatal(vm, "out of memory while reporting a message that is not understood");
    fp = vm->fp;
    frame = fp + distance;
  }
  frame[1] = message;
  return send_selector(PASS, frame, dnu);
}

// --- sends

int send_selector(ARGS, Oop *frame, Oop selector) {
  GlobalCacheEntry *e = look_up(vm, class_index_of(frame[0]), selector);
  if (unlikely(e == NULL)) return not_understood(PASS, frame, selector);
  return run_target(PASS, frame, &e->method);
}

static uint32_t *own_instruction(const uint32_t *ip) {
  uint32_t *word = (uint32_t *)(uintptr_t)(ip - 1);
  return (*word & 255) == OP_EXT ? word - 1 : word;
}

SLOW int send_missed(ARGS, Oop *frame, Oop *cache) {
  GlobalCacheEntry *e = look_up(vm, class_index_of(frame[0]), cache[CACHE_SELECTOR]);
  if (unlikely(e == NULL)) return not_understood(PASS, frame, cache[CACHE_SELECTOR]);
  link_site(vm, fp[-1], own_instruction(ip), cache, e);
  return run_target(PASS, frame, &e->method);
}

int send_by_cache(ARGS, Oop *frame, Oop *cache) {
  Oop class_word = oop_from_integer(class_index_of(frame[0]));
  if (likely(cache[CACHE_CLASS] == class_word)) return run_target(PASS, frame, cache + CACHE_TARGET);
  if (cache[CACHE_CLASS] == CACHE_POLYMORPHIC) {
    const Oop *slots = object_slots(cache[CACHE_TARGET]);
    for (size_t i = 0; i < POLYMORPHIC_WORDS; i += 3)
      if (slots[i] == class_word) return run_target(PASS, frame, slots + i + 1);
  }
  return send_missed(PASS, frame, cache);
}

int instruction_send(ARGS) { return send_by_cache(PASS, fp + B + FRAME_HEADER, k + CACHE_WORDS * C); }

int instruction_send_wide(ARGS) {
  uint32_t site = *ip++ >> 16;
  return send_by_cache(PASS, fp + B + FRAME_HEADER, k + (size_t)CACHE_WORDS * site);
}

#define CACHE_HIT(cache, receiver) ((cache)[CACHE_CLASS] >> 3 == class_index_of(receiver))

int instruction_send_method(ARGS) {
  Oop *frame = fp + B + FRAME_HEADER;
  const Oop *cache = k + CACHE_WORDS * C;
  if (unlikely(!CACHE_HIT(cache, frame[0]))) return instruction_send(PASS);
  return activate_small(PASS, frame, cache[CACHE_TARGET], cache[CACHE_EXTRA]);
}

int instruction_send_primitive(ARGS) {
  Oop *frame = fp + B + FRAME_HEADER;
  const Oop *cache = k + CACHE_WORDS * C;
  if (unlikely(!CACHE_HIT(cache, frame[0]))) return instruction_send(PASS);
  Oop result = primitive_of(cache[CACHE_EXTRA])->plain(vm, frame);
  if (unlikely(result == OOP_NONE)) return primitive_missed(PASS, frame, cache[CACHE_TARGET]);
  fp[A] = result;
  NEXT;
}

int instruction_send_getter(ARGS) {
  Oop receiver = fp[B + FRAME_HEADER];
  const Oop *cache = k + CACHE_WORDS * C;
  if (unlikely(!CACHE_HIT(cache, receiver))) return instruction_send(PASS);
  fp[A] = object_slots(receiver)[extra_operand(cache[CACHE_EXTRA])];
  NEXT;
}

int instruction_send_block(ARGS) {
  Oop *frame = fp + B + FRAME_HEADER;
  const Oop *cache = k + CACHE_WORDS * C;
  if (unlikely(!CACHE_HIT(cache, frame[0]))) return instruction_send(PASS);
  return activate_block(PASS, frame, cache + CACHE_TARGET);
}

// --- super: the target depends on nothing but the site

SLOW int super_missed(ARGS, Oop *frame, Oop *cache) {
  Oop class = AS(CompiledMethod, code_method(fp[-1]))->methodClass;
  Oop superclass = AS(Class, class)->superclass;
  Oop selector = cache[CACHE_SELECTOR];
  Oop method = superclass == OOP_NIL ? OOP_NONE : class_lookup(vm, superclass, selector);
  if (method == OOP_NONE || method == OOP_NIL) return not_understood(PASS, frame, selector);
  cache[CACHE_CLASS] = oop_from_integer(0);
  cache[CACHE_TARGET] = method;
  cache[CACHE_EXTRA] = extra_for(vm, method);
  note_linked(vm, fp[-1], own_instruction(ip), cache);
  return run_target(PASS, frame, cache + CACHE_TARGET);
}

static int super_by_cache(ARGS, Oop *frame, Oop *cache) {
  if (unlikely(cache[CACHE_CLASS] == CACHE_EMPTY)) return super_missed(PASS, frame, cache);
  return run_target(PASS, frame, cache + CACHE_TARGET);
}

int instruction_super(ARGS) { return super_by_cache(PASS, fp + B + FRAME_HEADER, k + CACHE_WORDS * C); }

int instruction_super_wide(ARGS) {
  uint32_t site = *ip++ >> 16;
  return super_by_cache(PASS, fp + B + FRAME_HEADER, k + (size_t)CACHE_WORDS * site);
}

// --- between two instructions

// frame[-3] has the flags already.
INLINE int call_between(ARGS, Oop *frame, Oop selector) {
  Oop method = class_lookup(vm, class_of(vm, frame[0]), selector);
  if (method == OOP_NONE || method == OOP_NIL) NEXT;
  frame[-3] |= oop_from_integer(frame - fp);
  frame[-2] = ip_to_oop(ip);
  frame[-1] = method;
  ip = code_instructions(method);
  fp = frame;
  k = code_literals(method);
  if (frame + frame_words(code_registers(method)) > vm->stack_end - STACK_RESERVE) return enter_slowly(PASS);
  NEXT;
}

int interject(ARGS, Oop *frame, Oop selector) {
  frame[-3] = FRAME_DISCARDS;
  return call_between(PASS, frame, selector);
}

int ask_boolean(ARGS, Oop *frame) {
  frame[-3] = FRAME_TESTS;
  return call_between(PASS, frame, vm->selectors[SELECTOR_MUST_BE_BOOLEAN]);
}

// --- returns

// Goes on behind the jump before ip or where it leads; what is no Boolean counts as false.
static int go_on_as_asked(ARGS, Oop answer) {
  bool when = (ip[-1] & 255) == OP_JUMP_TRUE;
  if ((answer == OOP_TRUE) == when) ip += SIGNED_BX;
  NEXT;
}

int return_value(ARGS, Oop *top, Oop value) {
  Oop saved = top[-3];
  if (saved & FRAME_HAS_CONTEXT || top < fp) contexts_kill(vm, top);
  if (saved & FRAME_IS_CALLBACK) return calls_answer_callback(PASS, top, value);
  if (saved & FRAME_IS_BASE) {
    vm_save_state(vm, ip, top, k);
    int status = process_finish(vm);
    if (status != RUN_ON) return status;
    ip = vm->ip;
    fp = vm->fp;
    k = vm->k;
    NEXT;
  }
  ip = oop_to_ip(top[-2]);
  fp = frame_caller(top);
  k = code_literals(fp[-1]);
  stack_reset_limit(vm, fp);
  if (saved & FRAME_TESTS) return go_on_as_asked(PASS, value);
  if (!(saved & FRAME_DISCARDS)) fp[A] = value;
  NEXT;
}

// --- safepoints

int safepoint(ARGS) {
  uint32_t bits = atomic_exchange(&vm->attention, 0);
  stack_reset_limit(vm, fp);
  if (bits & ATTENTION_INTERRUPT) {
    uint32_t others = bits & ~(uint32_t)ATTENTION_INTERRUPT;
    if (others != 0) atomic_fetch_or(&vm->attention, others);
    return interject_known(PASS, SELECTOR_INTERRUPTED, vm->process, OOP_NIL);
  }
  if (bits != 0) {
    vm_save_state(vm, ip, fp, k);
    int status = scheduler_attention(vm, bits);
    if (status != RUN_ON) return status;
    ip = vm->ip;
    fp = vm->fp;
    k = vm->k;
  }
  NEXT;
}

// Goes on with another process: this one is out of stack while it handles just that.
static int abandon(ARGS) {
  (void)ip, (void)fp, (void)k;
  int status = process_abandon(vm, "stack overflow while handling one");
  if (status != RUN_ON) return status;
  ip = vm->ip;
  fp = vm->fp;
  k = vm->k;
  NEXT;
}

// The frame that is being entered does not fit, or somebody wants attention.
int enter_slowly(ARGS) {
  size_t needed = frame_words(code_registers(fp[-1]));
  bool overflow = false;
  k = code_literals(fp[-1]);
  if (fp + needed > vm->stack_end - STACK_RESERVE) {
    vm_save_state(vm, ip, fp, k);
    if (!stack_grow(vm, needed)) {
      overflow = stack_grow_for_handler(vm, needed);
      if (!overflow) return abandon(PASS);
    }
    fp = vm->fp;
  }
  if (overflow || stack_overflows(vm, fp + needed)) {
    stack_reset_limit(vm, fp);
    return interject_known(PASS, SELECTOR_STACK_OVERFLOW, vm->process, OOP_NIL);
  }
  return safepoint(PASS);
}
