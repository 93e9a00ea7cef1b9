//! Who listens on which port, as far as whoever runs this may see.
//!
//! Reads `/proc/net` and `/proc/PID/fd` (proc(5)). Of sockets of other users the program is not told.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use super::Places;
use crate::host::installer::{Listener, Protocol};
use crate::limits::FACTS_ITEMS_MAX;

pub(super) fn look(places: &Places, until: Instant) -> Vec<Listener> {
    let mut sockets: Vec<(Listener, String)> = Vec::new();
    for (table, protocol) in TABLES {
        let text = places.text(&format!("/proc/net/{table}"), TABLE_BYTES);
        sockets.extend(
            text.lines()
                .skip(1)
                .filter_map(|line| socket(line, protocol)),
        );
    }
    sockets.truncate(FACTS_ITEMS_MAX);
    let owners = owners(places, &sockets, until);
    let named = sockets.into_iter().map(|(listener, inode)| Listener {
        program: owners.get(&inode).cloned(),
        ..listener
    });
    let mut listeners: Vec<Listener> = named.collect();
    listeners.sort_by(|one, other| (one.port, &one.address).cmp(&(other.port, &other.address)));
    listeners.dedup();
    listeners
}

/// A line of a table: of TCP those that listen (0A), of UDP those that are bound and not connected (07).
fn socket(line: &str, protocol: Protocol) -> Option<(Listener, String)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let listens = match protocol {
        Protocol::Tcp => "0A",
        Protocol::Udp => "07",
    };
    if *state != listens {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let listener = Listener {
        protocol,
        address: address_of(address)?.to_canonical().to_string(),
        port: u16::from_str_radix(port, 16).ok()?,
        program: None,
    };
    Some((listener, (*inode).to_owned()))
}

/// Words of 32 bits, each as it lies in memory.
fn address_of(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    if text.len() == 8 {
        return Some(IpAddr::V4(Ipv4Addr::from(word(0)?)));
    }
    let mut bytes = [0; 16];
    for (to, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
        to.copy_from_slice(&word(at)?);
    }
    Some(IpAddr::V6(Ipv6Addr::from(bytes)))
}

/// Programs by the inodes of their sockets.
fn owners(
    places: &Places,
    sockets: &[(Listener, String)],
    until: Instant,
) -> BTreeMap<String, String> {
    let mut owners = BTreeMap::new();
    let processes = places.names("/proc").into_iter();
    let processes = processes.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    for process in processes.take(PROCESSES_MAX) {
        if owners.len() == sockets.len() || Instant::now() >= until {
            break;
        }
        let Ok(files) = fs::read_dir(places.at(&format!("/proc/{process}/fd"))) else {
            continue;
        };
        let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        for target in targets.take(FILES_MAX) {
            let inode = target
                .to_str()
                .and_then(|target| target.strip_prefix("socket:[")?.strip_suffix(']'));
            let Some(inode) = inode else { continue };
            if sockets.iter().any(|(_, known)| known == inode) {
                let program = places.line(&format!("/proc/{process}/comm"));
                owners.insert(inode.to_owned(), program);
            }
        }
    }
    owners
}

const TABLES: [(&str, Protocol); 4] = [
    ("tcp", Protocol::Tcp),
    ("tcp6", Protocol::Tcp),
    ("udp", Protocol::Udp),
    ("udp6", Protocol::Udp),
];

/// Some 10,000 connections.
const TABLE_BYTES: u64 = 2 << 20;
const PROCESSES_MAX: usize = 4_096;
const FILES_MAX: usize = 16_384;
