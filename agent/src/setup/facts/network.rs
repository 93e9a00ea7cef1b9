//! Network interfaces, where packets go, and who is asked for names.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Places;
use crate::host::installer::{LinkKind, NetworkInterface, Route};
use crate::limits::{FACTS_FILE_BYTES, FACTS_ITEMS_MAX};

pub(super) fn interfaces(places: &Places, routes: &[Route]) -> Vec<NetworkInterface> {
    let addresses = addresses(places);
    let names = places.names("/sys/class/net").into_iter();
    let interfaces = names.take(FACTS_ITEMS_MAX).map(|name| {
        let at = |file: &str| format!("/sys/class/net/{name}/{file}");
        let is_up = match places.line(&at("operstate")).as_str() {
            "up" => true,
            // Loopback and tunnels do not know; their flags do (IFF_UP).
            "unknown" => {
                let flags = places.line(&at("flags"));
                let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16);
                flags.is_ok_and(|flags| flags & 1 == 1)
            }
            _ => false,
        };
        let of_it = addresses.iter().filter(|(of, _)| *of == name);
        NetworkInterface {
            kind: kind(places, &name),
            up: is_up,
            // It is -1 where there is no cable.
            speed_mbit: places.line(&at("speed")).parse().unwrap_or(0),
            addresses: of_it.map(|(_, address)| address.clone()).collect(),
            default_route: routes
                .iter()
                .any(|route| route.network_interface == name && is_default(route)),
            name,
        }
    });
    interfaces.collect()
}

fn is_default(route: &Route) -> bool {
    route.destination == "0.0.0.0/0" || route.destination == "::/0"
}

fn kind(places: &Places, name: &str) -> LinkKind {
    let at = |file: &str| format!("/sys/class/net/{name}/{file}");
    let event = places.line(&at("uevent"));
    match places.line(&at("type")).as_str() {
        // ARPHRD_LOOPBACK
        "772" => LinkKind::Loopback,
        _ if places.has(&at("wireless")) || places.has(&at("phy80211")) => LinkKind::Wireless,
        _ if places.has(&at("bridge")) => LinkKind::Bridge,
        // ARPHRD_NONE, ARPHRD_TUNNEL, ARPHRD_TUNNEL6, ARPHRD_SIT, ARPHRD_IPGRE
        "65534" | "768" | "769" | "776" | "778" => LinkKind::Tunnel,
        _ if places.has(&at("tun_flags")) || event == "DEVTYPE=wireguard" => LinkKind::Tunnel,
        _ if places.has(&at("device")) => LinkKind::Ethernet,
        _ => LinkKind::Virtual,
    }
}

/// Interfaces and `ADDRESS/PREFIX`. No file tells the addresses of IPv4 by their interface; the kernel has to be asked.
fn addresses(places: &Places) -> Vec<(String, String)> {
    if places.here {
        let found = if_addrs::get_if_addrs().unwrap_or_default();
        let found = found.into_iter().map(|found| {
            let prefix = match &found.addr {
                if_addrs::IfAddr::V4(of) => of.netmask.to_bits().leading_ones(),
                if_addrs::IfAddr::V6(of) => of.netmask.to_bits().leading_ones(),
            };
            (found.name.clone(), format!("{}/{prefix}", found.ip()))
        });
        return found.collect();
    }
    let text = places.text("/proc/net/if_inet6", FACTS_FILE_BYTES);
    let found = text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [address, _, prefix, _, _, name] = fields.as_slice() else {
            return None;
        };
        let address = Ipv6Addr::from_bits(u128::from_str_radix(address, 16).ok()?);
        let prefix = u8::from_str_radix(prefix, 16).ok()?;
        Some(((*name).to_owned(), format!("{address}/{prefix}")))
    });
    found.collect()
}

/// Where packets go (proc(5), `route` and `ipv6_route`): not those that stay on this machine, nor those that are thrown away.
pub(super) fn routes(places: &Places) -> Vec<Route> {
    let text = places.text("/proc/net/route", 1 << 20);
    let mut routes: Vec<Route> = text.lines().skip(1).filter_map(v4).collect();
    let text = places.text("/proc/net/ipv6_route", 1 << 20);
    routes.extend(text.lines().filter_map(v6));
    routes.dedup_by(|one, other| one == other);
    routes.truncate(FACTS_ITEMS_MAX);
    routes
}

const REJECT: u32 = 0x200;
const LOCAL: u32 = 0x8000_0000;

fn v4(line: &str) -> Option<Route> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [name, destination, gateway, flags, _, _, _, mask, ..] = fields.as_slice() else {
        return None;
    };
    // As they lie in memory: of little-endian machines, backwards.
    let word = |text: &str| u32::from_str_radix(text, 16).ok();
    let address = |text: &str| Some(Ipv4Addr::from(word(text)?.to_ne_bytes()));
    if word(flags)? & REJECT != 0 {
        return None;
    }
    let prefix = address(mask)?.to_bits().leading_ones();
    let gateway = address(gateway)?;
    Some(Route {
        destination: format!("{}/{prefix}", address(destination)?),
        gateway: (!gateway.is_unspecified()).then(|| gateway.to_string()),
        network_interface: (*name).to_owned(),
    })
}

fn v6(line: &str) -> Option<Route> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [destination, prefix, _, _, gateway, _, _, _, flags, name] = fields.as_slice() else {
        return None;
    };
    let address = |text: &str| Some(Ipv6Addr::from_bits(u128::from_str_radix(text, 16).ok()?));
    let destination = address(destination)?;
    let flags = u32::from_str_radix(flags, 16).ok()?;
    let is_near = destination.is_multicast() || destination.is_unicast_link_local();
    if flags & (REJECT | LOCAL) != 0 || is_near || *name == "lo" {
        return None;
    }
    let gateway = address(gateway)?;
    let prefix = u8::from_str_radix(prefix, 16).ok()?;
    Some(Route {
        destination: format!("{destination}/{prefix}"),
        gateway: (!gateway.is_unspecified()).then(|| gateway.to_string()),
        network_interface: (*name).to_owned(),
    })
}

pub(super) fn name_servers(places: &Places) -> Vec<String> {
    let text = places.text("/etc/resolv.conf", FACTS_FILE_BYTES);
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next())?
    });
    servers.map(str::to_owned).collect()
}
