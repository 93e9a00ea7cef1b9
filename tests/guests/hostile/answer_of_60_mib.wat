;; It answers with all the text that it has room for.
;; at: route
;; expect: too much data
(memory (export "memory") 980)
(data (i32.const 64) "\00\00\00\00" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00" "\00\04\00\00\00\00\c0\03")
(func (export "skep:plugin/policy@0.1.0#route") (param i32 i32 i32 i32 i64 i32) (result i32) (i32.const 64))
