//! A step of a setup that does something wrong: the name of the node says what. On any other node it is a good one.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::hint::black_box;

use skep_sdk::installer::bindings::exports::skep::plugin::step::Guest;
use skep_sdk::installer::{
    Answer, Description, Facts, Finding, Kind, MakeFolder, Need, NumberRule, OptionItem, Owner,
    Planned, Proposal, Question, SetSetting, TextRule, Value, WriteFile,
};

/// Below the SDK's trait, which would not let it.
#[derive(Debug)]
pub struct Misstep;

struct Calls(Cell<u32>);

// SAFETY: a component has one thread.
#[allow(unsafe_code, reason = "see SAFETY")]
unsafe impl Sync for Calls {}

/// What must not be remembered.
static CALLS: Calls = Calls(Cell::new(0));

impl Guest for Misstep {
    fn describe() -> Description {
        Description::new(
            "A misstep",
            "Tries what a host does about steps that go wrong.",
        )
        .needs(Need::File("/etc/os-release".into()))
        .needs(Need::Program("systemctl".into()))
    }

    #[expect(clippy::panic, reason = "it is what is tried")]
    fn ask(facts: Facts, answers: Vec<Answer>) -> Vec<Question> {
        let calls = CALLS.0.get() + 1;
        CALLS.0.set(calls);
        let good = question("folder", &answers);
        match facts.agent.node.as_str() {
            "loop" => loop {
                black_box(&answers);
            },
            "grow" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(black_box(Vec::<u8>::with_capacity(1 << 20)));
                }
            }
            "panic" => panic!("misstep"),
            "flood" => (0..65)
                .map(|id| question(&format!("q{id}"), &answers))
                .collect(),
            "vast" => vec![Question {
                help: "x".repeat(4 << 20),
                ..good
            }],
            "twice" => vec![good.clone(), good],
            "id" => vec![question("A question?", &answers)],
            "babble" => vec![Question {
                label: String::from("\u{1b}[2J\u{202e}"),
                ..good
            }],
            "bounds" => vec![Question {
                kind: Kind::Number(NumberRule {
                    min: 1,
                    max: 0,
                    step: 1,
                    unit: String::new(),
                }),
                default: None,
                ..good
            }],
            "default" => vec![Question {
                default: Some(Value::Number(7)),
                ..good
            }],
            "options" => vec![Question {
                kind: Kind::Choice(vec![option("a"), option("a")]),
                default: None,
                ..good
            }],
            "remember" => vec![Question {
                label: format!("asked {calls} times"),
                ..good
            }],
            _ => vec![good],
        }
    }

    fn plan(facts: Facts, answers: Vec<Answer>) -> Result<Proposal, String> {
        let folder = folder(&answers);
        let make = Planned {
            action: MakeFolder {
                path: folder.clone(),
                mode: 0o755,
                owner: Owner::default(),
            }
            .into(),
            why: String::from("Models are kept there."),
        };
        let write = |content: String| Planned {
            action: WriteFile {
                path: format!("{folder}/README"),
                content,
                mode: 0o644,
                owner: Owner::default(),
            }
            .into(),
            why: String::from("Whoever finds it knows what it is."),
        };
        match facts.agent.node.as_str() {
            "actions" => Ok(Proposal {
                actions: vec![make; 129],
                notes: Vec::new(),
            }),
            "notes" => Ok(Proposal {
                actions: Vec::new(),
                notes: vec![String::from("note"); 33],
            }),
            "heavy" => Ok(Proposal {
                actions: vec![write("x".repeat(2 << 20))],
                notes: Vec::new(),
            }),
            "refuse" => Err("no, ".repeat(10_000)),
            _ => Ok(Proposal {
                actions: vec![
                    make,
                    write(String::from("models\n")),
                    Planned {
                        action: SetSetting {
                            key: String::from("node.name"),
                            value: Some(String::from("\"hive\"")),
                        }
                        .into(),
                        why: String::from("It is seen by that name."),
                    },
                ],
                notes: vec![String::from("Nothing is moved there.")],
            }),
        }
    }

    fn check(facts: Facts) -> Vec<Finding> {
        match facts.agent.node.as_str() {
            "alarm" => vec![Finding::failure("fire", "smoke"); 65],
            _ => vec![
                Finding::notice(
                    "It was looked at.",
                    format!("the system is `{}`", facts.system.os_name),
                )
                .remedy("Look at it again."),
            ],
        }
    }
}

fn question(id: &str, answers: &[Answer]) -> Question {
    let wrong = !folder(answers).starts_with('/');
    Question {
        id: id.into(),
        label: String::from("Folder"),
        help: String::from("Where models are kept."),
        kind: Kind::Text(TextRule {
            placeholder: String::from("/srv/models"),
            bytes_max: 200,
        }),
        default: Some(Value::Text(String::from("/srv/models"))),
        advanced: false,
        problem: wrong.then(|| String::from("it begins with `/`, as `/srv/models`")),
    }
}

fn option(value: &str) -> OptionItem {
    OptionItem {
        value: value.into(),
        label: value.into(),
        help: String::new(),
        recommended: false,
    }
}

fn folder(answers: &[Answer]) -> String {
    let given = answers.iter().rev().find(|answer| answer.id == "folder");
    match given.map(|answer| &answer.value) {
        Some(Value::Text(text)) if text.len() <= 200 => text.clone(),
        None => String::from("/srv/models"),
        Some(_) => String::new(),
    }
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, reason = "the component's entry points are generated")]
const _: () = {
    skep_sdk::installer::bindings::export!(Misstep with_types_in skep_sdk::installer::bindings);
};
