//! Kernels for this machine's processor.
//!
//! Decides how ops become fast: which instructions, which threads, which order of memory.
//! Refuses to decide what an op means: that is `reference/`.
//!
//! Beside `cuda/`, this folder is the only place of the crate's compute half with unsafe code: mapped bytes seen as
//! numbers (`mapping.rs`), threads that write to parts of one matrix (`pool.rs`, `split.rs`), and
//! vector instructions with their loads (`vector/`, `matmul/`).

#![allow(
    unsafe_code,
    reason = "vector instructions, threads that share buffers, and mapped memory; see above"
)]
#![allow(
    clippy::indexing_slicing,
    reason = "the graph's check proved every shape; a wrong index here is a bug that tests must hit"
)]
#![allow(
    clippy::inline_always,
    clippy::needless_range_loop,
    clippy::too_many_arguments,
    reason = "a kernel is inlined into the function that enables its instructions, and its loops \
              over registers are unrolled by index"
)]

mod attention;
mod elementwise;
mod engine;
pub(crate) mod level;
pub(crate) mod mapping;
mod math;
mod matmul;
mod norm;
pub(crate) mod packed;
pub(crate) mod pool;
mod rope;
mod split;
pub(crate) mod top;
mod vector;

pub(crate) use self::engine::{Around, Engine};
pub(crate) use self::matmul::MOST_TARGETS;
