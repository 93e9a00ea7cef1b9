//! Model servers that could become upstreams: Ollama, its forks, and what speaks like OpenAI.
//!
//! Decides which ports are tried and what an answer means. Looks at this machine, at the hosts that it is given, and nowhere
//! else: it never goes through a network's addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use skep_core::capability::{Capability, Host};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Kind, Service, ServiceError, Services};
use crate::limits::{
    FIND_ANSWER, FIND_AT_ONCE, FIND_BYTES_MAX, FIND_CONNECT, FIND_HOSTS_MAX, OFFER_NAME_BYTES_MAX,
    OFFERS_MAX,
};

/// Where Ollama listens, and after it its forks, which run one server for each card.
pub const OLLAMA_PORTS: std::ops::RangeInclusive<u16> = 11_434..=11_441;

/// Where what speaks like OpenAI usually listens: vLLM, llama-server (before and after it moved), LM Studio, SGLang, LiteLLM,
/// text-generation-webui, Jan, and another skep.
pub const OPENAI_PORTS: [u16; 9] = [
    8_000, 8_080, 9_931, 1_234, 30_000, 4_000, 5_000, 1_337, SKEP_PORT,
];

/// Where an agent listens unless it is told otherwise.
const SKEP_PORT: u16 = 7_420;

/// A server that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What the setting `base-url` would be.
    pub base_url: String,
    /// The plugin that knows how to speak with it.
    pub plugin: &'static str,
    /// What it says that it has.
    pub models: Vec<String>,
    /// It tells nothing without one.
    pub wants_key: bool,
    /// The upstream that uses it already.
    pub upstream: Option<String>,
}

/// A host, on one port or on all that are usual.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    host: Host,
    port: Option<u16>,
}

impl Services {
    /// Looks for model servers on this machine, on `nodes`, and where `named` says (`HOST` or `HOST:PORT`).
    ///
    /// # Errors
    /// When a host is none, or there are too many.
    pub async fn look_around(
        &self,
        named: &[String],
        nodes: &[IpAddr],
    ) -> Result<Vec<Found>, ServiceError> {
        let mut places = vec![Place::of(IpAddr::V4(Ipv4Addr::LOCALHOST))];
        places.extend(nodes.iter().map(|address| Place::of(*address)));
        for text in named {
            places.push(Place::parse(text)?);
        }
        places.sort();
        places.dedup();
        if places.len() > FIND_HOSTS_MAX {
            return Err(ServiceError::TooManyHosts);
        }
        let turns = Arc::new(Semaphore::new(FIND_AT_ONCE));
        let mut asking = JoinSet::new();
        for (host, port) in places.iter().flat_map(Place::doors) {
            // What the other nodes have is used already.
            let is_member = |node: &IpAddr| Host::Address(node.to_canonical()) == host;
            let is_node = port == SKEP_PORT && nodes.iter().any(is_member);
            if is_node || is_own(&self.0.own, &host, port) {
                continue;
            }
            let turns = turns.clone();
            asking.spawn(async move {
                let _turn = turns.acquire_owned().await.ok()?;
                let asked = tokio::task::spawn_blocking(move || ask(&host, port));
                asked.await.ok().flatten()
            });
        }
        let mut found = Vec::new();
        while let Some(asked) = asking.join_next().await {
            found.extend(asked.ok().flatten());
        }
        found.sort_by(|one, other| one.base_url.cmp(&other.base_url));
        let upstreams = self.base_urls();
        for one in &mut found {
            let used = upstreams.iter().find(|(url, _)| *url == one.base_url);
            one.upstream = used.map(|(_, name)| name.clone());
        }
        Ok(found)
    }

    /// Where each upstream's service is, as far as a setting says so.
    fn base_urls(&self) -> Vec<(String, String)> {
        let services = self.0.store.all().into_iter();
        let upstreams = services.filter(|service| service.kind == Kind::Upstream);
        let located = upstreams.filter_map(|service| {
            let (plugin, _) = self.0.prepared(&service).ok()?;
            let values = service.values(&plugin.manifest);
            let (_, url) = values.into_iter().find(|(name, _)| name == BASE_URL)?;
            Some((url.trim_end_matches('/').to_owned(), service.name))
        });
        located.collect()
    }

