//! `skep-store-writer write|check|corrupt FOLDER ENGINE …`: a process to be killed while it writes the log.
//!
//! What record `n` says follows from `n`, so that every start checks everything that is there: each
//! record's content, the snapshot, the small value. On standard output: `open FIRST LAST MS DAMAGE` once
//! the log is open and checked, then `ack N` after each acknowledgement.
//!
//! `write` goes on until it is ended or a write fails (`failed WHY`); `check` ends at once; `corrupt`
//! makes COUNT copies of a log with one byte changed in each and says what came of them.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    reason = "a command-line tool speaks on its terminal"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use skep::store::{EngineKind, Recovered, Store, StoreError};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().with_context(|| format!("give {what}"));
    let verb = next("write, check or corrupt")?;
    let folder = PathBuf::from(next("a folder")?);
    let engine = EngineKind::named(&next("an engine")?).context("no such engine")?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        match verb.as_str() {
            "write" => write(open(&folder, engine).await?).await,
            "check" => {
                open(&folder, engine).await?.0.close().await;
                Ok(())
            }
            "corrupt" => {
                let seed = next("a seed")?.parse()?;
                let count = next("a count")?.parse()?;
                corrupt(&folder, engine, seed, count).await
            }
            other => bail!("there is no verb `{other}`"),
        }
    })
}

async fn open(folder: &Path, engine: EngineKind) -> Result<(Store, Recovered)> {
    let start = Instant::now();
    let (store, recovered) = Store::open(folder, engine)?;
    check(&store, &recovered).await?;
    let damage = recovered
        .damage
        .as_ref()
        .map_or("none", |damage| damage.why.as_str());
    say(format_args!(
        "open {} {} {} {damage}",
        recovered.first,
        recovered.last,
        start.elapsed().as_millis()
    ))?;
    Ok((store, recovered))
}

/// Appends for ever: single records, several at once, several calls at once; at times a snapshot and a
/// purge.
async fn write((store, recovered): (Store, Recovered)) -> Result<()> {
    let mut last = recovered.last;
    loop {
        let next = last + 1;
        let count = 1 + next % 3;
        let one = |number: u64| store.append(number, vec![payload(number)]);
        let written = if next.is_multiple_of(2) {
            let numbers = next..next + count;
            store.append(next, numbers.map(payload).collect()).await
        } else {
            let (first, second, third) = tokio::join!(one(next), one(next + 1), one(next + 2));
            first.and(second).and(third)
        };
        if let Err(error) = written {
            return refuses(&store, last, &error).await;
        }
        last = if next.is_multiple_of(2) {
            next + count - 1
        } else {
            next + 2
        };
        say(format_args!("ack {last}"))?;
        if let Err(error) = tend(&store, next, last).await {
            return refuses(&store, last, &error).await;
        }
    }
}

/// What is written beside records, at times.
async fn tend(store: &Store, next: u64, last: u64) -> Result<(), StoreError> {
    if next.is_multiple_of(5) {
        store.set_value(VALUE, last.to_be_bytes().to_vec()).await?;
    }
    if next.is_multiple_of(40) {
        store.save_snapshot(last, snapshot(last)).await?;
        store.purge_up_to(last.saturating_sub(30)).await?;
    }
    Ok(())
}

/// Once it has failed, it takes nothing, whatever it is asked.
async fn refuses(store: &Store, last: u64, error: &StoreError) -> Result<()> {
    say(format_args!("failed {error}"))?;
    for number in last..last + 8 {
        let taken = store.append(number, vec![payload(number)]).await;
        ensure!(taken.is_err(), "accepted after a failure");
    }
    let taken = store.set_value(VALUE, vec![1]).await;
    ensure!(taken.is_err(), "accepted after a failure");
    say(format_args!("refuses"))
}

/// Everything that is there, against what was written.
async fn check(store: &Store, recovered: &Recovered) -> Result<()> {
    let base = store.snapshot().await?;
    let index = base.as_ref().map_or(0, |base| base.index);
    ensure!(
        recovered.first <= index + 1,
        "records are missing after the snapshot"
    );
    if let Some(base) = base {
        ensure!(
            base.content == snapshot(base.index),
            "the snapshot is another"
        );
    }
    let mut next = recovered.first;
    while next <= recovered.last {
        for found in store.read(next, 1 << 20).await?.payloads {
            ensure!(found == payload(next), "record {next} is another");
            next += 1;
        }
    }
    if let Some(value) = store.value(VALUE).await? {
        let value = u64::from_be_bytes(
            value
                .try_into()
                .map_err(|_| anyhow::anyhow!("a value of another length"))?,
        );
        ensure!(
            recovered.damage.is_some() || value <= recovered.last,
            "the value is of record {value}, the log ends at {}",
            recovered.last
        );
    }
    Ok(())
}

