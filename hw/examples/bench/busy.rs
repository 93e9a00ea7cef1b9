//! Decoding while another process keeps a core busy.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use skep_hw::{CpuSettings, Device, Dtype};

use crate::products::Choice;
use crate::{Report, decoder};

/// Steps of one sequence per second of wall time: on one thread alone, then on one and on all with no
/// core busy, the first, and the second. Takes turns, so that what else happens on the machine meets
/// all of them; each figure is the median of its turns, and each turn a mean, as a user sees it.
pub(crate) fn measure(
    settings: CpuSettings,
    choice: &Choice,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let cores = cores();
    let [first, second, ..] = *cores.as_slice() else {
        return Err(
            "a busy core needs two that this process may use, and a system that tells".into(),
        );
    };
    let one = Device::cpu(CpuSettings {
        threads: std::num::NonZeroUsize::new(1),
        ..settings
    })?;
    let all = Device::cpu(settings)?;
    let name = choice.dtype.as_deref().unwrap_or(Dtype::Q4_0.name());
    let dtype = Dtype::ALL.into_iter().find(|dtype| dtype.name() == name);
    let dtype = dtype.ok_or("there is no such type")?;
    let threads = all.threads();
    report.line(&format!(
        "\n| model | 1 thread, steps/s | {threads} threads | core {first} busy: 1 thread | {threads} threads | \
         core {second} busy: 1 thread | {threads} threads |"
    ))?;
    report.line("|---|---|---|---|---|---|---|")?;
    let (turns, budget) = if choice.quick { (5, 100) } else { (9, 300) };
    let budget = Duration::from_millis(budget);
    let mut rows = Vec::new();
    for model in decoder::models(choice) {
        let parts = model.graph(crate::types::Types::All(dtype))?;
        let mut steps = [
            decoder::step(&one, model, &parts)?,
            decoder::step(&all, model, &parts)?,
        ];
        let mut figures = [(); 6].map(|()| Vec::new());
        for _ in 0..turns {
            for (place, figures) in figures.iter_mut().enumerate() {
                let hog = [None, Some(first), Some(second)].get(place / 2).copied();
                let Some(step) = steps.get_mut(place % 2) else {
                    continue;
                };
                figures.push(beside(hog.flatten(), || rate(budget, step)));
            }
        }
        let medians = figures.map(|mut turns| {
            turns.sort_unstable_by(f64::total_cmp);
            turns.get(turns.len() / 2).copied().unwrap_or(f64::NAN)
        });
        let [alone, rest @ ..] = medians;
        let rest = rest.map(|figure| figure / alone);
        let shares: Vec<String> = rest.iter().map(|share| format!("{share:.2}")).collect();
        report.line(&format!(
            "| {} | {alone:.1} | {} |",
            model.name,
            shares.join(" | ")
        ))?;
        rows.push(serde_json::json!({
            "model": model.name, "type": dtype.name(), "threads": threads, "steps_s_1": alone,
            "quiet": rest[0], "first_busy_1": rest[1], "first_busy": rest[2],
            "second_busy_1": rest[3], "second_busy": rest[4],
        }));
    }
    report.part("busy_core", rows.into());
    Ok(())
}

/// Steps per second over `budget`, after some that do not count.
fn rate(budget: Duration, step: &mut impl FnMut()) -> f64 {
    let settle = Instant::now();
    while settle.elapsed() < budget / 4 {
        step();
    }
    let start = Instant::now();
    let mut steps = 0_u32;
    while start.elapsed() < budget {
        step();
        steps += 1;
    }
    f64::from(steps) / start.elapsed().as_secs_f64()
}

/// What `work` yields while a thread keeps `core` busy; the system shares a core among threads
/// whatever process they belong to.
fn beside(core: Option<usize>, work: impl FnOnce() -> f64) -> f64 {
    let Some(core) = core else {
        return work();
    };
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            stay(core);
            while !stop.load(Ordering::Relaxed) {
                std::hint::black_box(core);
            }
        });
        let figure = work();
        stop.store(true, Ordering::Relaxed);
        figure
    })
}

#[cfg(target_os = "linux")]
fn cores() -> Vec<usize> {
    let set = rustix::thread::sched_getaffinity(None).ok();
    let all = 0..rustix::thread::CpuSet::MAX_CPU;
    set.map_or_else(Vec::new, |set| {
        all.filter(|core| set.is_set(*core)).collect()
    })
}

#[cfg(target_os = "linux")]
fn stay(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

#[cfg(not(target_os = "linux"))]
fn cores() -> Vec<usize> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
fn stay(_core: usize) {}
