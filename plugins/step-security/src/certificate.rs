//! The certificate that the agent shows beyond this machine: one that it signs itself, one that somebody has, or one that an
//! authority gives.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use skep_sdk::installer::{
    Facts, Form, GenerateCertificate, GenerateKey, KeyKind, Owner, Plan, Protocol, is_path, toml,
};

use crate::authority::{self, Authority};

/// Where it comes from.
#[derive(Debug)]
pub(crate) enum Certificate {
    /// Made here, for these names.
    Own { names: Vec<String> },
    /// There already, in these files.
    Given { chain: String, key: String },
    /// An authority gives it.
    Authority(Authority),
}

pub(crate) fn ask_port(facts: &Facts, form: &mut Form<'_>, now: u16) -> u16 {
    let port = form
        .number("port", "Port (TCP)", 1, 65535)
        .help("The page is at this port of this machine's addresses. Below 1024 only root may listen.")
        .default(i64::from(now))
        .advanced()
        .get();
    let port = u16::try_from(port).unwrap_or(now);
    if let Some(taken) = facts.taken(Protocol::Tcp, port)
        && let Some(program) = &taken.program
    {
        form.wrong("port", format!("`{program}` listens on it: take another"));
    } else if port < 1024 && !facts.is_root() {
        form.wrong("port", "only root may listen below 1024: take a higher one");
    }
    port
}

pub(crate) fn ask(facts: &Facts, form: &mut Form<'_>) -> Certificate {
    let made = own_paths(facts);
    let set = facts.setting_text("http.tls_certificate");
    let is_given = set.is_some_and(|path| path != made.0);
    let source = form
        .choice("certificate", "Certificate")
        .help("What browsers and programs know this node by.")
        .recommend(
            SELF,
            "Make one here",
            "Browsers warn once, until somebody trusts it.",
        )
        .option(
            FILES,
            "Use my own",
            "From an authority that browsers know, or of your organization.",
        )
        .option(
            ACME,
            "From Let's Encrypt",
            "For a name on the internet: had and renewed without you, and no browser warns.",
        )
        .default(if facts.setting("http.acme_names").is_some() {
            ACME
        } else if is_given {
            FILES
        } else {
            SELF
        })
        .get();
    if source == ACME {
        return Certificate::Authority(authority::ask(facts, form));
    }
    if source == FILES {
        let set = |key: &str| String::from(facts.setting_text(key).unwrap_or_default());
        let mut file = |id: &str, label: &str, key: &str, example: &str| {
            let mut field = form
                .text(id, label)
                .help("An absolute path; the agent's user must be able to read it.")
                .placeholder(example);
            let now = set(key);
            if !now.is_empty() && is_given {
                field = field.default(now);
            }
            let path = field.get();
            if !is_path(&path) {
                form.wrong(id, format!("an absolute path, as `{example}`"));
            }
            path
        };
        return Certificate::Given {
            chain: file(
                "certificate-file",
                "Certificate, with those that sign it",
                "http.tls_certificate",
                "/etc/ssl/hive.crt",
            ),
            key: file(
                "key-file",
                "Its private key",
                "http.tls_key",
                "/etc/ssl/private/hive.key",
            ),
        };
    }
    let names = form
        .lines("names", "Names and addresses")
        .help("By which people and programs call this node, one on each line.")
        .default(own_names(facts).join("\n"))
        .at_most(4096)
        .get();
    if names.is_empty() {
        form.wrong("names", "one name or address at least");
    } else if names.len() > NAMES_MAX {
        form.wrong("names", format!("{NAMES_MAX} at most"));
    } else if let Some(wrong) = names.iter().find(|name| !is_host(name)) {
        form.wrong("names", format!("`{wrong}` is no name or address"));
    }
    Certificate::Own { names }
}

