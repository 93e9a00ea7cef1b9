;; It never comes back from hearing of the first node.
;; expect: units of work in `observe`
(func (export "skep:plugin/policy@0.1.0#observe") OBSERVE (loop $again (br $again)))
