// Contexts: objects for frames, made when somebody asks; non-local return; the primitives on blocks, performing and contexts.
//
// A process keeps its live contexts in a list, `contexts`, linked by `next`, youngest frame first. A frame with a context has
// FRAME_HAS_CONTEXT set, so returning from it unlinks the context and sets its `frame` to nil. `frame` counts words from the stack's
// base, so stacks can move.
#include "vm/interpreter.h"

static Oop *stack_words(Oop process) { return object_slots(AS(Process, process)->stack); }

static Oop *base_of(VM *vm, Oop process) { return process == vm->process ? vm->stack_base : stack_words(process); }

Oop *context_frame(VM *vm, Oop context) {
  const ContextObject *c = AS(Context, context);
  if (!is_integer(c->frame)) return NULL;
  return base_of(vm, c->process) + oop_to_integer(c->frame);
}

static void fill_context(VM *vm, Oop context, Oop process, Oop *fp) {
  bool block = class_index_of(fp[-1]) == CLASS_CompiledBlock;
  heap_store(vm->heap, context, SLOT_OF(Context, process), process);
  heap_store(vm->heap, context, SLOT_OF(Context, frame), oop_from_integer(fp - base_of(vm, process)));
  heap_store(vm->heap, context, SLOT_OF(Context, code), fp[-1]);
  heap_store(vm->heap, context, SLOT_OF(Context, receiver), block ? AS(BlockClosure, fp[0])->receiver : fp[0]);
  heap_store(vm->heap, context, SLOT_OF(Context, closure), block ? fp[0] : OOP_NIL);
}

Oop context_of_frame(VM *vm, Oop process, Oop *fp, Oop after) {
  Oop frame = oop_from_integer(fp - base_of(vm, process));
  Oop previous = after;
  Oop next = after == OOP_NONE ? AS(Process, process)->contexts : AS(Context, after)->next;
  while (next != OOP_NIL && (int64_t)AS(Context, next)->frame > (int64_t)frame) {
    previous = next;
    next = AS(Context, next)->next;
  }
  if (next != OOP_NIL && AS(Context, next)->frame == frame) return next;
  Oop context = heap_allocate(vm->heap, CLASS_Context, FORMAT_FIXED, NAMED_SLOTS(Context));
  if (context == OOP_NONE) return OOP_NONE;
  fill_context(vm, context, process, fp);
  heap_store(vm->heap, context, SLOT_OF(Context, next), next);
  if (previous == OOP_NONE) heap_store(vm->heap, process, SLOT_OF(Process, contexts), context);
  else heap_store(vm->heap, previous, SLOT_OF(Context, next), context);
  fp[-3] |= FRAME_HAS_CONTEXT;
  return context;
}

void contexts_kill_in(VM *vm, Oop process, int64_t frame) {
  Oop context = AS(Process, process)->contexts;
  while (context != OOP_NIL && oop_to_integer(AS(Context, context)->frame) >= frame) {
    Oop next = AS(Context, context)->next;
    AS(Context, context)->frame = OOP_NIL;
    AS(Context, context)->next = OOP_NIL;
    AS(Context, context)->pc = OOP_NIL;
    context = next;
  }
  heap_store(vm->heap, process, SLOT_OF(Process, contexts), context);
}

void contexts_kill(VM *vm, Oop *fp) { contexts_kill_in(vm, vm->process, fp - vm->stack_base); }

// --- non-local return

static bool unwind_between(Oop *fp, const Oop *home) {
  for (Oop *f = fp; f > home; f = frame_caller(f))
    if (code_flag(f[-1], CODE_UNWIND_MARK) || f[-3] & FRAME_IS_CALLBACK) return true;
  return false;
}