/// The names that browsers may call the agent by, beside its addresses.
pub(crate) fn ask_hosts(
    facts: &Facts,
    form: &mut Form<'_>,
    certificate: Option<&Certificate>,
) -> Vec<String> {
    let default = match (facts.setting("http.allowed_hosts"), certificate) {
        (Some(set), _) => set
            .trim_matches(['[', ']'])
            .split(',')
            .map(|name| name.trim().trim_matches('"'))
            .filter(|name| is_host(name))
            .collect::<Vec<_>>()
            .join("\n"),
        (None, Some(Certificate::Own { names })) => {
            let names = names.iter().map(String::as_str);
            let named = names.filter(|name| is_host(name) && name.parse::<IpAddr>().is_err());
            let named: Vec<_> = named.filter(|name| *name != "localhost").collect();
            named.join("\n")
        }
        (None, Some(Certificate::Authority(authority))) => authority.names.join("\n"),
        (None, _) => String::new(),
    };
    let hosts = form
        .lines("hosts", "Further names of this node")
        .help("Browsers that call it by another name are refused, which keeps pages elsewhere from reaching it.")
        .default(default)
        .at_most(4096)
        .advanced()
        .get();
    if hosts.len() > NAMES_MAX {
        form.wrong("hosts", format!("{NAMES_MAX} at most"));
    } else if let Some(wrong) = hosts.iter().find(|name| !is_host(name)) {
        form.wrong("hosts", format!("`{wrong}` is no name"));
    }
    hosts
}

impl Certificate {
    pub(crate) fn plan(
        &self,
        facts: &Facts,
        listen: SocketAddr,
        plan: &mut Plan,
    ) -> Result<(), String> {
        let (chain, key) = match self {
            Self::Authority(authority) => {
                authority.plan(listen, plan);
                return Ok(());
            }
            Self::Given { chain, key } => (chain.clone(), key.clone()),
            Self::Own { names } => {
                let (chain, key) = own_paths(facts);
                if !is_path(&chain) {
                    return Err("it is not known where the agent's configuration is".into());
                }
                let owner = || Owner {
                    user: facts.agent.user.clone(),
                    group: String::new(),
                };
                plan.act(
                    GenerateKey {
                        path: key.clone(),
                        kind: KeyKind::EcP256,
                        comment: "skep".into(),
                        owner: owner(),
                    },
                    "The certificate is signed by it; it never leaves this machine.",
                );
                plan.act(
                    GenerateCertificate {
                        path: chain.clone(),
                        key: key.clone(),
                        names: names.clone(),
                        days: DAYS,
                        owner: owner(),
                    },
                    "Whoever calls this node sees it.",
                );
                (chain, key)
            }
        };
        plan.set(
            "http.tls_certificate",
            toml::text(&chain),
            "What is sent is encrypted under it.",
        );
        plan.set(
            "http.tls_key",
            toml::text(&key),
            "It proves that the certificate is ours.",
        );
        if facts.setting("http.acme_names").is_some() {
            authority::unplan(plan);
        }
        Ok(())
    }
}

fn own_paths(facts: &Facts) -> (String, String) {
    let folder = facts.agent.config_folder.trim_end_matches('/');
    (format!("{folder}/tls.crt"), format!("{folder}/tls.key"))
}

/// The machine's name, the name that local networks know it by, and its addresses.
fn own_names(facts: &Facts) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let host = facts.system.host_name.to_lowercase();
    if is_host(&host) && host != "localhost" {
        if !host.contains('.') {
            names.push(format!("{host}.local"));
        }
        names.insert(0, host);
    }
    names.push("localhost".into());
    let addresses = facts.interfaces.iter().filter(|interface| interface.up);
    for text in addresses.flat_map(|interface| &interface.addresses) {
        let address = text.split('/').next().unwrap_or_default();
        let Ok(address) = address.parse::<IpAddr>() else {
            continue;
        };
        let is_near = match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        let text = address.to_string();
        if !is_near && !names.contains(&text) && names.len() < NAMES_MAX / 2 {
            names.push(text);
        }
    }
    names
}

/// A name of labels, or an address.
pub(crate) fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let edges = !label.starts_with('-') && !label.ends_with('-');
        (1..=63).contains(&label.len()) && edges && label.bytes().all(fits)
    };
    (text.len() <= 253 && text.split('.').all(label)) || text.parse::<IpAddr>().is_ok()
}

const SELF: &str = "self";
const FILES: &str = "files";
const ACME: &str = "acme";

/// What browsers still take of a new one.
const DAYS: u32 = 397;
const NAMES_MAX: usize = 32;
