;; It refuses in a way that does not exist.
;; at: route
;; expect: discriminant
(data (i32.const 64) "\01\00\00\00" "\09\00\00\00" "\00\00\00\00\00\00\00\00")
(func (export "skep:plugin/policy@0.1.0#route") (param i32 i32 i32 i32 i64 i32) (result i32) (i32.const 64))
