// Class indexes and C views of the objects the VM knows, made from layouts.def.
#ifndef BATON_VM_LAYOUTS_H
#define BATON_VM_LAYOUTS_H

#include "vm/object.h"

enum {
  CLASS_NONE = 0,
#define CLASS(name, superclass, format) CLASS_##name,
#define SLOT(name)
#define INHERITED(name)
#define END(name)
#include "vm/layouts.def"
#undef CLASS
#undef END
  CLASS_KNOWN_LIMIT
};

#undef SLOT
#undef INHERITED
#define CLASS(name, superclass, format) \
  typedef struct {                      \
    uint64_t first_word;
#define SLOT(name) Oop name;
#define INHERITED(name) Oop name;
#define END(name) \
  }               \
  name##Object;
#include "vm/layouts.def"
#undef CLASS
#undef SLOT
#undef INHERITED
#undef END

// Index of a slot, for heap_store: SLOT_OF(Process, stack).
#define SLOT_OF(type, slot) (offsetof(type##Object, slot) / 8 - 1)
#define NAMED_SLOTS(type) (sizeof(type##Object) / 8 - 1)
#define AS(type, oop) ((type##Object *)(uintptr_t)(oop))

// Class of a value, by table for immediates.
static inline uint32_t class_index_of(Oop o) {
  static const uint8_t immediate[32] = {[1] = CLASS_SmallInteger,  [9] = CLASS_SmallInteger, [17] = CLASS_SmallInteger,
                                        [25] = CLASS_SmallInteger, [2] = CLASS_Character,    [10] = CLASS_Character,
                                        [18] = CLASS_Character,    [26] = CLASS_Character,   [4] = CLASS_Float,
                                        [12] = CLASS_Float,        [20] = CLASS_Float,       [28] = CLASS_Float,
                                        [5] = CLASS_Float,         [13] = CLASS_Float,       [21] = CLASS_Float,
                                        [29] = CLASS_Float,        [OOP_ZERO] = CLASS_Float, [OOP_NIL] = CLASS_UndefinedObject,
                                        [OOP_TRUE] = CLASS_True,   [OOP_FALSE] = CLASS_False};
  return is_pointer(o) ? header_class_index(object_header(o)) : immediate[o & 31];
}

// Behavior>>layout is a SmallInteger: named slots in bits 0-15, base format in bits 16-23, immediate-class flag in bit 24.
static inline size_t layout_named_slots(Oop layout) { return (size_t)(oop_to_integer(layout) & 0xFFFF); }
static inline Format layout_format(Oop layout) { return (Format)((oop_to_integer(layout) >> 16) & 0xFF); }

// CompiledCode>>header is a SmallInteger.
enum {
  CODE_ARGUMENTS_SHIFT = 0,  // 8 bits
  CODE_REGISTERS_SHIFT = 8,  // 8 bits
  CODE_SITES_SHIFT = 16,     // 16 bits
  CODE_COPIED_SHIFT = 32,    // 8 bits
  CODE_IS_BLOCK = 1ll << 40,
  CODE_HAS_NONLOCAL_RETURN = 1ll << 41,
  CODE_HANDLER_MARK = 1ll << 42,  // <primitive: #handlerMark>: the frame of an on:do:
  CODE_UNWIND_MARK = 1ll << 43    // <primitive: #unwindMark>: the frame of an ensure: or ifCurtailed:
};
#define CODE_FIELD(header, shift, bits) ((size_t)((oop_to_integer(header) >> (shift)) & ((1 << (bits)) - 1)))

#endif
