//! The plan that makes the agent a service of a machine or of one user.
//!
//! Decides which actions that takes and where things go; the texts of units are those of the step `service`. What an
//! administrator wrote is never part of it: settings that are there stay as they are.

use std::path::Path;

use skep_core::install::{Action, Command, Owner, Plan, Planned, Scope};

use super::ActError;
use super::place::Place;

/// What runs of this plan are a part of.
pub const SERVICE_PART: &str = "service";

/// The user and the group that the service has.
pub const SERVICE_USER: &str = "skep";

/// Where that user's home is: what the agent keeps.
pub const SERVICE_HOME: &str = "/var/lib/skep";

/// Folders that are the service's alone, and go when everything of it is to go.
pub const SERVICE_FOLDERS: [&str; 4] =
    ["/var/lib/skep", "/var/cache/skep", "/run/skep", "/etc/skep"];

const PROGRAM: &str = "/usr/local/bin/skep";
const UNIT: &str = include_str!("../../../plugins/step-service/src/skep.service");
const USER_UNIT: &str = include_str!("../../../plugins/step-service/src/skep.user.service");
const CONFIG: &str = include_str!("../../../plugins/step-service/src/config.toml");

/// Groups whose members may use cards.
const CARDS: [&str; 2] = ["video", "render"];

fn planned(action: Action, why: &str) -> Planned {
    Planned {
        action,
        why: why.to_owned(),
    }
}

fn owner(user: &str, group: &str) -> Owner {
    Owner {
        user: user.to_owned(),
        group: group.to_owned(),
    }
}

/// The service of a whole machine.
pub(super) fn of_machine(place: &Place) -> Result<Plan, ActError> {
    let units = "/etc/systemd/system";
    if !place.root.exists(units) {
        return Err(ActError::Missing {
            what: "systemd here: no folder",
            name: units.to_owned(),
        });
    }
    let name = || SERVICE_USER.to_owned();
    let mut actions = vec![
        planned(
            Action::CreateGroup { name: name() },
            "Who belongs to it may change the node's settings.",
        ),
        planned(
            Action::CreateUser {
                name: name(),
                group: name(),
                home: SERVICE_HOME.to_owned(),
                comment: "skep node of a private AI cluster".to_owned(),
            },
            "The service runs as a user that may do nothing else.",
        ),
    ];
    for group in CARDS {
        if place.group(group)?.is_some() {
            let join = Action::JoinGroup {
                user: name(),
                group: group.to_owned(),
            };
            actions.push(planned(
                join,
                "Members may use the machine's graphics cards.",
            ));
        }
    }
    let program = PROGRAM.to_owned();
    actions.push(planned(
        Action::InstallProgram { path: program },
        "The service and people find it there.",
    ));
    let folder = Action::MakeFolder {
        path: "/etc/skep".to_owned(),
        mode: 0o770,
        owner: owner("root", SERVICE_USER),
    };
    actions.push(planned(folder, "The node's settings."));
    let config = "/etc/skep/config.toml";
    if !place.root.exists(config) {
        let write = Action::WriteFile {
            path: config.to_owned(),
            content: CONFIG.to_owned(),
            mode: 0o660,
            owner: owner("root", SERVICE_USER),
        };
        actions.push(planned(write, "A beginning that says what can be set."));
    }
    let unit = Action::WriteFile {
        path: format!("{units}/skep.service"),
        content: UNIT.replace("{program}", PROGRAM),
        mode: 0o644,
        owner: owner("root", "root"),
    };
    actions.push(planned(
        unit,
        "How systemd runs it, and what it may not do.",
    ));
    let reload = Action::Run {
        command: Command::ReloadUnits,
    };
    actions.push(planned(reload, "systemd hears of the unit."));
    let restart = Action::Run {
        command: Command::RestartUnit {
            name: "skep.service".to_owned(),
        },
    };
    actions.push(planned(
        restart,
        "An agent that runs already is the new one then.",
    ));
    actions.push(planned(
        enable(Scope::System),
        "It runs from now on, and after each start of the machine.",
    ));
    Ok(Plan {
        actions,
        notes: vec![
            "`journalctl -u skep` shows what it says, `skep doctor` whether all is well."
                .to_owned(),
        ],
    })
}

/// The service of one user, without root.
pub(super) fn of_user(place: &Place, home: &Path) -> Result<Plan, ActError> {
    let not_text = || ActError::Conflict("the path of this home is no text".to_owned());
    let home = home.to_str().ok_or_else(not_text)?.trim_end_matches('/');
    let (programs, units) = (
        format!("{home}/.local/bin"),
        format!("{home}/.config/systemd/user"),
    );
    let mut actions = Vec::new();
    // Folders that are there are nobody's to change.
    for (first, whole) in [(".local", &programs), (".config", &units)] {
        let from = home.len() + 1 + first.len();
        let ends = whole
            .match_indices('/')
            .map(|(at, _)| at)
            .chain([whole.len()]);
        for path in ends
            .filter(|end| *end >= from)
            .filter_map(|end| whole.get(..end))
        {
            if !place.root.exists(path) {
                let folder = Action::MakeFolder {
                    path: path.to_owned(),
                    mode: 0o755,
                    owner: Owner::default(),
                };
                actions.push(planned(folder, "Where users keep such things."));
            }
        }
    }
    let program = format!("{programs}/skep");
    let unit = Action::WriteFile {
        path: format!("{units}/skep.service"),
        content: USER_UNIT.replace("{program}", &program),
        mode: 0o644,
        owner: Owner::default(),
    };
    actions.push(planned(
        Action::InstallProgram { path: program },
        "The service and its user find it there.",
    ));
    actions.push(planned(unit, "How systemd runs it."));
    actions.push(planned(
        enable(Scope::User),
        "It runs from now on, and whenever its user is there.",
    ));
    Ok(Plan {
        actions,
        notes: vec![
            "`sudo loginctl enable-linger $USER` lets it run while nobody is signed in.".to_owned(),
            "`journalctl --user -u skep` shows what it says.".to_owned(),
        ],
    })
}

fn enable(scope: Scope) -> Action {
    Action::EnableUnit {
        name: "skep.service".to_owned(),
        scope,
        start: true,
    }
}
