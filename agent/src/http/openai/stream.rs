//! Answers that are sent as they grow: server-sent events, as OpenAI documents them.
//!
//! Each choice begins with a chunk that names its role (chats), ends with one that names its
//! finish reason, and the stream ends with `[DONE]`. An error after the beginning is an event of
//! its own, and nothing follows it. While a request waits for another replica, because its own was
//! lost, comments keep the connection alive.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use bytes::{BufMut, Bytes, BytesMut};
use hyper::body::Frame;
use serde::Serialize;
use tokio::time::{Instant, Sleep, sleep};

use super::answer::{ChatLogprobs, CompletionLogprobs, Label, UsageShape, finish_reason};
use super::whole::{choice_index, expired};
use crate::http::error::ApiError;
use crate::http::limits::CHUNK_BYTES;
use crate::limits::MOVE_COMMENT;
use crate::metrics::Watch;
use crate::protocol::{Event, Gain};
use crate::router::{Job, Step};

/// Which endpoint's chunks are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Chat,
    Completion,
}

/// How a stream is to look.
#[derive(Debug)]
pub(super) struct Format {
    pub(super) dialect: Dialect,
    pub(super) label: Label,
    /// Choices for each piece of work.
    pub(super) choices: u32,
    pub(super) logprobs: bool,
    /// Whether a last chunk tells the usage.
    pub(super) usage: bool,
}

