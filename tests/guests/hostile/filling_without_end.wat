;; It fills all its memory again and again: few units of work, and much of it.
;; at: route
;; expect: units of work
(memory (export "memory") 900)
(func (export "skep:plugin/policy@0.1.0#route") (param i32 i32 i32 i32 i64 i32) (result i32)
  (loop $again
    (memory.fill (i32.const 131072) (i32.const 7) (i32.const 58000000))
    (br $again))
  unreachable)
