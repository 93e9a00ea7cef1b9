//! The threads of a device.
//!
//! Decides who computes which chunk of a job, and how threads wait. Refuses to know what a chunk is.
//!
//! The caller of [`Lead::run`] takes part itself. Chunks are claimed one at a time from a shared
//! word, so a thread that the system has taken off its core holds up only the chunk that it had
//! claimed; one that does so for much of the time is left out for a while (`roster.rs`). A helper spins for a while after a
//! job, since the next one usually follows within microseconds, and then parks.

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::Instant;

mod affinity;
mod roster;
mod shared;
#[cfg(test)]
mod tests;

use self::affinity::Cores;
use self::roster::Roster;
use self::shared::{Job, Shared, Signs, State};

/// Cores of the calling thread's affinity mask, each counted once however many hardware threads it has; zero where
/// that is not known.
pub(crate) fn cores_allowed() -> usize {
    Cores::allowed().count()
}

/// How many threads are worth starting: one for each core that the process may use, and no more than its
/// control group grants. Threads of a group that has spent its share all stop until the next period.
pub(crate) fn threads_worth() -> usize {
    let granted = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    match cores_allowed() {
        0 => granted,
        cores => granted.min(cores),
    }
}

/// A leader and its helpers.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    helpers: Vec<Follower>,
    cores: Arc<Cores>,
    /// Held by the one leader of the moment.
    leader: Mutex<Roster>,
    start: Instant,
}

impl Pool {
    /// A pool of `threads`, the caller's included. With a thread for each core of the process's affinity
    /// mask, each helper is pinned to one, the first being left to the leader.
    pub(crate) fn start(threads: usize) -> io::Result<Self> {
        Self::start_on(threads, Cores::allowed())
    }

    fn start_on(threads: usize, cores: Cores) -> io::Result<Self> {
        let cores = Arc::new(cores);
        let shared = Arc::new(Shared::default());
        let roster = Roster::of(threads.saturating_sub(1), &cores.names());
        let mut helpers = Vec::new();
        for number in 1..threads {
            let pin = roster.core(number - 1);
            let signs = Arc::new(Signs::default());
            let work = {
                let shared = Arc::clone(&shared);
                let signs = Arc::clone(&signs);
                let cores = Arc::clone(&cores);
                move || {
                    let id = affinity::this_thread();
                    signs.id.store(id, Ordering::Relaxed);
                    if let Some(core) = pin {
                        cores.pin(id, core);
                    }
                    shared.started.fetch_add(1, Ordering::SeqCst);
                    shared.help(number, &signs);
                }
            };
            let handle = thread::Builder::new()
                .name(format!("skep-cpu-{number}"))
                .spawn(work);
            let handle = match handle {
                Ok(handle) => handle,
                Err(error) => {
                    shared.stop.store(true, Ordering::SeqCst);
                    drop(helpers);
                    return Err(error);
                }
            };
            helpers.push(Follower {
                thread: handle.thread().clone(),
                handle: Some(handle),
                signs,
            });
        }
        // What a thread's start costs and allocates is over when the pool is handed out.
        while (shared.started.load(Ordering::SeqCst) as usize) < helpers.len() {
            thread::yield_now();
        }
        Ok(Self {
            shared,
            helpers,
            cores,
            leader: Mutex::new(roster),
            start: Instant::now(),
        })
    }

    /// Threads, the leader included.
    pub(crate) fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Waits until no one else runs jobs on this pool; jobs then run through the guard.
    pub(crate) fn lead(&self) -> Lead<'_> {
        let guard = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
        Lead {
            pool: self,
            roster: guard,
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for helper in &self.helpers {
            helper.thread.unpark();
        }
        for helper in &mut self.helpers {
            if let Some(handle) = helper.handle.take() {
                // A helper that panicked has been reported by the leader that waited for it.
                let _ = handle.join();
            }
        }
    }
}

/// The right to run jobs.
#[derive(Debug)]
pub(crate) struct Lead<'a> {
    pool: &'a Pool,
    roster: MutexGuard<'a, Roster>,
}

