//! The step that opens ports: in the firewall that is there, from where they are needed, and no more.
//!
//! Decides which ports an agent needs and which networks they are for. Refuses to install a firewall, or to turn one on: that could
//! lock people out.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use skep_sdk::installer::{
    Description, Facts, Finding, FirewallKind, Form, Installer, LinkKind, OpenPort, Plan, Protocol,
};

mod networks;

/// The step.
#[derive(Debug)]
pub struct Firewall;

/// Which ports are opened, for whom.
#[derive(Debug)]
pub struct Wish {
    firewall: Option<FirewallKind>,
    ports: Vec<Port>,
    from: Option<String>,
}

/// A port that is needed.
#[derive(Debug)]
struct Port {
    protocol: Protocol,
    port: u16,
    why: &'static str,
}

impl Installer for Firewall {
    type Wish = Wish;

    fn describe() -> Description {
        Description::new(
            "Firewall",
            "Opens the ports that others need in nftables, ufw or firewalld, from where they are needed.",
        )
    }

    fn ask(facts: &Facts, form: &mut Form<'_>) -> Wish {
        let firewall = ask_firewall(facts, form);
        if firewall.is_none() {
            return Wish {
                firewall,
                ports: Vec::new(),
                from: None,
            };
        }
        let mut ports = Vec::new();
        let cluster = cluster_port(facts);
        let opened = form
            .flag("cluster", &format!("Let other nodes in (UDP {cluster})"))
            .help("Nodes speak with each other there, encrypted, and only with nodes of their own cluster.")
            .default(true)
            .get();
        if opened {
            ports.push(Port {
                protocol: Protocol::Udp,
                port: cluster,
                why: "Other nodes reach this one there.",
            });
        }
        let http = http(facts);
        let port = http.map_or(HTTP_PORT, |listen| listen.port());
        let opened = form
            .flag("people", &format!("Let people and programs in (TCP {port})"))
            .help("The page and the interface for programs. Needed once the agent listens beyond this machine, which is the step for security's.")
            .default(http.is_some_and(|listen| !listen.ip().is_loopback()))
            .get();
        if opened {
            ports.push(Port {
                protocol: Protocol::Tcp,
                port,
                why: "The page and the interface for programs are there.",
            });
        }
        let opened = form
            .flag("discovery", "Let nodes find this one (UDP 5353)")
            .help("Multicast DNS, by which nodes on the local network see each other.")
            .default(facts.setting("cluster.announce") != Some("false"))
            .get();
        if opened {
            ports.push(Port {
                protocol: Protocol::Udp,
                port: MDNS_PORT,
                why: "Nodes on the local network find each other by it.",
            });
        }
        let from = ask_from(facts, form);
        Wish {
            firewall,
            ports,
            from,
        }
    }

    fn plan(_: &Facts, wish: Wish, plan: &mut Plan) -> Result<(), String> {
        let Some(firewall) = wish.firewall else {
            plan.note("No rule of any firewall is changed.");
            return Ok(());
        };
        for port in wish.ports {
            let open = OpenPort {
                firewall,
                protocol: port.protocol,
                port: port.port,
                from: wish.from.clone(),
            };
            plan.act(open, port.why);
        }
        Ok(())
    }

    fn check(facts: &Facts) -> Vec<Finding> {
        let mut found = Vec::new();
        let active: Vec<_> = filtering(facts);
        match active.as_slice() {
            [] if facts.firewalls.is_empty() => {
                let what = "No firewall is installed: whatever listens can be reached.";
                found.push(Finding::notice(
                    what,
                    "there is no nft, ufw or firewall-cmd",
                ));
            }
            [] => {
                let names: Vec<_> = facts.firewalls.iter().map(|one| name(one.kind)).collect();
                let what = "It is not known that any firewall filters.";
                found.push(Finding::notice(
                    what,
                    format!("installed: {}", names.join(", ")),
                ));
            }
            [one] => {
                let what = "A firewall filters what comes in.";
                found.push(Finding::fine(what, format!("`{}` is active", name(*one))));
            }
            several => {
                let names: Vec<_> = several.iter().map(|kind| name(*kind)).collect();
                let what = "Several firewalls filter at once: what one lets in the other may not.";
                let remedy = "turn all but one of them off";
                found.push(Finding::warning(what, names.join(" and ")).remedy(remedy));
            }
        }
        found
    }
}

