//! Every chunk once, however many leaders and however late the helpers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::Pool;
use super::affinity::Cores;

/// Longer than a leader is patient with, and than it forgives.
const HELD: Duration = Duration::from_millis(20);

/// A helper that holds its leader up for long is left out, and comes back when its leave is over.
#[test]
fn a_late_helper_is_left_out_for_a_while() {
    let pool = Pool::start_on(2, Cores::none()).unwrap();
    let mut lead = pool.lead();
    let (left, met) = (&pool.helpers[0].signs.on_leave, AtomicBool::new(false));
    while !left.load(Ordering::SeqCst) {
        met.store(false, Ordering::SeqCst);
        lead.run(2, &|_, thread| {
            let begin = Instant::now();
            met.fetch_or(thread == 1, Ordering::SeqCst);
            while !met.load(Ordering::SeqCst) || thread == 1 && begin.elapsed() < HELD {
                std::thread::yield_now();
            }
        });
    }
    // Long before the leave ends, whatever this machine does meanwhile.
    lead.roster.recall(Duration::MAX, |_| ());
    lead.roster.dismiss(0, Duration::from_secs(1 << 20));
    assert_eq!(lead.roster.present(), 0);
    for _ in 0..1000 {
        lead.run(8, &|_, thread| assert_eq!(thread, 0));
    }
    lead.roster
        .recall(Duration::MAX, |_| left.store(false, Ordering::SeqCst));
    let back = AtomicBool::new(false);
    while !back.load(Ordering::SeqCst) {
        lead.run(2, &|_, thread| {
            back.fetch_or(thread == 1, Ordering::SeqCst);
            std::thread::yield_now();
        });
    }
}

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
