// What tests/bench/trees.st does, by malloc and free.
#include <stdio.h>
#include <stdlib.h>

typedef struct Tree {
  struct Tree *left, *right;
} Tree;

static Tree *make(int depth) {
  Tree *t = malloc(sizeof *t);
  if (t == NULL) abort();
  *t = depth == 0 ? (Tree){0} : (Tree){make(depth - 1), make(depth - 1)};
  return t;
}

static int count(const Tree *t) { return t->left == NULL ? 1 : count(t->left) + count(t->right) + 1; }

static void release(Tree *t) {
  if (t->left != NULL) {
    release(t->left);
    release(t->right);
  }
  free(t);
}

static int count_and_release(Tree *t) {
  int n = count(t);
  release(t);
  return n;
}

int main(int argc, char **argv) {
  int greatest = argc > 1 ? atoi(argv[1]) : 16;
  printf("%d\n", count_and_release(make(greatest + 1)));
  Tree *kept = make(greatest);
  for (int depth = 4; depth <= greatest; depth += 2) {
    int total = 0;
    for (int i = 0; i < 1 << (greatest - depth + 4); i++) total += count_and_release(make(depth));
    printf("%d\n", total);
  }
  printf("%d\n", count_and_release(kept));
}
