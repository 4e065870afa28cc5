// Callbacks: C code calls Smalltalk blocks.
//
// A stub is a piece of code that libffi makes for one CCallback. Called on the thread of a call, the Smalltalk code runs on top of that call, in
// its process (vm/calls.c). Called on a thread that the VM did not make, the request goes to a queue; processes of Smalltalk code take it
// from there (CCallback class>>serve) and answer it, while the thread waits.
//
// A stub lives as long as the program: C may keep its address. One that has been released, or whose VM has closed, answers its default. Stubs of blocks
// that were passed for one call alone are used again for others of the same type, the longest unused first, and not before there are
// REUSE_AFTER of them.
#include "ffi/callout.h"
#include "ffi/foreign.h"
#include "vm/process.h"
#include <errno.h>
#include <stdlib.h>

enum { REUSE_AFTER = 1024, DEFAULT_BYTES = 32, STACK_LEFT = 128 << 10 };

typedef struct Stub Stub;
typedef struct ForeignRequest ForeignRequest;

struct Stub {
  ffi_closure *closure;
  void *code;
  _Atomic(VM *) vm;  // NULL: released; changed under the mutex
  ForeignFunction *type;
  Oop callback;  // a root while not released
  uint64_t default_value[DEFAULT_BYTES / 8];
  size_t result_bytes;
  Stub *next, *previous;  // of the VM's; released ones by `next` alone
};

