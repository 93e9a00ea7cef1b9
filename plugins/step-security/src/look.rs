//! What is right and wrong about who can reach this node.

use alloc::format;
use alloc::vec::Vec;

use skep_sdk::installer::{Facts, Finding};

pub(crate) fn at(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(reach(facts));
    found.extend(passwords(facts));
    if facts.is_root() && facts.system.container.is_none() {
        let what = "The agent runs as root, which it does not need.";
        let evidence = format!("it runs as `{}`", facts.agent.user);
        found.push(
            Finding::notice(what, evidence).remedy("make it a service with a user of its own"),
        );
    }
    found
}

fn reach(facts: &Facts) -> Option<Finding> {
    let listen = super::listens(facts)?;
    let evidence = format!("it listens on {listen}");
    if listen.ip().is_loopback() {
        if facts.setting("http.require_key") == Some("true") {
            return Some(Finding::fine(
                "Only this machine can reach it, with a key.",
                evidence,
            ));
        }
        return Some(Finding::fine("Only this machine can reach it.", evidence));
    }
    let certified = ["http.tls_certificate", "http.acme_names"];
    if certified.iter().all(|key| facts.setting(key).is_none()) {
        let what = "It listens beyond this machine without a certificate of its own.";
        return Some(Finding::warning(what, evidence).remedy("go through the step for security"));
    }
    Some(Finding::fine(
        "The network reaches it with a certificate and a key.",
        evidence,
    ))
}

/// What `sshd` takes where its own file says nothing is to take passwords.
fn passwords(facts: &Facts) -> Option<Finding> {
    let text = facts.text("/etc/ssh/sshd_config")?;
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'));
    let said = lines.find_map(|line| {
        let mut words = line.split_whitespace();
        let is_it = words.next()?.eq_ignore_ascii_case("PasswordAuthentication");
        is_it.then(|| words.next())?
    });
    match said {
        Some(no) if no.eq_ignore_ascii_case("no") => {
            let evidence = "`PasswordAuthentication no` in /etc/ssh/sshd_config";
            Some(Finding::fine("Only keys may sign in by SSH.", evidence))
        }
        said => {
            let evidence = match said {
                Some(said) => format!("`PasswordAuthentication {said}` in /etc/ssh/sshd_config"),
                None => "nothing in /etc/ssh/sshd_config says otherwise".into(),
            };
            let what = "Passwords may sign in by SSH, which strangers try all day.";
            let remedy = "put your key into ~/.ssh/authorized_keys, then `PasswordAuthentication no` into a file of /etc/ssh/sshd_config.d";
            Some(Finding::notice(what, evidence).remedy(remedy))
        }
    }
}
