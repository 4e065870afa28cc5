# Baton: `make` builds build/baton, `make check` runs the tests. MODE=release|debug|stress|asan|tsan, each in its own directory.
MODE ?= release
CC ?= gcc
OUT := $(if $(filter release,$(MODE)),build,build/$(MODE))

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror
CFLAGS_release := -O2 -fno-plt -foptimize-sibling-calls
CFLAGS_debug   := -O0 -g -DBATON_TRAMPOLINE
CFLAGS_stress  := -O1 -g -DBATON_STRESS -DBATON_TRAMPOLINE
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -DBATON_TRAMPOLINE
CFLAGS_tsan    := -O1 -g -fsanitize=thread -DBATON_TRAMPOLINE
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -g $(WARNINGS) $(CFLAGS_$(MODE)) -I. $(CFLAGS)
LIBS := -lgc -lgmp -lm -lpthread

SOURCES := $(wildcard vm/*.c compiler/*.c image/*.c) tools/main.c
OBJECTS := $(SOURCES:%.c=$(OUT)/%.o)

all: $(OUT)/baton

$(OUT)/baton: $(OBJECTS)
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(OUT)/%.o: %.c Makefile
	@mkdir -p $(dir $@)
	$(CC) $(ALL_CFLAGS) -MMD -c -o $@ $<

-include $(OBJECTS:.o=.d)

clean:
	rm -rf build

.PHONY: all clean
