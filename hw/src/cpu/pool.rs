//! The threads of a device.
//!
//! Decides who computes which chunk of a job, and how threads wait. Refuses to know what a chunk is.
//!
//! The caller of [`Pool::run`] takes part itself. Chunks are claimed one at a time from a shared
//! word, so a thread that the system has taken off its core holds up only the chunk that it had
//! claimed. A helper spins for [`SPIN`] after a job, since the next one usually follows within
//! microseconds, and then parks.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

mod affinity;

/// A leader and its helpers.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    helpers: Vec<Follower>,
    /// Held by the one leader of the moment.
    leader: Mutex<()>,
}

impl Pool {
    /// A pool of `threads`, the caller's included. Each helper is pinned to a core of the
    /// process's affinity mask, the first being left to the leader.
    pub(crate) fn start(threads: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            done: AtomicU32::new(0),
            job: AtomicPtr::new(std::ptr::null_mut()),
            stop: AtomicBool::new(false),
            started: AtomicUsize::new(0),
        });
        let cores = affinity::cores();
        let mut helpers = Vec::new();
        for number in 1..threads {
            let core = cores.get(number % cores.len().max(1)).copied();
            let pin = core.filter(|_| threads <= cores.len());
            let asleep = Arc::new(AtomicBool::new(false));
            let work = {
                let shared = Arc::clone(&shared);
                let asleep = Arc::clone(&asleep);
                move || {
                    if let Some(core) = pin {
                        affinity::pin(core);
                    }
                    shared.started.fetch_add(1, Ordering::SeqCst);
                    shared.help(number, &asleep);
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
                asleep,
            });
        }
        // What a thread's start costs and allocates is over when the pool is handed out.
        while shared.started.load(Ordering::SeqCst) < helpers.len() {
            thread::yield_now();
        }
        Ok(Self {
            shared,
            helpers,
            leader: Mutex::new(()),
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
            _guard: guard,
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
    _guard: MutexGuard<'a, ()>,
}

impl Lead<'_> {
    /// Threads, the caller's included.
    pub(crate) fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Calls `work(chunk, thread)` for each chunk below `chunks`, on all threads, and returns when
    /// all are done. No two calls have the same chunk; no two at a time have the same thread.
    pub(crate) fn run(&mut self, chunks: usize, work: &(dyn Fn(usize, usize) + Sync)) {
        if self.pool.helpers.is_empty() || chunks <= 1 {
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

    fn publish(&self, from: usize, chunks: usize, work: &(dyn Fn(usize, usize) + Sync)) {
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
        for helper in self.pool.helpers.iter().take(chunks - 1) {
            if helper.asleep.load(Ordering::SeqCst) {
                helper.thread.unpark();
            }
        }
        shared.take_part(state.epoch, 0);
        shared.wait_for(chunks);
    }
}

/// The most chunks that one word of state can count.
const MOST_CHUNKS: usize = u16::MAX as usize;

/// How long a helper waits for the next job before it parks: longer than the gaps between the ops
/// of a step, shorter than what would be missed on a busy machine.
const SPIN: Duration = Duration::from_micros(50);

#[derive(Debug)]
struct Follower {
    thread: Thread,
    handle: Option<JoinHandle<()>>,
    asleep: Arc<AtomicBool>,
}

/// What is called for each chunk.
struct Job<'a> {
    work: &'a (dyn Fn(usize, usize) + Sync),
}

#[derive(Debug)]
struct Shared {
    /// A packed [`State`].
    state: AtomicU64,
    /// Finished chunks of the job.
    done: AtomicU32,
    /// The job of the state's epoch, on its leader's stack. Read only after a chunk of that epoch
    /// has been claimed: the leader does not leave before that chunk is done.
    job: AtomicPtr<Job<'static>>,
    stop: AtomicBool,
    /// Helpers that are up.
    started: AtomicUsize,
}

impl Shared {
    /// The life of a helper.
    fn help(&self, thread: usize, asleep: &AtomicBool) {
        let mut seen = 0;
        let mut last_work = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            let state = State::unpack(self.state.load(Ordering::Acquire));
            if state.epoch != seen {
                seen = state.epoch;
                self.take_part(seen, thread);
                last_work = Instant::now();
                continue;
            }
            for _ in 0..32 {
                std::hint::spin_loop();
            }
            if last_work.elapsed() > SPIN {
                asleep.store(true, Ordering::SeqCst);
                loop {
                    let state = State::unpack(self.state.load(Ordering::SeqCst));
                    if state.epoch != seen || self.stop.load(Ordering::SeqCst) {
                        break;
                    }
                    thread::park();
                }
                asleep.store(false, Ordering::SeqCst);
            }
        }
    }

    /// Claims and computes chunks of the job of `epoch` until none is left.
    fn take_part(&self, epoch: u32, thread: usize) {
        while let Some(chunk) = self.claim(epoch) {
            let job = self.job.load(Ordering::Relaxed);
            // SAFETY: a chunk of `epoch` has been claimed and is not done, so the leader of that
            // epoch is still waiting in `publish`, whose stack holds the job; the claim acquired
            // what the leader released with the state, so this is that epoch's pointer. `work` is
            // `Sync`.
            let work = unsafe { (*job).work };
            // A panic must not leave the leader waiting for ever, nor the chunk half done.
            let abort = AbortOnUnwind;
            work(chunk, thread);
            std::mem::forget(abort);
            self.done.fetch_add(1, Ordering::Release);
        }
    }

    fn claim(&self, epoch: u32) -> Option<usize> {
        let mut word = self.state.load(Ordering::Acquire);
        loop {
            let state = State::unpack(word);
            if state.epoch != epoch || state.next >= state.total {
                return None;
            }
            let next = State {
                next: state.next + 1,
                ..state
            };
            match self.state.compare_exchange_weak(
                word,
                next.pack(),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(usize::from(state.next)),
                Err(now) => word = now,
            }
        }
    }

    /// Waits for chunks that helpers have claimed. After a while the core is offered to others: on
    /// a busy machine the helper may be waiting for this very core.
    fn wait_for(&self, chunks: usize) {
        let mut rounds = 0_u32;
        while (self.done.load(Ordering::Acquire) as usize) < chunks {
            rounds += 1;
            if rounds < 4096 {
                std::hint::spin_loop();
            } else {
                thread::yield_now();
            }
        }
    }
}