/// Those that are known to filter. What `nft` shows is theirs where another is active.
fn filtering(facts: &Facts) -> Vec<FirewallKind> {
    let active = facts
        .firewalls
        .iter()
        .filter(|one| one.active == Some(true));
    let mut active: Vec<_> = active.map(|one| one.kind).collect();
    if active.len() > 1 {
        active.retain(|kind| *kind != FirewallKind::Nftables);
    }
    active
}

fn ask_firewall(facts: &Facts, form: &mut Form<'_>) -> Option<FirewallKind> {
    if facts.firewalls.is_empty() {
        return None;
    }
    let filtering = filtering(facts);
    // One that may filter, for all that is known, comes before one that does not.
    let likely = facts.firewalls.iter().find(|one| one.active.is_none());
    let best = filtering.first().copied();
    let best = best.or_else(|| likely.map(|one| one.kind));
    let mut choice = form
        .choice("firewall", "Firewall")
        .help("Where ports are opened. A firewall that does not filter needs nothing opened.");
    for firewall in &facts.firewalls {
        let help = match firewall.active {
            Some(true) => "It filters now.",
            Some(false) => "It is off; the rule counts once it is on.",
            None => "Whether it filters only root can tell.",
        };
        let name = name(firewall.kind);
        choice = match Some(firewall.kind) == best {
            true => choice.recommend(name, name, help),
            false => choice.option(name, name, help),
        };
    }
    choice = choice.option(NONE, "Leave it as it is", "No rule is changed.");
    let chosen = choice.default(best.map_or(NONE, name)).get();
    let kinds = facts.firewalls.iter().map(|firewall| firewall.kind);
    kinds.into_iter().find(|kind| name(*kind) == chosen)
}

fn ask_from(facts: &Facts, form: &mut Form<'_>) -> Option<String> {
    let networks = networks::local(facts);
    let mut choice = form
        .choice("from", "From where")
        .help("Who is let in. Nodes elsewhere need `anywhere`, or a network of your own.");
    for (interface, network) in &networks {
        choice = choice.recommend(
            network.as_str(),
            format!("{network} ({interface})"),
            "The network of this interface.",
        );
    }
    choice = choice
        .option(ANYWHERE, "Anywhere", "Whoever can reach this machine.")
        .option(OTHER, "Another network", "As `10.8.0.0/16`.");
    let default = networks.first().map_or(ANYWHERE, |(_, network)| network);
    match choice.default(default).get().as_str() {
        ANYWHERE => None,
        OTHER => {
            let text = form
                .text("from-network", "Network")
                .help("An address and how many of its bits count, as `10.8.0.0/16`.")
                .placeholder("10.8.0.0/16")
                .get();
            if let Err(problem) = networks::check(facts, &text) {
                form.wrong("from-network", problem);
            }
            Some(text)
        }
        network => Some(network.into()),
    }
}

fn http(facts: &Facts) -> Option<SocketAddr> {
    let set = facts.setting_text("http.listen");
    let set = set.and_then(|set| set.parse().ok());
    set.or_else(|| facts.agent.listen.parse().ok())
}

fn cluster_port(facts: &Facts) -> u16 {
    let set = facts.setting_text("cluster.listen");
    let set = set.and_then(|set| set.parse::<SocketAddr>().ok());
    set.or_else(|| http(facts))
        .map_or(HTTP_PORT, |listen| listen.port())
}

const fn name(kind: FirewallKind) -> &'static str {
    match kind {
        FirewallKind::Nftables => "nftables",
        FirewallKind::Ufw => "ufw",
        FirewallKind::Firewalld => "firewalld",
    }
}

/// Interfaces that lead to other machines.
fn leads_out(kind: LinkKind) -> bool {
    matches!(
        kind,
        LinkKind::Ethernet | LinkKind::Wireless | LinkKind::Tunnel
    )
}

/// Whether an address means something on one cable only.
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
    }
}

const HTTP_PORT: u16 = 7420;
const MDNS_PORT: u16 = 5353;
const NONE: &str = "none";
const ANYWHERE: &str = "anywhere";
const OTHER: &str = "other";

skep_sdk::installer!(Firewall);
