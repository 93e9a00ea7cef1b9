//! The door to the log, and the thread behind it that shares one `fsync` among all who wait.

use std::fs::File;
use std::path::Path;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::engine::EngineKind;
use super::error::StoreError;
use super::log::{Base, Draft, Log, Records};
use super::record::Digest;
use super::recover::{self, Recovered};
use crate::limits::{STORE_GROUP, STORE_GROUP_BYTES, STORE_QUEUE};

/// The log, for whoever writes or reads it. Cheap to clone; the log closes with the last clone.
///
/// What is asked is done in the order in which it was asked. Each call returns once it is done and, where
/// it changed something, durable; dropping the future of a call does not undo it.
#[derive(Clone, Debug)]
pub struct Store {
    inbox: mpsc::Sender<Job>,
}

impl Store {
    /// Opens the log in this folder, or makes one; the folder above must be there. Blocks on the disk,
    /// for a second at most unless the log is damaged.
    ///
    /// # Errors
    /// When the folder cannot be used, another process uses it, or it was written by the other engine.
    /// A damaged log is no error: it is set aside, and [`Recovered::damage`] tells.
    pub fn open(folder: &Path, engine: EngineKind) -> Result<(Self, Recovered), StoreError> {
        let (log, lock, recovered) = recover::open(folder, engine)?;
        let (inbox, jobs) = mpsc::channel(STORE_QUEUE);
        thread::Builder::new()
            .name("store".into())
            .spawn(move || run(log, lock, jobs))
            .map_err(|error| StoreError::open(folder, &error))?;
        Ok((Self { inbox }, recovered))
    }

    /// Adds records at the end; `first` is the number of the first.
    ///
    /// # Errors
    /// When `first` does not follow the newest record or a record is too large (nothing was added), or
    /// the write failed (then whether they were added shows when the log is opened anew).
    pub async fn append(&self, first: u64, payloads: Vec<Vec<u8>>) -> Result<(), StoreError> {
        self.write(Change::Append { first, payloads }).await
    }

    /// Sets a small value, or removes it when it is empty.
    ///
    /// # Errors
    /// When it is too large, there are too many, or the write failed.
    pub async fn set_value(&self, number: u8, value: Vec<u8>) -> Result<(), StoreError> {
        self.write(Change::Set { number, value }).await
    }

    /// A small value.
    ///
    /// # Errors
    /// When the log is closed.
    pub async fn value(&self, number: u8) -> Result<Option<Vec<u8>>, StoreError> {
        self.ask(move |log| Ok(log.value(number))).await
    }

    /// Removes every record after this one.
    ///
    /// # Errors
    /// When this one is not kept, or the write failed.
    pub async fn truncate_after(&self, index: u64) -> Result<(), StoreError> {
        self.ask(move |log| log.truncate_after(index)).await
    }

    /// Removes the records up to this one, which the snapshot must have.
    ///
    /// # Errors
    /// When the snapshot ends before it, or the write failed.
    pub async fn purge_up_to(&self, index: u64) -> Result<(), StoreError> {
        self.ask(move |log| log.purge_up_to(index)).await
    }

    /// Keeps what all records up to this one came to, in place of the snapshot before.
    ///
    /// # Errors
    /// When the record is not kept, the content is too large, or the write failed.
    pub async fn save_snapshot(&self, index: u64, content: Vec<u8>) -> Result<(), StoreError> {
        self.ask(move |log| log.save(index, &content)).await
    }

    /// Begins anew from somebody else's snapshot: every record here goes.
    ///
    /// # Errors
    /// When the content is too large, or the write failed.
    pub async fn install_snapshot(&self, base: Base) -> Result<(), StoreError> {
        self.ask(move |log| log.install(&base)).await
    }

    /// The snapshot.
    ///
    /// # Errors
    /// When it is not what was written; nothing more is accepted then.
    pub async fn snapshot(&self) -> Result<Option<Base>, StoreError> {
        self.ask(Log::snapshot).await
    }

    /// Records from this one on: at least one when there is any, then as many as fit into the bytes.
    ///
    /// # Errors
    /// When the record is not kept, or what is read is not what was written.
    pub async fn read(&self, from: u64, bytes_max: usize) -> Result<Records, StoreError> {
        self.ask(move |log| log.read(from, bytes_max)).await
    }

    /// The digest of a record that is kept, or of the newest one in the snapshot.
    ///
    /// # Errors
    /// When it is neither.
    pub async fn digest(&self, index: u64) -> Result<Digest, StoreError> {
        self.ask(move |log| log.digest(index)).await
    }

    /// Closes the log once everything that was asked before is done; returns when the engine has let go
    /// of its files. Other clones find it closed.
    pub async fn close(self) {
        let (reply, closed) = oneshot::channel();
        if self.inbox.send(Job::Close(reply)).await.is_ok() {
            // An error means that the thread ended before; then it is closed too.
            let _ = closed.await;
        }
    }

    async fn write(&self, change: Change) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Write(change, reply)).await?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Log) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let task = Box::new(move |log: &mut Log| {
            // Whoever asked may be gone.
            let _ = reply.send(work(log));
        });
        self.send(Job::Do(task)).await?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn send(&self, job: Job) -> Result<(), StoreError> {
        self.inbox.send(job).await.map_err(|_| StoreError::Closed)
    }
}

enum Job {
    /// What shares an `fsync` with others of its kind.
    Write(Change, Reply),
    /// Anything else.
    Do(Box<dyn FnOnce(&mut Log) + Send>),
    Close(oneshot::Sender<()>),
}

enum Change {
    Append { first: u64, payloads: Vec<Vec<u8>> },
    Set { number: u8, value: Vec<u8> },
}

type Reply = oneshot::Sender<Result<(), StoreError>>;

/// Until the last handle is gone, or one closes it.
fn run(mut log: Log, lock: File, mut jobs: mpsc::Receiver<Job>) {
    let mut kept = None;
    while let Some(job) = kept.take().or_else(|| jobs.blocking_recv()) {
        match job {
            Job::Write(change, reply) => kept = group(&mut log, &mut jobs, change, reply),
            Job::Do(work) => work(&mut log),
            Job::Close(reply) => {
                jobs.close();
                drop(log);
                drop(lock);
                // Whoever asked may be gone.
                let _ = reply.send(());
                return;
            }
        }
    }
}

/// Commits this change together with those that wait behind it; returns the first job of another kind.
fn group(
    log: &mut Log,
    jobs: &mut mpsc::Receiver<Job>,
    change: Change,
    reply: Reply,
) -> Option<Job> {
    let mut draft = log.draft();
    let mut waiting = Vec::new();
    let mut kept = None;
    add(&mut draft, change, reply, &mut waiting);
    while waiting.len() < STORE_GROUP && draft.bytes() < STORE_GROUP_BYTES {
        match jobs.try_recv() {
            Ok(Job::Write(change, reply)) => add(&mut draft, change, reply, &mut waiting),
            Ok(other) => {
                kept = Some(other);
                break;
            }
            Err(_) => break,
        }
    }
    if !waiting.is_empty() {
        let done = log.commit(draft);
        for reply in waiting {
            // Whoever asked may be gone; it is done all the same.
            let _ = reply.send(done.clone());
        }
    }
    kept
}

fn add(draft: &mut Draft, change: Change, reply: Reply, waiting: &mut Vec<Reply>) {
    let added = match change {
        Change::Append { first, payloads } => draft.append(first, &payloads),
        Change::Set { number, value } => draft.set(number, value),
    };
    match added {
        Ok(()) => waiting.push(reply),
        Err(error) => {
            let _ = reply.send(Err(error));
        }
    }
}
