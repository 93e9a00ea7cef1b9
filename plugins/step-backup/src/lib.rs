//! The step for backups that the agent makes by itself.
//!
//! Decides where they may lie: not in what they are to replace, not in memory, and rather on another disk. What is in them, and how
//! they are sealed, is the agent's.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use skep_sdk::installer::{
    Description, Disk, Facts, Finding, Form, Installer, MakeFolder, Owner, Plan, is_path, toml,
};

/// The step.
#[derive(Debug)]
pub struct Backup;

/// Backups by themselves; none: nobody wants them.
#[derive(Debug)]
pub struct Wish {
    schedule: Option<Schedule>,
}

/// Where to, how often, how many, and who can read them.
#[derive(Debug)]
struct Schedule {
    folder: String,
    every_s: i64,
    keep: i64,
    /// None: they are not sealed.
    passphrase_file: Option<String>,
}

impl Installer for Backup {
    type Wish = Wish;

    fn describe() -> Description {
        Description::new(
            "Backups",
            "Has the agent make a backup of itself again and again, and keep the newest.",
        )
    }

    fn ask(facts: &Facts, form: &mut Form<'_>) -> Wish {
        let wanted = form
            .flag("backups", "Make backups by itself")
            .help("Of everything that makes this node what it is: identity, keys, secrets, settings, plugins and the cluster's state. Models stay out.")
            .default(facts.setting(FOLDER).is_some())
            .get();
        if !wanted {
            return Wish { schedule: None };
        }
        let folder = ask_folder(facts, form);
        let every_s = ask_every(facts, form);
        let keep = form
            .number("keep", "How many are kept", 1, KEEP_MAX)
            .help("Older ones go once a newer one was read back and found whole.")
            .default(number(facts, KEEP).unwrap_or(KEEP_USUAL))
            .get();
        let passphrase_file = ask_passphrase(facts, form, &folder);
        let schedule = Schedule {
            folder,
            every_s,
            keep,
            passphrase_file,
        };
        Wish {
            schedule: Some(schedule),
        }
    }

    fn plan(facts: &Facts, wish: Wish, plan: &mut Plan) -> Result<(), String> {
        let Some(schedule) = wish.schedule else {
            for key in [FOLDER, EVERY, KEEP, PASSPHRASE] {
                if facts.setting(key).is_some() {
                    plan.unset(key, "No backups are made.");
                }
            }
            return Ok(());
        };
        let owner = Owner {
            user: facts.agent.user.clone(),
            group: String::new(),
        };
        let made = MakeFolder {
            path: schedule.folder.clone(),
            mode: 0o700,
            owner,
        };
        plan.act(made, "Backups lie there, and only the agent reads them.");
        plan.set(
            FOLDER,
            toml::text(&schedule.folder),
            "Backups are made there.",
        );
        let settings = [
            (EVERY, schedule.every_s, EVERY_USUAL, "So often."),
            (KEEP, schedule.keep, KEEP_USUAL, "So many stay."),
        ];
        for (key, value, usual, why) in settings {
            if value == usual {
                plan.unset(key, why);
            } else {
                plan.set(key, toml::number(value), why);
            }
        }
        if let Some(file) = &schedule.passphrase_file {
            let why = "Only who knows the passphrase opens one.";
            plan.set(PASSPHRASE, toml::text(file), why);
            plan.note(format!(
                "The passphrase is the first line of {file}, which the agent has to be able to read: `skep backup create {} --passphrase-file {file}` tries it.",
                schedule.folder
            ));
        } else {
            plan.unset(PASSPHRASE, "Backups are not sealed.");
            plan.note("Every secret of this node is in a backup: keep the folder as safe as this machine.");
        }
        if shares_disk(facts, &schedule.folder) {
            plan.note(
                "They lie on the disk that they are to replace: copy them elsewhere now and then.",
            );
        }
        plan.note(
            "The first is made when the agent starts anew. `skep backup ls` shows what there is.",
        );
        Ok(())
    }

    fn check(facts: &Facts) -> Vec<Finding> {
        let Some(folder) = facts.setting_text(FOLDER) else {
            let what = "The agent makes no backups by itself.";
            let remedy = "choose a folder in the step for backups; `skep backup create FOLDER` makes one by hand";
            return [Finding::notice(what, "`backup.folder` is not set").remedy(remedy)].into();
        };
        let mut found = Vec::new();
        if let Some(problem) = problem(facts, folder) {
            let what = "Backups cannot be kept where they are to lie.";
            let evidence = format!("{folder}: {problem}");
            found.push(
                Finding::warning(what, evidence)
                    .remedy("choose another folder in the step for backups"),
            );
        } else if shares_disk(facts, folder) {
            let what = "Backups lie on the disk that they are to replace.";
            let mount = facts.disk_of(folder).map_or("/", |disk| &disk.mount);
            let evidence = format!("{folder} and {} are on {mount}", facts.agent.data_folder);
            let remedy = "choose a folder on another disk, or copy them elsewhere now and then";
            found.push(Finding::notice(what, evidence).remedy(remedy));
        }
        if facts.setting(PASSPHRASE).is_none() {
            let what = "Backups are not sealed.";
            let remedy = "put a passphrase into a file that only the agent reads, and name it in the step for backups";
            found.push(Finding::notice(what, "`backup.passphrase_file` is not set").remedy(remedy));
        }
        if found.is_empty() {
            let every = number(facts, EVERY).unwrap_or(EVERY_USUAL);
            found.push(Finding::fine(
                "Backups are made.",
                format!("every {every} s to {folder}"),
            ));
        }
        found
    }
}

