//! Which cores this process may use.
//!
//! Decides where helpers are pinned. Where the system cannot say, nothing is pinned.

/// The cores of the process's affinity mask.
#[cfg(target_os = "linux")]
pub(super) fn cores() -> Vec<usize> {
    let Ok(set) = rustix::thread::sched_getaffinity(None) else {
        return Vec::new();
    };
    (0..rustix::thread::CpuSet::MAX_CPU)
        .filter(|core| set.is_set(*core))
        .collect()
}

/// Pins the calling thread. A system that refuses leaves it where it was, which costs speed alone.
#[cfg(target_os = "linux")]
pub(super) fn pin(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

#[cfg(not(target_os = "linux"))]
pub(super) fn cores() -> Vec<usize> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn pin(_core: usize) {}
