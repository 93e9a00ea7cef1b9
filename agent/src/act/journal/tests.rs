//! Journals that end at any byte, or were changed by somebody.

use skep_core::install::{Action, Before, Planned};

use super::*;

fn begun(run: &RunId) -> Record {
    let planned = |name: &str| Planned {
        action: Action::CreateGroup {
            name: name.to_owned(),
        },
        why: "a reason with ä, \n and \u{0}".to_owned(),
    };
    Record::Begun {
        run: run.clone(),
        part: "step-test".to_owned(),
        by: "sam".to_owned(),
        at_unix_s: 5,
        plan: skep_core::install::Plan {
            actions: vec![planned("one"), planned("two")],
            notes: vec!["note".to_owned()],
        },
    }
}

fn written(folder: &Path) -> (RunId, Vec<u8>, Vec<usize>) {
    let run: RunId = "r-1".parse().unwrap();
    let path = folder.join("r-1.journal");
    let mut journal = JournalFile::create(folder, &run, begun(&run)).unwrap();
    let mut ends = vec![std::fs::read(&path).unwrap().len()];
    for record in [
        Record::Intend {
            action: 0,
            before: Before::Nothing,
        },
        Record::Done {
            action: 0,
            took_ms: 3,
            came: vec!["x".to_owned()],
        },
        Record::Failed {
            action: 1,
            why: "no room\n".to_owned(),
        },
    ] {
        journal.write(record).unwrap();
        ends.push(std::fs::read(&path).unwrap().len());
    }
    (run, std::fs::read(&path).unwrap(), ends)
}

#[test]
fn a_tail_torn_at_any_byte_counts_as_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let (run, whole, ends) = written(folder.path());
    let path = folder.path().join("r-1.journal");
    let cuts = (ends[0]..=whole.len()).step_by(5).chain(ends.clone());
    for length in cuts {
        // As a file system may leave it: short, or long enough and with nothing in it.
        for padding in [0, 40] {
            let mut torn = whole[..length].to_vec();
            torn.resize(length + padding, 0);
            std::fs::write(&path, &torn).unwrap();
            let records = ends.iter().filter(|end| **end <= length).count();
            let mut journal = JournalFile::open(folder.path(), &run).unwrap();
            assert_eq!(path.metadata().unwrap().len(), ends[records - 1] as u64);
            let next = journal.run().next();
            // It goes on from there.
            match records {
                1 => journal.write(Record::Already { action: 0 }).unwrap(),
                2 => assert_eq!(next, skep_core::install::Next::GoOn(0)),
                _ => journal.write(Record::Already { action: 1 }).unwrap(),
            }
            drop(journal);
            assert!(JournalFile::open(folder.path(), &run).is_ok());
        }
    }
}

#[test]
fn damage_is_told_and_set_aside() {
    let mut refused = 0;
    for number in 0..120 {
        let folder = tempfile::tempdir().unwrap();
        let (run, mut bytes, ends) = written(folder.path());
        // Anywhere but in the last line, where it could as well be torn.
        let at = number * (ends[2] - 1) / 120;
        bytes[at] ^= 0x10;
        let path = folder.path().join("r-1.journal");
        std::fs::write(&path, &bytes).unwrap();
        match JournalFile::open(folder.path(), &run) {
            Err(ActError::Damaged { aside, .. }) => {
                assert_eq!(std::fs::read(aside).unwrap(), bytes);
                assert!(!path.exists());
                assert!(all(folder.path()).unwrap().is_empty());
                refused += 1;
            }
            other => panic!("{at}: {other:?}"),
        }
    }
    assert!(refused > 100);
}

#[test]
fn one_at_a_time_and_no_name_twice() {
    let folder = tempfile::tempdir().unwrap();
    let run: RunId = "r-1".parse().unwrap();
    let other: RunId = "r-2".parse().unwrap();
    let journal = JournalFile::create(folder.path(), &run, begun(&run)).unwrap();
    assert!(matches!(
        JournalFile::create(folder.path(), &other, begun(&other)),
        Err(ActError::Busy)
    ));
    assert!(matches!(
        JournalFile::open(folder.path(), &run),
        Err(ActError::Busy)
    ));
    // Whoever looks sees that somebody is at it.
    assert!(all(folder.path()).unwrap()[0].1);
    drop(journal);
    assert!(!all(folder.path()).unwrap()[0].1);
    assert!(matches!(
        JournalFile::create(folder.path(), &run, begun(&run)),
        Err(ActError::RunExists(_))
    ));
    assert!(matches!(
        JournalFile::open(folder.path(), &other),
        Err(ActError::NoRun(_))
    ));
}
