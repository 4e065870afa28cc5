# Baton. `make` builds build/baton; demo, check, bench, lint, install: see README.md.
# MODE=release|debug|stress|asan|tsan, each in its own directory.
MODE ?= release
ifeq ($(origin CC),default)
CC := gcc
endif
OUT := $(if $(filter release,$(MODE)),build,build/$(MODE))

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror
CFLAGS_release := -O2 -fno-plt -foptimize-sibling-calls
CFLAGS_debug   := -O0 -g -DBATON_CHECKS -DBATON_TRAMPOLINE
CFLAGS_stress  := -O1 -g -DBATON_CHECKS -DBATON_STRESS -DBATON_TRAMPOLINE
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -DBATON_CHECKS -DBATON_TRAMPOLINE
CFLAGS_tsan    := -O1 -g -fsanitize=thread -DBATON_CHECKS -DBATON_TRAMPOLINE
CFLAGS_fuzz    := -O2 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -DBATON_TRAMPOLINE
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -g $(WARNINGS) $(CFLAGS_$(MODE)) -I. $(CFLAGS)
LIBS := -lgc -lgmp -lffi -ldl -lm -lpthread

SOURCES := $(wildcard vm/*.c compiler/*.c ffi/*.c image/*.c)
OBJECTS := $(SOURCES:%.c=$(OUT)/%.o)
KERNEL  := $(shell find image/kernel -name '*.st')
TESTS   := $(shell find image/tests -name '*.st')

all: $(OUT)/baton

$(OUT)/baton: $(OBJECTS) $(OUT)/tools/main.o $(OUT)/image/embedded.o
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

# The standard image is made by a program from the same objects, then embedded.
$(OUT)/bootstrap: $(OBJECTS) $(OUT)/tools/bootstrap.o
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(OUT)/standard.image: $(OUT)/bootstrap $(KERNEL)
	$(OUT)/bootstrap $@ image/kernel

# The standard image and the tests of the class library.
$(OUT)/test.image: $(OUT)/bootstrap $(KERNEL) $(TESTS)
	$(OUT)/bootstrap $@ image/kernel image/tests

$(OUT)/image/embedded.o: image/embedded.S $(OUT)/standard.image
	$(CC) -DSTANDARD_IMAGE='"$(OUT)/standard.image"' -c -o $@ $<

deps:
	@tools/deps

# Everything from a fresh machine to an answer.
demo: deps
	$(MAKE) $(OUT)/baton
	$(OUT)/baton -e '1000 factorial printString size'

# Loads damaged images.
$(OUT)/mutate: $(OBJECTS) $(OUT)/tests/mutate.o
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

# The library that the tests of the C interface call. No sanitizer: it crashes on purpose.
$(OUT)/libbatontest.so: tests/ffi/testlib.c tests/ffi/testlib.h Makefile
	@mkdir -p $(dir $@)
	$(CC) -std=c11 -D_GNU_SOURCE -g -O1 $(WARNINGS) -Wno-conversion -I. -shared -fPIC -o $@ $< -lpthread

# The C unit tests. They read the standard image from the directory they are in.
UNIT := $(patsubst %.c,$(OUT)/%.o,$(wildcard tests/unit/*.c))
$(UNIT): ALL_CFLAGS += -Wno-sign-conversion  # Check's comparisons convert
$(OUT)/unit: $(OBJECTS) $(UNIT) $(OUT)/standard.image | $(OUT)/libbatontest.so
	$(CC) $(ALL_CFLAGS) -o $@ $(OBJECTS) $(UNIT) -lcheck -lsubunit -lrt $(LIBS)

UNIT_SETTINGS := $(if $(filter asan tsan,$(MODE)),CK_FORK=no)  # to fork is slow there

# Writes the listings that the compiler's tests expect anew: look at the difference before you believe it.
golden: $(OUT)/unit
	$(OUT)/unit --write-golden

check:
	tools/deps zlib1g-dev libsqlite3-dev spin
	$(MAKE) $(OUT)/baton $(OUT)/test.image $(OUT)/mutate $(OUT)/unit $(OUT)/libbatontest.so
	$(if $(filter release,$(MODE)),tools/tailcalls $(addprefix $(OUT)/,vm/send.o vm/interpreter.o vm/context.o vm/process.o ffi/callout.o))
	$(UNIT_SETTINGS) $(OUT)/unit
	tests/run $(OUT)

# The fuzzers: `make fuzz FUZZ_SECONDS=600` runs each for so long, in a mode of its own and with clang.
FUZZERS := compiler source image
FUZZ_SECONDS ?= 60
$(OUT)/fuzz-%: $(OBJECTS) $(OUT)/tests/fuzz/%.o
	$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)

fuzz: deps
	$(MAKE) MODE=fuzz CC=clang $(addprefix build/fuzz/fuzz-,$(FUZZERS)) build/fuzz/standard.image
	tests/fuzz/run build/fuzz $(FUZZ_SECONDS) $(FUZZERS)

$(OUT)/%.o: %.c Makefile
	@mkdir -p $(dir $@)
	$(CC) $(ALL_CFLAGS) -MMD -c -o $@ $<

-include $(OBJECTS:.o=.d) $(UNIT:.o=.d)

bench: $(OUT)/baton $(OUT)/libbatontest.so
	tests/bench/run $(OUT)/baton
	tests/bench/system/run $(OUT)/baton
	tests/bench/calls/run $(OUT)/baton

# Many calls of C at once and for long: `make heavy HEAVY=--short` takes less than a minute.
heavy: $(OUT)/baton $(OUT)/libbatontest.so
	tests/heavy/run $(OUT)/baton $(HEAVY)

lint:
	tools/deps clang-format clang-tidy cppcheck
	tools/layers
	clang-format --dry-run --Werror $(wildcard */*.[ch] tests/*/*.[ch])
	cppcheck -q --error-exitcode=1 --std=c11 --suppress=missingIncludeSystem -I. vm compiler ffi image tools
	printf '%s\n' $(SOURCES) tools/main.c tools/bootstrap.c | xargs -P 2 -n 8 sh -c 'clang-tidy --quiet "$$@" -- -std=c11 -D_GNU_SOURCE -I.' clang-tidy

PREFIX ?= /usr/local
install: $(OUT)/baton
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(OUT)/baton $(DESTDIR)$(PREFIX)/bin/baton

clean:
	rm -rf build

-include $(OUT)/tools/main.d $(OUT)/tools/bootstrap.d

.DELETE_ON_ERROR:
.PRECIOUS: $(OUT)/%.o
.PHONY: all deps demo check golden fuzz bench heavy lint install clean
