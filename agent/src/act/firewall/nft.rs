//! Ports in nftables: rules in a file of ours, which is loaded at once and with the machine's own.
//!
//! Decides where a rule has to stand so that it opens anything: a packet has to be accepted by every chain that it passes, so a table
//! of ours alone opens nothing that another one drops. The rule therefore goes into each chain of the machine's own file that
//! looks at what comes in, and into a table of ours where there is none.

use serde::Deserialize;
use skep_core::install::{Entry, Firewall, Protocol};

use super::super::root::Rights;
use super::super::wanted::Wanted;
use super::super::{ActError, block, paths};
use super::{Found, Place, Port, need};
use crate::limits::EDITED_FILE_BYTES_MAX;

mod back;

pub(super) use self::back::undo_paths;

/// Files with the machine's rules, by distribution.
const OWN: [&str; 3] = [
    "/etc/nftables.conf",
    "/etc/sysconfig/nftables.conf",
    "/etc/nftables.nft",
];

const FOLDER: &str = "/etc/nftables.d";
const BLOCK: &str = "nftables";

/// A chain that looks at what comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chain {
    family: String,
    table: String,
    name: String,
}

/// The file with the rule, its folder, and the line by which the machine's own file includes it.
pub(in super::super) fn wanted_rules(
    place: &Place,
    protocol: Protocol,
    port: u16,
    from: Option<&str>,
) -> Result<Vec<Wanted>, ActError> {
    let port = Port {
        firewall: Firewall::Nftables,
        protocol,
        port,
        from,
    };
    let rights = |mode| Rights {
        mode,
        uid: place.uid,
        gid: place.gid,
    };
    let mut all = vec![Wanted::folder_at_least(place, FOLDER, || {
        Ok(rights(0o755))
    })?];
    let mut chains = Vec::new();
    if let Some((path, text)) = own_file(place)? {
        chains = input_chains(&text);
        let ours = block::within(&text, BLOCK, "#").is_some();
        if ours || !includes_folder(&text) {
            let lines = [format!("include \"{FOLDER}/skep-*.nft\"")];
            // One that another port put there is that one's, too.
            let whole = if ours && includes_folder(&text) {
                text
            } else {
                block::with(&text, BLOCK, "#", &lines)
            };
            let now = match place.root.entry(path)? {
                Entry::File { mode, uid, gid, .. } => Rights { mode, uid, gid },
                _ => rights(0o644),
            };
            all.push(Wanted::file(path, whole.into_bytes(), now));
        }
    }
    // The rules before the line that includes them: in between, nothing is missing.
    all.insert(
        1,
        Wanted::file(
            &file_of(port),
            rules(port, &chains).into_bytes(),
            rights(0o644),
        ),
    );
    Ok(all)
}

fn own_file(place: &Place) -> Result<Option<(&'static str, String)>, ActError> {
    for path in OWN {
        if let Some(bytes) = place.root.read(path, EDITED_FILE_BYTES_MAX)? {
            let text = String::from_utf8(bytes);
            let text = text.map_err(|_| ActError::Conflict(format!("`{path}` is no text")))?;
            return Ok(Some((path, text)));
        }
    }
    Ok(None)
}

fn includes_folder(text: &str) -> bool {
    text.lines().map(str::trim).any(|line| {
        line.starts_with("include")
            && (line.contains("nftables.d/*.nft") || line.contains("nftables.d/skep"))
    })
}

fn file_of(port: Port<'_>) -> String {
    let from = port
        .from
        .map_or_else(String::new, |from| format!("-{}", from.replace('/', "_")));
    format!("{FOLDER}/skep-{}-{}{from}.nft", port.protocol, port.port)
}

/// By which a rule of ours is known again.
fn comment(port: Port<'_>) -> String {
    let from = port
        .from
        .map_or_else(String::new, |from| format!(" from {from}"));
    format!("skep {}{from}", port.number())
}

