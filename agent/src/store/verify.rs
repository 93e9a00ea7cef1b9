//! Whether what is on the disk is what was written, and how much of it is.

use std::ops::ControlFlow;

use super::engine::{EngineError, Guarded};
use super::error::StoreError;
use super::head::{Head, SnapshotHead};
use super::log::{Base, Log};
use super::record::{self, Digest, Record, Table};
use crate::limits::{STORE_GROUP_BYTES, STORE_RECORD_BYTES_MAX, STORE_SNAPSHOT_BYTES_MAX};

/// Why a log is not whole; a sentence for people, or the system's word that it could not be read.
#[derive(Debug)]
pub(super) enum Broken {
    Damaged(String),
    System(std::io::Error),
}

impl From<EngineError> for Broken {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::System(error) => Self::System(error),
            EngineError::Damaged(why) => Self::Damaged(why),
        }
    }
}

/// Checks everything; the head that it all agrees with.
pub(super) fn whole(engine: &Guarded, witness: Option<&Head>) -> Result<Head, Broken> {
    let damaged = |why: String| Err(Broken::Damaged(why));
    let Some(head) = head(engine)? else {
        return damaged("it has no readable head".into());
    };
    match witness {
        Some(witness) if witness.commits > head.commits => {
            return damaged(format!(
                "it ends at record {}, but record {} was acknowledged",
                head.last, witness.last
            ));
        }
        Some(witness) if witness.commits == head.commits && *witness != head => {
            return damaged("its head and its witness disagree".into());
        }
        Some(_) => {}
        None => tracing::warn!("the log's witness cannot be read; it is written anew"),
    }
    if let Some(snapshot) = &head.snapshot {
        self::snapshot(engine, snapshot).map_err(Broken::Damaged)?;
    }
    chain(engine, &head)?;
    Ok(head)
}

/// Checks every record against its neighbours, the snapshot and the head.
fn chain(engine: &Guarded, head: &Head) -> Result<(), Broken> {
    let damaged = |why: String| Err(Broken::Damaged(why));
    let base = head.snapshot.map_or((0, Digest::ORIGIN), |snapshot| {
        (snapshot.index, snapshot.digest)
    });
    if head.first > base.0 + 1 || head.last < base.0 || head.first > head.last + 1 {
        return damaged("its head cannot be".into());
    }
    let mut expected = head.first;
    // Where the log begins before the snapshot, the chain must lead through it.
    let mut digest = (head.first == base.0 + 1).then_some(base.1);
    if head.first == 1 {
        digest = Some(Digest::ORIGIN);
    }
    let mut wrong = None;
    let read = cells(
        engine,
        Table::Records,
        0,
        STORE_RECORD_BYTES_MAX,
        &mut |index, cell| {
            let checked = if index == expected && index <= head.last {
                record::unseal(index, cell)
            } else {
                Err(format!("stands where record {expected} should be"))
            };
            let problem = match checked {
                Ok(record) if digest.is_none_or(|digest| digest == record.previous) => {
                    digest = Some(record.digest);
                    (index == base.0 && record.digest != base.1)
                        .then(|| "is not the one in the snapshot".to_owned())
                }
                Ok(_) => Some("does not follow the one before".to_owned()),
                Err(why) => Some(why),
            };
            wrong = problem.map(|why| format!("record {index} {why}"));
            expected = index.saturating_add(1);
            wrong.is_none()
        },
    );
    if let Some(wrong) = wrong {
        return damaged(wrong);
    }
    read?;
    if expected != head.last + 1 {
        return damaged(format!("record {expected} is not there"));
    }
    if digest.is_some_and(|digest| digest != head.digest) {
        return damaged("its newest record is not the one in its head".into());
    }
    Ok(())
}

/// Carries what can be checked into a new log; the number of the newest record that was.
pub(super) fn carry(
    engine: &Guarded,
    witness: Option<&Head>,
    to: &mut Log,
) -> Result<u64, StoreError> {
    let found = head(engine).ok().flatten();
    let heads = [found.as_ref(), witness];
    let newest = heads.iter().flatten().max_by_key(|head| head.commits);
    carry_values(newest.copied(), to)?;
    let bases = heads
        .iter()
        .flatten()
        .filter_map(|head| snapshot(engine, head.snapshot.as_ref()?).ok());
    if let Some(base) = bases.max_by_key(|base| base.index) {
        to.install(&base)?;
    }
    let mut draft = to.draft();
    let (mut next, mut failed) = (to.last() + 1, None);
    let mut digest = to.digest(to.last())?;
    // Where reading ends early, what was read before counts.
    let _ = records(engine, next, &mut |index, record| {
        if index != next || record.previous != digest {
            return false;
        }
        let mut carried = draft.append(index, &[record.payload.to_vec()]);
        if carried.is_ok() && draft.bytes() >= STORE_GROUP_BYTES {
            let full = std::mem::replace(&mut draft, to.draft());
            carried = to.commit(full);
            draft = to.draft();
        }
        (next, digest) = (index + 1, record.digest);
        failed = carried.err();
        failed.is_none()
    });
    match failed {
        Some(error) => Err(error),
        None => to.commit(draft).map(|()| to.last()),
    }
}

