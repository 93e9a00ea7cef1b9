;; It calls a function as if that took something else.
;; at: route
;; expect: indirect call type mismatch
(table funcref (elem $g))
(type $f (func (param i64 i64) (result i32)))
(func $g (result i64) (i64.const 7))
(func (export "skep:plugin/policy@0.1.0#route") (param i32 i32 i32 i32 i64 i32) (result i32)
  (call_indirect (type $f) (i64.const 1) (i64.const 2) (i32.const 0)))
