;; It asks for all memory that there can be before it does anything.
;; expect: memory limit of 64 MiB
(memory (export "memory") 65536)