/// Changes one byte of one file in each of many copies, and opens them.
async fn corrupt(folder: &Path, engine: EngineKind, seed: u64, count: u64) -> Result<()> {
    let mut chance = Chance(seed);
    let last = {
        let (store, recovered) = open(folder, engine).await?;
        store.close().await;
        recovered.last
    };
    let (mut harmless, mut detected, mut refused) = (0_u64, 0_u64, 0_u64);
    for round in 0..count {
        let parent = folder
            .parent()
            .context("no parent")?
            .join(format!("copy-{round}"));
        let copied = parent.join("log");
        copy(folder, &copied)?;
        let what = spoil(&copied, &mut chance)?;
        match Store::open(&copied, engine) {
            Ok((store, recovered)) => {
                // Wrong content fails here, damage or not.
                check(&store, &recovered)
                    .await
                    .with_context(|| what.clone())?;
                if recovered.damage.is_some() {
                    ensure!(
                        recovered.set_aside.len() == 1,
                        "{what}: nothing was set aside"
                    );
                    detected += 1;
                } else {
                    ensure!(
                        recovered.last == last,
                        "{what}: {} of {last} records, unnoticed",
                        recovered.last
                    );
                    harmless += 1;
                }
                // It can be worked with.
                let next = recovered.last + 1;
                store
                    .append(next, vec![payload(next)])
                    .await
                    .with_context(|| what.clone())?;
                store.close().await;
            }
            Err(error) => {
                say(format_args!("refused {what}: {error}"))?;
                refused += 1;
            }
        }
        std::fs::remove_dir_all(&parent)?;
    }
    say(format_args!("corrupted {harmless} {detected} {refused}"))
}

/// Changes a byte of a file, chosen by size; says which.
fn spoil(folder: &Path, chance: &mut Chance) -> Result<String> {
    let mut files = Vec::new();
    list(folder, &mut files)?;
    // The first bytes of every file, where formats have their headers, get a third of all.
    let (path, length) = {
        let total: u64 = files.iter().map(|(_, length)| length).sum();
        let mut place = chance.below(total);
        let mut found = None;
        for (path, length) in &files {
            if place < *length {
                found = Some((path.clone(), *length));
                break;
            }
            place -= length;
        }
        if chance.below(3) == 0 {
            let which = usize::try_from(chance.below(files.len() as u64))?;
            found = files.get(which).cloned();
        }
        found.context("no files")?
    };
    let place = match chance.below(3) {
        0 => chance.below(length.min(256)),
        1 => length - 1 - chance.below(length.min(4_096)),
        _ => chance.below(length),
    };
    let mut bytes = std::fs::read(&path)?;
    let byte = bytes
        .get_mut(usize::try_from(place)?)
        .context("no such byte")?;
    let before = *byte;
    *byte = if chance.below(2) == 0 {
        before ^ (1 << chance.below(8))
    } else {
        before.wrapping_add(u8::try_from(1 + chance.below(255))?)
    };
    let said = format!("{} at {place}: {before} to {byte}", path.display());
    std::fs::write(&path, bytes)?;
    Ok(said)
}

fn list(folder: &Path, files: &mut Vec<(PathBuf, u64)>) -> Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let length = entry.metadata()?.len();
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        } else if length > 0 {
            files.push((entry.path(), length));
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// What record `number` says: 16 bytes to some 9 KB, most of them short.
fn payload(number: u64) -> Vec<u8> {
    let mut chance = Chance(number);
    let length = match chance.below(12) {
        0 => 4_000 + chance.below(5_000),
        1 => 500 + chance.below(1_500),
        _ => 16 + chance.below(200),
    };
    let mut bytes = number.to_be_bytes().to_vec();
    while (bytes.len() as u64) < length {
        bytes.extend_from_slice(&chance.next().to_be_bytes());
    }
    bytes
}

/// What all records up to `number` come to: some 20 KB.
fn snapshot(number: u64) -> Vec<u8> {
    let mut chance = Chance(!number);
    (0..2_500)
        .flat_map(|_| chance.next().to_be_bytes())
        .collect()
}

/// Numbers that look random and follow from the first (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

fn say(line: std::fmt::Arguments<'_>) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}

const VALUE: u8 = 1;
