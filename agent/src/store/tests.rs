//! What the log promises, for both engines.

use std::path::{Path, PathBuf};

use super::*;
use crate::limits::{STORE_DAMAGED_MAX, STORE_RECORD_BYTES_MAX};

/// What record `number` says.
fn payload(number: u64) -> Vec<u8> {
    let length = usize::try_from(number * 7919 % 500).unwrap();
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(8 + length, number as u8);
    bytes
}

fn payloads(numbers: std::ops::RangeInclusive<u64>) -> Vec<Vec<u8>> {
    numbers.map(payload).collect()
}

/// A folder for a log that is not there yet.
struct Place {
    parent: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            parent: tempfile::tempdir().unwrap(),
        }
    }

    fn folder(&self) -> PathBuf {
        self.parent.path().join("cluster")
    }

    fn open(&self, engine: EngineKind) -> (Store, Recovered) {
        Store::open(&self.folder(), engine).unwrap()
    }

    fn copy_to(&self, name: &str) {
        copy(&self.folder(), &self.parent.path().join(name));
    }

    /// Puts back what was copied, except for the witness.
    fn roll_back_to(&self, name: &str, engine: EngineKind) {
        let place = engine.place(&self.folder());
        let _ = std::fs::remove_dir_all(&place);
        let _ = std::fs::remove_file(&place);
        copy(&engine.place(&self.parent.path().join(name)), &place);
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        std::fs::copy(from, to).unwrap();
        return;
    }
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

fn bytes_in(place: &Path) -> u64 {
    if place.is_file() {
        return std::fs::metadata(place).unwrap().len();
    }
    let entries = std::fs::read_dir(place).unwrap();
    entries.map(|entry| bytes_in(&entry.unwrap().path())).sum()
}

async fn check_records(store: &Store, from: u64, to: u64) {
    let mut next = from;
    while next <= to {
        let read = store.read(next, 10_000).await.unwrap();
        assert_eq!(read.first, next);
        assert!(!read.payloads.is_empty());
        for found in read.payloads {
            assert_eq!(found, payload(next));
            next += 1;
        }
    }
    assert_eq!(next, to + 1);
}

#[tokio::test]
async fn what_was_appended_is_there_when_opened_anew() {
    for engine in EngineKind::ALL {
        let place = Place::new();
        let (store, recovered) = place.open(engine);
        assert!(recovered.new && recovered.damage.is_none() && recovered.last == 0);
        store.append(1, payloads(1..=3)).await.unwrap();
        store.append(4, payloads(4..=300)).await.unwrap();
        store.set_value(1, b"vote".to_vec()).await.unwrap();
        let digest = store.digest(150).await.unwrap();
        assert!(matches!(
            store.append(302, payloads(302..=302)).await,
            Err(StoreError::Order {
                found: 302,
                last: 300
            })
        ));
        let large = vec![vec![0; STORE_RECORD_BYTES_MAX + 1]];
        assert!(matches!(
            store.append(301, large).await,
            Err(StoreError::Large { .. })
        ));
        assert!(matches!(
            Store::open(&place.folder(), engine),
            Err(StoreError::Busy(_))
        ));
        store.close().await;
        let (store, recovered) = place.open(engine);
        assert!(
            !recovered.new && recovered.damage.is_none(),
            "{recovered:?}"
        );
        assert_eq!((recovered.first, recovered.last), (1, 300));
        check_records(&store, 1, 300).await;
        assert_eq!(store.value(1).await.unwrap(), Some(b"vote".to_vec()));
        assert_eq!(store.digest(150).await.unwrap(), digest);
        assert!(matches!(
            store.read(302, 1).await,
            Err(StoreError::OutOfRange { .. })
        ));
        store.close().await;
    }
}