int instruction_return_nonlocal(ARGS) {
  Oop value = fp[A];
  Oop home = AS(BlockClosure, fp[0])->home;
  Oop *frame = home == OOP_NIL || AS(Context, home)->process != vm->process ? NULL : context_frame(vm, home);
  if (likely(frame != NULL) && !unwind_between(fp, frame)) return return_value(PASS, frame, value);
  Oop here = context_of_frame(vm, vm->process, fp, OOP_NONE);
  if (here == OOP_NONE) return again_after_collection(PASS);
  if (frame == NULL) return send_known_1(PASS, SELECTOR_CANNOT_RETURN, here, value);
  return send_known_2(PASS, SELECTOR_RETURN_THROUGH, here, fp[A], home);
}

// --- failing and answering from a control primitive

static int fail(ARGS, FailureReason reason) {
  if (A != 0) fp[A] = vm->reasons[reason];
  NEXT;
}

static int answer(ARGS, Oop value) { return return_value(PASS, fp, value); }

// Lets a primitive that wants memory run again.
static int collect_and_retry(ARGS) {
  bool room = collect_at(vm, ip, fp, k, fp + code_arguments(fp[-1]) + 1, heap_shortage(vm->heap));
  fp = vm->fp;
  if (!room) return fail(PASS, FAIL_OUT_OF_MEMORY);
  ip = vm->ip - 1;
  NEXT;
}

// --- blocks and performing: the primitive's own frame becomes that of what it runs

// Replaces the running frame's code; registers hold receiver and arguments.
static int become_frame_of(ARGS, Oop code) {
  if (fp[-3] & FRAME_HAS_CONTEXT) contexts_kill(vm, fp);
  fp[-3] &= ~FRAME_HAS_CONTEXT;
  fp[-1] = code;
  ip = code_instructions(code);
  k = code_literals(code);
  if (frame_is_beyond(vm, fp, code_registers(code))) return enter_slowly(PASS);
  NEXT;
}

static int primitive_block_value(ARGS) {
  if (class_index_of(fp[0]) != CLASS_BlockClosure) return fail(PASS, FAIL_BAD_RECEIVER);
  Oop code = AS(BlockClosure, fp[0])->code;
  if (code_arguments(code) != code_arguments(fp[-1])) return fail(PASS, FAIL_WRONG_ARGUMENT_COUNT);
  return become_frame_of(PASS, code);
}

static bool is_array(Oop o) { return class_index_of(o) == CLASS_Array; }

enum { SPREAD_LIMIT = STACK_RESERVE - 8 };

// Copies an Array's elements to the registers from r1 on.
static void spread(Oop *fp, Oop array) {
  size_t count = object_size(array);
  memmove(fp + 1, object_slots(array), count * sizeof(Oop));
}

static int primitive_block_value_with_arguments(ARGS) {
  if (class_index_of(fp[0]) != CLASS_BlockClosure) return fail(PASS, FAIL_BAD_RECEIVER);
  if (!is_array(fp[1])) return fail(PASS, FAIL_BAD_ARGUMENT);
  Oop code = AS(BlockClosure, fp[0])->code;
  if (code_arguments(code) != object_size(fp[1]) || object_size(fp[1]) > SPREAD_LIMIT) return fail(PASS, FAIL_WRONG_ARGUMENT_COUNT);
  spread(fp, fp[1]);
  return become_frame_of(PASS, code);
}

static bool is_symbol(Oop o) { return class_index_of(o) == CLASS_Symbol || class_index_of(o) == CLASS_WideSymbol; }

static bool is_class(VM *vm, Oop o) {
  if (!is_pointer(o)) return false;
  uint32_t index = class_index_of(o);
  return index == CLASS_Class || index == CLASS_Metaclass || class_index_of(class_of(vm, o)) == CLASS_Metaclass;
}

