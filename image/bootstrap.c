// The bootstrap: Tonel files to classes and methods, in a VM that has none yet.
//
// Order: parse all files; give class indexes (the known classes first, as layouts.def has them, then metaclasses and the rest by
// name, so that the same sources make the same image); make class objects; fill them in, superclasses before subclasses; compile
// all methods, kernel code first seeing every class; run `initialize` on the class side, superclasses first.
// Nothing is collected before the first method runs, so oops may lie in C variables throughout.
#include "image/bootstrap.h"
#include "image/builder.h"
#include "image/tonel.h"
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef struct Row Row;
struct Row {
  const char *name;
  const TonelFile *file;  // NULL: only known from layouts.def
  Row *superclass;
  uint32_t known;  // class index in layouts.def, or 0
  Oop class, meta;
  bool filled, initialized;
};

typedef struct {
  VM *vm;
  FILE *report;
  Arena arena;
  TonelFile **files;
  size_t file_count;
  Row *rows;
  size_t row_count;
  size_t faults;
} Bootstrap;

static const struct {
  const char *name, *superclass, *slots;  // slots: names, each followed by a space; inherited ones left out
} known_classes[] = {
    {NULL, NULL, NULL},
#define CLASS(name, superclass, format) \
  {                                     \
#name, #superclass, ""
#define SLOT(name) #name " "
#define INHERITED(name)
#define END(name) \
  }               \
  ,
#include "vm/layouts.def"
#undef CLASS
#undef SLOT
#undef INHERITED
#undef END
};

static const Format known_formats[] = {
    FORMAT_FIXED,
#define CLASS(name, superclass, format) FORMAT_##format,
#define SLOT(name)
#define INHERITED(name)
#define END(name)
#include "vm/layouts.def"
#undef CLASS
#undef SLOT
#undef INHERITED
#undef END
};

static void fault(Bootstrap *b, const char *file, uint32_t line, const char *text, const char *name) {
  fprintf(b->report, "%s:%u: %s%s%s\n", file, line, text, name == NULL ? "" : " ", name == NULL ? "" : name);
  b->faults++;
}

// --- files

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static bool ends_with(const char *text, const char *end) {
  size_t m = strlen(text), n = strlen(end);
  return m >= n && strcmp(text + m - n, end) == 0;
}

static char *read_text(const char *path, size_t *length) {
  FILE *in = fopen(path, "rb");
  if (in == NULL) return NULL;
  char *text = NULL;
  struct stat s;
  if (fstat(fileno(in), &s) == 0 && S_ISREG(s.st_mode) && (text = malloc((size_t)s.st_size + 1)) != NULL) {
    *length = fread(text, 1, (size_t)s.st_size, in);
    text[*length] = 0;
  }
  fclose(in);
  return text;
}

static void read_file(Bootstrap *b, const char *path, const char *shown) {
  size_t length = 0;
  char *text = read_text(path, &length);
  if (text == NULL) {
    fault(b, path, 0, "this file cannot be read", NULL);
    return;
  }
  char *name = arena_copy(&b->arena, shown, strlen(shown));
  TonelFile *f = tonel_parse(&b->arena, name, text, length);
  free(text);
  if (f == NULL) return;
  if (f->error != NULL) fault(b, name, f->error_line, f->error, NULL);
  b->files = arena_grow(&b->arena, b->files, b->file_count, sizeof f);
  b->files[b->file_count++] = f;
}

