//! The step for certificates and keys: who can reach this node, under which certificate, and which keys may sign in.
//!
//! Decides what is asked and that nothing listens beyond this machine without a certificate. Offered is only what the agent can do.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::SocketAddr;

use skep_sdk::installer::{Description, Facts, Finding, Form, Installer, Need, Plan, toml};

mod authority;
mod certificate;
mod look;
mod ssh;

use self::certificate::Certificate;
use self::ssh::Ssh;

/// The step.
#[derive(Debug)]
pub struct Security;

/// Who can reach this node, and how.
#[derive(Debug)]
pub struct Wish {
    listen: SocketAddr,
    /// None: this machine only.
    certificate: Option<Certificate>,
    /// On this machine only; beyond it a key is always wanted.
    require_key: bool,
    hosts: Vec<String>,
    ssh: Ssh,
}

impl Installer for Security {
    type Wish = Wish;

    fn describe() -> Description {
        Description::new(
            "Security",
            "Decides who can reach this node, under which certificate, and which keys may sign in.",
        )
        .needs(Need::File(ssh::OWN_KEY.into()))
        .needs(Need::File("/etc/ssh/sshd_config".into()))
    }

    fn ask(facts: &Facts, form: &mut Form<'_>) -> Wish {
        let now = listens(facts);
        let beyond = now.is_some_and(|now| !now.ip().is_loopback());
        let reach = form
            .choice("reach", "Who can reach it")
            .help("The page and the interface for programs. Other nodes reach this one in any case, by their own port.")
            .recommend(MACHINE, "This machine only", "Nothing can go wrong from elsewhere.")
            .option(NETWORK, "Everybody on the network", "With a certificate and API keys.")
            .default(if beyond { NETWORK } else { MACHINE })
            .get();
        let port = certificate::ask_port(facts, form, now.map_or(PORT, |now| now.port()));
        let (certificate, require_key) = if reach == NETWORK {
            (Some(certificate::ask(facts, form)), true)
        } else {
            let require_key = form
                .flag("require-key", "Want a key on this machine, too")
                .help("Otherwise every user and program of this machine may use the models.")
                .default(facts.setting("http.require_key") == Some("true"))
                .get();
            (None, require_key)
        };
        let hosts = certificate::ask_hosts(facts, form, certificate.as_ref());
        let address = match &certificate {
            Some(_) => core::net::IpAddr::from([0_u8; 4]),
            None => core::net::IpAddr::from([127, 0, 0, 1]),
        };
        Wish {
            listen: SocketAddr::new(address, port),
            certificate,
            require_key,
            hosts,
            ssh: ssh::ask(facts, form),
        }
    }

    fn plan(facts: &Facts, wish: Wish, plan: &mut Plan) -> Result<(), String> {
        if let Some(certificate) = &wish.certificate {
            certificate.plan(facts, wish.listen, plan)?;
        }
        // After each of them the agent could start: what listens beyond this machine comes last.
        match (&wish.certificate, wish.require_key) {
            (None, true) => plan.set(
                "http.require_key",
                toml::flag(true),
                "Whoever asks has to show a key, on this machine, too.",
            ),
            _ => plan.unset(
                "http.require_key",
                "A key is wanted from elsewhere, and not on this machine.",
            ),
        }
        plan.set(
            "http.listen",
            toml::text(&wish.listen.to_string()),
            match wish.certificate {
                Some(_) => "Everybody on the network can reach it, with a key.",
                None => "Only this machine can reach it.",
            },
        );
        if wish.hosts.is_empty() {
            plan.unset("http.allowed_hosts", "It is called by its addresses only.");
        } else {
            plan.set(
                "http.allowed_hosts",
                toml::texts(&wish.hosts),
                "Browsers may call it by these names.",
            );
        }
        wish.ssh.plan(facts, plan)?;
        if wish.certificate.is_some() {
            plan.note("Make a key for each person and program with `skep keys new NAME`.");
        }
        plan.note("What listens is changed when the agent starts anew.");
        Ok(())
    }

    fn check(facts: &Facts) -> Vec<Finding> {
        look::at(facts)
    }
}

/// Where the page is, as it is set or as it is now.
fn listens(facts: &Facts) -> Option<SocketAddr> {
    let set = facts.setting_text("http.listen");
    let set = set.and_then(|set| set.parse().ok());
    set.or_else(|| facts.agent.listen.parse().ok())
}

const MACHINE: &str = "machine";
const NETWORK: &str = "network";
const PORT: u16 = 7420;

skep_sdk::installer!(Security);
