//! The step for drivers of cards: what is missing, and what the distribution has of it.
//!
//! Decides which packages those are. What the distribution itself does not have is told and not fetched.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use skep_sdk::installer::{
    Action, Command, Description, Facts, Finding, Form, Gpu, Installer, JoinGroup, Need, Plan,
    Vendor,
};

mod packages;

/// The step.
#[derive(Debug)]
pub struct Drivers;

/// What is installed, and which groups the agent's user is to be in.
#[derive(Debug)]
pub struct Wish {
    packages: Vec<String>,
    module: Option<&'static str>,
    groups: Vec<&'static str>,
}

impl Installer for Drivers {
    type Wish = Wish;

    fn describe() -> Description {
        let described = Description::new(
            "Drivers",
            "Checks the drivers of NVIDIA and AMD cards, and installs what the distribution has.",
        );
        let described = packages::ALL.iter().fold(described, |described, name| {
            described.needs(Need::Package((*name).into()))
        });
        GROUPS.iter().fold(described, |described, group| {
            described.needs(Need::Group((*group).into()))
        })
    }

    fn ask(facts: &Facts, form: &mut Form<'_>) -> Wish {
        let mut wish = Wish {
            packages: Vec::new(),
            module: None,
            groups: Vec::new(),
        };
        // Of a container they are its host's.
        if facts.system.container.is_some() {
            return wish;
        }
        if let Some(package) =
            packages::nvidia(facts).filter(|_| !cards(facts, Vendor::Nvidia).is_empty())
        {
            let wanted = form
                .flag("nvidia", "Install NVIDIA's driver")
                .help(format!("The package `{package}` of the distribution. The machine has to start anew afterwards."))
                .default(facts.has_package(&package) || !is_driven(facts, Vendor::Nvidia))
                .get();
            if wanted {
                wish.packages.push(package);
            }
        }
        if let Some(package) =
            packages::amd(facts).filter(|_| !cards(facts, Vendor::Amd).is_empty())
        {
            let wanted = form
                .flag("amd", "Install the firmware of AMD's cards")
                .help(format!("The package `{package}` of the distribution. The driver itself is part of Linux."))
                .default(facts.has_package(&package) || !is_driven(facts, Vendor::Amd))
                .get();
            if wanted {
                wish.packages.push(package);
                wish.module = Some("amdgpu");
            }
        }
        wish.groups = ask_groups(facts, form);
        wish
    }

    fn plan(facts: &Facts, wish: Wish, plan: &mut Plan) -> Result<(), String> {
        if !wish.packages.is_empty() {
            plan.act(
                Command::RefreshPackages,
                "The newest packages of the distribution are known then.",
            );
            let is_nvidia = wish.packages.iter().any(|name| name.contains("nvidia"));
            plan.act(
                Action::InstallPackages(wish.packages),
                "Cards can be computed on.",
            );
            if is_nvidia {
                plan.note("Start the machine anew afterwards, so that NVIDIA's driver takes the place of the free one. With Secure Boot its module has to be signed by a key that the machine knows.");
            }
        }
        if let Some(module) = wish.module {
            plan.act(
                Command::LoadModule(module.into()),
                "The card is driven without a new start.",
            );
        }
        for group in wish.groups {
            plan.act(
                JoinGroup {
                    user: facts.agent.user.clone(),
                    group: group.into(),
                },
                "The agent may open the card then, once its user signs in anew.",
            );
        }
        if let Some(note) =
            packages::note(facts).filter(|_| !cards(facts, Vendor::Nvidia).is_empty())
        {
            plan.note(note);
        }
        Ok(())
    }

    fn check(facts: &Facts) -> Vec<Finding> {
        let known = facts
            .gpus
            .iter()
            .filter(|card| matches!(card.vendor, Vendor::Nvidia | Vendor::Amd));
        let mut found: Vec<_> = known
            .take(CARDS_MAX)
            .map(|card| judge(facts, card))
            .collect();
        if found.is_empty() {
            let evidence = match facts.gpus.len() {
                0 => "no card is on the PCI bus".into(),
                count => format!("{count} displays, none of NVIDIA or AMD"),
            };
            found.push(Finding::fine("No card needs a driver.", evidence));
        }
        let missing = groups(facts);
        if !missing.is_empty() {
            let what = "The agent's user may not open AMD's cards.";
            let evidence = format!("`{}` is not in {}", facts.agent.user, missing.join(", "));
            let remedy = format!(
                "sudo usermod -aG {} {}",
                missing.join(","),
                facts.agent.user
            );
            found.push(Finding::warning(what, evidence).remedy(remedy));
        }
        found
    }
}