fn rule(port: Port<'_>) -> String {
    let from = port.from.map_or_else(String::new, |from| {
        let family = if from.contains(':') { "ip6" } else { "ip" };
        format!("{family} saddr {from} ")
    });
    let (protocol, number) = (port.protocol, port.port);
    format!(
        "{from}{protocol} dport {number} accept comment \"{}\"",
        comment(port)
    )
}

fn rules(port: Port<'_>, chains: &[Chain]) -> String {
    let rule = rule(port);
    let mut text = format!(
        "# {}, opened by skep. Undo the setup's run to close it.\n",
        port.number()
    );
    // A range of addresses of version 6 means nothing to a chain for version 4 alone.
    let speaks = |chain: &&Chain| match (chain.family.as_str(), port.from) {
        ("inet", _) | (_, None) => true,
        ("ip6", Some(from)) => from.contains(':'),
        ("ip", Some(from)) => !from.contains(':'),
        _ => false,
    };
    let fitting: Vec<&Chain> = chains.iter().filter(speaks).collect();
    for Chain {
        family,
        table,
        name,
    } in &fitting
    {
        text.push_str(&format!("insert rule {family} {table} {name} {rule}\n"));
    }
    if fitting.is_empty() {
        text.push_str(&format!(
            "table inet skep {{\n\tchain input {{\n\t\ttype filter hook input priority filter; policy accept;\n\
             \t\t{rule}\n\t}}\n}}\n"
        ));
    }
    text
}

/// The chains of a file that look at what comes in.
fn input_chains(text: &str) -> Vec<Chain> {
    let mut chains = Vec::new();
    let (mut table, mut chain) = (None::<(String, String)>, None::<String>);
    let mut depth = 0_i32;
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let words: Vec<&str> = line
            .split([' ', '\t', ';', '{'])
            .filter(|word| !word.is_empty())
            .collect();
        match words.as_slice() {
            ["table", family @ ("inet" | "ip" | "ip6"), name, ..] if line.contains('{') => {
                table = Some(((*family).to_owned(), (*name).to_owned()));
                depth = 0;
            }
            ["table", name, ..] if line.contains('{') => {
                table = Some(("ip".to_owned(), (*name).to_owned()));
                depth = 0;
            }
            ["chain", name, ..] => chain = Some((*name).to_owned()),
            _ => {}
        }
        let hooks = words
            .windows(4)
            .any(|four| matches!(four, ["type", "filter", "hook", "input"]));
        if hooks && let (Some((family, table)), Some(name)) = (&table, &chain) {
            let found = Chain {
                family: family.clone(),
                table: table.clone(),
                name: name.clone(),
            };
            if is_name(&found.table) && is_name(&found.name) && !chains.contains(&found) {
                chains.push(found);
            }
        }
        for letter in line.chars() {
            depth += match letter {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
        }
        if depth <= 1 && line.contains('}') {
            chain = None;
        }
        if depth <= 0 {
            table = None;
        }
    }
    chains
}

/// What can stand in a rule without quotes.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
}

#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    rule: Option<Rule>,
    chain: Option<Base>,
}

#[derive(Deserialize)]
struct Rule {
    family: String,
    table: String,
    chain: String,
    handle: u64,
    comment: Option<String>,
}

#[derive(Deserialize)]
struct Base {
    family: String,
    table: String,
    name: String,
    hook: Option<String>,
    policy: Option<String>,
}

fn list() -> Result<Vec<Object>, ActError> {
    let said = need("nft")?
        .args(["--json", "--handle", "list", "ruleset"])
        .run()?;
    let listing: Listing = serde_json::from_str(&said).map_err(|error| {
        ActError::Conflict(format!("nft listed something else than expected: {error}"))
    })?;
    Ok(listing.nftables)
}

fn ours(port: Port<'_>) -> Result<Vec<Rule>, ActError> {
    let comment = comment(port);
    let rules = list()?.into_iter().filter_map(|object| object.rule);
    Ok(rules
        .filter(|rule| rule.comment.as_ref() == Some(&comment))
        .collect())
}

