//! An engine that repeats one call to the host as often as a request says, so that the host can time it.
//!
//! It knows no model. A request's prompt is two token ids: which call, and how often in the next step.

use skep_sdk::engine::compute::{
    Batch, Bounds, Cache, CacheLayer, Dtype, EmbedOp, Index, Op, OutputWant, Plan, RunSequence,
    Want, Weight,
};
use skep_sdk::engine::{
    Abilities, Engine, Error, Event, File, Load, ModelInfo, Prompt, Settings, Usage, Work,
};

struct Costs {
    cache: Cache,
    plan: Plan,
    batch: Batch,
    asked: Option<(u64, Call, u32)>,
}

/// What is repeated.
#[derive(Clone, Copy)]
enum Call {
    /// A function of a host's resource that returns a number.
    Host,
    /// One run of the smallest graph: one row of a table of four columns, returned.
    Run,
}

impl Engine for Costs {
    fn open(_: Vec<File>, _: Option<File>, _: Settings) -> Result<Self, Error> {
        let table = Weight::from_values(&[1.0; 8], 2, 4)?;
        let layer = CacheLayer {
            kv_heads: 1,
            key_width: 16,
            value_width: 16,
        };
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
        Ok(Self {
            cache: Cache::create(&[layer], 1, 16, Dtype::F32)?,
            plan: Plan::compile(&ops, &[&table], None, bounds)?,
            batch: Batch {
                tokens: vec![1],
                sequences: vec![RunSequence {
                    tokens: 1,
                    start: 0,
                    pages: Vec::new(),
                }],
                outputs: vec![OutputWant {
                    row: 0,
                    want: Want::Row,
                }],
            },
            asked: None,
        })
    }

    fn info(&self) -> ModelInfo {
        ModelInfo {
            architecture: "costs".into(),
            name: String::new(),
            parameters: 8,
            quantisation: "F32".into(),
            vocabulary: 2,
            context_tokens: 16,
            trained_context_tokens: 16,
            embedding_width: 0,
            sequences: 1,
            cache_bytes: self.cache.size(),
            abilities: Abilities::COMPLETE,
        }
    }

    fn submit(&mut self, request: u64, work: Work) -> Result<(), Error> {
        let Work::Generate(generation) = work else {
            return Err(Error::invalid("work", "only generations are understood"));
        };
        let Prompt::Tokens(tokens) = generation.prompt else {
            return Err(Error::invalid("prompt", "give two token ids"));
        };
        let (call, count) = match tokens.as_slice() {
            [0, count] => (Call::Host, *count),
            [1, count] => (Call::Run, *count),
            _ => return Err(Error::invalid("prompt", "give a call, 0 or 1, and a count")),
        };
        self.asked = Some((request, call, count));
        Ok(())
    }

    fn cancel(&mut self, _request: u64) {
        self.asked = None;
    }

    fn step(&mut self) -> Result<Vec<Event>, Error> {
        let Some((request, call, count)) = self.asked.take() else {
            return Ok(Vec::new());
        };
        for _ in 0..count {
            match call {
                Call::Host => drop(self.cache.size()),
                Call::Run => drop(self.plan.run(&self.batch)?),
            }
        }
        let usage = Usage {
            prompt_tokens: 2,
            cached_tokens: 0,
            completion_tokens: 0,
        };
        Ok(vec![Event::Done((request, usage))])
    }

    fn load(&self) -> Load {
        Load {
            running: u32::from(self.asked.is_some()),
            waiting: 0,
            cache_pages: 1,
            cache_pages_used: 0,
            guessed: 0,
            guesses_kept: 0,
        }
    }

    fn tokenize(&self, _text: &str) -> Result<Vec<u32>, Error> {
        Err(Error::Unsupported("there is no tokenizer".into()))
    }

    fn detokenize(&self, _tokens: &[u32]) -> Result<String, Error> {
        Err(Error::Unsupported("there is no tokenizer".into()))
    }
}

skep_sdk::engine!(Costs);
