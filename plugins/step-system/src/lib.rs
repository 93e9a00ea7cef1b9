//! The step that looks at the machine itself: whether an agent can do well on it.
//!
//! Decides what is enough of memory, disk and kernel, and what keeps the clock. Everything else here only looks.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use skep_sdk::installer::{
    Action, Command, Description, EnableUnit, Facts, Finding, Form, Installer, Need, Plan, Scope,
};

mod look;

/// The step.
#[derive(Debug)]
pub struct System;

/// Whether the clock is to be kept right, and by what.
#[derive(Debug)]
pub struct Wish {
    keeper: Option<Keeper>,
}

/// What keeps the clock on a distribution.
#[derive(Debug)]
struct Keeper {
    package: Option<&'static str>,
    unit: &'static str,
}

impl Installer for System {
    type Wish = Wish;

    fn describe() -> Description {
        let described = Description::new(
            "This machine",
            "Looks at the system, its memory, disks and clock, and has its clock kept right.",
        );
        KEEPERS.iter().fold(described, |described, unit| {
            described.needs(Need::Unit((*unit).into()))
        })
    }

    fn ask(facts: &Facts, form: &mut Form<'_>) -> Wish {
        let Some(keeper) = keeper(facts) else {
            return Wish { keeper: None };
        };
        let wanted = form
            .flag("keep-clock", "Keep the clock right")
            .help(format!(
                "Certificates and logs depend on it. `{}` asks servers on the internet for the time.",
                keeper.unit
            ))
            .default(true)
            .get();
        Wish {
            keeper: wanted.then_some(keeper),
        }
    }

    fn plan(_: &Facts, wish: Wish, plan: &mut Plan) -> Result<(), String> {
        let Some(keeper) = wish.keeper else {
            return Ok(());
        };
        if let Some(package) = keeper.package {
            plan.act(
                Command::RefreshPackages,
                "Lists of packages that are missing or old name none that can be fetched.",
            );
            let packages = Action::InstallPackages(vec![package.into()]);
            plan.act(packages, "It asks for the time and corrects the clock.");
        }
        let unit = EnableUnit {
            name: keeper.unit.into(),
            scope: Scope::System,
            start: true,
        };
        plan.act(unit, "It is started now and with the machine.");
        Ok(())
    }

    fn check(facts: &Facts) -> Vec<Finding> {
        look::at(facts)
    }
}

/// What would keep the clock here; none where another does, or where the clock is not this system's to keep.
fn keeper(facts: &Facts) -> Option<Keeper> {
    if facts.system.systemd.is_none() || facts.system.container.is_some() {
        return None;
    }
    let (package, unit) = match facts.system.package_manager.as_str() {
        "apt" => (Some(TIMESYNCD), "systemd-timesyncd.service"),
        "pacman" => (None, "systemd-timesyncd.service"),
        "dnf" | "zypper" => (Some(CHRONY), "chronyd.service"),
        _ => return None,
    };
    let other = KEEPERS.iter().any(|known| {
        let is_other = *known != unit && *known != alias(unit);
        is_other && facts.unit(known).is_some_and(|unit| unit.active)
    });
    (!other).then_some(Keeper { package, unit })
}

/// The name that Debian gives to what others call `chronyd`.
fn alias(unit: &str) -> &str {
    match unit {
        "chronyd.service" => "chrony.service",
        other => other,
    }
}

const TIMESYNCD: &str = "systemd-timesyncd";
const CHRONY: &str = "chrony";

/// All that keeps clocks.
const KEEPERS: [&str; 6] = [
    "systemd-timesyncd.service",
    "chronyd.service",
    "chrony.service",
    "ntpsec.service",
    "ntpd.service",
    "openntpd.service",
];

skep_sdk::installer!(System);
