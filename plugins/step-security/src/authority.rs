//! A certificate that an authority gives by ACME, and renews without anybody.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use skep_sdk::installer::{Facts, Form, Plan, toml};

use crate::certificate::is_host;

/// What is asked for, and from whom.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) names: Vec<String>,
    contact: String,
    /// None: Let's Encrypt.
    directory: Option<String>,
}

pub(crate) fn ask(facts: &Facts, form: &mut Form<'_>) -> Authority {
    let names = form
        .lines("acme-names", "Names on the internet")
        .help(
            "By which everybody knows this node, one on each line. Each has to lead here: its port 443, from the internet, to the \
             port above. Behind a router it has to be forwarded there.",
        )
        .default(facts.setting_texts("http.acme_names").join("\n"))
        .at_most(4096)
        .get();
    if names.is_empty() {
        form.wrong("acme-names", "one name at least, as `hive.example.org`");
    } else if names.len() > NAMES_MAX {
        form.wrong("acme-names", format!("{NAMES_MAX} at most"));
    } else if let Some(wrong) = names.iter().find(|name| !is_public(name)) {
        let problem = format!("`{wrong}` is no name of the internet: one as `hive.example.org`");
        form.wrong("acme-names", problem);
    }
    let contact = form
        .text("acme-contact", "Mail address")
        .help("The authority may write there. It can be left empty.")
        .placeholder("admin@example.org")
        .default(facts.setting_text("http.acme_contact").unwrap_or_default())
        .get();
    if !contact.is_empty() && !is_mail(&contact) {
        form.wrong("acme-contact", "a mail address, as `admin@example.org`");
    }
    let directory = form
        .text("acme-directory", "Directory of the authority")
        .help("Another authority than Let's Encrypt, by its address.")
        .placeholder(LETS_ENCRYPT)
        .default(
            facts
                .setting_text("http.acme_directory")
                .unwrap_or(LETS_ENCRYPT),
        )
        .advanced()
        .get();
    let is_address = directory.len() > 8 && directory.starts_with("https://");
    if !is_address
        || directory
            .chars()
            .any(|one| one.is_control() || one.is_whitespace())
    {
        form.wrong("acme-directory", "an address that begins with `https://`");
    }
    let terms = form
        .flag("acme-terms", "I agree to the authority's terms")
        .help("Those of Let's Encrypt are at https://letsencrypt.org/repository/ ; another authority says where in its directory, and `skep certificate` shows it.")
        .default(facts.setting("http.acme_terms_agreed") == Some("true"))
        .get();
    if !terms {
        form.wrong("acme-terms", "it gives certificates only to who agrees");
    }
    Authority {
        names,
        contact,
        directory: (directory != LETS_ENCRYPT).then_some(directory),
    }
}

impl Authority {
    /// The names come last: with them the agent begins to ask.
    pub(crate) fn plan(&self, listen: SocketAddr, plan: &mut Plan) {
        match &self.directory {
            Some(directory) => plan.set(
                "http.acme_directory",
                toml::text(directory),
                "The authority that certificates are had from.",
            ),
            None => plan.unset(
                "http.acme_directory",
                "Certificates are had from Let's Encrypt.",
            ),
        }
        if self.contact.is_empty() {
            plan.unset("http.acme_contact", "The authority writes to nobody.");
        } else {
            plan.set(
                "http.acme_contact",
                toml::text(&self.contact),
                "The authority may write there.",
            );
        }
        plan.set(
            "http.acme_terms_agreed",
            toml::flag(true),
            "You agreed to the authority's terms.",
        );
        plan.set(
            "http.acme_names",
            toml::texts(&self.names),
            "The agent has certificates for these names, and renews them.",
        );
        if listen.port() != 443 {
            plan.note(format!(
                "Port 443 of {} has to lead to port {} of this machine, from the internet: forward it on the router, or in the firewall.",
                self.names.join(", "),
                listen.port()
            ));
        }
        plan.note(
            "Calls by an address, not by a name, still see the certificate that was made here.",
        );
    }
}

/// What another choice of certificate takes back.
pub(crate) fn unplan(plan: &mut Plan) {
    plan.unset(
        "http.acme_names",
        "No certificates are had from an authority.",
    );
}

/// The texts of a setting that is a list.
fn is_public(name: &str) -> bool {
    is_host(name) && name.contains('.') && name.parse::<IpAddr>().is_err()
}

fn is_mail(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b",?<>\"%&".contains(&byte);
    let parts = text.split_once('@');
    parts.is_some_and(|(who, at)| !who.is_empty() && at.contains('.') && !at.contains('@'))
        && text.len() <= 254
        && text.bytes().all(plain)
}

const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
const NAMES_MAX: usize = 32;