/// A response whose body follows a job. `first` has been taken from the job already.
pub(super) fn respond(
    format: Format,
    job: Job,
    first: Option<Step>,
    watch: Watch,
) -> Response<Body> {
    let mut stream = Stream {
        job,
        watch: Some(watch),
        written: Written {
            begun: BTreeMap::new(),
            format,
            buffer: BytesMut::with_capacity(512),
        },
        silence: None,
        over: false,
    };
    if let Some(first) = first {
        stream.take_in(first);
    }
    let mut response = Response::new(Body::new(stream));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that gather would turn a stream into one late answer.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct Stream {
    job: Job,
    watch: Option<Watch>,
    written: Written,
    /// Runs while the job waits for another replica: the client is to hear from us.
    silence: Option<Pin<Box<Sleep>>>,
    over: bool,
}

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    /// Everything that is there goes into one frame, so that a fast model does not cost a write
    /// for each token.
    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let stream = self.get_mut();
        while !stream.over && stream.written.buffer.len() < CHUNK_BYTES {
            match stream.job.poll_next(context) {
                Poll::Ready(Some(step)) => stream.take_in(step),
                Poll::Ready(None) => stream.finish(),
                Poll::Pending => break,
            }
        }
        if stream.written.buffer.is_empty() && !stream.over {
            stream.break_silence(context);
        }
        if !stream.written.buffer.is_empty() {
            let bytes = stream.written.buffer.split().freeze();
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if stream.over {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    }
}

impl Stream {
    fn take_in(&mut self, step: Step) {
        match step {
            Step::Event(work, Event::Gained(gain)) => self.written.gain(work, &gain),
            Step::Event(_, Event::Failed(error)) => self.fail(&error.into()),
            Step::Event(_, Event::Started(_) | Event::Embedded(_) | Event::Done(_)) => {}
            Step::Expired => self.fail(&expired()),
        }
    }

    /// Writes a comment, which clients ignore, when nothing was there to say for long because the job moves.
    fn break_silence(&mut self, context: &mut Context<'_>) {
        if !self.job.is_moving() {
            self.silence = None;
            return;
        }
        let silence = self
            .silence
            .get_or_insert_with(|| Box::pin(sleep(MOVE_COMMENT)));
        while silence.as_mut().poll(context).is_ready() {
            self.written
                .buffer
                .put_slice(b": its replica was lost; waiting for another one to go on\n\n");
            silence.as_mut().reset(Instant::now() + MOVE_COMMENT);
        }
    }

    fn fail(&mut self, error: &ApiError) {
        if self.over {
            return;
        }
        self.written.buffer.put_slice(b"data: ");
        self.written.buffer.put_slice(&error.to_json());
        self.written.buffer.put_slice(b"\n\n");
        self.over = true;
        if let Some(watch) = self.watch.take() {
            watch.ended(&self.job);
        }
    }

    fn finish(&mut self) {
        if self.written.format.usage {
            self.written.usage(self.job.usage().into());
        }
        self.written.buffer.put_slice(b"data: [DONE]\n\n");
        self.over = true;
        if let Some(watch) = self.watch.take() {
            watch.ended(&self.job);
        }
    }
}

/// What has been written of each choice, and what waits to be sent.
struct Written {
    format: Format,
    /// Where in its text each choice's next token begins, once it has begun.
    begun: BTreeMap<u32, usize>,
    buffer: BytesMut,
}

impl Written {
    fn gain(&mut self, work: usize, gain: &Gain) {
        let index = choice_index(work, self.format.choices, gain.choice);
        match self.format.dialect {
            Dialect::Chat => self.chat(index, gain),
            Dialect::Completion => self.completion(index, gain),
        }
    }

    fn chat(&mut self, index: u32, gain: &Gain) {
        if self.begun.insert(index, 0).is_none() {
            let delta = Delta {
                role: Some("assistant"),
                content: Some(""),
            };
            self.chat_chunk(index, delta, None, None);
        }
        if !gain.text.is_empty() || !gain.logprobs.is_empty() {
            let logprobs = self
                .format
                .logprobs
                .then(|| ChatLogprobs::of(&gain.logprobs));
            let delta = Delta {
                role: None,
                content: Some(&gain.text),
            };
            self.chat_chunk(index, delta, logprobs, None);
        }
        if let Some(finish) = gain.finish {
            self.chat_chunk(index, Delta::default(), None, Some(finish_reason(finish)));
        }
    }

    fn chat_chunk(
        &mut self,
        index: u32,
        delta: Delta<'_>,
        logprobs: Option<ChatLogprobs<'_>>,
        finish_reason: Option<&'static str>,
    ) {
        let choice = ChatChoice {
            index,
            delta,
            logprobs,
            finish_reason,
        };
        self.chunk(&[choice], None);
    }

    fn completion(&mut self, index: u32, gain: &Gain) {
        if gain.text.is_empty() && gain.logprobs.is_empty() && gain.finish.is_none() {
            return;
        }
        let mut offset = self.begun.get(&index).copied().unwrap_or(0);
        let logprobs = self
            .format
            .logprobs
            .then(|| CompletionLogprobs::of(&gain.logprobs, &mut offset));
        self.begun.insert(index, offset);
        let choice = CompletionChoice {
            text: &gain.text,
            index,
            logprobs,
            finish_reason: gain.finish.map(finish_reason),
        };
        self.chunk(&[choice], None);
    }

    fn usage(&mut self, usage: UsageShape) {
        let none: &[(); 0] = &[];
        self.chunk(none, Some(usage));
    }

    /// Writes one event. With `include_usage` every other chunk says `usage: null`.
    fn chunk(&mut self, choices: &[impl Serialize], usage: Option<UsageShape>) {
        #[derive(Serialize)]
        struct Shape<'a, C> {
            id: &'a str,
            object: &'static str,
            created: u64,
            model: &'a str,
            system_fingerprint: &'a str,
            choices: &'a [C],
            #[serde(skip_serializing_if = "Option::is_none")]
            usage: Option<Option<UsageShape>>,
        }
        let format = &self.format;
        let shape = Shape {
            id: &format.label.id,
            object: match format.dialect {
                Dialect::Chat => "chat.completion.chunk",
                Dialect::Completion => "text_completion",
            },
            created: format.label.created,
            model: &format.label.model,
            system_fingerprint: &format.label.fingerprint,
            choices,
            usage: format.usage.then_some(usage),
        };
        self.buffer.put_slice(b"data: ");
        // Writing to memory cannot fail, nor can these types.
        let _ = serde_json::to_writer((&mut self.buffer).writer(), &shape);
        self.buffer.put_slice(b"\n\n");
    }
}

