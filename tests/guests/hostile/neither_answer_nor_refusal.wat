;; It answers a third thing where there are two.
;; at: route
;; expect: discriminant
(data (i32.const 64) "\07\00\00\00")
(func (export "skep:plugin/policy@0.1.0#route") (param i32 i32 i32 i32 i64 i32) (result i32) (i32.const 64))
