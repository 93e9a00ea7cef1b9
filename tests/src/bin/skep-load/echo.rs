//! A backend that answers every chat completion at once, with as many words as it asks for, so that what is measured is the gateway before it.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug)]
pub(crate) struct Options {
    listen: SocketAddr,
    tokens: usize,
}

impl Options {
    pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Self> {
        let (mut listen, mut tokens) = (None, 16);
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("listen") => listen = Some(arguments.value()?.parse()?),
                Long("tokens") => tokens = arguments.value()?.parse()?,
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(Self {
            listen: listen.context("give `--listen ADDRESS`")?,
            tokens,
        })
    }
}

/// Serves until the process is ended.
pub(crate) async fn serve(options: Options) -> Result<Value> {
    let listener = TcpListener::bind(options.listen).await?;
    let answers: Vec<Answers> = (0..=options.tokens).map(Answers::of).collect();
    let answers: &'static [Answers] = answers.leak();
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = converse(stream, answers).await {
                eprintln!("connection: {error:#}");
            }
        });
    }
}

/// The bytes of every answer there is.
struct Answers {
    about: Vec<u8>,
    whole: Vec<u8>,
    streamed: Vec<u8>,
}

impl Answers {
    fn of(tokens: usize) -> Self {
        let text = "echo ".repeat(tokens);
        let head = r#""id":"chatcmpl-1","created":1,"model":"echo""#;
        let whole = format!(
            r#"{{{head},"object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":8,"completion_tokens":{tokens},"total_tokens":{}}}}}"#,
            tokens + 8
        );
        let delta = |delta: &str, reason: &str| {
            let event = format!(
                "data: {{{head},\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{reason}}}]}}\n\n"
            );
            format!("{:x}\r\n{event}\r\n", event.len())
        };
        let mut streamed =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                .to_owned();
        streamed += &delta(r#"{"role":"assistant","content":""}"#, "null");
        streamed += &delta(r#"{"content":"echo "}"#, "null").repeat(tokens);
        streamed += &delta("{}", "\"stop\"");
        streamed += "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
        Self {
            about: json_answer(
                r#"{"object":"list","data":[{"id":"echo","object":"model","created":1,"owned_by":"nobody"}],"model_path":"echo","status":"ready"}"#,
            ),
            whole: json_answer(&whole),
            streamed: streamed.into_bytes(),
        }
    }
}

fn json_answer(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn converse(mut stream: TcpStream, answers: &[Answers]) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(16 << 10);
    loop {
        let (whole, head) = match request(&received)? {
            Some(lengths) => lengths,
            None if received.len() > REQUEST_BYTES_MAX => bail!("the request is too large"),
            None => {
                if stream.read_buf(&mut received).await? == 0 {
                    return Ok(());
                }
                continue;
            }
        };
        let body = received.get(head..whole).unwrap_or_default();
        let tokens = max_tokens(body)
            .unwrap_or(usize::MAX)
            .min(answers.len() - 1);
        let answers = answers.get(tokens).context("no answers")?;
        let answer = if body.is_empty() {
            &answers.about
        } else if contains(body, b"\"stream\":true") || contains(body, b"\"stream\": true") {
            &answers.streamed
        } else {
            &answers.whole
        };
        stream.write_all(answer).await?;
        received.drain(..whole);
    }
}

/// The lengths of a whole request and of its head, once all of it is there.
fn request(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(head) = request.parse(bytes)? else {
        return Ok(None);
    };
    let mut length = 0;
    for field in request.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            length = std::str::from_utf8(field.value)?.trim().parse()?;
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            bail!("requests in chunks are not understood here");
        }
    }
    let whole = head + length;
    Ok((bytes.len() >= whole).then_some((whole, head)))
}

/// How many tokens a request asks for, without reading the rest of it.
fn max_tokens(body: &[u8]) -> Option<usize> {
    let field = b"\"max_tokens\":";
    let at = body
        .windows(field.len())
        .position(|window| window == field)?
        + field.len();
    let digits = body.get(at..)?.trim_ascii_start();
    let end = digits.iter().position(|digit| !digit.is_ascii_digit())?;
    std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}

pub(crate) fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

const REQUEST_BYTES_MAX: usize = 16 << 20;