// Sends from the place of the running frame, which goes: the window keeps its caller and return address.
INLINE int send_in_place(ARGS, Oop class, Oop selector, size_t count) {
  Oop method = class_lookup(vm, class, selector);
  if (method != OOP_NONE && method != OOP_NIL && code_arguments(method) == count) return become_frame_of(PASS, method);
  if (fp[-3] & FRAME_HAS_CONTEXT) contexts_kill(vm, fp);
  // not understood: leave this frame, then send in the caller's name
  Oop *frame = fp;
  ip = oop_to_ip(frame[-2]);
  fp = frame_caller(frame);
  k = code_literals(fp[-1]);
  return send_selector(PASS, frame, selector);
}

static int primitive_perform(ARGS) {
  size_t count = code_arguments(fp[-1]) - 1;
  Oop selector = fp[1];
  if (!is_symbol(selector)) return fail(PASS, FAIL_BAD_ARGUMENT);
  if (selector_arguments(selector) != count) return fail(PASS, FAIL_WRONG_ARGUMENT_COUNT);
  memmove(fp + 1, fp + 2, count * sizeof(Oop));
  return send_in_place(PASS, class_of(vm, fp[0]), selector, count);
}

static int perform_with(ARGS, Oop class) {
  Oop selector = fp[1], array = fp[2];
  if (!is_symbol(selector) || !is_array(array)) return fail(PASS, FAIL_BAD_ARGUMENT);
  if (selector_arguments(selector) != object_size(array) || object_size(array) > SPREAD_LIMIT) return fail(PASS, FAIL_WRONG_ARGUMENT_COUNT);
  spread(fp, array);
  return send_in_place(PASS, class, selector, selector_arguments(selector));
}

static int primitive_perform_with_arguments(ARGS) { return perform_with(PASS, class_of(vm, fp[0])); }

static int primitive_perform_in_superclass(ARGS) {
  if (!is_class(vm, fp[3])) return fail(PASS, FAIL_BAD_ARGUMENT);
  return perform_with(PASS, fp[3]);
}

// A method reads slots of its receiver unchecked, so that must be of the method's class.
static bool may_receive(VM *vm, Oop receiver, Oop method) {
  Oop wanted = AS(CompiledMethod, method)->methodClass;
  for (Oop c = class_of(vm, receiver); c != OOP_NIL; c = AS(Class, c)->superclass)
    if (c == wanted) return true;
  return false;
}

static int primitive_method_execute(ARGS) {
  Oop method = fp[0];
  if (class_index_of(method) != CLASS_CompiledMethod) return fail(PASS, FAIL_BAD_RECEIVER);
  if (!is_array(fp[2]) || !may_receive(vm, fp[1], method)) return fail(PASS, FAIL_BAD_ARGUMENT);
  if (code_arguments(method) != object_size(fp[2]) || object_size(fp[2]) > SPREAD_LIMIT) return fail(PASS, FAIL_WRONG_ARGUMENT_COUNT);
  fp[0] = fp[1];
  spread(fp, fp[2]);
  return become_frame_of(PASS, method);
}

static int primitive_mark(ARGS) { return fail(PASS, FAIL_NONE); }

// --- contexts

static bool is_context(Oop o) { return class_index_of(o) == CLASS_Context; }

// The receiver's frame, or NULL after a failure reason that `fail` takes.
static Oop *receiver_frame(VM *vm, Oop context) { return is_context(context) ? context_frame(vm, context) : NULL; }

INLINE int answer_context(ARGS, Oop process, Oop *frame, Oop after) {
  Oop context = context_of_frame(vm, process, frame, after);
  if (context == OOP_NONE) return collect_and_retry(PASS);
  return answer(PASS, context);
}

static int primitive_context_sender(ARGS) {
  Oop *frame = receiver_frame(vm, fp[0]);
  if (frame == NULL || frame[-3] & FRAME_IS_BASE) return answer(PASS, OOP_NIL);
  return answer_context(PASS, AS(Context, fp[0])->process, frame_caller(frame), fp[0]);
}

static int primitive_context_is_alive(ARGS) { return answer(PASS, oop_from_boolean(receiver_frame(vm, fp[0]) != NULL)); }

