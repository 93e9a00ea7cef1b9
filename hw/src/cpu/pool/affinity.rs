//! Which cores this process may use.
//!
//! Decides what a core is: hardware threads that share one count once, since two of them multiply no faster than
//! one, and the other is left to whoever else runs. Where the system cannot say, nothing is pinned.

/// The cores of the process's affinity mask: of each, the hardware threads that the process may use. A core's name is
/// the first of them.
#[derive(Debug)]
pub(super) struct Cores(Vec<Vec<usize>>);

impl Cores {
    /// Those of the calling thread's mask.
    #[cfg(target_os = "linux")]
    pub(super) fn allowed() -> Self {
        let Ok(set) = rustix::thread::sched_getaffinity(None) else {
            return Self(Vec::new());
        };
        let threads = (0..rustix::thread::CpuSet::MAX_CPU).filter(|thread| set.is_set(*thread));
        Self::grouped(threads, |thread| {
            let folder = format!("/sys/devices/system/cpu/cpu{thread}/topology");
            let list = std::fs::read_to_string(format!("{folder}/thread_siblings_list")).ok()?;
            first_of(&list)
        })
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn allowed() -> Self {
        Self::none()
    }

    /// Nothing is known, and nothing pinned.
    #[cfg(any(test, not(target_os = "linux")))]
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// `first` tells the first hardware thread of a thread's core, which need not be one of `threads`.
    fn grouped(
        threads: impl Iterator<Item = usize>,
        first: impl Fn(usize) -> Option<usize>,
    ) -> Self {
        let mut cores: Vec<(usize, Vec<usize>)> = Vec::new();
        for thread in threads {
            let key = first(thread).unwrap_or(thread);
            match cores.iter_mut().find(|(other, _)| *other == key) {
                Some((_, core)) => core.push(thread),
                None => cores.push((key, vec![thread])),
            }
        }
        Self(cores.into_iter().map(|(_, core)| core).collect())
    }

    /// How many there are; zero where that is not known.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Their names.
    pub(super) fn names(&self) -> Vec<usize> {
        let firsts = self.0.iter().filter_map(|core| core.first());
        firsts.copied().collect()
    }

    /// The core that the calling thread is on.
    pub(super) fn this(&self) -> Option<usize> {
        let thread = this_processor()?;
        let core = self.0.iter().find(|core| core.contains(&thread))?;
        core.first().copied()
    }

    /// Pins a thread of this process to a core. A system that refuses leaves it where it was, which costs speed alone.
    #[cfg(target_os = "linux")]
    pub(super) fn pin(&self, thread: i32, name: usize) {
        let mut set = rustix::thread::CpuSet::new();
        let core = self.0.iter().find(|core| core.first() == Some(&name));
        for thread in core.into_iter().flatten() {
            set.set(*thread);
        }
        if let Some(thread) = rustix::thread::Pid::from_raw(thread) {
            let _ = rustix::thread::sched_setaffinity(Some(thread), &set);
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn pin(&self, _thread: i32, _name: usize) {}
}

/// The first number of a list such as `0,8` or `4-5`.
#[cfg(target_os = "linux")]
fn first_of(list: &str) -> Option<usize> {
    let end = list.find(|c: char| !c.is_ascii_digit())?;
    list.get(..end)?.parse().ok()
}

/// The calling thread, for [`Cores::pin`].
#[cfg(target_os = "linux")]
pub(super) fn this_thread() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn this_thread() -> i32 {
    0
}

#[cfg(target_os = "linux")]
fn this_processor() -> Option<usize> {
    Some(rustix::thread::sched_getcpu())
}

#[cfg(not(target_os = "linux"))]
fn this_processor() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_threads_of_a_core_count_once() {
        // Four cores of two threads, as Linux numbers them; the mask lacks thread 1 and all of core 3.
        let allowed = [0, 2, 4, 5, 6];
        let cores = Cores::grouped(allowed.into_iter(), |thread| Some(thread % 4));
        assert_eq!(cores.0, [vec![0, 4], vec![2, 6], vec![5]]);
        assert_eq!((cores.count(), cores.names()), (3, vec![0, 2, 5]));
        // Where the system says nothing, each is a core.
        let cores = Cores::grouped(allowed.into_iter(), |_| None);
        assert_eq!(cores.names(), allowed);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn lists_of_siblings_are_read() {
        let firsts = ["0,8\n", "4-5\n", "12\n", "", "x"].map(first_of);
        assert_eq!(firsts, [Some(0), Some(4), Some(12), None, None]);
    }
}