    /// What would have to be configured to use a server that was found.
    #[must_use]
    pub fn proposal(&self, found: &Found, taken: &mut Vec<String>) -> Service {
        let known = self.names(Kind::Upstream);
        let first = name(found);
        let mut name = first.clone();
        let mut number = 1;
        while known.contains(&name) || taken.contains(&name) {
            number += 1;
            name = format!("{first}-{number}");
        }
        taken.push(name.clone());
        let mut settings = vec![(BASE_URL.to_owned(), found.base_url.clone())];
        if found.wants_key {
            settings.push(("key".to_owned(), format!("{name}-key")));
        }
        Service {
            kind: Kind::Upstream,
            name,
            plugin: found.plugin.to_owned(),
            settings: settings.into_iter().collect(),
            models: Vec::new(),
            prefix: false,
            timeout_s: None,
            added_unix_s: crate::keys::unix_now_s(),
        }
    }
}

impl Place {
    fn of(address: IpAddr) -> Self {
        Self {
            host: Host::Address(address.to_canonical()),
            port: None,
        }
    }

    fn parse(text: &str) -> Result<Self, ServiceError> {
        let wrong = || ServiceError::Host(text.chars().take(64).collect());
        match format!("http-local:{text}").parse() {
            Ok(Capability::Http(place)) if !matches!(place.host, Host::Below(_)) => Ok(Self {
                host: place.host,
                port: place.port,
            }),
            _ => Err(wrong()),
        }
    }

    fn doors(&self) -> Vec<(Host, u16)> {
        let ports: Vec<u16> = match self.port {
            Some(port) => vec![port],
            None => OLLAMA_PORTS.chain(OPENAI_PORTS).collect(),
        };
        let doors = ports.into_iter().map(|port| (self.host.clone(), port));
        doors.collect()
    }
}

/// What to call a server as an upstream: after where it is.
fn name(found: &Found) -> String {
    let place = found.base_url.trim_start_matches("http://");
    let place = place.split('/').next().unwrap_or_default();
    let place = match place.strip_prefix("127.0.0.1:") {
        Some("11434") => found.plugin.to_owned(),
        Some(port) => format!("local-{port}"),
        None => place.to_ascii_lowercase(),
    };
    let plain = place.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
    let plain = plain.trim_matches('-');
    let name = match plain.starts_with(|first: char| first.is_ascii_lowercase()) {
        true => plain.to_owned(),
        false => format!("at-{plain}"),
    };
    name.chars().take(NAME_LETTERS).collect()
}

/// Whether the agent itself answers there.
fn is_own(own: &[SocketAddr], host: &Host, port: u16) -> bool {
    let is_here = |address: IpAddr| match host {
        Host::Address(host) => *host == address || (host.is_loopback() && address.is_unspecified()),
        Host::Name(name) => name == "localhost" && address.is_loopback(),
        Host::Below(_) => false,
    };
    own.iter()
        .any(|own| own.port() == port && is_here(own.ip()))
}

/// What answers on a port, if it is a model server.
fn ask(host: &Host, port: u16) -> Option<Found> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        // What is nearby is asked itself.
        .proxy(None)
        .timeout_connect(Some(FIND_CONNECT))
        .timeout_global(Some(FIND_ANSWER))
        .build();
    let agent: ureq::Agent = config.into();
    let root = match host {
        Host::Address(IpAddr::V6(address)) => format!("http://[{address}]:{port}"),
        host => format!("http://{host}:{port}"),
    };
    let get = |path: &str| {
        let mut answer = agent.get(format!("{root}{path}")).call().ok()?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(FIND_BYTES_MAX);
        Some((status, body.read_to_vec().ok()?))
    };
    // Others answer `/api/tags`, too; the version has only an Ollama.
    let (status, version) = get("/api/version")?;
    let found = |plugin, base_url, models, wants_key| {
        Some(Found {
            base_url,
            plugin,
            models,
            wants_key,
            upstream: None,
        })
    };
    if status == 200 && is_ollama(&version) {
        let models = get("/api/tags").map_or_else(Vec::new, |(_, body)| names(&body));
        return found("ollama", root, models, false);
    }
    let (status, body) = get("/v1/models")?;
    let base_url = format!("{root}/v1");
    match status {
        200 if is_list(&body) => found("openai", base_url, names(&body), false),
        401 | 403 if is_refusal(&body) => found("openai", base_url, Vec::new(), true),
        _ => None,
    }
}

/// `{"version": "0.9.1"}`
fn is_ollama(body: &[u8]) -> bool {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    body.is_some_and(|body| body.get("version").is_some_and(Value::is_string))
}

/// `{"object": "list", "data": [...]}`; some leave out the first.
fn is_list(body: &[u8]) -> bool {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    body.is_some_and(|body| body.get("data").is_some_and(Value::is_array))
}

