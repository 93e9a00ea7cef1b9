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

/// The calling thread, for [`pin`].
#[cfg(target_os = "linux")]
pub(super) fn this_thread() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// The core that the calling thread is on.
#[cfg(target_os = "linux")]
pub(super) fn this_core() -> Option<usize> {
    Some(rustix::thread::sched_getcpu())
}

/// Pins a thread of this process. A system that refuses leaves it where it was, which costs speed alone.
#[cfg(target_os = "linux")]
pub(super) fn pin(thread: i32, core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    if let Some(thread) = rustix::thread::Pid::from_raw(thread) {
        let _ = rustix::thread::sched_setaffinity(Some(thread), &set);
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn cores() -> Vec<usize> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn this_thread() -> i32 {
    0
}

#[cfg(not(target_os = "linux"))]
pub(super) fn this_core() -> Option<usize> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn pin(_thread: i32, _core: usize) {}