impl Lead<'_> {
    /// Threads, the caller's included.
    pub(crate) fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Calls `work(chunk, thread)` for each chunk below `chunks`, on all threads, and returns when
    /// all are done. No two calls have the same chunk; no two at a time have the same thread.
    pub(crate) fn run(&mut self, chunks: usize, work: &(dyn Fn(usize, usize) + Sync)) {
        if self.roster.incomplete() {
            let helpers = &self.pool.helpers;
            self.roster.recall(self.pool.start.elapsed(), |number| {
                let signs = &helpers[number].signs;
                signs.on_leave.store(false, Ordering::Relaxed);
            });
        }
        if self.roster.present() == 0 || chunks <= 1 {
            for chunk in 0..chunks {
                work(chunk, 0);
            }
            return;
        }
        let mut from = 0;
        while from < chunks {
            let part = (chunks - from).min(MOST_CHUNKS);
            self.publish(from, part, work);
            from += part;
        }
    }

    fn publish(&mut self, from: usize, chunks: usize, work: &(dyn Fn(usize, usize) + Sync)) {
        let shared = &*self.pool.shared;
        let offset = move |chunk: usize, thread: usize| work(from + chunk, thread);
        let job: &(dyn Fn(usize, usize) + Sync) = &offset;
        let job = Job { work: job };
        shared.done.store(0, Ordering::Relaxed);
        shared.job.store(
            (&raw const job).cast::<Job<'static>>().cast_mut(),
            Ordering::Relaxed,
        );
        let epoch = (shared.state.load(Ordering::Relaxed) >> 32).wrapping_add(1);
        let state = State {
            epoch: epoch as u32,
            total: chunks as u16,
            next: 0,
        };
        // Sequentially consistent, as is the helpers' flag: either this sees a helper's flag and
        // wakes it, or the helper sees this job before it parks.
        shared.state.store(state.pack(), Ordering::SeqCst);
        let cores = &self.pool.cores;
        let mut wanted = chunks - 1;
        for (number, helper) in self.pool.helpers.iter().enumerate() {
            if wanted == 0 {
                break;
            }
            if self.roster.is_present(number) {
                wanted -= 1;
                if helper.signs.asleep.load(Ordering::SeqCst) {
                    Self::make_way(cores, &mut self.roster, number, helper);
                    helper.thread.unpark();
                }
            }
        }
        let begin = Instant::now();
        let own = shared.take_part(state.epoch, 0);
        let lost = shared.wait_for(chunks, begin, own, || self.complain());
        if let Some(lost) = lost {
            let (helpers, now) = (&self.pool.helpers, self.pool.start.elapsed());
            self.roster.charge(lost, now, |number| {
                let signs = &helpers[number].signs;
                signs.on_leave.store(true, Ordering::Relaxed);
            });
        }
    }

    /// What becomes of helpers that hold this leader up: one that shares its core goes elsewhere, others
    /// answer for what is lost.
    fn complain(&mut self) {
        for (number, helper) in self.pool.helpers.iter().enumerate() {
            if helper.signs.at_work.load(Ordering::Relaxed)
                && !Self::make_way(&self.pool.cores, &mut self.roster, number, helper)
            {
                self.roster.note_late(number);
            }
        }
    }

    /// Moves a helper off the core that the caller is on, if it is pinned there: the system has moved the
    /// caller, perhaps away from a busy core, and may not move the helper.
    fn make_way(cores: &Cores, roster: &mut Roster, number: usize, helper: &Follower) -> bool {
        let here = roster.core(number).and_then(|_| cores.this());
        let Some(core) = here.and_then(|here| roster.make_way(number, here)) else {
            return false;
        };
        cores.pin(helper.signs.id.load(Ordering::Relaxed), core);
        true
    }
}

/// The most chunks that one word of state can count.
const MOST_CHUNKS: usize = u16::MAX as usize;

#[derive(Debug)]
struct Follower {
    thread: Thread,
    handle: Option<JoinHandle<()>>,
    signs: Arc<Signs>,
}
