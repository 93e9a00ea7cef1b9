;; What it begins with lies where it has no memory.
;; expect: out of bounds
(data (i32.const 0x7fffff00) "never read")
