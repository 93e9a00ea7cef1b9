;; It divides by nothing as it hears of the first node.
;; expect: divide by zero
(global $nothing (mut i32) (i32.const 0))
(func (export "skep:plugin/policy@0.1.0#observe") OBSERVE
  (drop (i32.div_u (i32.const 1) (global.get $nothing))))