static int primitive_context_method(ARGS) {
  if (!is_context(fp[0])) return fail(PASS, FAIL_BAD_RECEIVER);
  return answer(PASS, AS(Context, fp[0])->code);
}

static int primitive_context_receiver(ARGS) {
  if (!is_context(fp[0])) return fail(PASS, FAIL_BAD_RECEIVER);
  return answer(PASS, AS(Context, fp[0])->receiver);
}

// The register that argument 1 names, or NULL.
static Oop *context_register(VM *vm, Oop *fp) {
  Oop *frame = receiver_frame(vm, fp[0]);
  if (frame == NULL || !is_integer(fp[1])) return NULL;
  uint64_t index = (uint64_t)oop_to_integer(fp[1]);
  return index < code_registers(frame[-1]) ? frame + index : NULL;
}

static int primitive_context_register_at(ARGS) {
  const Oop *p = context_register(vm, fp);
  return p == NULL ? fail(PASS, FAIL_BAD_INDEX) : answer(PASS, *p);
}

static int primitive_context_register_at_put(ARGS) {
  Oop *p = context_register(vm, fp);
  if (p == NULL) return fail(PASS, FAIL_BAD_INDEX);
  *p = fp[2];
  Oop process = AS(Context, fp[0])->process;
  if (process != vm->process && !(object_header(AS(Process, process)->stack) & HEADER_REMEMBERED)) heap_remember(vm->heap, AS(Process, process)->stack);
  return answer(PASS, fp[2]);
}

// Where the process would go on in that frame.
static const uint32_t *frame_pc(VM *vm, Oop process, Oop *frame, Oop *top, const uint32_t *top_ip) {
  (void)vm, (void)process;
  if (frame == top) return top_ip;
  Oop *f = top;
  while (frame_caller(f) != frame) f = frame_caller(f);
  return oop_to_ip(f[-2]);
}

static int primitive_context_pc(ARGS) {
  Oop *frame = receiver_frame(vm, fp[0]);
  if (frame == NULL) return answer(PASS, OOP_NIL);
  Oop process = AS(Context, fp[0])->process;
  bool active = process == vm->process;
  Oop *top = active ? fp : stack_words(process) + oop_to_integer(AS(Process, process)->frame);
  const uint32_t *pc = frame_pc(vm, process, frame, top, active ? ip : oop_to_ip(AS(Process, process)->pc));
  return answer(PASS, oop_from_integer(pc - code_instructions(frame[-1])));
}

INLINE int find_marked(ARGS, int64_t mark, const Oop *stop) {
  Oop *frame = receiver_frame(vm, fp[0]);
  if (frame == NULL) return answer(PASS, OOP_NIL);
  while (!(frame[-3] & FRAME_IS_BASE)) {
    frame = frame_caller(frame);
    if (frame <= stop) break;
    if (code_flag(frame[-1], mark)) return answer_context(PASS, AS(Context, fp[0])->process, frame, fp[0]);
  }
  return answer(PASS, OOP_NIL);
}

static int primitive_context_next_handler(ARGS) { return find_marked(PASS, CODE_HANDLER_MARK, NULL); }

static int primitive_context_next_unwind(ARGS) {
  const Oop *stop = is_context(fp[1]) ? context_frame(vm, fp[1]) : NULL;
  return find_marked(PASS, CODE_UNWIND_MARK, stop);
}

// Only frames of the running process can be returned from, and none below C code that has called back.
static Oop *own_frame(VM *vm, Oop context, Oop *fp) {
  if (!is_context(context) || AS(Context, context)->process != vm->process) return NULL;
  Oop *frame = context_frame(vm, context);
  for (Oop *f = fp; frame != NULL && f > frame; f = frame_caller(f))
    if (f[-3] & FRAME_IS_CALLBACK) return NULL;
  return frame;
}

