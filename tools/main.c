// The command line: what to run, and in which VM.
#include "ffi/foreign.h"
#include "image/launch.h"
#include "image/snapshot.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_BAD_SOURCE = 1, EXIT_USAGE = 2 };

static const char usage[] =
    "usage: baton [options] FILE [argument ...]   run a script or an image\n"
    "       baton [options] -e EXPRESSION          evaluate and print\n"
    "       baton [options] -                      run statements from standard input\n"
    "       baton [options] test [PATTERN ...]     run tests whose class or package matches\n"
    "       baton [options] dis CLASS [class] SELECTOR   list a method's instructions\n"
    "       baton version | help\n"
    "options:\n"
    "  --max-heap SIZE   limit of the heap, such as 512M or 2G\n"
    "  --image FILE      start from this image instead of the standard one\n"
    "  --version, --help\n";

typedef struct {
  const char *image;     // NULL: the standard one
  uint8_t *image_bytes;  // malloced; of --image or of an image named as the program
  size_t image_length;
  char *text;  // malloced source of a script
  VMOptions vm;
  Launch launch;
} Options;

extern const uint8_t embedded_image[], embedded_image_end[];

static VM *running;

static void on_interrupt(int signal_number) {
  (void)signal_number;
  if (running != NULL) vm_interrupt(running);
}

static int fail(const char *text, const char *name) {
  fprintf(stderr, "baton: %s%s%s\n", text, name == NULL ? "" : ": ", name == NULL ? "" : name);
  return EXIT_USAGE;
}

static char *read_stream(FILE *in, size_t *length) {
  size_t capacity = 65536, count = 0;
  char *text = malloc(capacity);
  for (size_t n; text != NULL && (n = fread(text + count, 1, capacity - count, in)) > 0;) {
    count += n;
    if (count < capacity) continue;
    char *larger = realloc(text, capacity *= 2);
    if (larger == NULL) free(text);
    text = larger;
  }
  *length = count;
  return text;
}

static bool parse_size(const char *text, size_t *out) {
  char *end;
  errno = 0;
  unsigned long long n = strtoull(text, &end, 10);
  int shift = *end == 'K' || *end == 'k' ? 10 : *end == 'M' || *end == 'm' ? 20 : *end == 'G' || *end == 'g' ? 30 : 0;
  if (shift != 0) end++;
  if (end == text || *end != 0 || errno != 0 || n == 0 || n > (1ull << 46) >> shift || text[0] == '-') return false;
  *out = (size_t)n << shift;
  return true;
}

static int print_usage(void) { return fputs(usage, stdout) < 0 || fflush(stdout) != 0; }
static int print_version(void) { return puts("baton " BATON_VERSION) < 0 || fflush(stdout) != 0; }

// Reads options; answers how many words they are, or -1 after a message.
static int parse_options(int argc, char **argv, Options *o) {
  int i = 1;
  for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
    const char *name = argv[i];
    if (strcmp(name, "--help") == 0) exit(print_usage());
    if (strcmp(name, "--version") == 0) exit(print_version());
    bool heap = strcmp(name, "--max-heap") == 0, image = strcmp(name, "--image") == 0;
    if (!heap && !image) return fail("unknown option", name), -1;
    if (++i == argc) return fail("this option needs a value", name), -1;
    if (heap && !parse_size(argv[i], &o->vm.max_heap_bytes)) return fail("this is no size", argv[i]), -1;
    if (image) o->image = argv[i];
  }
  return i;
}

static bool read_source(const char *path, Options *o) {
  Launch *launch = &o->launch;
  FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
  if (in == NULL) return false;
  launch->source = o->text = read_stream(in, &launch->source_length);
  bool good = launch->source != NULL && ferror(in) == 0;
  if (in != stdin) fclose(in);
  return good;
}

// Source text is UTF-8: 0, or an exit code after a message that says in which line it is not.
static int check_text(const Launch *l) {
  size_t good = utf8_valid_length(l->source, l->source_length), line = 1;
  if (good == l->source_length) return 0;
  for (size_t i = 0; i < good; i++) line += l->source[i] == '\n';
  fprintf(stderr, "%s:%zu: this text is not UTF-8\n", l->file, line);
  return EXIT_BAD_SOURCE;
}

// A command whose words the image reads.
static int with_words(Launch *l, const char *kind, int argc, char **argv, int at, int *used) {
  l->kind = kind;
  l->words = argv + at + 1;
  l->word_count = argc - at - 1;
  *used = argc;
  return 0;
}

