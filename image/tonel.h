// Reads a Tonel file (versions 1 and 3) to plain data.
#ifndef BATON_IMAGE_TONEL_H
#define BATON_IMAGE_TONEL_H

#include "compiler/arena.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum { TONEL_CLASS, TONEL_TRAIT, TONEL_EXTENSION, TONEL_PACKAGE } TonelKind;

typedef struct {
  const char *class_name;
  bool class_side;
  const char *protocol;  // "" if none is given
  const char *source;    // pattern and body, as the compiler takes it
  uint32_t line;         // of the pattern
} TonelMethod;

typedef struct {
  const char **items;
  size_t count;
} TonelList;

typedef struct {
  TonelKind kind;
  const char *file, *name, *superclass, *category, *package, *type, *comment;  // "" where not given
  const char *traits, *class_traits;
  TonelList instance_variables, class_variables, class_instance_variables, pools;
  TonelMethod *methods;
  size_t method_count;
  uint32_t line;      // of the header
  const char *error;  // NULL, or what is wrong; then error_line and error_column say where
  uint32_t error_line, error_column;
} TonelFile;

// Parses `text`; everything in the answer lives in the arena. A file that is damaged answers what came before the damage, and `error`.
// NULL for a file of white space and comments only.
TonelFile *tonel_parse(Arena *arena, const char *file, const char *text, size_t length);

#endif
