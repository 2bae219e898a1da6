// The gzip file as bytes of the program. The path goes from the library's include folder (which links to src/text).
    .section .rodata
    .global difftune_t5_table
    .global difftune_t5_table_end
    .balign 16
difftune_t5_table:
    .incbin "text/../../assets/t5_v1_1_spiece.model.gz"
difftune_t5_table_end:
    .byte 0
    .section .note.GNU-stack, "", @progbits
