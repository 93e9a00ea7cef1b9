;; It moves its memory to and fro while it is started.
;; expect: units of work
(memory (export "memory") 900)
(func $s (loop $again
  (memory.copy (i32.const 131072) (i32.const 131073) (i32.const 58000000))
  (br $again)))
(start $s)
