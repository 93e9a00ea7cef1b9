;; Its candidates begin where none can.
;; at: route
;; expect: not aligned
(data (i32.const 64) "\00\00\00\00" "\04\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00")
(func (export "skep:plugin/policy@0.1.0#route") (param i32 i32 i32 i32 i64 i32) (result i32) (i32.const 64))
