// Tokens of Smalltalk source text.
#ifndef BATON_COMPILER_LEXER_H
#define BATON_COMPILER_LEXER_H

#include "compiler/arena.h"
#include "compiler/compiler.h"

typedef enum {
  TOKEN_END,
  TOKEN_IDENTIFIER,  // text
  TOKEN_KEYWORD,     // text: with its colon; in literal arrays several in a row, `at:put:`
  TOKEN_BINARY,      // text
  TOKEN_LITERAL,     // literal: number, string, symbol, character
  TOKEN_ASSIGN,
  TOKEN_LEFT_PAREN,
  TOKEN_RIGHT_PAREN,
  TOKEN_LEFT_BRACKET,
  TOKEN_RIGHT_BRACKET,
  TOKEN_LEFT_BRACE,
  TOKEN_RIGHT_BRACE,
  TOKEN_HASH_PAREN,
  TOKEN_HASH_BRACKET,
  TOKEN_CARET,
  TOKEN_PERIOD,
  TOKEN_SEMICOLON,
  TOKEN_COLON,
  TOKEN_ERROR  // text: what is wrong (a C string's bytes)
} TokenKind;

typedef struct {
  TokenKind kind;
  size_t start, end;  // byte offsets in the source
  Text text;
  Literal literal;
} Token;

typedef struct {
  Arena *arena;
  Text source;
  size_t position;
  bool underscore_assigns;  // `_` alone is an assignment
} Lexer;

// The token at the lexer's position, which moves behind it. White space and comments before it are skipped.
Token lexer_next(Lexer *lexer);
// The same inside a literal array: keywords that touch make one token.
Token lexer_next_in_array(Lexer *lexer);
// A number whose sign, if any, is at the position: the token of kind TOKEN_LITERAL or TOKEN_ERROR.
Token lexer_number(Lexer *lexer, bool negative);
bool lexer_digit_at(const Lexer *lexer, size_t position);

#endif
