;; It answers, and stops as the answer's room is given back.
;; at: route
;; expect: unreachable
(data (i32.const 64) "\01\00\00\00" "\00\00\00\00" "\00\00\00\00\00\00\00\00")
(func (export "skep:plugin/policy@0.1.0#route") (param i32 i32 i32 i32 i64 i32) (result i32) (i32.const 64))
(func (export "cabi_post_skep:plugin/policy@0.1.0#route") (param i32) unreachable)
