;; Its answer is a list of a thousand candidates that begins where the answer itself does.
;; at: route
;; expect: it ranked replica
(data (i32.const 64) "\00\00\00\00" "\40\00\00\00\00\04\00\00" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00")
(func (export "skep:plugin/policy@0.1.0#route") (param i32 i32 i32 i32 i64 i32) (result i32) (i32.const 64))
