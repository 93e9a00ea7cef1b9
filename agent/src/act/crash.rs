//! Ends the process at a chosen point, for tests of what follows a crash. In a release there is no such thing.

/// Passes a point at which a crash matters. In a debug build, the process kills itself at the point whose number, counted from 1,
/// is in `SKEP_CRASH_AT`.
#[cfg(debug_assertions)]
pub(super) fn point() {
    if at_next() {
        die();
    }
}

/// The same, with something that is done halfway before.
#[cfg(debug_assertions)]
pub(super) fn point_after(half: impl FnOnce()) {
    if at_next() {
        half();
        die();
    }
}

#[cfg(debug_assertions)]
fn at_next() -> bool {
    use std::sync::atomic::{AtomicU32, Ordering};
    static PASSED: AtomicU32 = AtomicU32::new(0);
    let Ok(wanted) = std::env::var("SKEP_CRASH_AT") else {
        return false;
    };
    let passed = PASSED.fetch_add(1, Ordering::Relaxed) + 1;
    wanted.parse() == Ok(passed)
}

#[cfg(debug_assertions)]
fn die() {
    use rustix::process::{Signal, getpid, kill_process};
    let _ = kill_process(getpid(), Signal::KILL);
}

#[cfg(not(debug_assertions))]
pub(super) fn point() {}

#[cfg(not(debug_assertions))]
pub(super) fn point_after(_: impl FnOnce()) {}
