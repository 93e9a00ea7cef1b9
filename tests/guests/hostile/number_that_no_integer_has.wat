;; It takes no number for a whole one.
;; at: route
;; expect: conversion to integer
(global $none (mut f64) (f64.const nan))
(func (export "skep:plugin/policy@0.1.0#route") (param i32 i32 i32 i32 i64 i32) (result i32)
  (i32.trunc_f64_s (global.get $none)))
