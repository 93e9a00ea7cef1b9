//! What the operator set, understood.

use std::time::Duration;

use skep_sdk::http::{Request, join};
use skep_sdk::upstream::{Error, Secret, Settings};

use crate::limits::CONNECT;

/// Where the service is and how it wants to be spoken to.
#[derive(Debug)]
pub(crate) struct Config {
    base_url: String,
    key: Option<Key>,
    headers: Vec<(&'static str, String)>,
    pub(crate) dialect: Dialect,
    silence: Duration,
}

#[derive(Debug)]
struct Key {
    /// The secret's name.
    name: String,
    secret: Secret,
    header: String,
}

/// Which words a service understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// OpenAI's own, which refuses every other word.
    OpenAi,
    /// With those of vLLM and llama-server.
    Extended,
}

impl Config {
    pub(crate) fn read(settings: &Settings) -> Result<Self, Error> {
        let base_url = settings.get("base-url").unwrap_or(BASE_URL).to_owned();
        let key = match (settings.get("key"), settings.secret("key")?) {
            (Some(name), Some(secret)) => Some(Key {
                name: name.to_owned(),
                secret,
                header: settings
                    .get("key-header")
                    .unwrap_or(AUTHORIZATION)
                    .to_ascii_lowercase(),
            }),
            _ => None,
        };
        let mut headers = Vec::new();
        for (setting, header) in [
            ("organization", "openai-organization"),
            ("project", "openai-project"),
        ] {
            headers.extend(
                settings
                    .get(setting)
                    .map(|value| (header, value.to_owned())),
            );
        }
        Ok(Self {
            dialect: dialect(settings.get("dialect"), &base_url)?,
            silence: silence(settings.get("silence-s"))?,
            base_url,
            key,
            headers,
        })
    }

    /// A request for what is at a path below the base.
    pub(crate) fn get(&self, path: &str) -> Request {
        self.dress(Request::get(join(&self.base_url, path)))
    }

    /// A request that sends JSON to a path below the base.
    pub(crate) fn post(&self, path: &str, json: &[u8]) -> Request {
        self.dress(Request::post(join(&self.base_url, path)))
            .json(json)
    }

    /// The name of the secret that signs requests.
    pub(crate) fn key_name(&self) -> Option<&str> {
        self.key.as_ref().map(|key| key.name.as_str())
    }

    fn dress(&self, mut request: Request) -> Request {
        request = request.connect(CONNECT).silence(self.silence);
        if let Some(key) = &self.key {
            let prefix = if key.header == AUTHORIZATION {
                "Bearer "
            } else {
                ""
            };
            request = request.secret(&key.header, prefix, &key.secret);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
    }
}

pub(crate) fn dialect(set: Option<&str>, base_url: &str) -> Result<Dialect, Error> {
    match set.unwrap_or("auto") {
        "openai" => Ok(Dialect::OpenAi),
        "extended" => Ok(Dialect::Extended),
        "auto" => {
            let rest = base_url
                .split_once("://")
                .map_or(base_url, |(_, rest)| rest);
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let host = authority.split(':').next().unwrap_or_default();
            let is_below = |domain: &str| {
                let host = host.to_ascii_lowercase();
                host.strip_suffix(domain)
                    .is_some_and(|front| front.is_empty() || front.ends_with('.'))
            };
            Ok(if is_below("openai.com") || is_below("azure.com") {
                Dialect::OpenAi
            } else {
                Dialect::Extended
            })
        }
        _ => Err(Error::invalid(
            "dialect",
            "the setting `dialect` is `auto`, `openai` or `extended`",
        )),
    }
}

fn silence(set: Option<&str>) -> Result<Duration, Error> {
    let seconds = set.unwrap_or(SILENCE_S).parse::<u32>().ok();
    match seconds.filter(|&seconds| seconds > 0) {
        Some(seconds) => Ok(Duration::from_secs(seconds.into())),
        None => Err(Error::invalid(
            "silence-s",
            "the setting `silence-s` is a whole number of seconds, 1 or more",
        )),
    }
}

const BASE_URL: &str = "https://api.openai.com/v1";
const AUTHORIZATION: &str = "authorization";
const SILENCE_S: &str = "120";
