//! How fast this machine is, in a second or two each: figures to compare machines by, not a verdict.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};
use skep_hw::diag::{Level, Outcome as Tested};
use skep_hw::telemetry::{Device, Vendor};

use super::Outcome;
use crate::agent::Agent;
use crate::diagnosis::{self, Cancel, Wish};
use crate::limits::{SETUP_CARD_SECONDS, SETUP_DISK_BYTES};

/// How fast memory is read, which is what models mostly wait for, and how fast all cores multiply.
pub(super) async fn processor() -> Outcome {
    let measured = tokio::task::spawn_blocking(|| {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let read = on_all(cores, 1_u64, |words| {
            words.iter().fold(0, |sum, word| sum.wrapping_add(*word))
        });
        let multiplied = on_all(cores, 1.5_f32, product);
        vec![
            format!("{cores} threads"),
            format!("reads {:.1} GB/s of memory", read * 8.0 / 1e9),
            format!(
                "multiplies {:.2} thousand million numbers a second",
                multiplied / 2.0 / 1e9
            ),
        ]
    });
    match measured.await {
        Ok(seen) => Outcome::Passed(seen),
        Err(_) => Outcome::Skipped("the measurement broke off".to_owned()),
    }
}

/// The product of the halves, in lanes of their own so that a processor takes many at once.
fn product(floats: &[f32]) -> f32 {
    let (half, rest) = floats.split_at(floats.len() / 2);
    let mut lanes = [0.0_f32; 16];
    for (one, other) in half.chunks_exact(16).zip(rest.chunks_exact(16)) {
        for ((lane, one), other) in lanes.iter_mut().zip(one).zip(other) {
            *lane += one * other;
        }
    }
    lanes.iter().sum()
}

/// Numbers gone through in a second, by so many threads, each with numbers of its own.
fn on_all<T: Copy + Send + 'static>(threads: usize, number: T, work: fn(&[T]) -> T) -> f64 {
    let count = |_| {
        std::thread::spawn(move || {
            let numbers = vec![number; BUFFER_BYTES / size_of::<T>()];
            let started = Instant::now();
            let mut rounds = 0_u64;
            while started.elapsed() < MEASURED {
                black_box(work(black_box(&numbers)));
                rounds += 1;
            }
            rounds as f64 * numbers.len() as f64 / started.elapsed().as_secs_f64()
        })
    };
    let running: Vec<_> = (0..threads).map(count).collect();
    running
        .into_iter()
        .filter_map(|thread| thread.join().ok())
        .sum()
}

/// How fast models are written and read, and how long something durable takes.
pub(super) async fn disk(folder: PathBuf) -> Outcome {
    let measured = tokio::task::spawn_blocking(move || written(&folder).map_err(|e| (e, folder)));
    match measured.await {
        Ok(Ok(seen)) => Outcome::Passed(seen),
        Ok(Err((error, folder))) => Outcome::Failed(
            vec![format!("{}: {error}", folder.display())],
            "is the disk full, or read-only? `skep doctor` looks".to_owned(),
        ),
        Err(_) => Outcome::Skipped("the measurement broke off".to_owned()),
    }
}

fn written(folder: &Path) -> io::Result<Vec<String>> {
    // It has no name, and is gone whatever happens.
    let mut file: File = tempfile::tempfile_in(folder)?;
    let mut piece = vec![0x5a_u8; 1 << 20];
    let started = Instant::now();
    for _ in 0..SETUP_DISK_BYTES / piece.len() {
        file.write_all(&piece)?;
    }
    file.sync_all()?;
    let speed = |started: Instant| {
        let seconds = started.elapsed().as_secs_f64();
        SETUP_DISK_BYTES as f64 / seconds / 1e6
    };
    let writes = speed(started);
    // What is in memory is read from there, which says nothing of the disk.
    fadvise(&file, 0, None, Advice::DontNeed)?;
    file.rewind()?;
    let started = Instant::now();
    for _ in 0..SETUP_DISK_BYTES / piece.len() {
        file.read_exact(&mut piece)?;
    }
    let reads = speed(started);
    let mut small = Vec::new();
    for _ in 0..DURABLE {
        let started = Instant::now();
        file.write_all(b"x")?;
        file.sync_data()?;
        small.push(started.elapsed());
    }
    small.sort();
    let median = small.get(small.len() / 2).copied().unwrap_or_default();
    Ok(vec![
        format!("writes {writes:.0} MB/s in {}", folder.display()),
        format!("reads {reads:.0} MB/s"),
        format!(
            "{:.1} ms until something small is durable",
            median.as_secs_f64() * 1e3
        ),
    ])
}

