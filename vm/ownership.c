// The owner word, the threads, and the service thread (heartbeat, timers, cancelling). See vm/ownership.h.
#include "vm/ownership.h"
#include "vm/interpreter.h"
#include "vm/platform.h"
#include "vm/process.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
  MAX_CALLS = 4000,
  BEAT_NANOSECONDS = 1000000,
  IDLE_BEATS = 50,
  RESEND_NANOSECONDS = 2000000,
  RESEND_MAX = 128000000,
  THREAD_STACK = 8 << 20,
  REAP_SECONDS = 10,
  PARKED_KEPT = 4
};

_Thread_local Thread *current_thread;

static uint64_t owned_by(const Thread *thread, uint64_t word) {
  uint64_t kept = word & (WORD_WANTED | WORD_BEAT_PARKED);
  return ((word >> 32) + 1) << 32 | (uint64_t)thread->id << 16 | WORD_OWNED | kept;
}

#if defined(BATON_STRESS)
// Widens the windows between atomic steps; the sequence follows from BATON_SEED, so that a run can be had again.
static void yield_point(void) {
  static _Thread_local uint64_t state;
  static _Atomic uint64_t threads;
  if (state == 0) {
    const char *seed = getenv("BATON_SEED");
    state = ((seed == NULL ? 1 : strtoull(seed, NULL, 10)) + atomic_fetch_add(&threads, 1)) * 0x9E3779B97F4A7C15u | 1;
  }
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  if (state % 16 == 0) sched_yield();
}
#else
static void yield_point(void) {}
#endif

// --- threads

// A signal that is on its way to this thread arrives at the latest when this returns: it must not hit the next call.
static void take_late_signal(const Thread *thread) {
  if (!atomic_load(&thread->signalled)) return;
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, NULL, &mask);
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void thread_enter(Thread *thread) {
  VM *vm = thread->vm;
  take_late_signal(thread);
  INVARIANT(vm, ownership_is_owner(vm->ownership, thread));
  vm->thread = thread;
  calls_save_lazy(vm);
}

// Under the mutex.
static void unlink_parked(Ownership *o, Thread *thread) {
  for (Thread **p = &o->parked; *p != NULL; p = &(*p)->next_parked)
    if (*p == thread) {
      *p = thread->next_parked;
      thread->parked = false;
      o->parked_count--;
      return;
    }
}

// Under the mutex.
static void post(Thread *thread) {
  thread->handed = true;
  pthread_cond_signal(&thread->wake);
}

// Makes the thread owner if nobody is. Keeps W.
static bool claim(Ownership *o, const Thread *thread, uint64_t condition) {
  uint64_t word = atomic_load_explicit(&o->word, memory_order_relaxed);
  while (!(word & WORD_OWNED) && (word & condition) != 0) {
    yield_point();
    if (atomic_compare_exchange_weak_explicit(&o->word, &word, owned_by(thread, word), memory_order_acq_rel, memory_order_relaxed)) return true;
  }
  return false;
}

// A parked thread leaves for good when enough others are there; what describes it is used again. Under the mutex.
static bool reap(Ownership *o, Thread *thread) {
  if (thread->keep || thread->handed || !thread->parked || o->parked_count <= PARKED_KEPT) return false;
  unlink_parked(o, thread);
  for (Thread **p = &o->threads; *p != NULL; p = &(*p)->next)
    if (*p == thread) {
      *p = thread->next;
      break;
    }
  thread->next = o->spare;
  o->spare = thread;
  atomic_fetch_sub(&o->thread_count, 1);
  o->statistics.threads_reaped++;
  pthread_detach(thread->handle);
  return true;
}

static void sleep_until_handed(Ownership *o, Thread *thread) {
  while (!thread->handed) pthread_cond_wait(&thread->wake, &o->mutex);
  thread->handed = false;
}

