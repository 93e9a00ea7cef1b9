//! Calls of guests to the host, and answers of those that only answer, made of arbitrary bytes: `tests/fuzz` runs these for hours, the tests here for a second.
//!
//! Decides which calls are made, in any order and with any arguments, and what must hold afterwards. They end in the same
//! implementations that components are linked with. Refuses to know how arguments leave a component's memory: that is
//! wasmtime's, and tried by components (`tests/guests/hostile`, `cargo xtask swarm`).

mod engine;

use arbitrary::{Result, Unstructured};

pub use self::engine::engine_calls;
pub use super::installer::fuzzed::step_answers;
pub use super::service::fuzzed::service_calls;

/// Calls of one input; more only repeat what was tried.
pub(super) const CALLS_MAX: usize = 48;

/// Most numbers are small, so that they mean something; some are anything, and some at an edge.
pub(super) fn number(u: &mut Unstructured<'_>) -> Result<u32> {
    Ok(match u.int_in_range(0..=15)? {
        0 => u.arbitrary()?,
        1 => u32::MAX - u.int_in_range(0..=8)?,
        _ => u.int_in_range(0..=8)?,
    })
}

pub(super) fn maybe<T>(
    u: &mut Unstructured<'_>,
    make: impl FnOnce(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Option<T>> {
    if u.ratio(1, 2)? {
        return Ok(None);
    }
    make(u).map(Some)
}

pub(super) fn list<T>(
    u: &mut Unstructured<'_>,
    most: usize,
    mut make: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = u.int_in_range(0..=most)?;
    (0..count).map(|_| make(u)).collect()
}

/// One of some, or anything.
pub(super) fn text(u: &mut Unstructured<'_>, known: &[&str]) -> Result<String> {
    if !known.is_empty() && u.ratio(3, 4)? {
        return u.choose(known).map(|&text| text.to_owned());
    }
    u.arbitrary()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a number: the same everywhere.
    fn bytes(seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let words = 16 + next() % 240;
        (0..words).flat_map(|_| next().to_le_bytes()).collect()
    }

    #[test]
    fn engines_may_call_the_host_with_anything() {
        for seed in 0..1_000 {
            engine_calls(&bytes(seed));
        }
    }

    #[test]
    fn steps_may_answer_anything() {
        for seed in 0..3_000 {
            step_answers(&bytes(seed));
        }
    }

    #[test]
    fn services_may_call_the_host_with_anything() {
        for seed in 0..1_000 {
            service_calls(&bytes(seed));
        }
    }
}