// What the words behind the options ask for; 0 or an exit code. *used: how many words of argv are not the program's arguments.
static int parse_command(int argc, char **argv, int at, Options *o, int *used) {
  Launch *l = &o->launch;
  if (at == argc) {
    l->kind = "script";
    l->file = "-";
    *used = at;
    return read_source("-", o) ? check_text(l) : fail("standard input cannot be read", NULL);
  }
  const char *word = argv[at];
  *used = at + 1;
  if (strcmp(word, "-e") == 0) {
    if (at + 1 == argc) return fail("-e needs an expression", NULL);
    l->kind = "expression";
    l->source = argv[at + 1];
    l->source_length = strlen(l->source);
    l->file = "-e";
    *used = at + 2;
    return check_text(l);
  }
  if (strcmp(word, "test") == 0) return with_words(l, "test", argc, argv, at, used);
  if (strcmp(word, "dis") == 0) {
    if (argc - at < 3 || argc - at > 4) return fail("dis needs a class and a selector", NULL);
    return with_words(l, "dis", argc, argv, at, used);
  }
  if (strcmp(word, "help") == 0) exit(print_usage());
  if (strcmp(word, "version") == 0) exit(print_version());
  if (word[0] == '-' && word[1] != 0) return fail("unknown option", word);
  l->kind = "script";
  l->file = word;
  if (!read_source(word, o)) return fail(strerror(errno), word);
  if (!snapshot_is_image((const uint8_t *)l->source, l->source_length)) return check_text(l);
  if (o->image != NULL) return fail("two images are named", word);
  o->image = word;
  o->image_bytes = (uint8_t *)o->text;
  o->text = NULL;
  o->image_length = l->source_length;
  *l = (Launch){.kind = "resume"};
  return 0;
}

static bool read_image(Options *o) {
  FILE *in = fopen(o->image, "rb");
  if (in == NULL) return fail(strerror(errno), o->image), false;
  o->image_bytes = (uint8_t *)read_stream(in, &o->image_length);
  bool good = o->image_bytes != NULL && ferror(in) == 0;
  fclose(in);
  if (!good) return fail("this file cannot be read", o->image), false;
  if (!snapshot_is_image(o->image_bytes, o->image_length)) return fail("this is no image file", o->image), false;
  return true;
}

// Loads the image into the new VM.
static bool start_image(VM *vm, Options *o) {
  if (o->image != NULL && o->image_bytes == NULL && !read_image(o)) return false;
  size_t embedded_length = (uintptr_t)embedded_image_end - (uintptr_t)embedded_image;
  const char *wrong = o->image_bytes != NULL ? snapshot_load(vm, o->image_bytes, o->image_length, false)
                                             : snapshot_load(vm, embedded_image, embedded_length & ~(size_t)7, true);
  free(o->image_bytes);
  if (wrong == NULL) return true;
  fprintf(stderr, "baton: %s: this image cannot be used: %s\n", o->image == NULL ? "standard image" : o->image, wrong);
  return false;
}

int main(int argc, char **argv) {
  Options o = {0};
  int at = parse_options(argc, argv, &o), used = argc;
  if (at < 0) return EXIT_USAGE;
  int code = parse_command(argc, argv, at, &o, &used);
  if (code != 0) return code;
  VM *vm = vm_new(&o.vm);
  if (vm == NULL) return fail("no memory for the heap", NULL);
  vm->program = argv[0];
  vm->arguments = argv + used;
  vm->argument_count = argc - used;
  launch_register(vm, &o.launch);
  snapshot_register(vm);
  foreign_register(vm);
  signal(SIGPIPE, SIG_IGN);  // writing answers an error
  signal(SIGXFSZ, SIG_IGN);
  if (!start_image(vm, &o)) return EXIT_USAGE;
  running = vm;
  sigaction(SIGINT, &(struct sigaction){.sa_handler = on_interrupt}, NULL);  // without SA_RESTART: a read of a terminal ends
  // an image that was saved by a running program goes on with it; others start afresh
  bool resumes = vm->main_process != OOP_NIL && strcmp(o.launch.kind, "resume") == 0;
  if (!resumes && !vm_spawn_main(vm, vm->smalltalk, vm->selectors[SELECTOR_START_UP])) return fail("the image does not understand startUp", NULL);
  code = vm_run(vm);
  signal(SIGINT, SIG_DFL);
  running = NULL;
  vm_free(vm);
  free(o.text);
  return code;
}
