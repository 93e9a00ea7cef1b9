;; It answers with two thousand million candidates.
;; at: route
;; expect: out of bounds
(data (i32.const 64) "\00\00\00\00" "\08\00\00\00\ff\ff\ff\7f" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00")
(func (export "skep:plugin/policy@0.1.0#route") (param i32 i32 i32 i32 i64 i32) (result i32) (i32.const 64))