// The frame that C has called, nearest to the receiver's among its callers above the argument's; nil if there is none.
static int primitive_context_next_callback(ARGS) {
  Oop *frame = receiver_frame(vm, fp[0]);
  const Oop *stop = is_context(fp[1]) ? context_frame(vm, fp[1]) : NULL;
  if (frame == NULL) return answer(PASS, OOP_NIL);
  if (frame > stop && frame[-3] & FRAME_IS_CALLBACK) return answer(PASS, fp[0]);
  while (!(frame[-3] & FRAME_IS_BASE) && (frame = frame_caller(frame)) > stop)
    if (frame[-3] & FRAME_IS_CALLBACK) return answer_context(PASS, AS(Context, fp[0])->process, frame, fp[0]);
  return answer(PASS, OOP_NIL);
}

static int primitive_context_return(ARGS) {
  Oop *frame = own_frame(vm, fp[0], fp);
  if (frame == NULL) return fail(PASS, FAIL_BAD_STATE);
  return return_value(PASS, frame, fp[1]);
}

// Cuts the stack to the frame and goes on in it with the value as the result of what it last called.
static int primitive_context_resume(ARGS) {
  Oop *frame = own_frame(vm, fp[0], fp);
  if (frame == NULL || frame == fp) return fail(PASS, FAIL_BAD_STATE);
  Oop *callee = fp;
  while (frame_caller(callee) != frame) callee = frame_caller(callee);
  contexts_kill(vm, callee);
  callee[-3] &= ~FRAME_HAS_CONTEXT;
  return return_value(PASS, callee, fp[1]);
}

static int primitive_context_restart(ARGS) {
  Oop *frame = own_frame(vm, fp[0], fp);
  if (frame == NULL) return fail(PASS, FAIL_BAD_STATE);
  Oop *callee = fp;
  while (callee > frame && frame_caller(callee) != frame) callee = frame_caller(callee);
  if (callee > frame) contexts_kill(vm, callee);
  fp = frame;
  ip = code_instructions(fp[-1]);
  k = code_literals(fp[-1]);
  NEXT;
}

void context_primitives_register(VM *vm) {
  static const PrimitiveEntry entries[] = {
      {"blockValue", -1, NULL, primitive_block_value, false},
      {"blockValueWithArguments", 1, NULL, primitive_block_value_with_arguments, false},
      {"objectPerform", -1, NULL, primitive_perform, false},
      {"objectPerformWithArguments", 2, NULL, primitive_perform_with_arguments, false},
      {"objectPerformInSuperclass", 3, NULL, primitive_perform_in_superclass, false},
      {"methodExecute", 2, NULL, primitive_method_execute, false},
      {"handlerMark", -1, NULL, primitive_mark, false},
      {"unwindMark", -1, NULL, primitive_mark, false},
      {"contextSender", 0, NULL, primitive_context_sender, false},
      {"contextIsAlive", 0, NULL, primitive_context_is_alive, false},
      {"contextMethod", 0, NULL, primitive_context_method, false},
      {"contextReceiver", 0, NULL, primitive_context_receiver, false},
      {"contextRegisterAt", 1, NULL, primitive_context_register_at, false},
      {"contextRegisterAtPut", 2, NULL, primitive_context_register_at_put, false},
      {"contextPc", 0, NULL, primitive_context_pc, false},
      {"contextNextHandler", 0, NULL, primitive_context_next_handler, false},
      {"contextNextUnwind", 1, NULL, primitive_context_next_unwind, false},
      {"contextNextCallback", 1, NULL, primitive_context_next_callback, false},
      {"contextReturn", 1, NULL, primitive_context_return, false},
      {"contextResume", 1, NULL, primitive_context_resume, false},
      {"contextRestart", 0, NULL, primitive_context_restart, false},
  };
  primitives_register(vm, entries, sizeof entries / sizeof *entries);
}
