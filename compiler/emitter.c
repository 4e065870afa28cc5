// Writing instructions: words with their source positions, registers, literals and send sites, jumps.
#include "compiler/generator.h"
#include "vm/opcodes.h"
#include <string.h>

static void note_position(Generator *g) {
  Code *k = g->code;
  SourcePosition p = {.offset = (uint32_t)k->instruction_count};
  compiler_locate(g->c, g->position, &p.line, &p.column);
  if (k->position_count > 0) {
    SourcePosition *last = &k->positions[k->position_count - 1];
    if (last->line == p.line && last->column == p.column) return;
    if (last->offset == p.offset) {
      *last = p;
      return;
    }
  }
  k->positions = arena_grow(&g->c->arena, k->positions, k->position_count, sizeof p);
  k->positions[k->position_count++] = p;
}

uint32_t emit_word(Generator *g, uint32_t word) {
  Code *k = g->code;
  note_position(g);
  k->instructions = arena_grow(&g->c->arena, k->instructions, k->instruction_count, sizeof word);
  k->instructions[k->instruction_count] = word;
  return (uint32_t)k->instruction_count++;
}

uint32_t emit(Generator *g, int op, int a, int b, int c) {
  return emit_word(g, (uint32_t)op | ((uint32_t)a & 255) << 8 | ((uint32_t)b & 255) << 16 | ((uint32_t)c & 255) << 24);
}

uint32_t emit_wide(Generator *g, int op, int a, int bx) { return emit_word(g, (uint32_t)op | ((uint32_t)a & 255) << 8 | ((uint32_t)bx & 0xFFFF) << 16); }

int reserve(Generator *g, int count) {
  int first = g->next;
  g->next += count;
  if (g->next > g->code->register_count) g->code->register_count = g->next;
  if (g->next > MAX_REGISTERS) {
    compiler_error(g->c, g->position, NULL, NULL, "this method is too complicated: it needs more than %d registers", MAX_REGISTERS);
    g->c->gave_up = true;  // once is enough
    g->next = first;
  }
  return first;
}

int temporary(Generator *g) { return reserve(g, 1); }

// --- literals and sites

bool same_literal(const Literal *a, const Literal *b) {
  if (a->kind != b->kind) return false;
  switch (a->kind) {
    case LITERAL_INTEGER:
    case LITERAL_CHARACTER: return a->integer == b->integer;
    case LITERAL_FLOAT: return memcmp(&a->number, &b->number, sizeof a->number) == 0;
    case LITERAL_SYMBOL:
    case LITERAL_BINDING: return text_equal(a->text, b->text);
    default: return false;
  }
}

// Equal literals are shared where the earlier one is not far.
static int literal_index(Generator *g, Literal literal) {
  enum { NEAR = 500 };
  Code *k = g->code;
  for (size_t i = k->literal_count > NEAR ? k->literal_count - NEAR : 0; i < k->literal_count; i++)
    if (same_literal(&k->literals[i], &literal)) return (int)i;
  k->literals = arena_grow(&g->c->arena, k->literals, k->literal_count, sizeof literal);
  k->literals[k->literal_count] = literal;
  return (int)k->literal_count++;
}

void emit_literal(Generator *g, int op, int a, Literal literal) {
  int index = literal_index(g, literal);
  uint32_t at = emit_wide(g, op, a, index);
  g->literal_words = arena_grow(&g->c->arena, g->literal_words, g->literal_word_count, sizeof at);
  g->literal_words[g->literal_word_count++] = at;
}

int new_site(Generator *g, Text selector) {
  Code *k = g->code;
  k->sites = arena_grow(&g->c->arena, k->sites, k->site_count, sizeof selector);
  k->sites[k->site_count] = selector;
  return (int)k->site_count++;
}

// The literal frame begins with the sites, so literal operands are final only now.
void fix_literals(Generator *g) {
  size_t base = 4 * g->code->site_count;
  if (base + g->code->literal_count > 0xFFFF) compiler_error(g->c, 0, NULL, NULL, "this method has too many sends and literals");
  for (size_t i = 0; i < g->literal_word_count; i++) g->code->instructions[g->literal_words[i]] += (uint32_t)base << 16;
}

// --- jumps

uint32_t here(const Generator *g) { return (uint32_t)g->code->instruction_count; }

void add_jump(Generator *g, Jumps *jumps, uint32_t at) {
  jumps->at = arena_grow(&g->c->arena, jumps->at, jumps->count, sizeof at);
  jumps->at[jumps->count++] = at;
}

void patch(Generator *g, uint32_t at, uint32_t target) {
  uint32_t *word = &g->code->instructions[at];
  int32_t distance = (int32_t)target - (int32_t)at - 1;
  if ((*word & 255) == OP_JUMP) *word = (*word & 255) | (uint32_t)distance << 8;
  else if (distance >= -32768 && distance <= 32767) *word = (*word & 0xFFFF) | (uint32_t)distance << 16;
  else compiler_error(g->c, g->position, NULL, NULL, "this method is too long for its jumps");
}

void land_at(Generator *g, Jumps *jumps, uint32_t target) {
  for (size_t i = 0; i < jumps->count; i++) patch(g, jumps->at[i], target);
  jumps->count = 0;
}

void land(Generator *g, Jumps *jumps) { land_at(g, jumps, here(g)); }

void jump_to(Generator *g, uint32_t target) { patch(g, emit_word(g, OP_JUMP), target); }

void jump_out(Generator *g, Jumps *jumps) { add_jump(g, jumps, emit_word(g, OP_JUMP)); }
