//! The service of one user: a unit of that user's own systemd, with the folders that an agent in a terminal has as well.

use alloc::format;
use alloc::string::ToString as _;

use skep_sdk::installer::{
    Action, Command, EnableUnit, Facts, MakeFolder, Owner, Plan, Scope, WriteFile,
};

use super::{PERSON_UNIT, UNIT, config, in_home};

/// Why this user can have no unit: systemd splits words, and knows `%` and `$`.
pub(super) fn unfit(facts: &Facts) -> Option<&'static str> {
    let plain = |path: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
        path.starts_with('/') && path.chars().all(fits) && !path.contains("..")
    };
    let name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    let user = &facts.agent.user;
    if !plain(&facts.agent.home) || !plain(&facts.agent.config_folder) {
        return Some(
            "the home of this user has a name that a unit cannot have: take the service of the machine",
        );
    }
    let begins = user.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if !begins || !user.chars().all(name) || user.len() > 32 {
        return Some(
            "this user has a name that systemd does not take: take the service of the machine",
        );
    }
    None
}

pub(super) fn plan(facts: &Facts, lingers: bool, start: bool, plan: &mut Plan) {
    let installed = ["/usr/bin/skep", "/usr/local/bin/skep", "/opt/skep/bin/skep"];
    let program = if installed.contains(&facts.agent.executable.as_str()) {
        facts.agent.executable.clone()
    } else {
        for folder in ["~/.local", "~/.local/bin"] {
            make(facts, folder, plan);
        }
        let program = in_home(facts, "~/.local/bin/skep");
        plan.act(
            Action::InstallProgram(program.clone()),
            "The service goes on to run it when what runs now is deleted or moved.",
        );
        program
    };
    // One that was started with `--home` keeps everything in that folder.
    let folder = &facts.agent.config_folder;
    let own_folder = facts.agent.data_folder == format!("{folder}/data");
    let program = if own_folder {
        format!("{program} --home {folder}")
    } else {
        for folder in ["~/.config", "~/.config/skep"] {
            make(facts, folder, plan);
        }
        let file = "~/.config/skep/config.toml";
        config(facts, file, 0o600, Owner::default(), plan);
        program
    };
    if facts.system.systemd.is_none() {
        return;
    }
    for folder in ["~/.config", "~/.config/systemd", "~/.config/systemd/user"] {
        if own_folder || folder != "~/.config" {
            make(facts, folder, plan);
        }
    }
    let unit = WriteFile {
        path: in_home(facts, "~/.config/systemd/user/skep.service"),
        content: PERSON_UNIT.replace("{program}", &program),
        mode: 0o644,
        owner: Owner::default(),
    };
    plan.act(
        unit,
        "It says how your systemd starts and watches the service.",
    );
    let unit = EnableUnit {
        name: UNIT.to_string(),
        scope: Scope::User,
        start,
    };
    plan.act(unit, "The service starts with your first session.");
    if lingers {
        plan.act(
            Command::KeepRunning(facts.agent.user.clone()),
            "It goes on while you are not signed in, and starts with the machine.",
        );
    }
    plan.note("Its log is the journal's: `journalctl --user -u skep`.");
}

/// A folder that others use, too: one that is there stays as it is.
fn make(facts: &Facts, folder: &str, plan: &mut Plan) {
    let folder = MakeFolder {
        path: in_home(facts, folder),
        mode: 0o700,
        owner: Owner::default(),
    };
    plan.act(folder, "What follows is kept there.");
}
