//! Which firewalls are installed, and whether they filter.

use super::Places;
use super::programs::Programs;
use super::units;
use crate::host::installer::{Firewall, FirewallKind};
use crate::limits::FACTS_FILE_BYTES;

pub(super) fn look(places: &Places, programs: &Programs<'_>, is_root: bool) -> Vec<Firewall> {
    let mut firewalls = Vec::new();
    let mut add = |kind, active| firewalls.push(Firewall { kind, active });
    if programs.find("ufw").is_some() {
        add(FirewallKind::Ufw, ufw(places));
    }
    if programs.find("firewall-cmd").is_some() {
        let unit = units::look(places, programs, &["firewalld.service".to_owned()]);
        let active = unit.first().map(|unit| unit.active);
        add(FirewallKind::Firewalld, active.filter(|_| places.here));
    }
    if programs.find("nft").is_some() {
        add(FirewallKind::Nftables, nftables(programs, is_root));
    }
    firewalls
}

/// What its own file says, which everybody may read.
fn ufw(places: &Places) -> Option<bool> {
    let text = places.text("/etc/ufw/ufw.conf", FACTS_FILE_BYTES);
    let value = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("ENABLED="))?;
    Some(value.trim_matches('"').eq_ignore_ascii_case("yes"))
}

/// Whether there is any chain that hears of packets; only root may ask.
fn nftables(programs: &Programs<'_>, is_root: bool) -> Option<bool> {
    if !is_root {
        return None;
    }
    let rules = programs.ask("nft", &["list", "ruleset"])?;
    Some(rules.contains("hook input"))
}