/// One word, so that claiming a chunk also proves which job it belongs to.
#[derive(Clone, Copy)]
struct State {
    epoch: u32,
    total: u16,
    next: u16,
}

impl State {
    fn pack(self) -> u64 {
        u64::from(self.epoch) << 32 | u64::from(self.total) << 16 | u64::from(self.next)
    }

    fn unpack(word: u64) -> Self {
        Self {
            epoch: (word >> 32) as u32,
            total: (word >> 16) as u16,
            next: word as u16,
        }
    }
}

/// Ends the process when a chunk panics: other threads still write into the run's buffers, so
/// nothing may unwind past them. A worker process is made to be ended.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Pool;

    #[test]
    fn every_chunk_once_on_one_thread_at_a_time() {
        for threads in [1, 2, 5] {
            let pool = Pool::start(threads).unwrap();
            let mut lead = pool.lead();
            for chunks in [0, 1, 2, 3, 64, 1000, 70_000] {
                let counts: Vec<AtomicUsize> = (0..chunks).map(|_| AtomicUsize::new(0)).collect();
                let busy: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
                lead.run(chunks, &|chunk, thread| {
                    assert_eq!(busy[thread].fetch_add(1, Ordering::SeqCst), 0);
                    counts[chunk].fetch_add(1, Ordering::SeqCst);
                    busy[thread].fetch_sub(1, Ordering::SeqCst);
                });
                assert!(counts.iter().all(|c| c.load(Ordering::SeqCst) == 1));
            }
        }
    }

    #[test]
    fn many_short_jobs_all_finish() {
        let pool = Pool::start(3).unwrap();
        let total = AtomicUsize::new(0);
        for _ in 0..20 {
            let mut lead = pool.lead();
            for _ in 0..500 {
                lead.run(4, &|_, _| {
                    total.fetch_add(1, Ordering::Relaxed);
                });
            }
        }
        assert_eq!(total.load(Ordering::Relaxed), 20 * 500 * 4);
    }

    #[test]
    fn leaders_take_turns() {
        let pool = Pool::start(2).unwrap();
        let total = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        pool.lead().run(8, &|_, _| {
                            total.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(total.load(Ordering::Relaxed), 3 * 200 * 8);
    }
}
