//! Runs over random plans that end at any point, against a machine that does half of things.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::install::{Action, Planned};

/// A machine on which each action sets one place, in two halves.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Machine {
    places: Vec<u32>,
    halves: Vec<bool>,
}

/// The end of the process.
struct Crash;

struct Process<'a> {
    machine: &'a mut Machine,
    goal: &'a [u32],
    durable: &'a mut Vec<Record>,
    run: Run,
    /// Things that may still happen.
    steps_left: u32,
}

impl Process<'_> {
    fn happens(&mut self) -> Result<(), Crash> {
        self.steps_left = self.steps_left.checked_sub(1).ok_or(Crash)?;
        Ok(())
    }

    fn write(&mut self, record: Record) -> Result<(), Crash> {
        self.happens()?;
        self.run.admit(record.clone()).unwrap();
        self.durable.push(record);
        Ok(())
    }

    fn set(&mut self, place: usize, value: u32) -> Result<(), Crash> {
        self.happens()?;
        self.machine.halves[place] = true;
        self.happens()?;
        self.machine.places[place] = value;
        self.machine.halves[place] = false;
        Ok(())
    }

    fn before(&self, action: usize) -> u32 {
        match self.run.item(action).unwrap().before {
            Some(Before::Power { watts }) => watts,
            ref other => panic!("{other:?}"),
        }
    }

    fn go(&mut self) -> Result<(), Crash> {
        loop {
            match self.run.next() {
                Next::Begin(action) => {
                    let now = self.machine.places[action];
                    if now == self.goal[action] {
                        self.write(Record::Already { action })?;
                    } else {
                        let before = Before::Power { watts: now };
                        self.write(Record::Intend { action, before })?;
                    }
                }
                Next::GoOn(action) => {
                    self.set(action, self.goal[action])?;
                    self.write(Record::Done {
                        action,
                        took_ms: 1,
                        came: Vec::new(),
                    })?;
                }
                Next::Undo(action) => {
                    self.write(Record::UndoIntend { action })?;
                    self.set(action, self.before(action))?;
                    self.write(Record::Undone { action, left: None })?;
                }
                Next::End => self.write(Record::Ended { at_unix_s: 2 })?,
                Next::Nothing => return Ok(()),
            }
        }
    }
}

fn begun(actions: usize) -> Record {
    let planned = |number: usize| Planned {
        action: Action::CreateGroup {
            name: format!("g{number}"),
        },
        why: String::new(),
    };
    Record::Begun {
        run: "r-1".parse().unwrap(),
        part: "step-test".to_owned(),
        by: "sam".to_owned(),
        at_unix_s: 1,
        plan: Plan {
            actions: (0..actions).map(planned).collect(),
            notes: Vec::new(),
        },
    }
}

#[test]
fn every_crash_of_random_plans_leads_on_and_back() {
    let mut crashes = 0;
    for seed in 0..600 {
        let mut random = SmallRng::seed_from_u64(seed);
        let actions = random.random_range(0..9);
        let value = |random: &mut SmallRng| random.random_range(0..3);
        let first = Machine {
            places: (0..actions).map(|_| value(&mut random)).collect(),
            halves: vec![false; actions],
        };
        let goal: Vec<u32> = (0..actions).map(|_| value(&mut random)).collect();
        let mut machine = first.clone();
        let mut durable = vec![begun(actions)];
        let mut undoing = false;
        loop {
            let run = Run::replay(durable.iter().cloned()).unwrap();
            let mut process = Process {
                machine: &mut machine,
                goal: &goal,
                durable: &mut durable,
                run,
                // Mostly a few things happen until the next crash; at last, all do.
                steps_left: random.random_range(0..12),
            };
            let ended = process.go().is_ok();
            crashes += u32::from(!ended);
            // Somebody wants to go back: when all is done, or in the middle.
            let back = !undoing && (ended || random.random_ratio(1, 30));
            if back {
                if ended {
                    assert_eq!(process.run.state(), RunState::Done);
                    assert_eq!(process.machine.places, goal, "seed {seed}");
                    assert!(process.machine.halves.iter().all(|half| !half));
                }
                let undo = Record::Undo {
                    by: "sam".to_owned(),
                    at_unix_s: 3,
                };
                process.steps_left = 1;
                assert!(process.write(undo).is_ok());
                undoing = true;
            } else if ended {
                assert_eq!(process.run.state(), RunState::Undone);
                break;
            }
        }
        assert_eq!(machine, first, "seed {seed}");
    }
    assert!(crashes > 2_000, "only {crashes} crashes");
}

