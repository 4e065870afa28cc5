// What the compiler's passes share: the syntax tree, scopes and variables, errors.
//
// The parser builds nodes and scopes; scope.c resolves names, decides which blocks are inlined, and finds out what each real
// block captures; generator.c writes instructions. All lives in the compilation's arena.
#ifndef BATON_COMPILER_SYNTAX_H
#define BATON_COMPILER_SYNTAX_H

#include "compiler/lexer.h"

typedef struct Node Node;
typedef struct Scope Scope;
typedef struct Variable Variable;
typedef struct Function Function;
typedef struct Loop Loop;

typedef enum {
  NODE_LITERAL,   // literal
  NODE_VARIABLE,  // name; resolved: see resolution
  NODE_ASSIGN,    // target (a variable node), value
  NODE_SEND,      // receiver, selector, items (arguments)
  NODE_CASCADE,   // receiver; items: sends whose receiver is NULL
  NODE_BLOCK,     // scope, items (statements)
  NODE_BRACE,     // items
  NODE_RETURN     // value
} NodeKind;

// What a name stands for.
typedef enum { NAME_UNRESOLVED, NAME_LOCAL, NAME_FIELD, NAME_BINDING, NAME_SELF, NAME_SUPER, NAME_THIS_CONTEXT, NAME_CONSTANT } Resolution;

// How a send with literal blocks is compiled without a send.
typedef enum {
  INLINE_NONE,
  INLINE_IF,  // ifTrue:, ifFalse:, ifTrue:ifFalse:, ifFalse:ifTrue:
  INLINE_AND,
  INLINE_OR,
  INLINE_IF_NIL,  // ifNil:, ifNotNil:, ifNil:ifNotNil:, ifNotNil:ifNil:
  INLINE_WHILE,   // whileTrue:, whileFalse:, whileTrue, whileFalse
  INLINE_REPEAT,
  INLINE_TO_DO,  // to:do:, to:by:do:
  INLINE_TIMES
} Inlining;

struct Node {
  NodeKind kind;
  size_t position;  // byte offset of what an error or a backtrace would point to
  Text name;        // variable: its name; send: the selector
  Literal literal;
  Node *receiver, *value, *target;
  Node **items;
  size_t item_count;
  Scope *scope;
  Resolution resolution;
  Variable *variable;
  size_t field;
  Inlining inlining;
  bool parenthesized;
  Function *function;  // of a block that is not inlined
  unsigned depth;      // of the tree below
};

typedef struct Assignment Assignment;
struct Assignment {
  Assignment *next;
  unsigned time;  // see Variable
  Loop *loop;     // innermost loop around it
};

struct Loop {
  Loop *outer;
  unsigned end;  // time of its end
};

// Times are steps of the walk in order of evaluation. A captured variable is copied into closures when every assignment
// is over before the first closure that captures it is made; otherwise it lives in its scope's vector.
struct Variable {
  Text name;
  size_t position;
  Scope *scope;
  bool parameter;
  bool captured, assigned_in_capture;
  unsigned first_capture;
  Assignment *assignments;
  bool in_vector;
  size_t slot;  // in the vector
  int register_number;
};

struct Scope {
  Scope *outer;
  Function *function;
  Loop *loop;            // the innermost loop around the scope when it was entered
  Variable **variables;  // parameters first
  size_t variable_count, parameter_count;
  bool has_vector;
  size_t vector_size;
  int vector_register;
};

// What a block captures: a variable's value or the vector of a scope.
typedef struct {
  Variable *variable;
  Scope *vector;
  unsigned uses;
  int register_number;  // where the block keeps it, or -1
} Capture;

// A method or a block that is not inlined.
struct Function {
  Function *outer;
  Node *body;
  Code *code;
  Variable **free_variables;  // of outer functions, used here or in blocks inside
  unsigned *free_uses;
  size_t free_count;
  Capture *captures;
  size_t capture_count;
  unsigned self_uses;
  bool needs_self, needs_home;  // a block: the receiver, the home context; a method: needs_home says that a block in it has a ^
  unsigned made_at;             // time
  int self_register;
};

// One compilation.
typedef struct {
  Arena arena;
  const CompileRequest *request;
  Compilation *result;
  Lexer lexer;
  Token token;
  size_t previous_end;
  size_t *line_starts;
  size_t line_count;
  int max_errors;
  bool gave_up;
  unsigned nesting;              // of brackets, while parsing
  size_t located, located_line;  // where compiler_locate was last, so that it need not count a long line from its start
  uint32_t located_column;
  Scope *scope;  // the parser's current one
  Scope *method_scope;
  Node *body;  // the method as a block
  Text selector;
  PragmaData *pragmas;
  size_t pragma_count;
  Text primitive;
  Variable *primitive_reason;
  // scope.c
  Function *function;
  Function **functions;
  size_t function_count;
  Loop *loop;
  unsigned time;
} Compiler;

// --- compiler.c
void compiler_locate(Compiler *c, size_t offset, uint32_t *line, uint32_t *column);
// message is a format; found and expected may be NULL.
void compiler_error(Compiler *c, size_t offset, const char *found, const char *expected, const char *message, ...) __attribute__((format(printf, 5, 6)));
bool text_is(Text text, const char *string);
bool text_equal(Text a, Text b);
Variable *scope_find_here(const Scope *scope, Text name);
Variable *scope_declare(Compiler *c, Scope *scope, Text name, size_t position, bool parameter);
void note_undeclared(Compiler *c, Text name);

// --- parser.c: fills body, selector, pragmas
void parse(Compiler *c);
// --- scope.c: resolves and analyses the body, whose Function it answers
Function *analyse(Compiler *c);
// --- generator.c
Code *generate(Compiler *c, Function *method);

#endif
