// Faults (SIGSEGV and the like). In a C function that a process has called, they end that call, whose process gets an error; the C frames are
// dropped. Anywhere else they are bugs: what the processes and calls were is printed, and the program aborts.
#include "ffi/callout.h"
#include "vm/platform.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
static VM *reported;

enum { ALTERNATE_STACK = 64 << 10 };

static void report(int signal_number, const siginfo_t *info) {
  fprintf(stderr, "baton: internal error: %s at address %p\n", strsignal(signal_number), info->si_addr);
  if (reported != NULL && reported->process != OOP_NIL) vm_print_backtrace(reported, reported->process, stderr);
  if (reported != NULL && reported->ownership != NULL) calls_report(reported, stderr);
}

static void on_fault(int signal_number, siginfo_t *info, void *context) {
  (void)context;
  Thread *thread = current_thread;
  if (thread != NULL && thread->in_c != NULL) {
    Callout *c = thread->in_c;
    c->fault_signal = signal_number;
    c->fault_address = (uint64_t)(uintptr_t)info->si_addr;
    MARK_JUMP(c->recover);
  }
  signal(signal_number, SIG_DFL);  // a second one while reporting ends it
  report(signal_number, info);
  abort();
}

// That it has come is enough: the system call ends.
static void on_cancel(int signal_number) {
  (void)signal_number;
  if (current_thread != NULL) atomic_store(&current_thread->signalled, false);
}

void faults_prepare_thread(Thread *thread) {
  thread->catches_faults = true;
  thread->stack_low = platform_stack_low();
  stack_t present;
  if (sigaltstack(NULL, &present) == 0 && !(present.ss_flags & SS_DISABLE)) return;  // a sanitizer's
  if (thread->alternate_stack == NULL) thread->alternate_stack = malloc(ALTERNATE_STACK);
  if (thread->alternate_stack == NULL) return;
  stack_t stack = {.ss_sp = thread->alternate_stack, .ss_size = ALTERNATE_STACK};
  sigaltstack(&stack, NULL);
}

void cancelling_install(void) {
  struct sigaction action = {.sa_handler = on_cancel};  // without SA_RESTART: system calls end
  sigaction(SIGRTMIN + CANCEL_SIGNAL_OFFSET, &action, NULL);
}

void faults_install(VM *vm) {
  reported = vm;
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigaction(faults[i], &action, NULL);
}