bool ownership_park(Thread *thread) {
  Ownership *o = thread->vm->ownership;
  pthread_mutex_lock(&o->mutex);
  if (!thread->handed && !o->closing) {
    thread->next_parked = o->parked;
    o->parked = thread;
    thread->parked = true;
    o->parked_count++;
    yield_point();
    // what came between the look at the word and the listing has seen no parked thread
    if (claim(o, thread, WORD_READY | WORD_WANTED)) {
      unlink_parked(o, thread);
      thread->handed = true;
    }
  }
  while (!thread->handed && !o->closing) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += REAP_SECONDS;
    int code = pthread_cond_timedwait(&thread->wake, &o->mutex, &until);
    if (code == ETIMEDOUT && !o->closing && reap(o, thread)) {
      pthread_mutex_unlock(&o->mutex);
      return false;
    }
  }
  bool handed = thread->handed;
  if (!handed && thread->parked) unlink_parked(o, thread);
  thread->handed = false;
  pthread_mutex_unlock(&o->mutex);
  if (handed) thread_enter(thread);
  return handed;
}

static void *thread_main(void *argument) {
  Thread *thread = argument;
  current_thread = thread;
  while (ownership_park(thread)) vm_run_thread(thread->vm);
  return NULL;
}

// One of the spare ones, or NULL.
static Thread *take_spare(Ownership *o) {
  pthread_mutex_lock(&o->mutex);
  Thread *thread = o->spare;
  if (thread != NULL) o->spare = thread->next;
  pthread_mutex_unlock(&o->mutex);
  return thread;
}

static void give_spare(Ownership *o, Thread *thread) {
  pthread_mutex_lock(&o->mutex);
  thread->next = o->spare;
  o->spare = thread;
  pthread_mutex_unlock(&o->mutex);
}

static Thread *thread_new(VM *vm) {
  Ownership *o = vm->ownership;
  Thread *thread = take_spare(o);
  if (thread != NULL) {
    thread->catches_faults = false;
    atomic_store(&thread->signalled, false);
    return thread;
  }
  thread = o->next_id == UINT16_MAX ? NULL : calloc(1, sizeof *thread);
  if (thread == NULL) return NULL;
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
#if !defined(__APPLE__)
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
  pthread_cond_init(&thread->wake, &attributes);
  pthread_condattr_destroy(&attributes);
  thread->vm = vm;
  thread->id = ++o->next_id;
  return thread;
}

static void block_signals(sigset_t *former) {
  sigset_t all;
  sigfillset(&all);
  static const int let_in[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
  for (size_t i = 0; i < sizeof let_in / sizeof *let_in; i++) sigdelset(&all, let_in[i]);
  sigdelset(&all, SIGRTMIN + CANCEL_SIGNAL_OFFSET);
  pthread_sigmask(SIG_SETMASK, &all, former);
}

static Thread *start_thread(VM *vm) {
  Ownership *o = vm->ownership;
  if (atomic_load(&o->thread_count) > o->max_calls) return NULL;
  Thread *thread = thread_new(vm);
  if (thread == NULL) return NULL;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, THREAD_STACK);
  sigset_t former;
  block_signals(&former);
  pthread_mutex_lock(&o->mutex);
  bool started = pthread_create(&thread->handle, &attributes, thread_main, thread) == 0;
  if (started) {
    thread->next = o->threads;
    o->threads = thread;
    o->statistics.threads_made++;
    atomic_fetch_add(&o->thread_count, 1);
  }
  pthread_mutex_unlock(&o->mutex);
  pthread_sigmask(SIG_SETMASK, &former, NULL);
  pthread_attr_destroy(&attributes);
  if (started) return thread;
  give_spare(o, thread);
  return NULL;
}

Thread *ownership_thread(VM *vm, int64_t id) {
  Thread *found = NULL;
  pthread_mutex_lock(&vm->ownership->mutex);
  for (Thread *t = vm->ownership->threads; t != NULL; t = t->next)
    if (t->id == id) found = t;
  if (found != NULL) found->keep = true;
  pthread_mutex_unlock(&vm->ownership->mutex);
  return found;
}

bool ownership_make_reserve(VM *vm) { return start_thread(vm) != NULL; }

Thread *ownership_take_parked(VM *vm) {
  Ownership *o = vm->ownership;
  pthread_mutex_lock(&o->mutex);
  Thread *thread = o->parked;
  if (thread != NULL) unlink_parked(o, thread);
  // one that has left a call and is not parked yet
  for (Thread *t = o->threads; thread == NULL && t != NULL; t = t->next)
    if (t->call == NULL && t != vm->thread && !t->handed) thread = t;
  pthread_mutex_unlock(&o->mutex);
  return thread != NULL ? thread : start_thread(vm);
}

