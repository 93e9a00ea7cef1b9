//! Networks that lie over each other: packets to the one go to the other.

use alloc::format;
use alloc::vec::Vec;
use core::net::IpAddr;

use skep_sdk::installer::{Facts, Finding, Route};

/// A network: its first address as a number, and how many bits are its own.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Range {
    is_v6: bool,
    first: u128,
    prefix: u32,
}

pub(crate) fn findings(facts: &Facts) -> Vec<Finding> {
    let routes: Vec<(&Route, Range)> = facts
        .routes
        .iter()
        .filter(|route| route.gateway.is_none())
        .filter_map(|route| Some((route, range(&route.destination)?)))
        .filter(|(_, range)| range.prefix > 0)
        .take(ROUTES_MAX)
        .collect();
    let mut found = Vec::new();
    for (at, (one, first)) in routes.iter().enumerate() {
        for (other, second) in routes.iter().skip(at + 1) {
            let is_same = one.network_interface == other.network_interface;
            if !is_same && overlap(*first, *second) && found.len() < FINDINGS_MAX {
                let what = format!(
                    "The networks of `{}` and `{}` overlap: some machines cannot be reached.",
                    one.network_interface, other.network_interface
                );
                let evidence = format!("{} and {}", one.destination, other.destination);
                let remedy = "give one of them another range of addresses";
                found.push(Finding::warning(what, evidence).remedy(remedy));
            }
        }
    }
    found
}

fn range(text: &str) -> Option<Range> {
    let (address, prefix) = text.split_once('/')?;
    let prefix: u32 = prefix.parse().ok()?;
    let (is_v6, bits, width) = match address.parse().ok()? {
        IpAddr::V4(address) => (false, u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (true, address.to_bits(), 128),
    };
    (prefix <= width).then(|| Range {
        is_v6,
        first: bits & mask(prefix),
        prefix,
    })
}

const fn mask(prefix: u32) -> u128 {
    match prefix {
        0 => 0,
        prefix => u128::MAX << (128 - prefix),
    }
}

const fn overlap(one: Range, other: Range) -> bool {
    let shorter = if one.prefix < other.prefix {
        one.prefix
    } else {
        other.prefix
    };
    one.is_v6 == other.is_v6 && one.first & mask(shorter) == other.first & mask(shorter)
}

/// What is compared with each other: a host of containers has some dozens.
const ROUTES_MAX: usize = 64;
const FINDINGS_MAX: usize = 8;
