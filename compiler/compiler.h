// The compiler's interface: Smalltalk source text in, plain C data out. It knows no heap objects.
//
// One compilation owns one arena: everything reachable from a Compilation lives until compilation_free.
// Text is UTF-8; positions are byte offsets, lines and columns count from 1, columns count code points.
#ifndef BATON_COMPILER_COMPILER_H
#define BATON_COMPILER_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  const char *bytes;  // not NUL-terminated in general
  size_t length;
} Text;

typedef enum {
  LITERAL_NIL,
  LITERAL_TRUE,
  LITERAL_FALSE,
  LITERAL_INTEGER,        // integer
  LITERAL_LARGE_INTEGER,  // text: digits (with a leading - when negative), radix; fits no SmallInteger
  LITERAL_FLOAT,          // number
  LITERAL_SCALED,         // text: numerator digits (may start with -), denominator: 10^scale_digits, scale
  LITERAL_CHARACTER,      // integer: code point
  LITERAL_STRING,         // text, UTF-8
  LITERAL_SYMBOL,         // text, UTF-8
  LITERAL_ARRAY,          // items, item_count
  LITERAL_BYTE_ARRAY,     // text: the bytes
  LITERAL_BINDING,        // text: name of a global, class variable or pool variable
  LITERAL_CODE            // code: a block (code->is_block)
} LiteralKind;

typedef struct Code Code;
typedef struct Literal Literal;
struct Literal {
  LiteralKind kind;
  int64_t integer;
  double number;
  Text text;
  int radix;
  int fraction_digits;  // LITERAL_SCALED: the value is text / 10^fraction_digits
  int scale;
  Literal *items;
  size_t item_count;
  Code *code;
};

// One entry a source position: instructions from `offset` (in words) on come from this line and column.
typedef struct {
  uint32_t offset, line, column;
} SourcePosition;

typedef struct {
  Text keyword;  // the pragma's selector, such as "test:" or "primitive"
  Literal *arguments;
  size_t argument_count;
} PragmaData;

// The code of one method or block. Its literal frame is laid out by the builder: four words for each send site, then
// the literals; LOAD_LITERAL and its like name *literals* by index from 0 here, and the builder, which knows the number of
// sites, gets the final operand as 4 * site_count + index. (The compiler emits that sum already: Bx = 4 * site_count + index.)
struct Code {
  uint32_t *instructions;
  size_t instruction_count;
  Text *sites;  // selector of each send site
  size_t site_count;
  Literal *literals;
  size_t literal_count;
  SourcePosition *positions;
  size_t position_count;
  Text *variables;  // names of r1, r2, ... for debuggers: arguments, then temporaries (copied ones included where they have a register)
  size_t variable_count;
  int argument_count;
  int register_count;  // registers the frame needs, r0 and the windows of sends included; at most 255
  int copied_count;    // blocks: copied values behind home and receiver
  bool is_block;
  bool clean;                // a block without self, ^ and captured variables: the builder makes one closure, and LOAD_LITERAL loads it
  bool has_nonlocal_return;  // a block with ^, or a method or block that contains one
  // methods only
  Text selector;
  Text primitive;        // name given in <primitive: #name>, or empty
  int primitive_reason;  // register that takes the failure reason (<primitive: #x error: reason>), or 0
  PragmaData *pragmas;
  size_t pragma_count;
  Text source;  // the method's own source text
};

typedef struct {
  uint32_t line, column;
  char *message;   // what is wrong, one line, without position
  char *found;     // the token found there, or NULL
  char *expected;  // what was expected, or NULL
} CompileError;

typedef enum {
  COMPILE_METHOD,     // pattern, temporaries, pragmas, statements
  COMPILE_DOIT,       // temporaries (declared or not) and statements; answers the last statement's value; selector #doIt
  COMPILE_CUIS_CHUNK  // like COMPILE_METHOD, with _ as assignment
} CompileMode;

// What a name is outside the method. Called for every free identifier that is no instance variable.
// Answers true if the name is declared (global, class variable, pool variable).
typedef bool (*CompilerLookup)(void *context, Text name);

typedef struct {
  Text source;
  uint32_t first_line;    // line number of the first character (methods lie inside a file)
  uint32_t first_column;  // column of the first character, 1 as a rule
  CompileMode mode;
  const Text *instance_variables;  // all, superclass first: index is the slot
  size_t instance_variable_count;
  CompilerLookup lookup;
  void *lookup_context;
  int max_errors;  // stop after so many; 0 means 20
} CompileRequest;

typedef struct Compilation {
  Code *code;  // NULL when there are errors
  CompileError *errors;
  size_t error_count;
  Text *undeclared;  // names compiled as bindings that lookup did not know (warnings)
  size_t undeclared_count;
  void *arena;
} Compilation;

// Compiles one method or doit. Never fails for want of valid input: errors are data in the answer. Out of memory aborts.
// A method's errors go on being collected after the first, statement by statement.
Compilation *compile(const CompileRequest *request);
void compilation_free(Compilation *compilation);

// Only the selector of a method's pattern; an empty text if there is none. The text lives in `buffer` (at least 512 bytes).
Text compiler_selector(Text source, char *buffer, size_t size);

#endif