// Of a thread that waits; lies on its stack.
struct ForeignRequest {
  Request request;
  Stub *stub;
  void **arguments;
  void *result;
  bool done;
  pthread_cond_t answered;
  ForeignRequest *next;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;  // guards stub->vm and request->done: they outlive VMs
static struct {
  Stub *first, *last;
  size_t count;
} released;

static bool is_callback(Oop o) { return class_index_of(o) == CLASS_CCallback; }

// --- stubs

static void answer_default(const Stub *stub, void *result) { memcpy(result, stub->default_value, stub->result_bytes); }

typedef struct {
  Stub *stub;
  void **arguments;
  void *result;
} Invocation;

// The arguments as an Array; OOP_NONE: needs collection.
static Oop argument_array(VM *vm, const Stub *stub, void **arguments) {
  Oop array = heap_allocate(vm->heap, CLASS_Array, FORMAT_INDEXABLE, stub->type->count);
  for (size_t i = 0; array != OOP_NONE && i < stub->type->count; i++) {
    Oop o = callback_argument(vm, stub->type, i, arguments[i]);
    if (o == OOP_NONE) return OOP_NONE;
    heap_store(vm->heap, array, i, o);
  }
  return array;
}

static Oop run_method(VM *vm) { return class_lookup(vm, class_at(vm, CLASS_CCallback), vm->selectors[SELECTOR_RUN_WITH]); }

static bool prepare(VM *vm, void *data, Oop *receiver, Oop *argument, Oop *method) {
  const Invocation *i = data;
  *argument = argument_array(vm, i->stub, i->arguments);
  *receiver = i->stub->callback;
  *method = run_method(vm);
  return *argument != OOP_NONE;
}

// Stores what the block has answered. What is no such value becomes the default, and the process is told when its call returns.
static void answer(VM *vm, void *data, Oop value) {
  const Invocation *i = data;
  if (i->stub->type->result.code == C_VOID || callback_result(vm, i->stub->type, value, i->result)) return;
  answer_default(i->stub, i->result);
  Oop selector = symbol_find(vm, "callbackAnswerRefused", 21);
  Oop method = selector == OOP_NONE ? OOP_NONE : class_lookup(vm, class_at(vm, CLASS_Process), selector);
  if (method != OOP_NONE) process_call(vm->process)->told = method;
}

static bool stack_is_low(Thread *thread) {
  const char here = 0;
  return thread->stack_low != NULL && &here < thread->stack_low + STACK_LEFT;
}

static void call_from_foreign_thread(Stub *stub, void *result, void **arguments) {
  ForeignRequest r = {.request = {.kind = REQUEST_FOREIGN}, .stub = stub, .arguments = arguments, .result = result, .answered = PTHREAD_COND_INITIALIZER};
  pthread_mutex_lock(&mutex);
  if (stub->vm != NULL) {
    ownership_request(stub->vm, &r.request);
    while (!r.done) pthread_cond_wait(&r.answered, &mutex);
  }
  pthread_mutex_unlock(&mutex);
}

static void on_call(ffi_cif *cif, void *result, void **arguments, void *data) {
  Stub *stub = data;
  Thread *thread = current_thread;
  (void)cif;
  answer_default(stub, result);
  if (thread == NULL || thread->in_c == NULL) {
    call_from_foreign_thread(stub, result, arguments);
    return;
  }
  Callout *c = thread->in_c;
  if (c->function->kind == FUNCTION_FAST) c->refused = FAIL_CALLBACK_IN_FAST_CALL;
  else if (stack_is_low(thread)) c->refused = FAIL_CALLBACK_TOO_DEEP;
  if (c->refused != FAIL_NONE || stub->vm != thread->vm) return;
  Invocation invocation = {stub, arguments, result};
  int saved = errno;
  thread->in_c = NULL;
  FailureReason reason = calls_call_back(thread->vm, thread, &c->call, (CallbackMethods){prepare, answer}, &invocation);
  if (reason != FAIL_NONE) c->refused = reason;
  thread->in_c = c;
  errno = saved;
}

// --- making and releasing

static Stub *make_stub(ForeignFunction *type) {
  Stub *stub = calloc(1, sizeof *stub);
  if (stub == NULL) return NULL;
  stub->closure = ffi_closure_alloc(sizeof(ffi_closure), &stub->code);
  if (stub->closure != NULL && ffi_prep_closure_loc(stub->closure, function_cif(type), on_call, stub, stub->code) == FFI_OK) return stub;
  if (stub->closure != NULL) ffi_closure_free(stub->closure);
  free(stub);
  return NULL;
}

// One that nobody has used for long; NULL if there is none. Under the mutex.
static Stub *used_stub(void) {
  if (released.count <= REUSE_AFTER) return NULL;
  Stub *stub = released.first;
  released.first = stub->next;
  released.count--;
  return stub;
}

static Stub *stub_for(ForeignFunction *type) {
  pthread_mutex_lock(&mutex);
  Stub *stub = used_stub();
  pthread_mutex_unlock(&mutex);
  type->immortal = true;
  if (stub == NULL) return make_stub(type);
  if (ffi_prep_closure_loc(stub->closure, function_cif(type), on_call, stub, stub->code) != FFI_OK) return NULL;
  return stub;
}

static void open_stub(VM *vm, Stub *stub, ForeignFunction *type, Oop callback) {
  Foreign *foreign = foreign_of(vm);
  stub->type = type;
  stub->callback = callback;
  stub->previous = NULL;
  stub->next = foreign->stubs;
  if (stub->next != NULL) stub->next->previous = stub;
  foreign->stubs = stub;
  vm->foreign_entries++;
  pthread_mutex_lock(&mutex);
  stub->vm = vm;
  pthread_mutex_unlock(&mutex);
}

static void close_stub(VM *vm, Stub *stub) {
  Foreign *foreign = foreign_of(vm);
  if (stub->previous != NULL) stub->previous->next = stub->next;
  else foreign->stubs = stub->next;
  if (stub->next != NULL) stub->next->previous = stub->previous;
  vm->foreign_entries--;
  stub->callback = OOP_NIL;
  pthread_mutex_lock(&mutex);
  stub->vm = NULL;
  stub->next = NULL;
  if (released.count == 0) released.first = stub;
  else released.last->next = stub;
  released.last = stub;
  released.count++;
  pthread_mutex_unlock(&mutex);
}

static Oop callback_prepare(VM *vm, Oop *args) {
  if (!is_callback(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  if (class_index_of(args[1]) != CLASS_ByteArray) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  ForeignFunction *type;
  FailureReason reason = function_prepare(vm, object_bytes(args[1]), object_element_count(args[1]), NULL, FUNCTION_DEFAULT, "callback", &type);
  if (reason != FAIL_NONE) return primitive_fail(vm, reason);
  if (type->result.size > DEFAULT_BYTES && args[2] != OOP_NIL) return primitive_fail(vm, FAIL_UNSUPPORTED);
  Stub *stub = stub_for(type);
  if (stub == NULL) return primitive_fail(vm, FAIL_OUT_OF_MEMORY);
  memset(stub->default_value, 0, sizeof stub->default_value);
  stub->result_bytes = type->result.code == C_VOID ? 0 : type->result.size < sizeof(ffi_arg) ? sizeof(ffi_arg) : type->result.size;
  if (stub->result_bytes > DEFAULT_BYTES) stub->result_bytes = DEFAULT_BYTES;
  if (args[2] != OOP_NIL && type->result.code != C_VOID && !callback_result(vm, type, args[2], stub->default_value)) {
    stub->type = type;
    open_stub(vm, stub, type, OOP_NIL);
    close_stub(vm, stub);
    return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  }
  open_stub(vm, stub, type, args[0]);
  CCallbackObject *callback = AS(CCallback, args[0]);
  callback->address = oop_from_integer((int64_t)(intptr_t)stub->code);
  callback->handle = oop_from_integer((int64_t)(intptr_t)stub);
  callback->session = oop_from_integer(vm->session);
  return args[0];
}

static Stub *stub_of(const VM *vm, Oop callback) {
  const CCallbackObject *c = AS(CCallback, callback);
  return is_integer(c->handle) && c->session == oop_from_integer(vm->session) ? (Stub *)(intptr_t)oop_to_integer(c->handle) : NULL;
}

static Oop callback_release(VM *vm, Oop *args) {
  if (!is_callback(args[0])) return primitive_fail(vm, FAIL_BAD_RECEIVER);
  Stub *stub = stub_of(vm, args[0]);
  AS(CCallback, args[0])->handle = OOP_NIL;
  if (stub != NULL) close_stub(vm, stub);
  return args[0];
}

// --- requests of foreign threads

static void finish_request(ForeignRequest *r) {
  pthread_mutex_lock(&mutex);
  r->done = true;
  pthread_cond_signal(&r->answered);
  pthread_mutex_unlock(&mutex);
}

// The owner has drained one.
static void take_foreign_request(VM *vm, Request *request) {
  Foreign *foreign = foreign_of(vm);
  ForeignRequest *r = (ForeignRequest *)request;
  r->next = NULL;
  if (foreign->served_by == OOP_NIL || r->stub->callback == OOP_NIL) {
    finish_request(r);
    return;
  }
  if (foreign->first_request == NULL) foreign->first_request = r;
  else foreign->last_request->next = r;
  foreign->last_request = r;
  process_signal(vm, foreign->served_by);
}

static Oop callback_serve(VM *vm, Oop *args) {
  if (class_index_of(args[1]) != CLASS_Semaphore) return primitive_fail(vm, FAIL_BAD_ARGUMENT);
  foreign_of(vm)->served_by = args[1];
  vm->foreign_request = take_foreign_request;
  return args[0];
}

// The next one: an Array {CCallback. arguments. handle}; nil if there is none, or it was of a callback that has been released.
static Oop callback_next_request(VM *vm, Oop *args) {
  (void)args;
  Foreign *foreign = foreign_of(vm);
  ForeignRequest *r = foreign->first_request;
  if (r == NULL) return OOP_NIL;
  bool live = r->stub->callback != OOP_NIL;
  Oop array = heap_allocate(vm->heap, CLASS_Array, FORMAT_INDEXABLE, 3);
  Oop arguments = array == OOP_NONE || !live ? array : argument_array(vm, r->stub, r->arguments);
  if (arguments == OOP_NONE) return primitive_needs_collection(vm);
  foreign->first_request = r->next;
  if (!live) {
    finish_request(r);
    return OOP_NIL;
  }
  r->next = foreign->taken_requests;
  foreign->taken_requests = r;
  heap_store(vm->heap, array, 0, r->stub->callback);
  heap_store(vm->heap, array, 1, arguments);
  heap_store(vm->heap, array, 2, oop_from_integer((int64_t)(intptr_t)r));
  return array;
}

static ForeignRequest *take_taken(Foreign *foreign, Oop handle) {
  for (ForeignRequest **p = &foreign->taken_requests; *p != NULL; p = &(*p)->next)
    if (oop_from_integer((int64_t)(intptr_t)*p) == handle) {
      ForeignRequest *r = *p;
      *p = r->next;
      return r;
    }
  return NULL;
}

// Answers a request, by its handle. false: what it was given is no value of that type, so C gets the default.
static Oop callback_answer(VM *vm, Oop *args) {
  ForeignRequest *r = take_taken(foreign_of(vm), args[1]);
  if (r == NULL) return primitive_fail(vm, FAIL_NOT_FOUND);
  bool stored = r->stub->type->result.code == C_VOID || callback_result(vm, r->stub->type, args[2], r->result);
  if (!stored) answer_default(r->stub, r->result);
  finish_request(r);
  return oop_from_boolean(stored);
}

void callbacks_close(VM *vm) {
  Foreign *foreign = foreign_of(vm);
  while (foreign->stubs != NULL) close_stub(vm, foreign->stubs);
  foreign->served_by = OOP_NIL;
  calls_drain(vm);
  for (ForeignRequest *r = foreign->first_request, *next; r != NULL; r = next) next = r->next, finish_request(r);
  for (ForeignRequest *r = foreign->taken_requests, *next; r != NULL; r = next) next = r->next, finish_request(r);
  foreign->first_request = foreign->taken_requests = NULL;
}

void callbacks_enumerate_roots(VM *vm, RootVisitor visit, void *context) {
  Foreign *foreign = foreign_of(vm);
  visit(context, &foreign->served_by);
  for (Stub *stub = foreign->stubs; stub != NULL; stub = stub->next) visit(context, &stub->callback);
}

void callback_primitives_register(VM *vm) {
  static const PrimitiveEntry entries[] = {
      {"callbackPrepare", 2, callback_prepare, NULL, false}, {"callbackRelease", 0, callback_release, NULL, false},
      {"callbackServe", 1, callback_serve, NULL, false},     {"callbackNextRequest", 0, callback_next_request, NULL, false},
      {"callbackAnswer", 2, callback_answer, NULL, false},
  };
  primitives_register(vm, entries, sizeof entries / sizeof *entries);
}
