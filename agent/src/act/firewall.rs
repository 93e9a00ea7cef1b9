//! Opening a port, in whichever firewall a machine has.
//!
//! Decides how it is said to each, so that it holds over a restart, and how it is seen that it holds.

use skep_core::install::{Action, Before, Change, Firewall, Protocol};

use super::ActError;
use super::paths;
use super::place::Place;
use super::program::{Program, need};
use super::view::Found;
use super::wanted::Wanted;

mod nft;

pub(super) use self::nft::wanted_rules;

/// Puts back the files that have the rule.
pub(super) fn undo_paths(
    place: &Place,
    port: Port<'_>,
    action: &Action,
    changes: &[Change],
) -> Result<Option<String>, ActError> {
    nft::undo_paths(place, port, action, changes)
}

/// A port, for whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Port<'a> {
    pub(super) firewall: Firewall,
    pub(super) protocol: Protocol,
    pub(super) port: u16,
    pub(super) from: Option<&'a str>,
}

impl Port<'_> {
    fn number(self) -> String {
        format!("{}/{}", self.port, self.protocol)
    }

    /// As `ufw` says it.
    fn ufw(self) -> Vec<String> {
        let port = self.port.to_string();
        let protocol = self.protocol.to_string();
        let from = self.from.unwrap_or("any");
        ["proto", &protocol, "from", from, "to", "any", "port", &port]
            .map(str::to_owned)
            .to_vec()
    }

    /// As `firewall-cmd` says it, with a verb before.
    fn firewalld(self, verb: &str) -> String {
        let Some(from) = self.from else {
            return format!("--{verb}-port={}", self.number());
        };
        let family = if from.contains(':') { "ipv6" } else { "ipv4" };
        let (port, protocol) = (self.port, self.protocol);
        format!(
            "--{verb}-rich-rule=rule family=\"{family}\" source address=\"{from}\" \
             port port=\"{port}\" protocol=\"{protocol}\" accept"
        )
    }
}

fn live_only(place: &Place) -> Result<(), ActError> {
    if place.is_live() {
        return Ok(());
    }
    Err(ActError::Conflict(
        "this firewall is told only on the machine itself".to_owned(),
    ))
}

fn firewalld(permanent: bool) -> Result<Program, ActError> {
    let program = need("firewall-cmd")?;
    Ok(if permanent {
        program.arg("--permanent")
    } else {
        program
    })
}

fn firewalld_runs() -> Result<bool, ActError> {
    need("firewall-cmd")?.arg("--state").holds()
}

pub(super) fn look(place: &Place, port: Port<'_>) -> Result<Found, ActError> {
    let so = match port.firewall {
        Firewall::Nftables => return nft::look(place, port),
        Firewall::Ufw => {
            live_only(place)?;
            let said = need("ufw")?.args(["show", "added"]).run()?;
            said.lines().any(|line| is_ufw_rule(line, port))
        }
        Firewall::Firewalld => {
            live_only(place)?;
            let holds = |permanent| firewalld(permanent)?.arg(port.firewalld("query")).holds();
            holds(true)? && (!firewalld_runs()? || holds(false)?)
        }
    };
    Ok(if so { Found::Already } else { Found::Needed })
}

/// A line of `ufw show added`: `ufw allow 7420/tcp comment 'skep'`, or in full with `from`.
fn is_ufw_rule(line: &str, port: Port<'_>) -> bool {
    let Some(rule) = line.trim().strip_prefix("ufw allow ") else {
        return false;
    };
    let rule = rule.split(" comment ").next().unwrap_or_default();
    let number = port.port.to_string();
    match port.from {
        None => rule == port.number() || rule == number,
        Some(from) => {
            let words: Vec<&str> = rule.split_whitespace().collect();
            let after = |key: &str| {
                let at = words.iter().position(|word| *word == key)?;
                words.get(at + 1).copied()
            };
            after("from") == Some(from)
                && after("port") == Some(&number)
                && after("proto") == Some(&port.protocol.to_string())
        }
    }
}

pub(super) fn open(
    place: &Place,
    port: Port<'_>,
    all: &[Wanted],
    before: &Before,
) -> Result<(), ActError> {
    match port.firewall {
        Firewall::Nftables => {
            paths::carry_out(place, all, before)?;
            nft::load(place, port)?;
        }
        Firewall::Ufw => {
            need("ufw")?
                .arg("allow")
                .args(port.ufw())
                .args(["comment", "skep"])
                .run()?;
        }
        Firewall::Firewalld => {
            firewalld(true)?.arg(port.firewalld("add")).run()?;
            if firewalld_runs()? {
                firewalld(false)?.arg(port.firewalld("add")).run()?;
            }
        }
    }
    if look(place, port)? == Found::Already {
        return Ok(());
    }
    Err(ActError::Conflict(format!(
        "{} does not list the port although it was opened",
        port.firewall
    )))
}

/// Closes it again, but for the files of nftables.
pub(super) fn close(place: &Place, port: Port<'_>) -> Result<(), ActError> {
    match port.firewall {
        Firewall::Nftables => nft::unload(place, port),
        Firewall::Ufw => {
            if look(place, port)? == Found::Already {
                need("ufw")?
                    .args(["--force", "delete", "allow"])
                    .args(port.ufw())
                    .run()?;
            }
            Ok(())
        }
        Firewall::Firewalld => {
            for permanent in [true, false] {
                if (permanent || firewalld_runs()?)
                    && firewalld(permanent)?.arg(port.firewalld("query")).holds()?
                {
                    firewalld(permanent)?.arg(port.firewalld("remove")).run()?;
                }
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_as_ufw_and_firewalld_say_them() {
        let open = Port {
            firewall: Firewall::Ufw,
            protocol: Protocol::Tcp,
            port: 7420,
            from: None,
        };
        assert!(is_ufw_rule("ufw allow 7420/tcp comment 'skep'", open));
        assert!(!is_ufw_rule("ufw deny 7420/tcp", open));
        assert!(!is_ufw_rule("ufw allow 74200/tcp", open));
        let some = Port {
            from: Some("10.0.0.0/8"),
            ..open
        };
        assert!(is_ufw_rule(
            "ufw allow from 10.0.0.0/8 to any port 7420 proto tcp comment 'skep'",
            some
        ));
        assert!(!is_ufw_rule(
            "ufw allow from 10.0.0.0/9 to any port 7420 proto tcp",
            some
        ));
        assert!(!is_ufw_rule("ufw allow 7420/tcp", some));
        assert_eq!(open.firewalld("add"), "--add-port=7420/tcp");
        assert_eq!(
            some.firewalld("query"),
            "--query-rich-rule=rule family=\"ipv4\" source address=\"10.0.0.0/8\" port port=\"7420\" protocol=\"tcp\" accept"
        );
    }
}
