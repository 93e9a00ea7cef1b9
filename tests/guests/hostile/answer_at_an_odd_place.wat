;; Its answer begins where none can.
;; at: route
;; expect: not aligned
(func (export "skep:plugin/policy@0.1.0#route") (param i32 i32 i32 i32 i64 i32) (result i32) (i32.const 63))