// --- the owner's steps

uint64_t ownership_word(VM *vm) { return atomic_load(&vm->ownership->word); }

void ownership_hand_over(VM *vm, Thread *thread) {
  Ownership *o = vm->ownership;
  o->statistics.hand_overs++;
  INVARIANT(vm, ownership_is_owner(o, current_thread) && o->lazy == NULL && thread != current_thread);
  pthread_mutex_lock(&o->mutex);
  if (thread->parked) unlink_parked(o, thread);
  uint64_t word = atomic_load(&o->word);
  while (!atomic_compare_exchange_weak_explicit(&o->word, &word, owned_by(thread, word), memory_order_acq_rel, memory_order_relaxed)) yield_point();
  post(thread);
  pthread_mutex_unlock(&o->mutex);
}

static void kick(VM *vm) {
  Ownership *o = vm->ownership;
  atomic_fetch_and(&o->word, ~(uint64_t)WORD_BEAT_PARKED);
  o->statistics.kicks++;
  if (ownership_start_service(vm)) ownership_poke_service(vm);
}

void ownership_disown_slowly(VM *vm, Call *call) {
  Ownership *o = vm->ownership;
  INVARIANT(vm, ownership_is_owner(o, current_thread) && vm->thread == current_thread && vm->process != OOP_NIL);
  do {
    o->lazy = NULL;
    uint64_t word = atomic_load(&o->word);
    if (word & WORD_WANTED) scheduler_serve_before(vm, call);
    if (word & WORD_BEAT_PARKED) kick(vm);
    yield_point();
  } while (!ownership_try_disown(o, vm->thread, call, process_is_runnable(vm)));
}

bool ownership_release_idle(VM *vm) {
  Ownership *o = vm->ownership;
  INVARIANT(vm, ownership_is_owner(o, current_thread) && o->lazy == NULL && vm->process == OOP_NIL);
  INVARIANT(vm, atomic_load(&o->thread_count) > o->busy_threads);
  uint64_t word = atomic_load(&o->word);
  while (!(word & WORD_WANTED)) {
    uint64_t released = (((word >> 32) + 1) << 32) | (word & 0xFFFF0000u) | (word & WORD_BEAT_PARKED);
    if (atomic_compare_exchange_weak_explicit(&o->word, &word, released, memory_order_release, memory_order_relaxed)) return true;
  }
  return false;
}

// --- other threads

// Gives an unowned VM to a parked thread.
static bool wake_parked(Ownership *o) {
  pthread_mutex_lock(&o->mutex);
  Thread *thread = o->parked;
  bool woken = thread != NULL && claim(o, thread, ~(uint64_t)0 & ~(uint64_t)WORD_OWNED);
  if (woken) {
    unlink_parked(o, thread);
    post(thread);
  }
  pthread_mutex_unlock(&o->mutex);
  return woken;
}

// Gives the VM to a parked thread if the word is still the same.
static bool steal(Ownership *o, uint64_t word) {
  pthread_mutex_lock(&o->mutex);
  Thread *thread = o->parked;
  bool done = thread != NULL && atomic_compare_exchange_strong_explicit(&o->word, &word, owned_by(thread, word), memory_order_acq_rel, memory_order_relaxed);
  if (done) {
    unlink_parked(o, thread);
    post(thread);
  }
  pthread_mutex_unlock(&o->mutex);
  return done;
}

bool ownership_give_away(VM *vm, const Call *call) { return steal(vm->ownership, call->ticket); }

static void push(Ownership *o, Request *request) {
  request->next = atomic_load_explicit(&o->requests, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(&o->requests, &request->next, request, memory_order_release, memory_order_relaxed)) {
  }
  yield_point();
}

// Asks the owner to look up, and answers what the word was.
static uint64_t want(VM *vm, uint32_t bits) {
  atomic_fetch_or(&vm->attention, bits);
  atomic_store(&vm->stack_limit, NULL);
  yield_point();
  return atomic_fetch_or_explicit(&vm->ownership->word, WORD_WANTED, memory_order_acq_rel);
}

