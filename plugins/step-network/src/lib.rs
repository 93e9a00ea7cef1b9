//! The step for the network between nodes: where they reach this one, and how they find each other.
//!
//! Decides what is asked and which of the agent's settings follow. Where people reach it is the step for security's.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use skep_sdk::installer::{
    Description, Facts, Finding, Form, Installer, LinkKind, NetworkInterface, Plan, Protocol, toml,
};

mod overlap;

/// The step.
#[derive(Debug)]
pub struct Network;

/// Where other nodes reach this one.
#[derive(Debug)]
pub struct Wish {
    listen: SocketAddr,
    advertise: Option<SocketAddr>,
    announce: bool,
    look: Vec<String>,
}

impl Installer for Network {
    type Wish = Wish;

    fn describe() -> Description {
        Description::new(
            "Network",
            "Chooses where other nodes reach this one, and how they find each other.",
        )
    }

    fn ask(facts: &Facts, form: &mut Form<'_>) -> Wish {
        let address = ask_address(facts, form);
        let port = ask_port(facts, form);
        let announce = form
            .flag("announce", "Tell the local network that this node is there")
            .help("By mDNS, so that other nodes are found and can be joined without typing addresses. Names and addresses are told, nothing else.")
            .default(facts.setting("cluster.announce") != Some("false"))
            .get();
        let look = ask_places(facts, form);
        let text = form
            .text("advertise", "Address for other nodes")
            .help("Under which address and port others reach this node, where it cannot tell itself: behind a router that forwards a port. Empty: it tells itself.")
            .default("")
            .advanced()
            .get();
        let advertise = match (text.is_empty(), text.parse::<SocketAddr>()) {
            (true, _) => None,
            (false, Ok(advertise)) if !advertise.ip().is_unspecified() => Some(advertise),
            _ => {
                form.wrong("advertise", "an address and a port, as `203.0.113.7:7420`");
                None
            }
        };
        Wish {
            listen: SocketAddr::new(address, port),
            advertise,
            announce,
            look,
        }
    }

    fn plan(_: &Facts, wish: Wish, plan: &mut Plan) -> Result<(), String> {
        plan.set(
            "cluster.listen",
            toml::text(&wish.listen.to_string()),
            "Other nodes reach this one there. Nothing listens before it has, or invites, others.",
        );
        match wish.advertise {
            Some(advertise) => plan.set(
                "cluster.advertise",
                toml::text(&advertise.to_string()),
                "Other nodes are told this address.",
            ),
            None => plan.unset(
                "cluster.advertise",
                "This node finds out its address by itself.",
            ),
        }
        let why = if wish.announce {
            "Nodes on the local network see it."
        } else {
            "Nobody hears of it who is not told."
        };
        plan.set("cluster.announce", toml::flag(wish.announce), why);
        if wish.look.is_empty() {
            plan.unset("cluster.look", "Nodes are looked for on the local network.");
        } else {
            plan.set(
                "cluster.look",
                toml::texts(&wish.look),
                "Nodes are looked for there, too.",
            );
        }
        plan.note("What listens is changed when the agent starts anew.");
        Ok(())
    }

    fn check(facts: &Facts) -> Vec<Finding> {
        let mut found = Vec::new();
        found.push(reachable(facts));
        found.extend(overlap::findings(facts));
        if facts.name_servers.is_empty() {
            let what = "No name server is configured: models cannot be fetched from elsewhere.";
            let evidence = "/etc/resolv.conf names none";
            found.push(
                Finding::warning(what, evidence)
                    .remedy("configure one in what manages the network"),
            );
        } else {
            let evidence = facts.name_servers.join(", ");
            found.push(Finding::fine("Names can be looked up.", evidence));
        }
        found
    }
}

/// The interfaces that other machines can be behind, with the address of each, those with a way out first.
fn usable(facts: &Facts) -> Vec<(&NetworkInterface, IpAddr)> {
    let fits = |interface: &&NetworkInterface| {
        interface.up && interface.kind != LinkKind::Loopback && !interface.name.is_empty()
    };
    let mut found: Vec<_> = facts
        .interfaces
        .iter()
        .filter(fits)
        .filter_map(|interface| Some((interface, address(interface)?)))
        .collect();
    found.sort_by_key(|(interface, _)| (!interface.default_route, rank(interface.kind)));
    found
}

/// Its first address that others can use: not one that means something on one cable only.
fn address(interface: &NetworkInterface) -> Option<IpAddr> {
    let addresses = interface.addresses.iter().filter_map(|text| {
        let (address, _) = text.split_once('/')?;
        address.parse::<IpAddr>().ok()
    });
    let near = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_loopback(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_loopback(),
    };
    let mut far: Vec<_> = addresses.filter(|address| !near(address)).collect();
    far.sort_by_key(IpAddr::is_ipv6);
    far.first().copied()
}

