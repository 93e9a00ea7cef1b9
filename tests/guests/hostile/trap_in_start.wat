;; It traps before anybody has called it.
;; expect: unreachable
(func $s unreachable)
(start $s)
