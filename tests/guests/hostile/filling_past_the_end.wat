;; It fills more memory than it has.
;; at: route
;; expect: out of bounds
(func (export "skep:plugin/policy@0.1.0#route") (param i32 i32 i32 i32 i64 i32) (result i32)
  (memory.fill (i32.const 131072) (i32.const 7) (i32.const 1000000))
  unreachable)