const fn rank(kind: LinkKind) -> u8 {
    match kind {
        LinkKind::Ethernet => 0,
        LinkKind::Wireless => 1,
        LinkKind::Tunnel => 2,
        LinkKind::Bridge | LinkKind::Virtual | LinkKind::Loopback => 3,
    }
}

fn ask_address(facts: &Facts, form: &mut Form<'_>) -> IpAddr {
    let usable = usable(facts);
    let mut choice = form
        .choice("interface", "Network for nodes")
        .help("Where other nodes reach this one. Requests and models go that way, encrypted; the fastest is the best.")
        .recommend(ANY, "Every network", "Whatever address this machine has, also if it changes.");
    for (interface, address) in &usable {
        let speed = match interface.speed_mbit {
            0 => String::new(),
            mbit => format!(", {mbit} Mbit/s"),
        };
        choice = choice.option(
            interface.name.as_str(),
            format!("{} ({address})", interface.name),
            format!("Only there{speed}."),
        );
    }
    let now = listens(facts).map(|listen| listen.ip());
    let now = usable.iter().find(|(_, address)| Some(*address) == now);
    let default = now.map_or(ANY, |(interface, _)| interface.name.as_str());
    let chosen = choice.default(default).get();
    let found = usable
        .iter()
        .find(|(interface, _)| interface.name == chosen);
    found.map_or_else(|| IpAddr::from([0_u16; 8]), |(_, address)| *address)
}

fn ask_port(facts: &Facts, form: &mut Form<'_>) -> u16 {
    let now = listens(facts).or_else(|| facts.agent.listen.parse().ok());
    let port = form
        .number("port", "Port for nodes (UDP)", 1024, 65535)
        .help("Nodes speak QUIC with each other on it. All nodes may have the same.")
        .default(now.map_or(PORT, |now| i64::from(now.port())))
        .advanced()
        .get();
    let port = u16::try_from(port).unwrap_or(7420);
    if let Some(taken) = facts.taken(Protocol::Udp, port)
        && let Some(program) = &taken.program
    {
        let problem = format!("`{program}` listens on it: take another, as {}", port ^ 1);
        form.wrong("port", problem);
    }
    port
}

fn ask_places(facts: &Facts, form: &mut Form<'_>) -> Vec<String> {
    let places = form
        .lines("look", "Other places to look for nodes")
        .help("For nodes that the local network does not tell of, one on each line: `HOST:PORT`, or `dns:DOMAIN` for a domain whose records for `_skep._udp` name them.")
        .placeholder("192.168.2.10:7420\ndns:example.org")
        .default(facts.setting_texts("cluster.look").join("\n"))
        .at_most(4096)
        .advanced()
        .get();
    if places.len() > PLACES_MAX {
        form.wrong("look", format!("{PLACES_MAX} at most"));
    } else if let Some(wrong) = places.iter().find(|place| !is_place(place)) {
        form.wrong(
            "look",
            format!("`{wrong}` is no place: one as `192.168.2.10:7420` or `dns:example.org`"),
        );
    }
    places
}

/// As `cluster.look` takes it.
fn is_place(text: &str) -> bool {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return address.port() != 0 && !address.ip().is_unspecified();
    }
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
    match (text.strip_prefix("dns:"), text.rsplit_once(':')) {
        (Some(domain), _) => is_name(domain),
        (None, Some((name, port))) => is_port(port) && is_name(name),
        (None, None) => false,
    }
}

fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

fn listens(facts: &Facts) -> Option<SocketAddr> {
    facts.setting_text("cluster.listen")?.parse().ok()
}

fn reachable(facts: &Facts) -> Finding {
    let usable = usable(facts);
    let Some((interface, address)) = usable.first() else {
        let what = "This machine is on no network but its own: it can have no other nodes.";
        return Finding::notice(
            what,
            format!("{} interfaces, none of them usable", facts.interfaces.len()),
        );
    };
    let evidence = format!("`{}` has {address}", interface.name);
    if interface.kind == LinkKind::Wireless {
        let what = "This machine is on a wireless network: models that are split between nodes will be slow.";
        return Finding::notice(what, evidence).remedy("use a cable");
    }
    Finding::fine("Other machines can reach this one.", evidence)
}

const ANY: &str = "any";
/// As many as `cluster.look` takes.
const PLACES_MAX: usize = 64;
const PORT: i64 = 7420;

skep_sdk::installer!(Network);
