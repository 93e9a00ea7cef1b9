//! An engine that misbehaves: its model file holds one line, `WHERE WHAT`, the call in which it goes wrong and how.
//!
//! `WHERE` is the name of a call, or `never`. Until then it generates for ever, one word in each step, so
//! that there is always something under way to be interrupted.

mod vices;

use skep_sdk::engine::compute::{
    Batch, Bounds, Dtype, EmbedOp, Index, Op, OutputWant, Plan, RunSequence, TopWant, Want, Weight,
};
use skep_sdk::engine::{
    Abilities, Engine, Error, Event, File, Gain, Load, ModelInfo, Settings, Usage, Work,
};

/// What it is to do, and for whom it pretends to work.
#[derive(Debug)]
pub struct Wayward {
    place: String,
    vice: String,
    requests: Vec<(u64, Vec<u8>, bool)>,
    files: Vec<File>,
    /// A plan that reads the last row of a table in the model file.
    reading: Option<Plan>,
}

impl Wayward {
    fn go_wrong(&self, place: &str) -> Result<(), Error> {
        if self.place == place {
            vices::indulge(&self.vice, self.files.first())
        } else {
            Ok(())
        }
    }
}

impl Engine for Wayward {
    fn open(files: Vec<File>, _: Option<File>, _: Settings) -> Result<Self, Error> {
        let text = match files.first() {
            Some(file) => file.read(0, 1_000)?,
            None => Vec::new(),
        };
        let text = String::from_utf8_lossy(&text);
        let text = text.lines().next().unwrap_or_default().to_owned();
        let (place, vice) = text
            .split_once(' ')
            .ok_or_else(|| Error::Malformed("no vice is named".to_owned()))?;
        let opened = Self {
            place: place.to_owned(),
            vice: vice.to_owned(),
            requests: Vec::new(),
            reading: reading(&files, vice)?,
            files,
        };
        opened.go_wrong("open")?;
        Ok(opened)
    }

    fn info(&self) -> ModelInfo {
        let _ = self.go_wrong("info");
        ModelInfo {
            architecture: "wayward".to_owned(),
            name: self.vice.clone(),
            parameters: 0,
            quantisation: "none".to_owned(),
            vocabulary: 256,
            context_tokens: 1 << 20,
            trained_context_tokens: 1 << 20,
            embedding_width: 0,
            sequences: 64,
            cache_bytes: 0,
            // Bits of no name beside one that has one.
            abilities: match self.vice.as_str() {
                "flags" => Abilities::from_bits_retain(0xf8) | Abilities::COMPLETE,
                _ => Abilities::COMPLETE,
            },
        }
    }

    fn submit(&mut self, request: u64, _: Work) -> Result<(), Error> {
        self.go_wrong("submit")?;
        self.requests.push((request, Vec::new(), false));
        Ok(())
    }

    fn cancel(&mut self, request: u64) {
        if self.go_wrong("cancel").is_err() {
            return;
        }
        for known in &mut self.requests {
            known.2 |= known.0 == request;
        }
    }

    fn step(&mut self) -> Result<Vec<Event>, Error> {
        if self.vice == "silence" {
            return Ok(Vec::new());
        }
        if self.vice == "refusal" {
            return Err(Error::Other("it does not feel like it".to_owned()));
        }
        self.go_wrong("step")?;
        if let Some(plan) = &self.reading {
            let sequences = vec![RunSequence {
                tokens: 1,
                start: 0,
                pages: Vec::new(),
            }];
            let outputs = vec![OutputWant {
                row: 0,
                want: Want::Top(TopWant {
                    count: 1,
                    temperature: 1.0,
                }),
            }];
            plan.run(&Batch {
                tokens: vec![TABLE_ROWS - 1],
                sequences,
                outputs,
            })?;
        }
        let text = if self.vice == "verbosity" {
            "x".repeat(64 << 10)
        } else {
            "on and ".to_owned()
        };
        let mut events = Vec::new();
        self.requests.retain(|(request, _, cancelled)| {
            if *cancelled {
                let usage = Usage {
                    prompt_tokens: 1,
                    cached_tokens: 0,
                    completion_tokens: 1,
                };
                events.push(Event::Done((*request, usage)));
            } else {
                events.push(Event::Gained(Gain {
                    request: *request,
                    choice: 0,
                    text: text.clone(),
                    tokens: vec![1],
                    logprobs: Vec::new(),
                    finish: None,
                }));
            }
            !*cancelled
        });
        Ok(events)
    }

    fn load(&self) -> Load {
        let _ = self.go_wrong("load");
        Load {
            running: self.requests.len() as u32,
            waiting: 0,
            cache_pages: 0,
            cache_pages_used: 0,
            guessed: 0,
            guesses_kept: 0,
        }
    }

    fn tokenize(&self, _: &str) -> Result<Vec<u32>, Error> {
        self.go_wrong("tokenize")?;
        Err(Error::Unsupported("it has no tokenizer".to_owned()))
    }

    fn detokenize(&self, _: &[u32]) -> Result<String, Error> {
        self.go_wrong("detokenize")?;
        Err(Error::Unsupported("it has no tokenizer".to_owned()))
    }
}

/// Rows of 4 KiB that follow the first 4 KiB of the model file.
const TABLE_ROWS: u32 = 1_024;

fn reading(files: &[File], vice: &str) -> Result<Option<Plan>, Error> {
    let (Some(file), "reading") = (files.first(), vice) else {
        return Ok(None);
    };
    let table = Weight::from_file(file, 4_096, Dtype::F32, TABLE_ROWS, 1_024)?;
    let ops = [
        Op::Embed(EmbedOp {
            table: 0,
            index: Index::Tokens,
        }),
        Op::Outputs(0),
    ];
    let bounds = Bounds {
        tokens: 1,
        sequences: 1,
        outputs: 1,
    };
    Plan::compile(&ops, &[&table], None, bounds).map(Some)
}

skep_sdk::engine!(Wayward);