// All .st files under a directory, in the order of their names. `shown` is the path relative to the root.
static void read_directory(Bootstrap *b, const char *path, const char *shown) {
  DIR *d = opendir(path);
  if (d == NULL) {
    fault(b, path, 0, "this directory cannot be read", NULL);
    return;
  }
  char **names = NULL;
  size_t count = 0;
  for (struct dirent *e; (e = readdir(d)) != NULL;) {
    if (e->d_name[0] == '.') continue;
    names = arena_grow(&b->arena, names, count, sizeof *names);
    names[count++] = arena_copy(&b->arena, e->d_name, strlen(e->d_name));
  }
  closedir(d);
  if (count > 0) qsort(names, count, sizeof *names, compare_names);
  for (size_t i = 0; i < count; i++) {
    char full[4096], relative[4096];
    snprintf(full, sizeof full, "%s/%s", path, names[i]);
    snprintf(relative, sizeof relative, "%s%s%s", shown, shown[0] == 0 ? "" : "/", names[i]);
    struct stat s;
    if (stat(full, &s) != 0) continue;
    if (S_ISDIR(s.st_mode)) read_directory(b, full, relative);
    else if (ends_with(names[i], ".st")) read_file(b, full, relative);
  }
}

// --- rows

static Row *find_row(Bootstrap *b, const char *name) {
  for (size_t i = 0; i < b->row_count; i++)
    if (strcmp(b->rows[i].name, name) == 0) return &b->rows[i];
  return NULL;
}

static int compare_rows(const void *a, const void *b) { return strcmp(((const Row *)a)->name, ((const Row *)b)->name); }

static void make_rows(Bootstrap *b) {
  b->rows = arena_allocate(&b->arena, (CLASS_KNOWN_LIMIT + b->file_count) * sizeof *b->rows);
  for (uint32_t i = 1; i < CLASS_KNOWN_LIMIT; i++) b->rows[b->row_count++] = (Row){.name = known_classes[i].name, .known = i};
  for (size_t i = 0; i < b->file_count; i++) {
    const TonelFile *f = b->files[i];
    if (f->kind != TONEL_CLASS) continue;
    Row *row = find_row(b, f->name);
    if (row == NULL) {
      row = &b->rows[b->row_count++];
      *row = (Row){.name = f->name};
    }
    if (row->file != NULL) fault(b, f->file, f->line, "this class is defined twice:", f->name);
    row->file = f;
  }
  qsort(b->rows + CLASS_KNOWN_LIMIT - 1, b->row_count - (CLASS_KNOWN_LIMIT - 1), sizeof(Row), compare_rows);
  for (size_t i = 0; i < b->row_count; i++) {
    Row *row = &b->rows[i];
    const char *superclass = row->file != NULL ? row->file->superclass : known_classes[row->known].superclass;
    if (row->known != 0 && row->file == NULL) fault(b, row->name, 0, "the VM knows this class, but it has no source", NULL);
    if (superclass[0] == 0 || strcmp(superclass, "nil") == 0) continue;
    row->superclass = find_row(b, superclass);
    if (row->superclass == NULL) fault(b, row->file != NULL ? row->file->file : row->name, 1, "there is no class", superclass);
  }
}

static void check_known(Bootstrap *b, const Row *row) {
  if (row->known == 0 || row->file == NULL) return;
  char slots[1000] = "";
  for (size_t i = 0; i < row->file->instance_variables.count; i++) {
    strncat(slots, row->file->instance_variables.items[i], sizeof slots - strlen(slots) - 2);
    strncat(slots, " ", sizeof slots - strlen(slots) - 1);
  }
  if (strcmp(slots, known_classes[row->known].slots) != 0)
    fault(b, row->file->file, row->file->line, "the VM has other instance variables for this class:", known_classes[row->known].slots);
  if (strcmp(row->file->superclass, known_classes[row->known].superclass) != 0)
    fault(b, row->file->file, row->file->line, "the VM has another superclass for this class:", known_classes[row->known].superclass);
}

// --- objects

static Oop must(Oop o) {
  if (o == OOP_NONE) {
    fputs("baton: out of memory in the bootstrap\n", stderr);
    exit(1);
  }
  return o;
}

static Oop make_symbol(Bootstrap *b, const char *text) { return must(symbol_intern(b->vm, text, strlen(text))); }
static Oop make_object(Bootstrap *b, uint32_t index, Format f, size_t words) { return must(heap_allocate_old(b->vm->heap, index, f, words)); }
static void put(Bootstrap *b, Oop o, size_t slot, Oop value) { heap_store(b->vm->heap, o, slot, value); }