fn ask_folder(facts: &Facts, form: &mut Form<'_>) -> String {
    let usual = if is_of_a_person(facts) {
        format!("{}/skep-backups", facts.agent.home.trim_end_matches('/'))
    } else {
        OF_MACHINE[0].to_string()
    };
    let help = if is_of_a_person(facts) {
        "Rather on another disk than what they are to replace.".to_string()
    } else {
        format!(
            "The service may write to {}; mount another disk there, rather than losing both at once.",
            OF_MACHINE.join(" and ")
        )
    };
    let folder = form
        .text("folder", "Folder")
        .help(help)
        .placeholder(usual.as_str())
        .at_most(PATH_BYTES)
        .default(facts.setting_text(FOLDER).unwrap_or(&usual))
        .get();
    let folder = folder.trim_end_matches('/').to_string();
    if let Some(problem) = problem(facts, &folder) {
        form.wrong("folder", problem);
    }
    folder
}

fn ask_passphrase(facts: &Facts, form: &mut Form<'_>, folder: &str) -> Option<String> {
    let now = facts.setting_text(PASSPHRASE);
    let sealed = form
        .flag("seal", "Seal them with a passphrase")
        .help("Else whoever has a backup has every secret in it.")
        .default(now.is_some())
        .get();
    if !sealed {
        return None;
    }
    let usual = format!("{}/backup.pass", facts.agent.config_folder);
    let file = form
        .text("passphrase-file", "File with the passphrase")
        .help("Its first line counts; only the agent should be able to read it. Keep the passphrase elsewhere, too: without it nobody opens a backup.")
        .placeholder(usual.as_str())
        .at_most(PATH_BYTES)
        .default(now.unwrap_or(&usual))
        .get();
    if !is_path(&file) {
        form.wrong("passphrase-file", "as `/etc/skep/backup.pass`");
    } else if is_within(&file, folder) {
        form.wrong(
            "passphrase-file",
            "not beside the backups: whoever has them would have the passphrase, too",
        );
    }
    Some(file)
}

fn ask_every(facts: &Facts, form: &mut Form<'_>) -> i64 {
    let now = number(facts, EVERY).unwrap_or(EVERY_USUAL);
    let mut choice = form
        .choice("every", "How often")
        .help("What happened since the last one is what is lost.")
        .option("3600", "Every hour", "Where much is changed.")
        .recommend("86400", "Every day", "At most a day is lost.")
        .option("604800", "Every week", "Where little is changed.");
    let own = now.to_string();
    if ![3_600, 86_400, 604_800].contains(&now) {
        choice = choice.option(
            own.as_str(),
            format!("Every {now} seconds"),
            "As it is now.",
        );
    }
    choice.default(&own).get().parse().unwrap_or(now)
}

/// Why backups cannot lie there.
fn problem(facts: &Facts, folder: &str) -> Option<String> {
    if !is_path(folder) {
        return Some("give an absolute path, as `/srv/skep-backups`".into());
    }
    let agent = &facts.agent;
    for own in [
        &agent.data_folder,
        &agent.config_folder,
        &agent.cache_folder,
    ] {
        if is_within(folder, own) {
            return Some(format!(
                "a backup within {own} is lost with what it is to replace"
            ));
        }
    }
    if !is_of_a_person(facts) && !OF_MACHINE.iter().any(|known| is_within(folder, known)) {
        return Some(format!(
            "the service may write to {}: take one of them, and mount another disk there if you like",
            OF_MACHINE.join(" and ")
        ));
    }
    let disk = facts.disk_of(folder)?;
    if disk.file_system == "tmpfs" {
        return Some(format!(
            "{} is memory, and empty after the next start of the machine",
            disk.mount
        ));
    }
    if disk.read_only {
        return Some(format!("{} cannot be written to", disk.mount));
    }
    (disk.free_bytes < FREE_BYTES_MIN).then(|| {
        format!(
            "{} has {} MiB left, which is not enough",
            disk.mount,
            disk.free_bytes >> 20
        )
    })
}

/// Whether what is lost with one is lost with the other.
fn shares_disk(facts: &Facts, folder: &str) -> bool {
    let device = |disk: &Disk| disk.device.clone();
    let of = facts.disk_of(folder).map(device);
    of.is_some() && of == facts.disk_of(&facts.agent.data_folder).map(device)
}

/// Whether a person runs the agent, and not the machine.
fn is_of_a_person(facts: &Facts) -> bool {
    !facts.is_root()
        && is_path(&facts.agent.home)
        && !is_within(&facts.agent.data_folder, "/var/lib")
}

fn is_within(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder.trim_end_matches('/'));
    !folder.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn number(facts: &Facts, key: &str) -> Option<i64> {
    facts.setting(key)?.replace('_', "").parse().ok()
}

const FOLDER: &str = "backup.folder";
const EVERY: &str = "backup.every_s";
const KEEP: &str = "backup.keep";
const PASSPHRASE: &str = "backup.passphrase_file";
/// What the agent has where nobody says anything.
const EVERY_USUAL: i64 = 86_400;
const KEEP_USUAL: i64 = 14;
/// As `backup.keep` takes it.
const KEEP_MAX: i64 = 10_000;
/// Where the service of a machine may write them: its unit says so.
const OF_MACHINE: [&str; 2] = ["/srv/skep-backups", "/var/backups/skep"];
/// Some backups of a node with plugins.
const FREE_BYTES_MIN: u64 = 256 << 20;
const PATH_BYTES: u32 = 1_024;

skep_sdk::installer!(Backup);
