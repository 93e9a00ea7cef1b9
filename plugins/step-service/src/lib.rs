//! A step of the setup: skep as a service of systemd, for the machine under a user of its own, or for one user without root.
//!
//! Decides which user, folders, files and units that takes. The units themselves are texts beside this file, and nowhere else;
//! packages have the same. Refuses to know how anything is carried out.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod check;
mod machine;
mod person;
#[cfg(test)]
mod tests;

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use skep_sdk::installer::{
    Description, Facts, Finding, Form, Installer, Need, Owner, Plan, WriteFile,
};

/// The step.
#[derive(Debug)]
pub struct Service;

/// What somebody wants.
#[derive(Debug)]
pub struct Wish {
    whose: Whose,
    start: bool,
}

#[derive(Debug)]
enum Whose {
    /// With the groups that may use cards.
    Machine { groups: Vec<String> },
    /// Whether it goes on while its user is not there.
    Person { lingers: bool },
}

/// The unit of the machine; `{program}` stands for the path of skep.
pub const MACHINE_UNIT: &str = include_str!("skep.service");

/// The unit of one user.
pub const PERSON_UNIT: &str = include_str!("skep.user.service");

/// What there is to set, as comments.
const CONFIG: &str = include_str!("config.toml");

const UNIT: &str = "skep.service";

/// Where Debian's package has the unit.
const PACKAGED: &str = "/usr/lib/systemd/system/skep.service";

/// Whose members open the nodes of cards.
const CARD_GROUPS: [&str; 2] = ["video", "render"];

impl Installer for Service {
    type Wish = Wish;

    fn describe() -> Description {
        let mut description = Description::new(
            "Service",
            "Has systemd start skep with the machine, watch it, and keep it from everything that it does not need.",
        );
        for path in [
            machine::CONFIG_FILE,
            machine::UNIT_FILE,
            PACKAGED,
            "~/.config/skep/config.toml",
            "~/.config/systemd/user/skep.service",
        ] {
            description = description.needs(Need::File(path.to_owned()));
        }
        for group in CARD_GROUPS {
            description = description.needs(Need::Group(group.to_owned()));
        }
        description
            .needs(Need::Account("skep".to_owned()))
            .needs(Need::Unit(UNIT.to_owned()))
    }

    fn ask(facts: &Facts, form: &mut Form<'_>) -> Wish {
        let mut scope = form.choice("scope", "For whom").help(
            "A service of the machine has a user of its own and starts with the machine. One of yours needs no root, and keeps the models and the settings that you have now.",
        );
        let machine = |recommended| {
            (
                "system",
                "For this machine",
                "Needs root once; a user `skep` that may do nothing else",
                recommended,
            )
        };
        // Units of root's own would be the machine's without its walls.
        if facts.is_root() {
            scope = offer(scope, machine(true)).default("system");
        } else {
            scope = offer(scope, machine(false));
            let user = format!("For {} alone", shown(&facts.agent.user));
            scope = scope
                .recommend("user", user, "Needs no root; under your own account")
                .default("user");
        }
        let whose = if scope.get() == "user" {
            if let Some(why) = person::unfit(facts) {
                form.wrong("scope", why);
            }
            Whose::Person {
                lingers: form
                    .flag("linger", "Go on without me")
                    .help("Otherwise it ends when you sign out, and starts when you sign in.")
                    .default(true)
                    .get(),
            }
        } else {
            let known = CARD_GROUPS
                .iter()
                .filter(|group| facts.groups.iter().any(|known| known == *group));
            let known: Vec<String> = known.map(|group| (*group).to_owned()).collect();
            let mut groups = Vec::new();
            if !known.is_empty() {
                let mut field = form.several("groups", "Access to cards").advanced().help(
                    "The user `skep` joins these groups, whose members may use graphics cards.",
                );
                for group in &known {
                    field = field.recommend(group.clone(), group.clone(), "");
                }
                groups = field.default(known).get();
            }
            Whose::Machine { groups }
        };
        // One that runs now has the port, and is perhaps the one that asks.
        let runs = is_active(facts);
        let start = form
            .flag("start", "Start it now")
            .help(
                "Not while another skep runs here: stop that first, since both want the same port.",
            )
            .default(runs || !is_up(facts))
            .get();
        Wish { whose, start }
    }

    fn plan(facts: &Facts, wish: Wish, plan: &mut Plan) -> Result<(), String> {
        match wish.whose {
            Whose::Machine { groups } => machine::plan(facts, &groups, wish.start, plan),
            Whose::Person { lingers } => person::plan(facts, lingers, wish.start, plan),
        }
        if facts.system.systemd.is_none() {
            plan.note("systemd is not in charge of services here, so nothing starts skep: have whatever is run `skep up`");
        } else if !wish.start {
            plan.note("The service starts with the next start of the machine; sooner by `systemctl start skep`, once no other skep runs here.");
        }
        Ok(())
    }

    fn check(facts: &Facts) -> Vec<Finding> {
        check::check(facts)
    }
}

type Choosing<'f, 'a> = skep_sdk::installer::Field<'f, 'a, skep_sdk::installer::Choice>;

fn offer<'f, 'a>(
    field: Choosing<'f, 'a>,
    (value, label, help, recommended): (&str, &str, &str, bool),
) -> Choosing<'f, 'a> {
    if recommended {
        field.recommend(value, label, help)
    } else {
        field.option(value, label, help)
    }
}

/// A file of settings: what is there stays.
fn config(facts: &Facts, path: &str, mode: u16, owner: Owner, plan: &mut Plan) {
    let content = match facts.file(path) {
        None => CONFIG,
        Some(file) => match &file.content {
            Some(content) => content,
            None => {
                plan.note(format!(
                    "{path} is there and cannot be read by this agent; it is left as it is."
                ));
                return;
            }
        },
    };
    let path = in_home(facts, path);
    let file = WriteFile {
        path,
        content: content.to_owned(),
        mode,
        owner,
    };
    plan.act(
        file,
        "Settings are kept there; what is there already stays.",
    );
}

/// `~/` is the home of the agent's user.
fn in_home(facts: &Facts, path: &str) -> String {
    match path.strip_prefix("~/") {
        Some(rest) => format!("{}/{rest}", facts.agent.home.trim_end_matches('/')),
        None => path.to_owned(),
    }
}

fn is_active(facts: &Facts) -> bool {
    facts.unit(UNIT).is_some_and(|unit| unit.active)
}

/// Whether a skep has the port of this one.
fn is_up(facts: &Facts) -> bool {
    let port = facts.agent.listen.rsplit(':').next();
    let port = port.and_then(|port| port.parse().ok()).unwrap_or(7420_u16);
    let mut listeners = facts.listeners.iter();
    listeners.any(|one| one.port == port && one.program.as_deref() == Some("skep"))
}

/// A name in a sentence.
fn shown(name: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match name.chars().all(plain) && !name.is_empty() && name.len() <= 32 {
        true => name,
        false => "one user",
    }
}

skep_sdk::installer!(Service);