#[tokio::test]
async fn snapshots_purges_and_truncations_last() {
    for engine in EngineKind::ALL {
        let place = Place::new();
        let (store, _) = place.open(engine);
        store.append(1, payloads(1..=50)).await.unwrap();
        assert!(matches!(
            store.purge_up_to(10).await,
            Err(StoreError::OutOfRange { .. })
        ));
        let content: Vec<u8> = (0..5_000_000_u32)
            .map(|number| (number / 7) as u8)
            .collect();
        store.save_snapshot(40, content.clone()).await.unwrap();
        store.purge_up_to(30).await.unwrap();
        store.truncate_after(45).await.unwrap();
        assert!(store.truncate_after(20).await.is_err(), "it is purged");
        store.append(46, payloads(46..=47)).await.unwrap();
        let large = vec![vec![9; STORE_RECORD_BYTES_MAX]];
        store.append(48, large.clone()).await.unwrap();
        store.close().await;

        let (store, recovered) = place.open(engine);
        assert!(recovered.damage.is_none(), "{recovered:?}");
        assert_eq!((recovered.first, recovered.last), (31, 48));
        check_records(&store, 31, 47).await;
        assert_eq!(store.read(48, 0).await.unwrap().payloads, large);
        let base = store.snapshot().await.unwrap().unwrap();
        assert_eq!((base.index, &base.content), (40, &content));
        assert_eq!(base.digest, store.digest(40).await.unwrap());

        // Somebody else's, far ahead; then everything is there again after a start.
        let other = Base {
            index: 1_000,
            digest: Digest::ORIGIN.following(1_000, b"x"),
            content: b"other".to_vec(),
        };
        store.install_snapshot(other.clone()).await.unwrap();
        store.append(1_001, payloads(1_001..=1_002)).await.unwrap();
        store.purge_up_to(1_000).await.unwrap();
        store.close().await;
        let (store, recovered) = place.open(engine);
        assert!(recovered.damage.is_none(), "{recovered:?}");
        assert_eq!((recovered.first, recovered.last), (1_001, 1_002));
        assert_eq!(store.snapshot().await.unwrap(), Some(other));
        check_records(&store, 1_001, 1_002).await;
        store.close().await;
    }
}

#[tokio::test]
async fn a_log_that_lost_its_end_is_found_out_and_set_aside() {
    for engine in EngineKind::ALL {
        let place = Place::new();
        let (store, _) = place.open(engine);
        store.append(1, payloads(1..=100)).await.unwrap();
        store.close().await;
        place.copy_to("earlier");
        let (store, _) = place.open(engine);
        store.append(101, payloads(101..=120)).await.unwrap();
        store.set_value(1, b"newer".to_vec()).await.unwrap();
        store.close().await;
        // From within, this log is whole: it only ends too early.
        place.roll_back_to("earlier", engine);
        let (store, recovered) = place.open(engine);
        let damage = recovered.damage.unwrap();
        assert_eq!(damage.acknowledged, Some(120));
        assert_eq!(damage.carried, 100);
        assert!(damage.set_aside.join("witness").exists());
        assert_eq!(recovered.set_aside, [damage.set_aside]);
        check_records(&store, 1, 100).await;
        assert_eq!(store.value(1).await.unwrap(), Some(b"newer".to_vec()));
        store.append(101, payloads(101..=101)).await.unwrap();
        store.close().await;
        let (store, recovered) = place.open(engine);
        assert!(recovered.damage.is_none());
        assert_eq!(recovered.set_aside.len(), 1);
        store.close().await;
    }
}

#[tokio::test]
async fn so_much_damage_is_for_people_to_look_at() {
    for engine in EngineKind::ALL {
        let place = Place::new();
        for round in 0..=STORE_DAMAGED_MAX {
            match Store::open(&place.folder(), engine) {
                Ok((store, recovered)) => {
                    assert_eq!(recovered.damage.is_some(), round > 0);
                    store.append(1, payloads(1..=5)).await.unwrap();
                    store.close().await;
                }
                Err(error) => panic!("round {round}: {error}"),
            }
            // What the engine makes of nothing is empty, and the witness says that it was not.
            let at = engine.place(&place.folder());
            let _ = std::fs::remove_dir_all(&at);
            let _ = std::fs::remove_file(&at);
            if engine == EngineKind::Sled {
                std::fs::create_dir(&at).unwrap();
            } else {
                std::fs::write(&at, b"").unwrap();
            }
        }
        let refused = Store::open(&place.folder(), engine).unwrap_err();
        assert!(
            matches!(&refused, StoreError::TooMuchDamage { count, .. } if *count == STORE_DAMAGED_MAX),
            "{refused}"
        );
        assert!(place.folder().exists(), "it is left where it is");
    }
}

