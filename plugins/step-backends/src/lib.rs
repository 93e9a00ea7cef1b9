//! The step for model servers: those on this machine, and one elsewhere.
//!
//! Decides what their upstreams are called and which settings they get. The key of a service is kept as a secret of this node; this step
//! learns only whether there is one.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use skep_sdk::installer::{
    AddUpstream, Description, Facts, Finding, Form, Installer, KeepSecret, Need, Plan, Service,
};

/// The step.
#[derive(Debug)]
pub struct Backends;

/// Which servers are used.
#[derive(Debug)]
pub struct Wish {
    local: Vec<Local>,
    elsewhere: Option<Elsewhere>,
}

/// A server on this machine.
#[derive(Debug)]
struct Local {
    name: String,
    plugin: String,
    url: String,
}

/// A service that speaks like OpenAI.
#[derive(Debug)]
struct Elsewhere {
    name: String,
    url: String,
    /// A key was given now.
    key_given: bool,
    /// There is one, now or from before.
    has_key: bool,
}

impl Installer for Backends {
    type Wish = Wish;

    fn describe() -> Description {
        Description::new(
            "Model servers",
            "Uses servers of models that are there: Ollama, or any service that speaks like OpenAI.",
        )
        .needs(Need::Services)
        .needs(Need::Program("ollama".into()))
    }

    fn ask(facts: &Facts, form: &mut Form<'_>) -> Wish {
        let found = found(facts);
        let mut local = Vec::new();
        if !found.is_empty() {
            let mut several = form
                .several("local", "Servers on this machine")
                .help("They were found running. Their models are offered beside skep's own.");
            for (server, service) in &found {
                several = several.recommend(
                    server.url.as_str(),
                    format!("{} at {}", server.name, server.url),
                    models(service),
                );
            }
            let all = found.iter().map(|(server, _)| server.url.clone());
            let chosen = several.default(all).get();
            let servers = found.into_iter().map(|(server, _)| server);
            local = servers
                .filter(|server| chosen.contains(&server.url))
                .collect();
        }
        let elsewhere = ask_elsewhere(facts, form);
        let is_taken = |other: &Elsewhere| local.iter().any(|server| server.name == other.name);
        if elsewhere.as_ref().is_some_and(is_taken) {
            form.wrong(
                "name",
                "a server on this machine has that name: choose another",
            );
        }
        Wish { local, elsewhere }
    }

    fn plan(_: &Facts, wish: Wish, plan: &mut Plan) -> Result<(), String> {
        for server in wish.local {
            plan.act(
                AddUpstream {
                    name: server.name,
                    plugin: server.plugin,
                    settings: vec![("base-url".into(), server.url)],
                },
                "Its models can be asked for by their names.",
            );
        }
        if let Some(elsewhere) = wish.elsewhere {
            let secret = format!("{}-key", elsewhere.name);
            if elsewhere.key_given {
                plan.act(
                    KeepSecret {
                        name: secret.clone(),
                        question: "key".into(),
                    },
                    "The service knows by it that requests are yours. No plugin ever sees its text.",
                );
            }
            let mut settings = vec![("base-url".into(), elsewhere.url.clone())];
            if elsewhere.has_key {
                settings.push(("key".into(), secret));
            }
            plan.act(
                AddUpstream {
                    name: elsewhere.name.clone(),
                    plugin: "openai".into(),
                    settings,
                },
                "Its models can be asked for by their names.",
            );
            plan.note(format!(
                "Requests for models of `{}` leave this machine, to {}.",
                elsewhere.name, elsewhere.url
            ));
        }
        Ok(())
    }

    fn check(facts: &Facts) -> Vec<Finding> {
        let mut found = Vec::new();
        for (server, service) in self::found(facts) {
            let evidence = format!("{} answers, with {}", server.url, models(service));
            found.push(Finding::fine(
                format!("`{}` runs on this machine.", server.plugin),
                evidence,
            ));
        }
        if facts.services.is_empty()
            && let Some(program) = facts.program("ollama")
        {
            let what = "Ollama is installed and does not answer.";
            found.push(
                Finding::notice(what, program.path.clone()).remedy("sudo systemctl start ollama"),
            );
        }
        let servers = facts
            .services
            .iter()
            .filter(|one| one.plugin == "ollama")
            .count();
        if servers == 1 && facts.gpus.len() > 1 {
            let what = "One Ollama server has all cards: a model that fits one card is not run twice at once.";
            let evidence = format!("{} cards, and one server", facts.gpus.len());
            let remedy = "start a server for each card (`CUDA_VISIBLE_DEVICES=1 OLLAMA_HOST=127.0.0.1:11435 ollama serve`), then come back: each is found and used";
            found.push(Finding::notice(what, evidence).remedy(remedy));
        }
        if found.is_empty() {
            let evidence = match facts.agent.upstreams.as_slice() {
                [] => "no upstream is configured, and none was found on this machine".into(),
                upstreams => format!("configured: {}", upstreams.join(", ")),
            };
            found.push(Finding::fine(
                "Models run on skep's own engine, and where they are configured.",
                evidence,
            ));
        }
        found
    }
}

