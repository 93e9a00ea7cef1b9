;; Asked for room, it never answers.
;; expect: units of work
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (loop $again (br $again)) unreachable)
