//! What a service that speaks as OpenAI's does says when all is well, and how strictly it reads a request.

use serde_json::{Value, json};

use super::server::{End, Heard, Reply};

/// The models that it has.
pub(super) const MODELS: [&str; 2] = ["tiny", "org/large:latest"];

/// What it answers to everything, in pieces that no character and no event keeps to.
pub(super) const ANSWER: &str = "Hello \u{e9}\u{1f41d}, \"world\"\n";

/// What it says that a request used.
pub(super) const USED: (u32, u32) = (7, 5);

/// The answer to any request, when all is well.
pub(super) fn reply(heard: &Heard) -> Reply {
    if let Err(fault) = check(heard) {
        return refusal(400, &fault, "");
    }
    match place(heard) {
        "models" => models(),
        "chat/completions" | "completions" => stream(&events(heard), End::Whole),
        "embeddings" => embeddings(heard),
        _ => refusal(404, "there is nothing here", ""),
    }
}

/// What is asked for: the path below the base.
pub(super) fn place(heard: &Heard) -> &str {
    let path = heard.path.split('?').next().unwrap_or_default();
    path.strip_prefix(BASE).unwrap_or_default()
}

/// Where the interface begins.
pub(super) const BASE: &str = "/v1/";

/// A member of an object; null when there is none.
fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// What is wrong with a request, read as strictly as the interface is written.
pub(super) fn check(heard: &Heard) -> Result<(), String> {
    let (method, place) = (heard.method.as_str(), place(heard));
    if place == "models" {
        return (method == "GET" && heard.body.is_empty())
            .then_some(())
            .ok_or_else(|| format!("models are asked for by GET without a body, not by {method}"));
    }
    if method != "POST" {
        return Err(format!("`{place}` is asked for by POST, not by {method}"));
    }
    if !heard
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/json"))
    {
        return Err(format!(
            "`{place}` is asked for with a body of `application/json`"
        ));
    }
    let body = heard.json()?;
    let is_known = |name: &Value| MODELS.iter().any(|known| name == known);
    if !is_known(member(&body, "model")) {
        return Err(format!("there is no model {}", member(&body, "model")));
    }
    match place {
        "chat/completions" => {
            let messages = member(&body, "messages").as_array();
            let fits = |message: &Value| {
                member(message, "role").is_string() && member(message, "content").is_string()
            };
            if !messages.is_some_and(|all| !all.is_empty() && all.iter().all(fits)) {
                return Err(
                    "`messages` is no list of messages with a role and a content".to_owned(),
                );
            }
        }
        "completions" => {
            let is_tokens = |prompt: &Value| {
                prompt
                    .as_array()
                    .is_some_and(|all| all.iter().all(Value::is_u64))
            };
            if !member(&body, "prompt").is_string() && !is_tokens(member(&body, "prompt")) {
                return Err("`prompt` is neither a text nor tokens".to_owned());
            }
        }
        "embeddings" => {
            if !member(&body, "input").is_string() && !member(&body, "input").is_array() {
                return Err("`input` is neither a text nor a list".to_owned());
            }
            return Ok(());
        }
        _ => return Err(format!("there is no `{place}`")),
    }
    let fits = |name: &str, is: fn(&Value) -> bool| {
        let value = member(&body, name);
        (value.is_null() || is(value))
            .then_some(())
            .ok_or_else(|| format!("`{name}` cannot be {value}"))
    };
    for name in [
        "temperature",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
    ] {
        fits(name, Value::is_number)?;
    }
    for name in ["max_tokens", "max_completion_tokens", "n"] {
        fits(name, Value::is_u64)?;
    }
    fits("seed", Value::is_i64)?;
    fits("stream", Value::is_boolean)?;
    fits("stop", |stop| stop.is_string() || stop.is_array())
}

fn models() -> Reply {
    let list =
        MODELS.map(|id| json!({ "id": id, "object": "model", "created": 0, "owned_by": "trial" }));
    Reply::json(200, &json!({ "object": "list", "data": list }))
}

/// An error as the service says it.
pub(super) fn refusal(status: u16, message: &str, param: &str) -> Reply {
    let param = Some(param).filter(|param| !param.is_empty());
    Reply::json(
        status,
        &json!({ "error": { "message": message, "type": "trial", "param": param, "code": null } }),
    )
}

/// The data of each event of the answer.
pub(super) fn events(heard: &Heard) -> Vec<String> {
    let body = heard.json().unwrap_or_default();
    let is_chat = place(heard) == "chat/completions";
    let choices = member(&body, "n").as_u64().unwrap_or(1);
    let mut events = Vec::new();
    let mut letters = ANSWER.chars().peekable();
    while letters.peek().is_some() {
        let word: String = letters.by_ref().take(4).collect();
        for index in 0..choices {
            let choice = if is_chat {
                json!({ "index": index, "delta": { "content": word }, "finish_reason": null })
            } else {
                json!({ "index": index, "text": word, "finish_reason": null })
            };
            events.push(json!({ "object": "trial", "choices": [choice] }).to_string());
        }
    }
    for index in 0..choices {
        let choice = if is_chat {
            json!({ "index": index, "delta": {}, "finish_reason": "stop" })
        } else {
            json!({ "index": index, "text": "", "finish_reason": "stop" })
        };
        events.push(json!({ "choices": [choice] }).to_string());
    }
    let (prompt, completion) = USED;
    let usage = json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion });
    events.push(json!({ "choices": [], "usage": usage }).to_string());
    events.push("[DONE]".to_owned());
    events
}

/// Events as they come: cut anywhere, with a comment between, and with either end of a line.
pub(super) fn stream(events: &[String], end: End) -> Reply {
    let mut bytes = b": a comment\n\n".to_vec();
    for (at, data) in events.iter().enumerate() {
        let newline = if at % 2 == 0 { "\n" } else { "\r\n" };
        bytes.extend_from_slice(format!("data: {data}{newline}{newline}").as_bytes());
    }
    let size = ODD_BYTES.max(bytes.len() / PIECES_MAX);
    Reply::Pieces {
        content: "text/event-stream",
        pieces: bytes.chunks(size).map(<[u8]>::to_vec).collect(),
        end,
    }
}

/// Of a piece of a stream: no event keeps to it.
const ODD_BYTES: usize = 37;

/// Each is sent by itself, which takes its time.
const PIECES_MAX: usize = 64;

fn embeddings(heard: &Heard) -> Reply {
    let body = heard.json().unwrap_or_default();
    let count = member(&body, "input").as_array().map_or(1, Vec::len);
    let data: Vec<Value> = (0..count)
        .map(|index| json!({ "object": "embedding", "index": index, "embedding": [index, 0.5] }))
        .collect();
    Reply::json(
        200,
        &json!({ "object": "list", "data": data, "usage": { "prompt_tokens": count, "total_tokens": count } }),
    )
}
