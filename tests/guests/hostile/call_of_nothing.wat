;; It calls what its table does not have.
;; at: route
;; expect: uninitialized
(table 4 funcref)
(type $f (func (result i32)))
(func (export "skep:plugin/policy@0.1.0#route") (param i32 i32 i32 i32 i64 i32) (result i32)
  (call_indirect (type $f) (i32.const 2)))