static Oop symbol_array(Bootstrap *b, const TonelList *list) {
  if (list->count == 0) return OOP_NIL;
  Oop array = make_object(b, CLASS_Array, FORMAT_INDEXABLE, list->count);
  for (size_t i = 0; i < list->count; i++) put(b, array, i, make_symbol(b, list->items[i]));
  return array;
}

static size_t class_slots(const Row *row) {
  size_t n = NAMED_SLOTS(Class);
  for (; row != NULL; row = row->superclass)
    if (row->file != NULL) n += row->file->class_instance_variables.count;
  return n;
}

static void set_class(Bootstrap *b, uint32_t index, Oop class) {
  b->vm->class_table[index] = class;
  AS(Class, class)->index = oop_from_integer(index);
}

static void make_class_objects(Bootstrap *b) {
  uint32_t *indexes = arena_allocate(&b->arena, 2 * b->row_count * sizeof *indexes);
  for (size_t i = 0; i < b->row_count; i++)
    if (b->rows[i].known != 0) indexes[2 * i] = class_register(b->vm, OOP_NIL);
  for (size_t i = 0; i < b->row_count; i++) {
    if (b->rows[i].known == 0) indexes[2 * i] = class_register(b->vm, OOP_NIL);
    indexes[2 * i + 1] = class_register(b->vm, OOP_NIL);
  }
  for (size_t i = 0; i < b->row_count; i++) {
    Row *row = &b->rows[i];
    row->meta = make_object(b, CLASS_Metaclass, FORMAT_FIXED, NAMED_SLOTS(Metaclass));
    row->class = make_object(b, indexes[2 * i + 1], FORMAT_FIXED, class_slots(row));
    set_class(b, indexes[2 * i], row->class);
    set_class(b, indexes[2 * i + 1], row->meta);
  }
}

static Format format_of_type(Bootstrap *b, const Row *row, Format inherited) {
  static const struct {
    const char *type;
    Format format;
  } types[] = {{"variable", FORMAT_INDEXABLE},       {"weak", FORMAT_WEAK},     {"ephemeron", FORMAT_EPHEMERON}, {"bytes", FORMAT_BYTES},
               {"words16", FORMAT_WORDS16},          {"words", FORMAT_WORDS32}, {"words64", FORMAT_WORDS64},     {"DoubleByteLayout", FORMAT_WORDS16},
               {"DoubleWordLayout", FORMAT_WORDS64}, {"stack", FORMAT_STACK}};
  if (row->known != 0) return known_formats[row->known];
  const char *type = row->file->type;
  if (type[0] == 0 || strcmp(type, "normal") == 0) return inherited;
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (strcmp(type, types[i].type) == 0) return types[i].format;
  fault(b, row->file->file, row->file->line, "this type of class is not known:", type);
  return inherited;
}

static Oop layout_integer(size_t slots, Format f, bool immediate) { return oop_from_integer((int64_t)slots | (int64_t)f << 16 | (int64_t)immediate << 24); }

static void add_subclass(Bootstrap *b, Oop class, Oop subclass) {
  Oop former = AS(Class, class)->subclasses;
  size_t n = former == OOP_NIL ? 0 : object_size(former);
  Oop array = make_object(b, CLASS_Array, FORMAT_INDEXABLE, n + 1);
  for (size_t i = 0; i < n; i++) put(b, array, i, object_slots(former)[i]);
  put(b, array, n, subclass);
  put(b, class, SLOT_OF(Class, subclasses), array);
}

static void fill_metaclass(Bootstrap *b, Row *row) {
  MetaclassObject *m = AS(Metaclass, row->meta);
  Row *class_class = find_row(b, "Class");
  put(b, row->meta, SLOT_OF(Metaclass, superclass), row->superclass != NULL ? row->superclass->meta : class_class->class);
  put(b, row->meta, SLOT_OF(Metaclass, methodDictionary), must(method_dictionary_new(b->vm, 4)));
  m->layout = layout_integer(class_slots(row), FORMAT_FIXED, false);
  put(b, row->meta, SLOT_OF(Metaclass, thisClass), row->class);
  if (row->file != NULL) put(b, row->meta, SLOT_OF(Metaclass, instanceVariables), symbol_array(b, &row->file->class_instance_variables));
}

