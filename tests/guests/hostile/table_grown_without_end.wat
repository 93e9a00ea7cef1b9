;; A table that grows until it is refused.
;; expect: limit
(table $t 1 funcref)
(func $s (loop $again (br_if $again
  (i32.ge_s (table.grow $t (ref.null func) (i32.const 100000)) (i32.const 0)))) unreachable)
(start $s)
