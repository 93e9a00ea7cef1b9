//! What the operator set, understood.

use std::time::Duration;

use serde_json::Value;
use skep_sdk::http::{Request, join};
use skep_sdk::upstream::{Error, Secret, Settings};

use crate::limits::CONNECT;

/// Where the server is and how it is to run models.
#[derive(Debug)]
pub(crate) struct Config {
    base_url: String,
    key: Option<(String, Secret)>,
    pub(crate) wishes: Wishes,
    silence: Duration,
}

/// What is said with every request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Wishes {
    pub(crate) context_tokens: Option<u32>,
    /// A text like `5m`, or a number of seconds.
    pub(crate) keep_alive: Option<Value>,
}

impl Config {
    pub(crate) fn read(settings: &Settings) -> Result<Self, Error> {
        let key = settings.get("key").map(str::to_owned);
        let base_url = settings.get("base-url").unwrap_or(BASE_URL);
        // What others call the address of a server, too: with its interface's path.
        let base_url = base_url.trim_end_matches('/').trim_end_matches("/api");
        Ok(Self {
            base_url: base_url.to_owned(),
            key: key.zip(settings.secret("key")?),
            wishes: Wishes {
                context_tokens: number(settings, "context-tokens")?,
                keep_alive: settings.get("keep-alive").map(keep_alive),
            },
            silence: Duration::from_secs(
                number(settings, "silence-s")?.unwrap_or(SILENCE_S).into(),
            ),
        })
    }

    /// A request for what is at a path.
    pub(crate) fn get(&self, path: &str) -> Request {
        self.dress(Request::get(join(&self.base_url, path)))
    }

    /// A request that sends JSON to a path.
    pub(crate) fn post(&self, path: &str, json: &[u8]) -> Request {
        self.dress(Request::post(join(&self.base_url, path)))
            .json(json)
    }

    /// The name of the secret that signs requests.
    pub(crate) fn key_name(&self) -> Option<&str> {
        self.key.as_ref().map(|(name, _)| name.as_str())
    }

    fn dress(&self, request: Request) -> Request {
        let request = request.connect(CONNECT).silence(self.silence);
        match &self.key {
            Some((_, secret)) => request.secret("authorization", "Bearer ", secret),
            None => request,
        }
    }
}

/// A number is seconds and must be one in JSON, too.
pub(crate) fn keep_alive(text: &str) -> Value {
    text.parse::<i64>()
        .map_or_else(|_| Value::from(text), Value::from)
}

fn number(settings: &Settings, name: &str) -> Result<Option<u32>, Error> {
    let Some(text) = settings.get(name) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => Err(Error::invalid(
            name,
            format!("the setting `{name}` is a whole number, 1 or more"),
        )),
    }
}

const BASE_URL: &str = "http://127.0.0.1:11434";
const SILENCE_S: u32 = 300;
