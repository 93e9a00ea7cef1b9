;; Its sentence is one half of a pair of surrogates.
;; at: route
;; expect: utf-8
(data (i32.const 8) "\ed\a0\80")
(data (i32.const 64) "\00\00\00\00" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00" "\08\00\00\00\03\00\00\00")
(func (export "skep:plugin/policy@0.1.0#route") (param i32 i32 i32 i32 i64 i32) (result i32) (i32.const 64))
