//! Tokens per second through the whole product, by model, type, threads and streams, beside the speed of memory.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::bytes::{self, Model};
use super::report::{Cell, Report, Samples, Table};
use super::{Effort, Options, agent, kernels, load};
use crate::assemble::{self, Profile};
use crate::step::execute;

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    let binary = assemble::build(Profile::Release)?;
    load::program()?;
    let models = models(effort)?;
    let home = agent::fresh_home("models")?;
    add(&binary, &home, &models)?;
    let (mut single, mut many) = (Vec::new(), Vec::new());
    for model in &models {
        for threads in ["1", "2"] {
            eprintln!("    {}, {threads} threads", model.name);
            let mut server = serve(&binary, &home, model, threads)?;
            server.wait("/readyz", Duration::from_secs(120))?;
            let under = Under {
                model,
                server: &server,
                threads,
            };
            single.push(under.single(effort)?);
            if model.token_bytes < MANY_BYTES_MAX {
                many.push(under.many(effort)?);
            }
        }
    }
    report.add(Table {
        title: "Models, one stream",
        command: "cargo xtask bench models",
        note: "Tokens per second over HTTP, median (least–most). Prefill: a prompt of the length shown \
               and one token. Limit: bytes of weights that a token reads × tokens/s, of what as many \
               threads read from memory on 2 MiB pages right before and after (GB/s beside it); models that fit \
               into the processor's cache may pass it."
            .into(),
        columns: vec![
            "model", "MB", "threads", "prompt", "prefill", "decode", "memory GB/s", "% of limit",
        ],
        rows: single,
    });
    report.add(Table {
        title: "Models, concurrent streams",
        command: "cargo xtask bench models",
        note: "Decoded tokens per second of all streams together, counted while every stream was giving \
               tokens. Goal: 16 streams at least 3 times one."
            .into(),
        columns: vec![
            "model", "threads", "1 stream", "4 streams", "16 streams", "16 : 1",
        ],
        rows: many,
    });
    Ok(())
}

/// An agent with one model. It guesses nothing: random models soon repeat themselves, and guesses would come true as they
/// do nowhere else.
pub(super) fn serve(
    binary: &Path,
    home: &Path,
    model: &Model,
    threads: &str,
) -> Result<agent::Server> {
    serve_with(binary, home, model, threads, "false")
}

/// The same, guessing tokens ahead (`true`) or not (`false`).
pub(super) fn serve_with(
    binary: &Path,
    home: &Path,
    model: &Model,
    threads: &str,
    guess: &str,
) -> Result<agent::Server> {
    let settings = [
        ("MODELS_DEFAULT", model.name.as_str()),
        ("NODE_THREADS", threads),
        ("MODELS_SEQUENCES", "16"),
        ("MODELS_SPECULATE", guess),
    ];
    agent::skep(binary, home, &settings)
}

pub(super) fn models(effort: Effort) -> Result<Vec<Model>> {
    let mut models = vec![bytes::tiny()?];
    for (shape, kind) in effort.pick(&RANDOM[..1], &RANDOM[..]) {
        models.push(bytes::random(shape, kind)?);
    }
    Ok(models)
}

/// The random models that were asked for, smallest first.
pub(super) fn random(options: &Options) -> Result<Vec<Model>> {
    let named = RANDOM.map(|(shape, kind)| (bytes::random_name(shape, kind), shape, kind));
    let wanted: Vec<_> = named
        .iter()
        .filter(|(name, ..)| name.contains(&options.only))
        .collect();
    if wanted.is_empty() {
        let names: Vec<&str> = named.iter().map(|(name, ..)| name.as_str()).collect();
        bail!(
            "no random model's name holds `{}`; they are {}",
            options.only,
            names.join(", ")
        );
    }
    let count = options.effort.pick(1, wanted.len());
    let made = wanted.into_iter().take(count);
    made.map(|(_, shape, kind)| bytes::random(shape, kind))
        .collect()
}

/// Puts the random models where the agent finds them.
pub(super) fn add(binary: &Path, home: &Path, models: &[Model]) -> Result<()> {
    let mut server = agent::skep(binary, home, &[("MODELS_DEFAULT", "")])?;
    server.wait("/healthz", Duration::from_secs(60))?;
    for model in models.iter().filter(|model| model.name != "tiny") {
        execute(
            agent::client(binary, home)
                .arg("pull")
                .arg(&model.path)
                .args(["--name", &model.name])
                .stdout(std::io::stderr()),
        )?;
    }
    Ok(())
}

/// How one prompt was read.
pub(super) struct First {
    pub(super) ms: f64,
    pub(super) tokens_per_second: f64,
}

/// A server that has one model loaded.
pub(super) struct Under<'a> {
    pub(super) model: &'a Model,
    pub(super) server: &'a agent::Server,
    pub(super) threads: &'a str,
}