static Oop class_pool(Bootstrap *b, const TonelList *names) {
  if (names->count == 0) return OOP_NIL;
  Oop pool = make_object(b, CLASS_Array, FORMAT_INDEXABLE, names->count);
  for (size_t i = 0; i < names->count; i++) {
    Oop binding = make_object(b, CLASS_Binding, FORMAT_FIXED, NAMED_SLOTS(Binding));
    put(b, binding, SLOT_OF(Binding, key), make_symbol(b, names->items[i]));
    put(b, pool, i, binding);
  }
  return pool;
}

static void fill_class(Bootstrap *b, Row *row) {
  if (row->filled) return;
  row->filled = true;
  if (row->superclass != NULL) fill_class(b, row->superclass);
  VM *vm = b->vm;
  Oop class = row->class, super = row->superclass == NULL ? OOP_NIL : row->superclass->class;
  size_t slots = super == OOP_NIL ? 0 : layout_named_slots(AS(Class, super)->layout);
  Format inherited = super == OOP_NIL ? FORMAT_FIXED : layout_format(AS(Class, super)->layout);
  check_known(b, row);
  if (row->file != NULL) slots += row->file->instance_variables.count;
  bool immediate = row->known == CLASS_SmallInteger || row->known == CLASS_Character || row->known == CLASS_Float;
  AS(Class, class)->layout = layout_integer(slots, format_of_type(b, row, inherited), immediate);
  put(b, class, SLOT_OF(Class, superclass), super);
  put(b, class, SLOT_OF(Class, methodDictionary), must(method_dictionary_new(vm, 4)));
  put(b, class, SLOT_OF(Class, name), make_symbol(b, row->name));
  put(b, class, SLOT_OF(Class, environment), vm->smalltalk);
  if (super != OOP_NIL) add_subclass(b, super, class);
  if (row->file != NULL) {
    put(b, class, SLOT_OF(Class, instanceVariables), symbol_array(b, &row->file->instance_variables));
    put(b, class, SLOT_OF(Class, classPool), class_pool(b, &row->file->class_variables));
    put(b, class, SLOT_OF(Class, category), make_symbol(b, row->file->category));
    put(b, class, SLOT_OF(Class, comment), must(string_from_utf8_old(vm, row->file->comment, strlen(row->file->comment))));
  }
  fill_metaclass(b, row);
  must(global_define(vm, row->name, strlen(row->name), class));
}

static void fill_pools(Bootstrap *b, Row *row) {
  if (row->file == NULL || row->file->pools.count == 0) return;
  Oop pools = make_object(b, CLASS_Array, FORMAT_INDEXABLE, row->file->pools.count);
  for (size_t i = 0; i < row->file->pools.count; i++) {
    Row *pool = find_row(b, row->file->pools.items[i]);
    if (pool == NULL) fault(b, row->file->file, row->file->line, "there is no pool", row->file->pools.items[i]);
    else put(b, pools, i, pool->class);
  }
  put(b, row->class, SLOT_OF(Class, sharedPools), pools);
}

static void make_globals(Bootstrap *b) {
  VM *vm = b->vm;
  vm->smalltalk = make_object(b, CLASS_SystemDictionary, FORMAT_FIXED, NAMED_SLOTS(SystemDictionary));
  put(b, vm->smalltalk, SLOT_OF(SystemDictionary, bindings), must(method_dictionary_new(vm, 512)));
  must(global_define(vm, "Smalltalk", 9, vm->smalltalk));
  vm->processor = make_object(b, CLASS_ProcessorScheduler, FORMAT_FIXED, NAMED_SLOTS(ProcessorScheduler));
  must(global_define(vm, "Processor", 9, vm->processor));
  must(global_define(vm, "Transcript", 10, OOP_NIL));
}