/// A graphics card of this machine.
#[derive(Debug)]
pub(super) struct Card(Device);

impl Card {
    pub(super) fn id(&self) -> &str {
        &self.0.identity.id.0
    }

    pub(super) fn name(&self) -> String {
        let name = self.0.identity.name.clone();
        name.unwrap_or_else(|| self.id().to_owned())
    }
}

/// Those that telemetry sees.
pub(super) fn cards(agent: &Agent) -> Vec<Card> {
    let machine = agent.telemetry.borrow().clone();
    let devices = machine.map_or_else(Vec::new, |machine| machine.snapshot.devices.clone());
    devices.into_iter().map(Card).collect()
}

/// Bandwidths and products of a card, in a process of its own.
pub(super) async fn card(agent: &Arc<Agent>, card: Card) -> Outcome {
    let id = card.id().to_owned();
    let replicas = agent.fleet.replicas();
    if replicas
        .iter()
        .any(|replica| replica.devices.contains(&id) || replica.computes_on != "cpu")
    {
        return Outcome::Skipped(
            "a model computes on a card; `skep unload` it, and try again".to_owned(),
        );
    }
    let Ok(running) = agent.burn_ins.begin(&id) else {
        return Outcome::Skipped("it is being burnt in".to_owned());
    };
    let vendor = card.0.identity.vendor;
    let wish = Wish {
        kind: match vendor {
            Vendor::Nvidia => "cuda".to_owned(),
            Vendor::Amd => "hip".to_owned(),
        },
        device: card.0.identity.index,
        id: Some(id),
        library: match vendor {
            Vendor::Nvidia => agent.settings.node.cuda_library.clone(),
            Vendor::Amd => None,
        },
        memory: MEMORY_PERCENT,
        seconds: SETUP_CARD_SECONDS,
        only: ["bandwidth", "transfer", "product"]
            .map(str::to_owned)
            .to_vec(),
        choose: false,
    };
    let cancel = Cancel::default();
    let _ends = CancelWhenGone(cancel.clone());
    let tested = tokio::task::spawn_blocking(move || {
        let _running = running;
        let executable = std::env::current_exe().map_err(|error| error.to_string())?;
        let report = diagnosis::run(&executable, &wish, &cancel, &mut |_| {});
        report.map_err(|error| error.to_string())
    });
    match tested.await {
        Ok(Ok(report)) => {
            let mut seen = Vec::new();
            for test in &report.tests {
                let figures = test.figures.iter();
                seen.extend(
                    figures.map(|figure| {
                        format!("{}: {:.1} {}", figure.name, figure.value, figure.unit)
                    }),
                );
                if test.outcome == Tested::Failed {
                    seen.push(format!("{:?} failed", test.test));
                }
            }
            if report.verdict.level == Level::Pass {
                Outcome::Passed(seen)
            } else {
                Outcome::Failed(seen, "`skep node burn-in` tests it thoroughly".to_owned())
            }
        }
        Ok(Err(why)) => Outcome::Failed(
            vec![why],
            "is the driver installed? `skep doctor --gpu` tells more".to_owned(),
        ),
        Err(_) => Outcome::Skipped("the test broke off".to_owned()),
    }
}

/// Ends the test of a card when nobody listens any more.
struct CancelWhenGone(Cancel);

impl Drop for CancelWhenGone {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// For each thread: more than its share of any cache.
const BUFFER_BYTES: usize = 64 << 20;

/// As long as each figure is measured.
const MEASURED: Duration = Duration::from_millis(400);

/// Small writes of which the one in the middle counts.
const DURABLE: usize = 15;

/// Of a card's free memory: enough to measure by.
const MEMORY_PERCENT: u8 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let seen = written(folder.path()).unwrap();
        let told = ["writes ", "reads ", " ms until"];
        let is_told = |(seen, told): (&String, &str)| seen.contains(told);
        assert!(seen.iter().zip(told).all(is_told), "{seen:?}");
        assert_eq!(seen.len(), told.len());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(written(Path::new("/nonexistent")).is_err());
    }
}
