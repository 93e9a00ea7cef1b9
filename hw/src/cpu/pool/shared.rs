//! What a leader and its helpers share: the job, and who has claimed what of it.
//!
//! Decides how a chunk is claimed and how threads wait for each other. Refuses to know who takes part.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::roster;

/// What a helper and its leader tell each other, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Signs {
    /// Parked, or about to be.
    pub(super) asleep: AtomicBool,
    /// Claiming and computing chunks.
    pub(super) at_work: AtomicBool,
    /// Written by the leader: jobs are not for it.
    pub(super) on_leave: AtomicBool,
    /// The system's name for the thread.
    pub(super) id: AtomicI32,
}

/// What is called for each chunk.
pub(super) struct Job<'a> {
    pub(super) work: &'a (dyn Fn(usize, usize) + Sync),
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    /// A packed [`State`].
    pub(super) state: AtomicU64,
    /// Finished chunks of the job.
    pub(super) done: AtomicU32,
    /// The job of the state's epoch, on its leader's stack. Read only after a chunk of that epoch
    /// has been claimed: the leader does not leave before that chunk is done.
    pub(super) job: AtomicPtr<Job<'static>>,
    pub(super) stop: AtomicBool,
    /// Helpers that are up.
    pub(super) started: AtomicU32,
}

impl Shared {
    /// The life of a helper.
    pub(super) fn help(&self, thread: usize, signs: &Signs) {
        let mut seen = 0;
        let mut last_work = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            let state = State::unpack(self.state.load(Ordering::Acquire));
            if state.epoch != seen && !signs.on_leave.load(Ordering::Relaxed) {
                seen = state.epoch;
                signs.at_work.store(true, Ordering::Relaxed);
                self.take_part(seen, thread);
                signs.at_work.store(false, Ordering::Relaxed);
                last_work = Instant::now();
                continue;
            }
            for _ in 0..32 {
                std::hint::spin_loop();
            }
            if last_work.elapsed() > SPIN {
                signs.asleep.store(true, Ordering::SeqCst);
                loop {
                    let state = State::unpack(self.state.load(Ordering::SeqCst));
                    let wanted = state.epoch != seen && !signs.on_leave.load(Ordering::SeqCst);
                    if wanted || self.stop.load(Ordering::SeqCst) {
                        break;
                    }
                    thread::park();
                }
                signs.asleep.store(false, Ordering::SeqCst);
            }
        }
    }

    /// Claims and computes chunks of the job of `epoch` until none is left; yields how many it got.
    pub(super) fn take_part(&self, epoch: u32, thread: usize) -> u32 {
        let mut got = 0;
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
            got += 1;
        }
        got
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

    /// Waits for chunks that helpers have claimed, and calls `late` once if that takes too long for a job
    /// that began at `begin` and of which the caller computed `own` chunks; yields how long it took then. After
    /// a while the core is offered to others: on a busy machine the helper may be waiting for this very core.
    pub(super) fn wait_for(
        &self,
        chunks: usize,
        begin: Instant,
        own: u32,
        mut late: impl FnMut(),
    ) -> Option<Duration> {
        let mut rounds = 0_u32;
        let mut limits = None;
        let mut is_late = false;
        while (self.done.load(Ordering::Acquire) as usize) < chunks {
            rounds = rounds.saturating_add(1);
            if rounds < 4096 {
                std::hint::spin_loop();
            } else {
                thread::yield_now();
            }
            if !is_late && (rounds >= 4096 || rounds.is_multiple_of(64)) {
                let spent = begin.elapsed();
                let (_, end) =
                    *limits.get_or_insert_with(|| (spent, spent + roster::patience(spent, own)));
                is_late = spent > end;
                if is_late {
                    late();
                }
            }
        }
        limits
            .filter(|_| is_late)
            .map(|(start, _)| begin.elapsed().saturating_sub(start))
    }
}

/// How long a helper waits for the next job before it parks: longer than the gaps between the ops
/// of a step, shorter than what would be missed on a busy machine.
const SPIN: Duration = Duration::from_micros(50);

/// One word, so that claiming a chunk also proves which job it belongs to.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub(super) epoch: u32,
    pub(super) total: u16,
    pub(super) next: u16,
}

impl State {
    pub(super) fn pack(self) -> u64 {
        u64::from(self.epoch) << 32 | u64::from(self.total) << 16 | u64::from(self.next)
    }

    pub(super) fn unpack(word: u64) -> Self {
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