/// A refusal in JSON, as interfaces for programs give it; pages for people do not.
fn is_refusal(body: &[u8]) -> bool {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    let says = |body: &Value, name| body.get(name).is_some();
    body.is_some_and(|body| says(&body, "error") || says(&body, "message") || says(&body, "detail"))
}

/// The models' names in either list.
fn names(body: &[u8]) -> Vec<String> {
    #[derive(Deserialize)]
    struct List {
        data: Option<Vec<One>>,
        /// Some send both lists.
        models: Option<Vec<One>>,
    }
    #[derive(Deserialize)]
    struct One {
        id: Option<String>,
        name: Option<String>,
    }
    let list: Option<List> = serde_json::from_slice(body).ok();
    let names = list.and_then(|list| list.data.or(list.models));
    let fitting = names
        .unwrap_or_default()
        .into_iter()
        .filter_map(|one| one.id.or(one.name))
        .filter(|name| (1..=OFFER_NAME_BYTES_MAX).contains(&name.len()));
    let shown = fitting.map(|name| crate::host::printable(&name));
    shown.take(OFFERS_MAX).collect()
}

/// As many letters of a name as leave room for a number behind it.
const NAME_LETTERS: usize = 56;

/// The setting by which the plugins that are proposed know their server.
const BASE_URL: &str = "base-url";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_with_or_without_a_port_and_nothing_else_is_one() {
        for (text, expect) in [
            ("hive2", Some((8 + 9, None))),
            ("10.0.0.7", Some((8 + 9, None))),
            ("10.0.0.7:9000", Some((1, Some(9000)))),
            ("[fd00::1]:9000", Some((1, Some(9000)))),
            ("10.0.0.0/24", None),
            ("*.example.org", None),
            ("http://hive2:9000", None),
            ("", None),
            ("a b", None),
        ] {
            let place = Place::parse(text).ok();
            let found = place.map(|place| (place.doors().len(), place.port));
            assert_eq!(found, expect, "{text}");
        }
    }

    #[test]
    fn a_server_is_called_after_where_it_is() {
        for (base_url, expect) in [
            ("http://127.0.0.1:11434", "ollama"),
            ("http://127.0.0.1:8080/v1", "local-8080"),
            ("http://10.0.0.7:8000/v1", "at-10-0-0-7-8000"),
            ("http://[fd00::1]:8000/v1", "fd00--1--8000"),
            ("http://Hive2.lan:8000/v1", "hive2-lan-8000"),
        ] {
            let found = Found {
                base_url: base_url.to_owned(),
                plugin: "ollama",
                models: Vec::new(),
                wants_key: false,
                upstream: None,
            };
            let name = name(&found);
            assert_eq!(name, expect);
            assert!(crate::plugins::manifest::check_name("name", &name).is_ok());
        }
    }

    #[test]
    fn the_agent_does_not_find_itself() {
        let own: Vec<SocketAddr> = vec!["127.0.0.1:7420".parse().unwrap()];
        let everywhere: Vec<SocketAddr> = vec!["0.0.0.0:7420".parse().unwrap()];
        let host = |text: &str| Place::parse(text).unwrap().host;
        assert!(is_own(&own, &host("127.0.0.1"), 7420));
        assert!(is_own(&own, &host("localhost"), 7420));
        assert!(is_own(&everywhere, &host("127.0.0.1"), 7420));
        assert!(!is_own(&own, &host("127.0.0.1"), 7421));
        assert!(!is_own(&own, &host("10.0.0.7"), 7420));
    }

    #[test]
    fn answers_are_told_apart() {
        assert!(is_ollama(br#"{"version":"0.9.1"}"#));
        assert!(!is_ollama(br#"{"error":"not found"}"#));
        assert!(!is_ollama(b"<html>"));
        assert!(is_list(br#"{"data":[]}"#));
        assert!(!is_list(br#"{"data":{}}"#));
        assert!(is_refusal(br#"{"error":{"message":"no key"}}"#));
        assert!(!is_refusal(b"<html>sign in</html>"));
        assert_eq!(
            names(br#"{"models":[{"name":"a:1b"},{"name":""}]}"#),
            ["a:1b"]
        );
        assert_eq!(names(br#"{"data":[{"id":"b\u001b["}]}"#).len(), 1);
        assert!(!names(br#"{"data":[{"id":"b\u001b["}]}"#)[0].contains('\u{1b}'));
        let both = br#"{"models":[{"name":"x","model":"x"}],"object":"list","data":[{"id":"c"}]}"#;
        assert_eq!(names(both), ["c"]);
        assert!(names(b"[]").is_empty());
    }
}
