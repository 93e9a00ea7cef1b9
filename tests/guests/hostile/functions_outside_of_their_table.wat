;; Its table has a place for one function, and it puts one elsewhere.
;; expect: out of bounds
(table 1 funcref)
(func $f)
(elem (i32.const 9) $f)
