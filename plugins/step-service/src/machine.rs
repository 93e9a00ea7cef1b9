//! The service of the machine: a user of its own, folders, settings, the program, the unit.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;

use skep_sdk::installer::{
    Action, Command, CreateUser, EnableUnit, Facts, JoinGroup, MakeFolder, Owner, Plan, Scope,
    WriteFile,
};

use super::{MACHINE_UNIT, PACKAGED, UNIT, config};

pub(super) const CONFIG_FILE: &str = "/etc/skep/config.toml";
pub(super) const UNIT_FILE: &str = "/etc/systemd/system/skep.service";
const PROGRAM: &str = "/usr/local/bin/skep";
const USER: &str = "skep";

pub(super) fn plan(facts: &Facts, groups: &[String], start: bool, plan: &mut Plan) {
    // Who installed a package has its user, program and unit, and its updates.
    let packaged = facts.file(PACKAGED).is_some();
    if packaged {
        plan.note("The package of this distribution brings the program, its user and its unit.");
    } else {
        user(plan);
    }
    for group in groups {
        let join = JoinGroup {
            user: USER.to_owned(),
            group: group.clone(),
        };
        plan.act(
            join,
            format!("Members of `{group}` may use graphics cards."),
        );
    }
    let folder = MakeFolder {
        path: "/etc/skep".to_owned(),
        mode: 0o770,
        owner: owner(),
    };
    plan.act(
        folder,
        "Settings are kept there; the service may change its own.",
    );
    config(facts, CONFIG_FILE, 0o660, owner(), plan);
    if !packaged {
        plan.act(
            Action::InstallProgram(PROGRAM.to_owned()),
            "The service runs a program that no user can change.",
        );
    }
    if facts.system.systemd.is_none() {
        return;
    }
    if !packaged {
        let unit = WriteFile {
            path: UNIT_FILE.to_owned(),
            content: MACHINE_UNIT.replace("{program}", PROGRAM),
            mode: 0o644,
            owner: Owner::default(),
        };
        plan.act(
            unit,
            "It says how systemd starts, watches and confines the service.",
        );
        plan.act(Command::ReloadUnits, "systemd reads the unit.");
    }
    let unit = EnableUnit {
        name: UNIT.to_owned(),
        scope: Scope::System,
        start,
    };
    plan.act(unit, "The service starts with the machine.");
    if facts.agent.uid != 0 || facts.agent.data_folder != "/var/lib/skep/data" {
        plan.note(
            "The service is a node of its own, with its models and its identity in /var/lib/skep: what was pulled by another user's skep stays there.",
        );
    }
    plan.note(
        "Its log is the journal's, which keeps it within bounds by itself: `journalctl -u skep`.",
    );
}

fn user(plan: &mut Plan) {
    plan.act(
        Action::CreateGroup(USER.to_owned()),
        "The service has a group of its own.",
    );
    let user = CreateUser {
        name: USER.to_owned(),
        group: USER.to_owned(),
        home: "/var/lib/skep".to_owned(),
        comment: "skep node of a private AI cluster".to_owned(),
    };
    plan.act(
        user,
        "The service has a user of its own, who cannot sign in.",
    );
}

/// Root's, and the service may write.
fn owner() -> Owner {
    Owner {
        user: "root".to_owned(),
        group: USER.to_owned(),
    }
}
