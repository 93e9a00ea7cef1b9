;; Asked for room for what it is to hear, it names a place beyond its memory.
;; expect: beyond end of memory
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const -65536))
