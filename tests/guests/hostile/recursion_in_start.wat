;; It calls itself until no stack is left.
;; expect: stack limit
(func $s (call $s))
(start $s)