#[tokio::test]
async fn a_crash_while_a_log_is_made_or_mended_changes_nothing() {
    let place = Place::new();
    let engine = EngineKind::Sled;
    let new = place.parent.path().join("cluster.new");
    // While it was made: there is no witness yet.
    std::fs::create_dir_all(new.join("sled")).unwrap();
    std::fs::write(new.join("sled/db"), b"half").unwrap();
    let (store, recovered) = place.open(engine);
    assert!(recovered.new && recovered.damage.is_none());
    assert!(!new.exists());
    store.append(1, payloads(1..=9)).await.unwrap();
    store.close().await;
    // While it was mended, before the old one was set aside.
    place.copy_to("cluster.new");
    let (store, recovered) = place.open(engine);
    assert_eq!(recovered.last, 9);
    assert!(!new.exists());
    store.close().await;
    // And after that.
    std::fs::rename(place.folder(), &new).unwrap();
    let (store, recovered) = place.open(engine);
    assert!(!recovered.new);
    check_records(&store, 1, 9).await;
    store.close().await;
    assert!(matches!(
        Store::open(&place.folder(), EngineKind::Redb),
        Err(StoreError::OtherEngine {
            found: EngineKind::Sled,
            ..
        })
    ));
}

#[tokio::test]
async fn many_writers_share_one_write_each_is_told_the_truth() {
    for engine in EngineKind::ALL {
        let place = Place::new();
        let (store, _) = place.open(engine);
        // All in the queue before the thread gets to the second.
        let calls: Vec<_> = (1..=100)
            .map(|number| {
                let store = store.clone();
                async move { store.append(number, payloads(number..=number)).await }
            })
            .collect();
        let mut tasks = tokio::task::JoinSet::new();
        for call in calls {
            tasks.spawn(call);
        }
        let mut done = 0;
        let mut refused = 0;
        while let Some(result) = tasks.join_next().await {
            match result.unwrap() {
                Ok(()) => done += 1,
                Err(StoreError::Order { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(done + refused, 100);
        check_records(&store, 1, done).await;
        store.close().await;
        let (store, recovered) = place.open(engine);
        assert_eq!(recovered.last, done);
        store.close().await;
    }
}

#[tokio::test]
async fn nothing_grows_while_snapshots_take_over() {
    for engine in EngineKind::ALL {
        let place = Place::new();
        let (store, _) = place.open(engine);
        let mut sizes = Vec::new();
        let mut last = 0;
        for _ in 0..24 {
            for _ in 0..4 {
                let next = last + 1;
                last += 250;
                store.append(next, payloads(next..=last)).await.unwrap();
            }
            store.save_snapshot(last, vec![7; 300_000]).await.unwrap();
            store.purge_up_to(last - 100).await.unwrap();
            sizes.push(bytes_in(&place.folder()) >> 10);
        }
        store.close().await;
        // 24 rounds write some 14 MB.
        let most = sizes.iter().max().unwrap();
        assert!(*most < 12 << 10, "{engine}: KiB on disk {sizes:?}");
        let (store, recovered) = place.open(engine);
        assert!(recovered.damage.is_none());
        check_records(&store, recovered.first, last).await;
        store.close().await;
    }
}

#[tokio::test]
async fn sled_makes_an_index_anew_that_cannot_be_read() {
    let place = Place::new();
    let (store, _) = place.open(EngineKind::Sled);
    store.append(1, payloads(1..=500)).await.unwrap();
    store.close().await;
    // The index is written when a log is opened.
    place.open(EngineKind::Sled).0.close().await;
    let files = std::fs::read_dir(EngineKind::Sled.place(&place.folder())).unwrap();
    let mut spoiled = 0;
    for file in files.map(Result::unwrap) {
        if file.file_name().to_string_lossy().starts_with("snap.") {
            let mut bytes = std::fs::read(file.path()).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(file.path(), bytes).unwrap();
            spoiled += 1;
        }
    }
    assert!(spoiled > 0);
    let (store, recovered) = place.open(EngineKind::Sled);
    assert!(recovered.damage.is_none(), "{recovered:?}");
    assert_eq!(recovered.last, 500);
    check_records(&store, 1, 500).await;
    store.append(501, payloads(501..=510)).await.unwrap();
    store.close().await;
}