fn judge(facts: &Facts, card: &Gpu) -> Finding {
    let module = card.module.as_deref();
    let evidence = match (module, card.driver.as_deref()) {
        (Some(module), Some(version)) => {
            format!("{}: module `{module}`, driver {version}", card.name)
        }
        (Some(module), None) => format!("{}: module `{module}`", card.name),
        (None, _) => format!("{} ({}): no module", card.name, card.pci_id),
    };
    let is_container = facts.system.container.is_some();
    let remedy = match is_container {
        true => "install it on the host of this container, and pass the card through",
        false => "go through the step for drivers",
    };
    match (card.vendor, module) {
        (_, None) => Finding::warning(
            "A card has no driver: nothing can be computed on it.",
            evidence,
        )
        .remedy(remedy),
        (Vendor::Nvidia, Some("nouveau")) => {
            let what = "A card of NVIDIA has the free driver, which cannot compute.";
            Finding::warning(what, evidence).remedy(remedy)
        }
        (Vendor::Nvidia, Some("vfio-pci")) | (_, Some("vfio-pci")) => {
            Finding::notice("A card is set aside for a virtual machine.", evidence)
        }
        (Vendor::Nvidia, Some(_)) if card.driver.is_none() => {
            let what = "NVIDIA's module is there, and its library is not.";
            Finding::warning(what, evidence).remedy(remedy)
        }
        _ => Finding::fine("A card has its driver.", evidence),
    }
}

fn cards(facts: &Facts, vendor: Vendor) -> Vec<&Gpu> {
    let cards = facts.gpus.iter().filter(|card| card.vendor == vendor);
    cards
        .filter(|card| card.module.as_deref() != Some("vfio-pci"))
        .collect()
}

/// Whether every card of a vendor can be computed on.
fn is_driven(facts: &Facts, vendor: Vendor) -> bool {
    let mut cards = cards(facts, vendor).into_iter();
    cards.all(|card| match (vendor, card.module.as_deref()) {
        (_, None) | (Vendor::Nvidia, Some("nouveau")) => false,
        (Vendor::Nvidia, Some(_)) => card.driver.is_some(),
        _ => true,
    })
}

fn ask_groups(facts: &Facts, form: &mut Form<'_>) -> Vec<&'static str> {
    if facts.is_root() || cards(facts, Vendor::Amd).is_empty() || !is_name(&facts.agent.user) {
        return Vec::new();
    }
    let there: Vec<_> = GROUPS
        .into_iter()
        .filter(|group| facts.groups.iter().any(|known| known == group))
        .collect();
    if there.is_empty() {
        return there;
    }
    let wanted = form
        .flag("groups", "Let the agent's user open the cards")
        .help(format!(
            "`{}` becomes a member of: {}.",
            facts.agent.user,
            there.join(", ")
        ))
        .default(true)
        .get();
    if wanted { there } else { vec![] }
}

/// The groups that the agent's user should be in and is not.
fn groups(facts: &Facts) -> Vec<&'static str> {
    if facts.is_root() || cards(facts, Vendor::Amd).is_empty() {
        return Vec::new();
    }
    let Some(account) = facts.account(&facts.agent.user) else {
        return Vec::new();
    };
    let missing = GROUPS.into_iter().filter(|group| {
        let exists = facts.groups.iter().any(|known| known == group);
        exists && !account.groups.iter().any(|known| known == group)
    });
    missing.collect()
}

fn is_name(text: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    let first = text.bytes().next();
    text.len() <= 32
        && first.is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_')
        && text.bytes().all(fits)
}

/// Whose members may open the devices of cards.
const GROUPS: [&str; 2] = ["render", "video"];
const CARDS_MAX: usize = 32;

skep_sdk::installer!(Drivers);
