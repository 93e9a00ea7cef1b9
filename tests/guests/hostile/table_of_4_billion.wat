;; A table with as many places as there can be.
;; expect: table
(table 4294967295 funcref)