#[derive(Serialize)]
struct ChatChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<ChatLogprobs<'a>>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

#[derive(Serialize)]
struct CompletionChoice<'a> {
    text: &'a str,
    index: u32,
    logprobs: Option<CompletionLogprobs>,
    finish_reason: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Finish, Usage};

    fn written(dialect: Dialect, usage: bool) -> Written {
        let label = Label {
            id: "id-1".into(),
            created: 7,
            model: "m".into(),
            fingerprint: "fp".into(),
        };
        Written {
            format: Format {
                dialect,
                label,
                choices: 2,
                logprobs: false,
                usage,
            },
            begun: BTreeMap::new(),
            buffer: BytesMut::new(),
        }
    }

    fn gain(choice: u32, text: &str, finish: Option<Finish>) -> Gain {
        Gain {
            choice,
            text: text.into(),
            tokens: vec![1],
            logprobs: Vec::new(),
            finish,
        }
    }

    /// The events as a client reads them, without what is the same in each.
    fn events(written: &Written) -> Vec<serde_json::Value> {
        let text = std::str::from_utf8(&written.buffer).unwrap();
        let one = |event: &str| {
            let mut event: serde_json::Value =
                serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
            let fields = event.as_object_mut().unwrap();
            for (name, value) in [("id", "id-1"), ("model", "m"), ("system_fingerprint", "fp")] {
                assert_eq!(fields.remove(name).unwrap(), value);
            }
            assert_eq!(fields.remove("created").unwrap(), 7);
            event
        };
        text.split_terminator("\n\n").map(one).collect()
    }

    #[test]
    fn a_chat_begins_with_a_role_and_ends_with_a_reason() {
        let mut written = written(Dialect::Chat, true);
        written.gain(0, &gain(0, "", None));
        written.gain(0, &gain(0, "a\n\n\"", None));
        written.gain(0, &gain(1, "b", Some(Finish::Length)));
        written.gain(0, &gain(0, "", Some(Finish::Stop)));
        written.usage(UsageShape::from(Usage {
            prompt_tokens: 3,
            cached_tokens: 1,
            completion_tokens: 2,
        }));
        let chunk = |index: u32, delta: serde_json::Value, reason: Option<&str>| {
            serde_json::json!({"object": "chat.completion.chunk", "usage": null, "choices": [
                {"index": index, "delta": delta, "logprobs": null, "finish_reason": reason}]})
        };
        let role = || serde_json::json!({"role": "assistant", "content": ""});
        let mut found = events(&written);
        let usage = found.pop().unwrap();
        assert_eq!(
            found,
            [
                chunk(0, role(), None),
                chunk(0, serde_json::json!({"content": "a\n\n\""}), None),
                chunk(1, role(), None),
                chunk(1, serde_json::json!({"content": "b"}), None),
                chunk(1, serde_json::json!({}), Some("length")),
                chunk(0, serde_json::json!({}), Some("stop")),
            ]
        );
        assert_eq!(usage["choices"], serde_json::json!([]));
        assert_eq!(usage["usage"]["total_tokens"], 5);
        assert_eq!(usage["usage"]["prompt_tokens_details"]["cached_tokens"], 1);
    }

    #[test]
    fn completions_of_several_prompts_are_numbered_through() {
        let mut written = written(Dialect::Completion, false);
        written.gain(0, &gain(1, "x", None));
        written.gain(1, &gain(0, "", None));
        written.gain(1, &gain(0, "y", Some(Finish::Stop)));
        let choice = |index: u32, text: &str, reason: Option<&str>| {
            serde_json::json!({"object": "text_completion", "choices": [
                {"index": index, "text": text, "logprobs": null, "finish_reason": reason}]})
        };
        assert_eq!(
            events(&written),
            [choice(1, "x", None), choice(2, "y", Some("stop"))]
        );
    }
}
