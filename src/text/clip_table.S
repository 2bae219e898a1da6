// The gzip file as bytes of the program. The path goes from the library's include folder (which links to src/text).
    .section .rodata
    .global difftune_clip_table
    .global difftune_clip_table_end
    .balign 16
difftune_clip_table:
    .incbin "text/../../assets/bpe_simple_vocab_16e6.txt.gz"
difftune_clip_table_end:
    .byte 0
    .section .note.GNU-stack, "", @progbits
