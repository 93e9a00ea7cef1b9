;; Whenever it is asked for room, it takes all memory there is, and stops when there is none.
;; expect: memory limit of 64 MiB
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (loop $again (br_if $again (i32.ge_s (memory.grow (i32.const 64)) (i32.const 0)))) unreachable)