bool ownership_hand_in(VM *vm, Thread *thread, Request *request) {
  Ownership *o = vm->ownership;
  yield_point();
  push(o, request);
  if ((want(vm, ATTENTION_REQUEST) & WORD_OWNED) || !claim(o, thread, ~(uint64_t)0)) return false;
  thread_enter(thread);
  return true;
}

void ownership_want_attention(VM *vm, uint32_t bits) {
  if (!(want(vm, bits) & WORD_OWNED)) wake_parked(vm->ownership);
}

void ownership_request(VM *vm, Request *request) {
  push(vm->ownership, request);
  ownership_want_attention(vm, ATTENTION_REQUEST);
}

void ownership_wait(Thread *thread) {
  Ownership *o = thread->vm->ownership;
  pthread_mutex_lock(&o->mutex);
  sleep_until_handed(o, thread);
  pthread_mutex_unlock(&o->mutex);
  thread_enter(thread);
}

// --- cancelling

void ownership_cancel(VM *vm, Call *call) {
  Ownership *o = vm->ownership;
  pthread_mutex_lock(&o->mutex);
  if (!atomic_exchange(&call->cancelled, true)) {
    call->next_cancelled = o->cancelled;
    o->cancelled = call;
    o->resend_nanoseconds = RESEND_NANOSECONDS;
  }
  pthread_mutex_unlock(&o->mutex);
  if (ownership_start_service(vm)) ownership_poke_service(vm);
}

void ownership_uncancel(VM *vm, Call *call) {
  Ownership *o = vm->ownership;
  pthread_mutex_lock(&o->mutex);
  for (Call **p = &o->cancelled; *p != NULL; p = &(*p)->next_cancelled)
    if (*p == call) {
      *p = call->next_cancelled;
      break;
    }
  atomic_store(&call->cancelled, false);
  pthread_mutex_unlock(&o->mutex);
  take_late_signal(vm->thread);
}

// Answers when to do so again, in nanoseconds; 0: there is nothing to cancel. C code that does not listen is asked less and less often.
static uint64_t send_cancels(Ownership *o) {
  pthread_mutex_lock(&o->mutex);
  uint64_t again = o->cancelled == NULL ? 0 : o->resend_nanoseconds;
  if (o->resend_nanoseconds < RESEND_MAX) o->resend_nanoseconds *= 2;
  for (Call *c = o->cancelled; c != NULL; c = c->next_cancelled) {
    if (atomic_exchange(&c->thread->signalled, true)) continue;  // the last one has not arrived: they would pile up
    pthread_kill(c->thread->handle, SIGRTMIN + CANCEL_SIGNAL_OFFSET);
    o->statistics.cancel_signals++;
  }
  pthread_mutex_unlock(&o->mutex);
  return again;
}

// --- the service thread

void ownership_poke_service(VM *vm) { platform_poke(vm->ownership->service_pipe[1]); }

typedef struct {
  uint64_t last;  // the word at the last tick
  unsigned idle;  // ticks without anything to do
  bool beating;
} Heart;

static void beat(Ownership *o, Heart *heart) {
  uint64_t word = atomic_load_explicit(&o->word, memory_order_acquire);
  bool same = word == heart->last, work = !(word & WORD_OWNED) && (word & (WORD_READY | WORD_WANTED)) != 0;
  heart->last = word;
  heart->idle = same && !work ? heart->idle + 1 : 0;
  if (same && work && steal(o, word)) o->statistics.steals++;
  if (heart->idle >= IDLE_BEATS && atomic_compare_exchange_strong(&o->word, &word, word | WORD_BEAT_PARKED)) heart->beating = false;
}

static uint64_t earliest(uint64_t a, uint64_t b) { return a < b ? a : b; }