impl Under<'_> {
    fn single(&self, effort: Effort) -> Result<Vec<Cell>> {
        let (mut prefill, mut decode, mut memory) =
            (Samples::default(), Samples::default(), Samples::default());
        let prompt = (self.model.context - 32).min(512);
        self.round(16, 8, 1, 0)?;
        memory.push(memory_speed(self.threads)?);
        for seed in 1..=effort.pick(1, 3) {
            prefill.push(self.first(prompt, seed)?.tokens_per_second);
            decode.push(self.decode(1, seed)?);
            memory.push(memory_speed(self.threads)?);
        }
        let limit = memory.median().unwrap_or_default();
        let part = decode.median().unwrap_or_default() * self.model.token_bytes / limit;
        Ok(vec![
            Cell::text(&self.model.name),
            Cell::Number(self.model.token_bytes / 1e6, 1),
            Cell::text(self.threads),
            Cell::Number(prompt as f64, 0),
            Cell::Samples(prefill, 0),
            Cell::Samples(decode, 1),
            Cell::Number(limit / 1e9, 1),
            Cell::Number(part * 100.0, 0),
        ])
    }

    /// One, four and sixteen streams in turn, so that all three meet the same neighbours.
    fn many(&self, effort: Effort) -> Result<Vec<Cell>> {
        let mut rates = [Samples::default(), Samples::default(), Samples::default()];
        for seed in 11..11 + effort.pick(1, 3) {
            for (rates, streams) in rates.iter_mut().zip([1, 4, 16]) {
                rates.push(self.decode(streams, seed)?);
            }
        }
        let [one, four, sixteen] = rates;
        let ratio = sixteen.median().unwrap_or_default() / one.median().unwrap_or(f64::INFINITY);
        Ok(vec![
            Cell::text(&self.model.name),
            Cell::text(self.threads),
            Cell::Samples(one, 1),
            Cell::Samples(four, 1),
            Cell::Samples(sixteen, 1),
            Cell::Number(ratio, 2),
        ])
    }

    fn decode(&self, streams: u32, seed: u64) -> Result<f64> {
        let found = self.round(16, self.model.tokens(), streams, seed)?;
        load::number(&found, "/decode_tokens_per_second")
            .with_context(|| format!("{streams} streams were never all giving tokens"))
    }

    /// How a prompt is read: until the first text of its answer. Where the first token is no whole character there is none,
    /// and another prompt is asked.
    pub(super) fn first(&self, prompt: u64, seed: u64) -> Result<First> {
        for attempt in 0..FIRST_ATTEMPTS {
            let found = self.round(prompt, 1, 1, seed + attempt * 1_000_000)?;
            if let Ok(first_s) = load::number(&found, "/first_s") {
                return Ok(First {
                    ms: first_s * 1e3,
                    tokens_per_second: load::number(&found, "/prompt_tokens")? / first_s,
                });
            }
        }
        bail!(
            "{FIRST_ATTEMPTS} prompts of {prompt} tokens were answered without text by `{}`",
            self.model.name
        )
    }

    pub(super) fn round(
        &self,
        prompt: u64,
        tokens: u32,
        streams: u32,
        seed: u64,
    ) -> Result<serde_json::Value> {
        let (to, vocabulary) = (
            self.server.to.to_string(),
            self.model.vocabulary.to_string(),
        );
        let [prompt, tokens, streams, seed] =
            [prompt, tokens.into(), streams.into(), seed].map(|number| number.to_string());
        load::call([
            "generate",
            "--to",
            &to,
            "--model",
            &self.model.name,
            "--vocabulary",
            &vocabulary,
            "--prompt",
            &prompt,
            "--tokens",
            &tokens,
            "--streams",
            &streams,
            "--seed",
            &seed,
        ])
    }
}

impl Model {
    /// Tokens of an answer, so that no round takes too long.
    pub(super) fn tokens(&self) -> u32 {
        if self.token_bytes < MANY_BYTES_MAX {
            MANY_TOKENS
        } else {
            FEW_TOKENS
        }
    }
}

/// Bytes a second that so many threads read on large pages.
pub(super) fn memory_speed(threads: &str) -> Result<f64> {
    let mut program = std::process::Command::new(kernels::program()?);
    program.args([
        "--only",
        "memory",
        "--json",
        "--quick",
        "--threads",
        threads,
    ]);
    let found = load::call_with(&mut program)?;
    Ok(load::number(&found, "/memory/huge_pages_gb_s")? * 1e9)
}

/// Shape and type, smallest first; a quick run takes the first.
const RANDOM: [(&str, &str); 10] = [
    ("15m", "q8_0"),
    ("15m", "q4_0"),
    ("110m", "f16"),
    ("110m", "q8_0"),
    ("110m", "q4_0"),
    ("110m", "q4_k_m"),
    ("1b", "f16"),
    ("1b", "q8_0"),
    ("1b", "q4_0"),
    ("1b", "q4_k_m"),
];

/// Larger models are measured with fewer tokens and one stream, to bound the time.
const MANY_BYTES_MAX: f64 = 300e6;
/// The first token that a random model gives need not be a whole character, nor the next time.
const FIRST_ATTEMPTS: u64 = 12;
pub(super) const MANY_TOKENS: u32 = 192;
pub(super) const FEW_TOKENS: u32 = 48;
