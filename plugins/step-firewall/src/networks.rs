//! Networks as firewalls take them: an address whose other bits are zero, and how many count.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use skep_sdk::installer::Facts;

/// The networks of this machine's interfaces, those with a way out first. One of IPv4 for each: of IPv6 everybody has several, and
/// they change.
pub(crate) fn local(facts: &Facts) -> Vec<(String, String)> {
    let mut interfaces: Vec<_> = facts
        .interfaces
        .iter()
        .filter(|interface| interface.up && super::leads_out(interface.kind))
        .collect();
    interfaces.sort_by_key(|interface| !interface.default_route);
    let mut found: Vec<(String, String)> = Vec::new();
    for interface in interfaces {
        for text in &interface.addresses {
            let Some((address @ IpAddr::V4(_), prefix)) = parse(text) else {
                continue;
            };
            let network = spelled(address, prefix);
            let is_known = found.iter().any(|(_, known)| *known == network);
            if !super::is_near(address) && !is_known && found.len() < NETWORKS_MAX {
                found.push((interface.name.clone(), network));
            }
        }
    }
    found
}

/// Whether a network is one, and whether anything from it can come in.
pub(crate) fn check(facts: &Facts, text: &str) -> Result<(), String> {
    let Some((address, prefix)) = parse(text) else {
        return Err("an address and how many of its bits count, as `10.8.0.0/16`".into());
    };
    let network = spelled(address, prefix);
    if network != text {
        return Err(format!("the network of that address is `{network}`"));
    }
    let has_way = facts.routes.iter().any(|route| {
        let found = parse(&route.destination);
        found.is_some_and(|(of, width)| {
            let common = prefix.min(width);
            of.is_ipv4() == address.is_ipv4() && masked(of, common) == masked(address, common)
        })
    });
    if !has_way && !facts.routes.is_empty() {
        return Err(
            "this machine has no route to it, so nothing from there can be answered".into(),
        );
    }
    Ok(())
}

fn parse(text: &str) -> Option<(IpAddr, u32)> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let digits = prefix.len() <= 3 && prefix.bytes().all(|byte| byte.is_ascii_digit());
    let prefix: u32 = prefix.parse().ok().filter(|_| digits)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (prefix <= most).then_some((address, prefix))
}

fn spelled(address: IpAddr, prefix: u32) -> String {
    format!("{}/{prefix}", masked(address, prefix))
}

fn masked(address: IpAddr, prefix: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX
                .checked_shl(32_u32.saturating_sub(prefix))
                .unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX
                .checked_shl(128_u32.saturating_sub(prefix))
                .unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

/// More than anybody wants to choose from.
const NETWORKS_MAX: usize = 16;