/// The servers on this machine, named by what they are and where they listen, so that each keeps its name.
fn found(facts: &Facts) -> Vec<(Local, &Service)> {
    let mut found: Vec<(Local, &Service)> = Vec::new();
    for service in facts.services.iter().take(SERVERS_MAX) {
        let fits = is_url(&service.url) && is_name(&service.plugin);
        let port = service
            .url
            .trim_end_matches(['/', '1', 'v'])
            .rsplit(':')
            .next();
        let port = port.and_then(|port| port.split('/').next()?.parse::<u16>().ok());
        let name = match (service.plugin.as_str(), port) {
            ("ollama", Some(11434)) => String::from("ollama"),
            (plugin, Some(port)) => format!("{plugin}-{port}"),
            (plugin, None) => format!("{plugin}-local"),
        };
        let is_known = found.iter().any(|(known, _)| known.name == name);
        if fits && !is_known {
            let local = Local {
                name,
                plugin: service.plugin.clone(),
                url: service.url.clone(),
            };
            found.push((local, service));
        }
    }
    found
}

fn models(service: &Service) -> String {
    match service.models.len() {
        1 => "1 model".into(),
        count => format!("{count} models"),
    }
}

fn ask_elsewhere(facts: &Facts, form: &mut Form<'_>) -> Option<Elsewhere> {
    let provider = form
        .choice("provider", "A service elsewhere")
        .help("Its models are offered beside those that run here.")
        .option(NONE, "None", "Nothing leaves this machine.")
        .option("openai", "OpenAI", "api.openai.com; a key is needed.")
        .option(
            "other",
            "Another that speaks like OpenAI",
            "vLLM, llama-server, LM Studio, LiteLLM, another skep, and many others.",
        )
        .default(NONE)
        .get();
    if provider == NONE {
        return None;
    }
    let is_openai = provider == "openai";
    let url = if is_openai {
        String::from(OPENAI)
    } else {
        let url = form
            .text("url", "Address")
            .help("Where its interface begins; usually ends in /v1.")
            .placeholder("https://models.example.org/v1")
            .get();
        if !is_url(&url) {
            form.wrong(
                "url",
                "an address with `https://` or `http://`, as `https://models.example.org/v1`",
            );
        } else if url.starts_with("http://") && !is_near(&url) {
            form.wrong(
                "url",
                "beyond your own network only `https://` keeps requests and keys to yourself",
            );
        }
        url
    };
    let name = form
        .text("name", "Name")
        .help("What the service is called here.")
        .default(if is_openai { "openai" } else { "models" })
        .at_most(40)
        .advanced()
        .get();
    if !is_name(&name) {
        form.wrong("name", "a-z, 0-9 and `-`, a letter first");
    }
    let key_given = form
        .secret("key", "Key")
        .help("It is kept in a file that only the agent can read, and shown to this service alone.")
        .get();
    let secret = format!("{name}-key");
    let has_key = key_given || facts.agent.secrets.contains(&secret);
    if is_openai && !has_key {
        form.wrong(
            "key",
            "OpenAI wants a key: platform.openai.com has it under `API keys`",
        );
    }
    Some(Elsewhere {
        name,
        url: url.trim_end_matches('/').to_string(),
        key_given,
        has_key,
    })
}

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let first = text.bytes().next();
    text.len() <= 40
        && first.is_some_and(|byte| byte.is_ascii_lowercase())
        && text.bytes().all(fits)
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_graphic() && !"\"'`<>\\^{|}".contains(c);
    // A user before the host would be sent to whatever is behind it.
    !host.is_empty() && !host.contains('@') && text.len() <= 512 && text.chars().all(plain)
}

/// This machine, or a network that nobody routes on the internet.
fn is_near(url: &str) -> bool {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((host, _)) => host,
        None => host.rsplit_once(':').map_or(host, |(host, _)| host),
    };
    match host.parse() {
        Ok(core::net::IpAddr::V4(address)) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        Ok(core::net::IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        // A name without dots, or one that only the local network has.
        Err(_) => !host.contains('.') || host.ends_with(".local") || host.ends_with(".lan"),
    }
}

const OPENAI: &str = "https://api.openai.com/v1";
const NONE: &str = "none";

/// More servers on one machine than it has cards.
const SERVERS_MAX: usize = 16;

skep_sdk::installer!(Backends);
