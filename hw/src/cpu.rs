//! Kernels for this machine's processor.
//!
//! Decides how ops become fast: which instructions, which threads, which order of memory.
//! Refuses to decide what an op means: that is `reference/`.

pub(crate) mod level;
#[allow(
    unsafe_code,
    reason = "the one place that turns mapped bytes into numbers"
)]
pub(crate) mod mapping;
