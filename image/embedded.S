// The standard image as data of the executable.
        .section .rodata
        .balign 16
        .globl embedded_image
        .globl embedded_image_end
embedded_image:
        .incbin STANDARD_IMAGE
embedded_image_end:
        .byte 0
        .section .note.GNU-stack,"",%progbits
