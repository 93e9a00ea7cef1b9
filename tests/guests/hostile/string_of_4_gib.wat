;; It answers with a text that is longer than its memory.
;; at: route
;; expect: out of bounds
(data (i32.const 64) "\00\00\00\00" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00" "\f0\ff\ff\ff\ff\ff\ff\ff")
(func (export "skep:plugin/policy@0.1.0#route") (param i32 i32 i32 i32 i64 i32) (result i32) (i32.const 64))
