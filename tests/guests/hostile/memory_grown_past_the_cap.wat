;; It takes memory until there is no more, and then stops.
;; expect: memory limit of 64 MiB
(func $s (loop $again (br_if $again (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0)))) unreachable)
(start $s)