static void *service_main(void *argument) {
  VM *vm = argument;
  Ownership *o = vm->ownership;
  Heart heart = {0};
  uint64_t tick = 0;
  while (!atomic_load(&o->service_stops)) {
    uint64_t now = platform_monotonic_nanoseconds(), deadline = atomic_load(&o->deadline), next = UINT64_MAX;
    if (deadline != 0 && now >= deadline) {
      if (atomic_compare_exchange_strong(&o->deadline, &deadline, 0)) ownership_want_attention(vm, ATTENTION_TIMER);
      continue;
    }
    if (atomic_load(&vm->attention) & (ATTENTION_INTERRUPT | ATTENTION_REPORT)) ownership_want_attention(vm, 0);
    if (!heart.beating && o->beat_nanoseconds != 0 && !(atomic_load(&o->word) & WORD_BEAT_PARKED)) {
      heart = (Heart){.beating = true};
      tick = now;
    }
    if (heart.beating && now >= tick) {
      beat(o, &heart);
      tick = now + (uint64_t)o->beat_nanoseconds;
    }
    uint64_t again = send_cancels(o);
    if (deadline != 0) next = earliest(next, deadline);
    if (heart.beating) next = earliest(next, tick);
    if (again != 0) next = earliest(next, now + again);
    platform_sleep(o->service_pipe[0], next);
    o->statistics.beats++;
  }
  return NULL;
}

// Signals from outside are this thread's from now on, so that they interrupt no C function.
bool ownership_start_service(VM *vm) {
  Ownership *o = vm->ownership;
  if (o->service_runs) return true;
  sigset_t former, outside;
  block_signals(&former);
  sigemptyset(&outside);
  sigaddset(&outside, SIGINT);
  sigaddset(&outside, SIGUSR1);
  pthread_sigmask(SIG_UNBLOCK, &outside, NULL);
  o->service_runs = pthread_create(&o->service, NULL, service_main, vm) == 0;
  pthread_sigmask(SIG_SETMASK, &former, NULL);
  if (o->service_runs) pthread_sigmask(SIG_BLOCK, &outside, NULL);
  return o->service_runs;
}

// --- making and ending

bool ownership_open(VM *vm, const OwnershipOptions *options) {
  Ownership *o = aligned_alloc(_Alignof(Ownership), sizeof *o);
  if (o == NULL) return false;
  memset(o, 0, sizeof *o);
  vm->ownership = o;
  pthread_mutex_init(&o->mutex, NULL);
  o->max_calls = options->max_calls == 0 ? MAX_CALLS : options->max_calls;
  int64_t beat_microseconds = options->heartbeat_microseconds;
  o->beat_nanoseconds = beat_microseconds == 0 ? BEAT_NANOSECONDS : beat_microseconds < 0 ? 0 : beat_microseconds * 1000;
  if (!platform_open_pipe(o->service_pipe)) return false;
  Thread *main_thread = thread_new(vm);
  if (main_thread == NULL) return false;
  main_thread->handle = pthread_self();
  main_thread->keep = true;
  o->threads = main_thread;
  atomic_store(&o->thread_count, 1);
  atomic_store(&o->word, (1ull << 32) | ((uint64_t)main_thread->id << 16) | WORD_OWNED | WORD_BEAT_PARKED);
  vm->thread = current_thread = main_thread;
  return true;
}

static void stop_service(VM *vm) {
  Ownership *o = vm->ownership;
  if (!o->service_runs) return;
  atomic_store(&o->service_stops, true);
  ownership_poke_service(vm);
  pthread_join(o->service, NULL);
  sigset_t outside;
  sigemptyset(&outside);
  sigaddset(&outside, SIGINT);
  sigaddset(&outside, SIGUSR1);
  pthread_sigmask(SIG_UNBLOCK, &outside, NULL);
}

static void free_threads(Thread *list, bool join) {
  for (Thread *t = list, *next; t != NULL; t = next) {
    next = t->next;
    if (join && t != current_thread) pthread_join(t->handle, NULL);
    pthread_cond_destroy(&t->wake);
    free(t->alternate_stack);
    free(t);
  }
}

bool ownership_close(VM *vm) {
  Ownership *o = vm->ownership;
  if (o == NULL) return true;
  stop_service(vm);
  pthread_mutex_lock(&o->mutex);
  o->closing = true;
  Thread *list = o->threads;
  for (Thread *t = list; t != NULL; t = t->next) pthread_cond_signal(&t->wake);
  pthread_mutex_unlock(&o->mutex);
  if (o->busy_threads > 0) return false;
  free_threads(list, true);
  free_threads(o->spare, false);
  current_thread = NULL;
  close(o->service_pipe[0]);
  close(o->service_pipe[1]);
  pthread_mutex_destroy(&o->mutex);
  free(o);
  vm->ownership = NULL;
  return true;
}