/// The same where the engine cannot be opened: the small values are in the witness as well.
pub(super) fn carry_values(witness: Option<&Head>, to: &mut Log) -> Result<u64, StoreError> {
    let mut draft = to.draft();
    for (number, value) in witness.iter().flat_map(|head| &head.values) {
        draft.set(*number, value.clone())?;
    }
    to.commit(draft)?;
    Ok(to.last())
}

/// A snapshot, when it is what its head says; otherwise a sentence.
pub(super) fn snapshot(engine: &Guarded, head: &SnapshotHead) -> Result<Base, String> {
    let mut content = Vec::new();
    let mut next = 0;
    cells(
        engine,
        Table::Snapshot(head.slot),
        0,
        STORE_GROUP_BYTES,
        &mut |number, piece| {
            let fits = number == next && content.len() + piece.len() <= STORE_SNAPSHOT_BYTES_MAX;
            if fits {
                content.extend_from_slice(piece);
                next += 1;
            }
            fits
        },
    )
    .map_err(|error| format!("its snapshot cannot be read: {error}"))?;
    if content.len() as u64 != head.bytes || Digest::of(&content) != head.content {
        return Err("its snapshot is not what was written".into());
    }
    Ok(Base {
        index: head.index,
        digest: head.digest,
        content,
    })
}

/// Shows records from one on, each checked against itself, until told to stop.
pub(super) fn records(
    engine: &Guarded,
    from: u64,
    visit: &mut dyn FnMut(u64, &Record<'_>) -> bool,
) -> Result<(), String> {
    let mut wrong = None;
    let read = cells(
        engine,
        Table::Records,
        from,
        STORE_RECORD_BYTES_MAX,
        &mut |index, cell| match record::unseal(index, cell) {
            Ok(record) => visit(index, &record),
            Err(why) => {
                wrong = Some(format!("record {index} {why}"));
                false
            }
        },
    );
    match wrong {
        Some(wrong) => Err(wrong),
        None => read.map_err(|error| error.to_string()),
    }
}

fn head(engine: &Guarded) -> Result<Option<Head>, EngineError> {
    let mut found = None;
    cells(
        engine,
        Table::Head,
        0,
        STORE_GROUP_BYTES,
        &mut |index, cell| {
            found = Head::unseal(cell).filter(|_| index == 0);
            false
        },
    )?;
    Ok(found)
}

/// Shows whole cells in order, from one on, until told to stop. A cell that lacks its first part, or is
/// larger than any, is an error.
fn cells(
    engine: &Guarded,
    table: Table,
    from: u64,
    bytes_max: usize,
    visit: &mut dyn FnMut(u64, &[u8]) -> bool,
) -> Result<(), EngineError> {
    let mut cell: Vec<u8> = Vec::new();
    let mut current: Option<(u64, u16)> = None;
    let mut wrong = None;
    let mut stopped = false;
    engine.scan(table.key(from), table.end(), &mut |key, part| {
        let (index, number) = record::parts_of(key);
        let follows =
            current.is_some_and(|(at, last)| at == index && last.checked_add(1) == Some(number));
        if !follows {
            if let Some((at, _)) = current
                && at != index
                && !visit(at, &cell)
            {
                stopped = true;
                return ControlFlow::Break(());
            }
            if number != 0 || current.is_some_and(|(at, _)| at == index) {
                wrong = Some(format!("part {number} of cell {index} stands alone"));
                return ControlFlow::Break(());
            }
            cell.clear();
        }
        current = Some((index, number));
        if cell.len() + part.len() > bytes_max + CELL_HEADER_BYTES_MAX {
            wrong = Some(format!("cell {index} is larger than any"));
            return ControlFlow::Break(());
        }
        cell.extend_from_slice(part);
        ControlFlow::Continue(())
    })?;
    if let Some(wrong) = wrong {
        return Err(EngineError::Damaged(wrong));
    }
    if let Some((index, _)) = current.filter(|_| !stopped) {
        visit(index, &cell);
    }
    Ok(())
}

/// What a cell has beside its content, and then some.
const CELL_HEADER_BYTES_MAX: usize = 128;
