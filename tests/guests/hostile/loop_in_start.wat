;; It never comes back from being instantiated.
;; expect: units of work in `instantiate`
(func $s (loop $again (br $again)))
(start $s)