pub(super) fn look(place: &Place, port: Port<'_>) -> Result<Found, ActError> {
    let all = wanted_rules(place, port.protocol, port.port, port.from)?;
    let found = paths::look(place, &all)?;
    if !place.is_live() || matches!(found, Found::Conflict(_)) {
        return Ok(found);
    }
    let known = own_file(place)?.map_or_else(Vec::new, |(_, text)| input_chains(&text));
    for base in list()?.into_iter().filter_map(|object| object.chain) {
        let drops = base.hook.as_deref() == Some("input") && base.policy.as_deref() == Some("drop");
        let chain = Chain {
            family: base.family,
            table: base.table,
            name: base.name,
        };
        if drops && !known.contains(&chain) {
            let Chain {
                family,
                table,
                name,
            } = chain;
            return Ok(Found::Conflict(format!(
                "the chain `{family} {table} {name}` drops what it does not know, and comes from none of the files of \
                 nftables; open the port there, or by the firewall that made it"
            )));
        }
    }
    if found == Found::Already && ours(port)?.is_empty() {
        return Ok(Found::Needed);
    }
    Ok(found)
}

pub(super) fn load(place: &Place, port: Port<'_>) -> Result<(), ActError> {
    if place.is_live() && ours(port)?.is_empty() {
        need("nft")?.arg("--file").arg(file_of(port)).run()?;
    }
    Ok(())
}

pub(super) fn unload(place: &Place, port: Port<'_>) -> Result<(), ActError> {
    if !place.is_live() {
        return Ok(());
    }
    let mut script = String::new();
    for Rule {
        family,
        table,
        chain,
        handle,
        ..
    } in ours(port)?
    {
        if is_name(&table) && is_name(&chain) && is_name(&family) {
            script.push_str(&format!(
                "delete rule {family} {table} {chain} handle {handle}\n"
            ));
        }
    }
    if !script.is_empty() {
        need("nft")?
            .args(["--file", "-"])
            .run_with(script.as_bytes())?;
    }
    let left = list()?;
    let is_ours = |family: &str, table: &str| family == "inet" && table == "skep";
    let made = left.iter().any(|object| {
        object
            .chain
            .as_ref()
            .is_some_and(|chain| is_ours(&chain.family, &chain.table))
    });
    let used = left.iter().any(|object| {
        object
            .rule
            .as_ref()
            .is_some_and(|rule| is_ours(&rule.family, &rule.table))
    });
    if made && !used {
        need("nft")?
            .args(["delete", "table", "inet", "skep"])
            .run()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "#!/usr/sbin/nft -f\n\nflush ruleset\n\ntable inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t\tct state { established, related } accept\n\t}\n\tchain forward {\n\t\ttype filter hook forward priority filter;\n\t}\n}\ntable ip nat {\n\tchain input { type nat hook input priority 100; }\n}\n";

    #[test]
    fn rules_go_where_packets_come_in() {
        let chains = input_chains(DEBIAN);
        let expected = Chain {
            family: "inet".into(),
            table: "filter".into(),
            name: "input".into(),
        };
        assert_eq!(chains, [expected]);
        let port = Port {
            firewall: Firewall::Nftables,
            protocol: Protocol::Udp,
            port: 7421,
            from: Some("192.168.0.0/16"),
        };
        let text = rules(port, &chains);
        assert!(text.ends_with(
            "insert rule inet filter input ip saddr 192.168.0.0/16 udp dport 7421 accept comment \"skep 7421/udp from 192.168.0.0/16\"\n"
        ));
        let alone = rules(Port { from: None, ..port }, &[]);
        assert!(alone.contains("table inet skep {") && alone.contains("\t\tudp dport 7421 accept"));
        assert_eq!(
            file_of(port),
            "/etc/nftables.d/skep-udp-7421-192.168.0.0_16.nft"
        );
        assert!(includes_folder("include \"/etc/nftables.d/*.nft\""));
        assert!(!includes_folder("# include \"/etc/nftables.d/*.nft\""));
    }
}
