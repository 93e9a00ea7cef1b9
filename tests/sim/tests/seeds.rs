//! Five virtual minutes of faults for each of a thousand seeds, and what calm clusters must show.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use skep_sim::log::Log;
use skep_sim::{Broken, Plan, World, measure, poison};

/// Runs `each` for seeds 1 to `count` on all cores; what broke first, as a sentence.
fn on_all_cores(
    count: u64,
    each: impl Fn(u64) -> Result<(), Box<Broken>> + Sync,
) -> Result<(), String> {
    let next = AtomicU64::new(1);
    let cores = thread::available_parallelism().map_or(1, Into::into);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > count {
                return Ok(());
            }
            each(seed).map_err(|broken| {
                next.store(count, Ordering::Relaxed);
                format!(
                    "seed {seed} at {:?}: {} (`cargo xtask sim` with `--from {seed} --count 1` keeps its log)",
                    broken.at, broken.what
                )
            })?;
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| Err("a core panicked".into()))
        })
    })
}

#[test]
fn a_thousand_hostile_seeds_end_in_agreement() {
    let run = |seed| World::new(Plan::hostile(seed)).run();
    assert_eq!(on_all_cores(1_000, run), Ok(()));
}

#[test]
fn a_lying_member_harms_nobody_for_good() {
    let run = |seed| poison(Plan::honest(seed), 10_000);
    assert_eq!(on_all_cores(20, run), Ok(()));
}

#[test]
fn a_death_is_known_to_all_in_time() {
    for (loss, seeds) in [(0, 20), (100, 20)] {
        let mut times = Vec::new();
        for seed in 1..=seeds {
            let found = measure::detection(seed, 32, loss).expect("it is found");
            times.extend(found.each);
        }
        times.sort_unstable();
        let (median, late) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        assert!(median <= Duration::from_secs(3), "{median:?} at {loss} ‰");
        assert!(late <= Duration::from_secs(6), "{late:?} at {loss} ‰");
    }
}

#[test]
fn the_starved_do_not_bury_the_healthy() {
    let minute = Duration::from_secs(60);
    for (seed, loss) in (1..=10).flat_map(|seed| [(seed, 0), (seed, 100)]) {
        let wrong = measure::wrongly_dead(seed, 32, 8, loss, minute).expect("nothing else fails");
        assert_eq!(wrong, 0, "seed {seed} at {loss} ‰");
    }
}

#[test]
fn a_run_is_a_function_of_its_seed_and_a_log_tells_it_again() {
    let run = || {
        let plan = Plan {
            keep_log: true,
            length: Duration::from_secs(90),
            ..Plan::hostile(7)
        };
        let mut world = World::new(plan);
        world.run_to_its_end().expect("nothing breaks");
        world.into_log()
    };
    let (first, second) = (run(), run());
    assert_eq!(first.to_bytes(), second.to_bytes());
    assert!(first.to_bytes().len() > 10_000, "something happened");
    let again = Log::from_bytes(&first.to_bytes()).expect("a log reads back");
    let (mut steps, mut ups) = (0, 0);
    again
        .replay(|_, core| {
            steps += 1;
            while core.poll_doing().is_some() {}
            ups = core.up().count();
        })
        .expect("it can be told again");
    assert!(steps > 1_000);
    assert!(ups > 0, "the last core that was told something sees others");
}

#[test]
fn a_damaged_log_is_refused() {
    assert!(Log::from_bytes(b"").is_err());
    assert!(Log::from_bytes(&[0xff; 64]).is_err());
}