// --- methods

static void report_errors(Bootstrap *b, const char *file, const Compilation *r) {
  for (size_t i = 0; i < r->error_count; i++) {
    const CompileError *e = &r->errors[i];
    fprintf(b->report, "%s:%u:%u: %s%s%s%s%s\n", file, e->line, e->column, e->message, e->found == NULL ? "" : ": found ", e->found == NULL ? "" : e->found,
            e->expected == NULL ? "" : ", expected ", e->expected == NULL ? "" : e->expected);
    b->faults++;
  }
}

static void compile_method(Bootstrap *b, const TonelFile *f, const TonelMethod *m) {
  Row *row = find_row(b, m->class_name);
  if (row == NULL) {
    fault(b, f->file, m->line, "there is no class", m->class_name);
    return;
  }
  Oop class = m->class_side ? row->meta : row->class;
  Origin origin = {.file = f->file, .line = m->line};
  Compilation *r = builder_compile(b->vm, class, (Text){m->source, strlen(m->source)}, origin, COMPILE_METHOD);
  report_errors(b, f->file, r);
  for (size_t i = 0; i < r->undeclared_count; i++)
    fprintf(b->report, "%s:%u: undeclared %.*s\n", f->file, m->line, (int)r->undeclared[i].length, r->undeclared[i].bytes);
  b->faults += r->undeclared_count;
  if (r->code != NULL) {
    Oop method = builder_method(b->vm, class, r, origin, m->protocol);
    if (method == OOP_NONE) {
      char name[200];
      snprintf(name, sizeof name, "%.*s", (int)r->code->primitive.length, r->code->primitive.bytes);
      fault(b, f->file, m->line, "there is no primitive", name);
    } else {
      if (method_dictionary_at(AS(Class, class)->methodDictionary, AS(CompiledMethod, method)->selector) != OOP_NONE) {
        char name[200];
        snprintf(name, sizeof name, "%.*s", (int)r->code->selector.length, r->code->selector.bytes);
        fault(b, f->file, m->line, "this method is defined twice:", name);
      }
      if (!method_dictionary_put(b->vm, AS(Class, class)->methodDictionary, AS(CompiledMethod, method)->selector, method)) must(OOP_NONE);
    }
  }
  compilation_free(r);
}

// --- initialize

static bool initialize(Bootstrap *b, Row *row) {
  if (row->initialized) return true;
  row->initialized = true;
  if (row->superclass != NULL && !initialize(b, row->superclass)) return false;
  Oop selector = make_symbol(b, "initialize");
  if (method_dictionary_at(AS(Class, row->meta)->methodDictionary, selector) == OOP_NONE) return true;
  if (!vm_spawn_main(b->vm, row->class, selector) || vm_run(b->vm) != 0) {
    fault(b, row->name, 0, "initialize failed", NULL);
    return false;
  }
  return true;
}

bool bootstrap(VM *vm, const char *directory, const char *const *more, int more_count, FILE *report) {
  Bootstrap b = {.vm = vm, .report = report};
  read_directory(&b, directory, "");
  for (int i = 0; i < more_count; i++) read_directory(&b, more[i], "");
  make_rows(&b);
  bool usable = find_row(&b, "Class") != NULL && find_row(&b, "Object") != NULL;
  if (usable) {
    make_class_objects(&b);
    make_globals(&b);
    for (size_t i = 0; i < b.row_count; i++) fill_class(&b, &b.rows[i]);
    for (size_t i = 0; i < b.row_count; i++) fill_pools(&b, &b.rows[i]);
    for (size_t i = 0; i < b.file_count; i++)
      for (size_t j = 0; j < b.files[i]->method_count; j++) compile_method(&b, b.files[i], &b.files[i]->methods[j]);
    for (size_t i = 0; i < b.row_count && usable; i++) {
      // class oops stay valid: classes are in old space, which never moves
      usable = initialize(&b, &b.rows[i]);
    }
  }
  arena_free(&b.arena);
  return usable && b.faults == 0;
}
