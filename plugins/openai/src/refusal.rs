//! What a service means when it refuses: OpenAI's shape of an error, the shapes of others, and no shape at all.

use serde::Deserialize;
use serde_json::Value;
use skep_sdk::http::quoted;
use skep_sdk::upstream::{Error, Invalid};

/// Whom the refused request was for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) model: Option<&'a str>,
    /// The secret that signed it.
    pub(crate) key: Option<&'a str>,
}

/// A refusal as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: u16,
    message: String,
    /// It had the shape of an error.
    shaped: bool,
    /// The field that is to blame.
    param: Option<String>,
    /// What kind of error, for programs: `type` and `code`.
    kind: String,
    code: String,
    retry_after_s: Option<u64>,
    location: Option<String>,
}

/// `{"error": …}` of OpenAI and most, and what others put at the top.
#[derive(Deserialize)]
struct Shape {
    error: Option<Value>,
    message: Option<Value>,
    detail: Option<Value>,
    code: Option<Value>,
    r#type: Option<Value>,
    param: Option<Value>,
}

impl Refusal {
    /// Reads the body of an answer with a status of failure.
    pub(crate) fn read(status: u16, body: &[u8]) -> Self {
        match serde_json::from_slice::<Shape>(body) {
            Ok(shape) => Self::of(status, shape),
            Err(_) => Self {
                status,
                message: quoted(&String::from_utf8_lossy(body)),
                ..Self::default()
            },
        }
    }

    /// Reads an error that stands where a piece of an answer should: its status is what it says itself.
    pub(crate) fn inside(error: &Value) -> Self {
        let shape = Shape {
            error: Some(error.clone()),
            message: None,
            detail: None,
            code: None,
            r#type: None,
            param: None,
        };
        let mut refusal = Self::of(0, shape);
        let kind = refusal.kind.as_str();
        refusal.status = match (refusal.code.parse::<u16>(), kind) {
            (Ok(status @ 400..=599), _) => status,
            _ if kind.contains("invalid_request") || kind == "BadRequestError" => 400,
            _ if kind.contains("rate_limit") || refusal.code.contains("rate_limit") => 429,
            _ => 500,
        };
        refusal
    }

    fn of(status: u16, shape: Shape) -> Self {
        let (inner, message) = match shape.error {
            Some(Value::Object(inner)) => {
                let message = inner.get("message").cloned();
                (inner, message)
            }
            Some(Value::Null) | None => (serde_json::Map::new(), None),
            Some(other) => (serde_json::Map::new(), Some(other)),
        };
        let message = message.or(shape.message).or(shape.detail);
        let field = |name: &str, outer: Option<Value>| inner.get(name).cloned().or(outer);
        Self {
            status,
            shaped: message.is_some(),
            message: quoted(&text(message).unwrap_or_default()),
            param: text(field("param", shape.param)).filter(|param| !param.is_empty()),
            kind: text(field("type", shape.r#type)).unwrap_or_default(),
            code: text(field("code", shape.code)).unwrap_or_default(),
            ..Self::default()
        }
    }

    /// With the seconds after which the service wants to be asked again.
    pub(crate) fn after(mut self, retry_after_s: Option<u64>) -> Self {
        self.retry_after_s = retry_after_s;
        self
    }

    /// With the place that the service points to.
    pub(crate) fn at(mut self, location: Option<String>) -> Self {
        self.location = location;
        self
    }

    /// In the contract's words.
    pub(crate) fn into_error(self, asked: Asked<'_>) -> Error {
        let said = &self.message;
        if self.is_too_long() {
            return Error::TooLong(Invalid {
                field: self.field(),
                message: format!("the service says: {said}"),
            });
        }
        match self.status {
            300..=399 => Error::invalid(
                "base-url",
                format!(
                    "the service is elsewhere ({}): set `base-url` to where it answers itself",
                    quoted(self.location.as_deref().unwrap_or("it does not say where"))
                ),
            ),
            400 | 422 => Error::Invalid(Invalid {
                field: self.field(),
                message: format!("the service says: {said}"),
            }),
            401 | 403 => Error::Denied(match asked.key {
                Some(key) => format!("the service refused the secret `{key}`: {said}"),
                None => {
                    format!("the service wants a key (set `key` to the name of a secret): {said}")
                }
            }),
            404 if self.shaped && asked.model.is_some() => {
                Error::invalid("model", format!("the service says: {said}"))
            }
            501 => Error::Unsupported(format!("the service does not do this: {said}")),
            404 | 405 => Error::Unsupported(format!(
                "the service knows no such request (is `base-url` right?): {said}"
            )),
            402 | 408 | 409 | 429 => Error::Exhausted(match self.retry_after_s {
                Some(seconds) => {
                    format!("the service asks to come back in {seconds} s: {said}")
                }
                None => format!("the service asks to come back later: {said}"),
            }),
            status => Error::Other(format!("the service failed (status {status}): {said}")),
        }
    }

    fn is_too_long(&self) -> bool {
        self.status == 413
            || self.code == "context_length_exceeded"
            || self.kind == "exceed_context_size_error"
            || (self.status == 400 && self.message.contains("maximum context length"))
    }

    /// The field in our words.
    fn field(&self) -> Option<String> {
        let param = self.param.as_deref()?;
        Some(match param {
            "max_completion_tokens" => "max_tokens".to_owned(),
            "repeat_penalty" => "repetition_penalty".to_owned(),
            "ignore_eos" => "ignore_end".to_owned(),
            other => quoted(other),
        })
    }
}

/// A text, or what can be read as one.
fn text(value: Option<Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}
