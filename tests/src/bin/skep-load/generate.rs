//! One round of streamed completions of random token ids: how fast prompts are read and tokens come.
//!
//! Every prompt is drawn anew, so that no cache of an earlier prompt can answer. Tokens are counted by
//! the server's own usage, which is held against the number that was asked for.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;
use serde_json::{Value, json};
use tokio::task::LocalSet;

use crate::connection::{Connection, post};
use crate::events::Events;

#[derive(Clone, Debug)]
pub(crate) struct Options {
    to: SocketAddr,
    model: String,
    prompt: usize,
    tokens: u32,
    streams: usize,
    vocabulary: u64,
    seed: u64,
}

impl Options {
    pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Self> {
        let mut to = None;
        let mut options = Self {
            to: SocketAddr::from(([127, 0, 0, 1], 7420)),
            model: String::new(),
            prompt: 16,
            tokens: 64,
            streams: 1,
            vocabulary: 4_096,
            seed: 1,
        };
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("to") => to = Some(arguments.value()?.parse()?),
                Long("model") => options.model = arguments.value()?.string()?,
                Long("prompt") => options.prompt = arguments.value()?.parse()?,
                Long("tokens") => options.tokens = arguments.value()?.parse()?,
                Long("streams") => options.streams = arguments.value()?.parse()?,
                Long("vocabulary") => options.vocabulary = arguments.value()?.parse()?,
                Long("seed") => options.seed = arguments.value()?.parse()?,
                other => return Err(other.unexpected().into()),
            }
        }
        options.to = to.context("give `--to ADDRESS`")?;
        if options.model.is_empty() || options.streams == 0 || options.vocabulary <= RESERVED * 2 {
            bail!("give `--model NAME`, at least one stream, and the vocabulary's size");
        }
        Ok(options)
    }
}

/// One stream as it was seen, in seconds since the round began.
struct Stream {
    /// When each event with text came.
    events: Vec<f64>,
    end: f64,
    prompt: u64,
    tokens: u64,
}

pub(crate) async fn run(options: Options) -> Result<Value> {
    let local = LocalSet::new();
    let begin = Instant::now();
    let tasks: Vec<_> = (0..options.streams as u64)
        .map(|index| {
            let options = options.clone();
            local.spawn_local(async move { stream(&options, index, begin).await })
        })
        .collect();
    let streams = local
        .run_until(async {
            let mut streams = Vec::new();
            for task in tasks {
                streams.push(task.await??);
            }
            anyhow::Ok(streams)
        })
        .await?;
    Ok(report(&streams))
}

async fn stream(options: &Options, index: u64, begin: Instant) -> Result<Stream> {
    let mut random = Random(options.seed.wrapping_mul(1_000_003).wrapping_add(index));
    // Special tokens stand at one end of a vocabulary or the other.
    let span = options.vocabulary - 2 * RESERVED;
    let prompt: Vec<u64> = (0..options.prompt)
        .map(|_| RESERVED + random.next() % span)
        .collect();
    let body = json!({
        "model": options.model,
        "prompt": prompt,
        "max_tokens": options.tokens,
        "temperature": 0,
        "ignore_eos": true,
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    let mut connection = Connection::open(options.to).await?;
    let request = post(options.to, "/v1/completions", &body.to_string());
    let status = connection.send(&request).await?;
    let mut seen = Stream {
        events: Vec::new(),
        end: 0.0,
        prompt: 0,
        tokens: 0,
    };
    if status != 200 {
        let mut body = Vec::new();
        while connection.piece(&mut body).await? {}
        bail!("status {status}: {}", String::from_utf8_lossy(&body));
    }
    let mut events = Events::default();
    let mut done = false;
    while connection.piece(events.body()).await? {
        let now = begin.elapsed().as_secs_f64();
        while let Some(event) = events.next() {
            done |= event == b"[DONE]";
            if !done {
                seen.take(event, now)?;
            }
        }
    }
    if !done {
        bail!("the stream ended without `[DONE]`");
    }
    Ok(seen)
}

impl Stream {
    fn take(&mut self, event: &[u8], now: f64) -> Result<()> {
        let event: Value = serde_json::from_slice(event).context("an event is not JSON")?;
        if let Some(error) = event.get("error") {
            bail!("the server says: {error}");
        }
        let text = event.pointer("/choices/0/text").and_then(Value::as_str);
        if text.is_some_and(|text| !text.is_empty()) {
            self.events.push(now);
            self.end = now;
        }
        let usage = |name: &str| {
            event
                .pointer(&format!("/usage/{name}"))
                .and_then(Value::as_u64)
        };
        self.prompt = usage("prompt_tokens").unwrap_or(self.prompt);
        self.tokens = usage("completion_tokens").unwrap_or(self.tokens);
        Ok(())
    }

    fn first(&self) -> Option<f64> {
        self.events.first().copied()
    }

    /// Tokens per event with text: more than one where a character spans tokens.
    fn tokens_per_event(&self) -> f64 {
        self.tokens as f64 / self.events.len().max(1) as f64
    }
}

/// `decode` is over all streams, counted while every one of them was giving tokens; `overlap` says how
/// much of all tokens that was.
fn report(streams: &[Stream]) -> Value {
    let all = || streams.iter();
    let begin = all().filter_map(Stream::first).fold(0.0, f64::max);
    let end = all().map(|stream| stream.end).fold(f64::INFINITY, f64::min);
    let within: f64 = all()
        .map(|stream| {
            let inside = |at: &&f64| **at > begin && **at <= end;
            stream.events.iter().filter(inside).count() as f64 * stream.tokens_per_event()
        })
        .sum();
    let tokens: u64 = all().map(|stream| stream.tokens).sum();
    let decode = (end > begin).then(|| within / (end - begin));
    json!({
        "prompt_tokens": all().map(|stream| stream.prompt).sum::<u64>(),
        "tokens": tokens,
        "overlap": within / tokens.max(1) as f64,
        "first_s": all().filter_map(Stream::first).fold(f64::INFINITY, f64::min),
        "all_first_s": begin,
        "end_s": all().map(|stream| stream.end).fold(0.0, f64::max),
        "decode_tokens_per_second": decode,
    })
}

/// Splitmix64 (Steele, Lea, Flood 2014): enough to draw prompts.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Token ids at both ends of a vocabulary that are never drawn.
const RESERVED: u64 = 300;