#[test]
fn no_record_out_of_order_is_taken() {
    let mut taken = 0_u32;
    for seed in 0..700 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut run = Run::begin(begun(3)).unwrap();
        for _ in 0..60 {
            let action = random.random_range(0..4_usize);
            let why = || "it did not work".to_owned();
            let record = match random.random_range(0..10) {
                0 => begun(3),
                1 => Record::Already { action },
                2 => Record::Intend {
                    action,
                    before: Before::Flag {
                        on: random.random(),
                    },
                },
                3 => Record::Done {
                    action,
                    took_ms: 1,
                    came: Vec::new(),
                },
                4 => Record::Failed { action, why: why() },
                5 if random.random_ratio(1, 8) => Record::Undo {
                    by: why(),
                    at_unix_s: 1,
                },
                6 => Record::UndoIntend { action },
                7 => Record::Undone {
                    action,
                    left: random.random_ratio(1, 3).then(why),
                },
                8 => Record::UndoFailed { action, why: why() },
                _ => Record::Ended { at_unix_s: 1 },
            };
            let before = (run.items.clone(), run.back, run.ended, run.records);
            let first = run.item(action).and_then(|item| item.before.clone());
            let next = run.next();
            if run.admit(record.clone()).is_err() {
                let after = (run.items.clone(), run.back, run.ended, run.records);
                assert_eq!(before, after, "a refused record changed something");
                continue;
            }
            taken += 1;
            // What was there before is never forgotten nor changed, and nothing is done out of its turn.
            if let Some(first) = first {
                assert_eq!(run.item(action).unwrap().before.as_ref(), Some(&first));
            }
            match record {
                Record::Done { action, .. } => assert_eq!(next, Next::GoOn(action)),
                Record::Undone { action, .. } => assert_eq!(next, Next::Undo(action)),
                Record::Ended { .. } => assert_eq!(next, Next::End),
                _ => {}
            }
        }
    }
    assert!(taken > 2_000, "only {taken} were taken");
}

#[test]
fn failures_wait_for_a_person() {
    let mut run = Run::begin(begun(2)).unwrap();
    let why = || "no room".to_owned();
    let flag = || Before::Flag { on: false };
    let mut admit = |record| run.admit(record);
    admit(Record::Failed {
        action: 0,
        why: why(),
    })
    .unwrap();
    admit(Record::Intend {
        action: 0,
        before: flag(),
    })
    .unwrap();
    admit(Record::Failed {
        action: 0,
        why: why(),
    })
    .unwrap();
    // What it was before cannot be told otherwise afterwards.
    let other = Before::Flag { on: true };
    assert!(
        admit(Record::Intend {
            action: 0,
            before: other
        })
        .is_err()
    );
    assert_eq!(run.state(), RunState::Failed);
    assert_eq!(run.next(), Next::GoOn(0));
    let undo = Record::Undo {
        by: why(),
        at_unix_s: 1,
    };
    run.admit(undo).unwrap();
    assert_eq!(run.state(), RunState::Undoing);
    assert_eq!(run.next(), Next::Undo(0));
    run.admit(Record::UndoFailed {
        action: 0,
        why: why(),
    })
    .unwrap();
    assert_eq!(run.state(), RunState::Failed);
    run.admit(Record::UndoIntend { action: 0 }).unwrap();
    let left = Some("somebody changed it".to_owned());
    run.admit(Record::Undone { action: 0, left }).unwrap();
    run.admit(Record::Ended { at_unix_s: 1 }).unwrap();
    assert_eq!(run.state(), RunState::Undone);
    assert!(matches!(run.item(0).unwrap().stage, Stage::Left(_)));
}

#[test]
fn trying_again_ends_and_undoing_still_works() {
    let mut run = Run::begin(begun(1)).unwrap();
    let before = Before::Nothing;
    run.admit(Record::Intend { action: 0, before }).unwrap();
    let failed = || Record::Failed {
        action: 0,
        why: String::new(),
    };
    let mut count = 0;
    while run.admit(failed()).is_ok() {
        count += 1;
    }
    assert!(count < INSTALL_RECORDS_MAX);
    let by = "sam".to_owned();
    run.admit(Record::Undo { by, at_unix_s: 1 }).unwrap();
    run.admit(Record::UndoIntend { action: 0 }).unwrap();
    let undone = Record::Undone {
        action: 0,
        left: None,
    };
    run.admit(undone).unwrap();
    run.admit(Record::Ended { at_unix_s: 1 }).unwrap();
}
