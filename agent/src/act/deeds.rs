//! What each action is on a machine: looking, what was before, doing, undoing, and what became of it later.

use skep_core::install::{Action, Before, Command, Entry, Firewall, Item, Plan, Stage};

use super::firewall::Port;
use super::place::Place;
use super::view::{Found, entry_words};
use super::wanted::{self, Wanted};
use super::{ActError, accounts, commands, containers, firewall, packages, paths, units};

/// Where an action stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) plan: &'a Plan,
    pub(super) index: usize,
    /// Whether an action before it changed something, or will.
    pub(super) changed: bool,
}

impl Context<'_> {
    fn action(&self) -> Result<&Action, ActError> {
        let planned = self.plan.actions.get(self.index);
        planned
            .map(|planned| &planned.action)
            .ok_or_else(|| ActError::Agent("there is no such action".to_owned()))
    }
}

/// What an action will be carried out with.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) before: Before,
    wanted: Option<Vec<Wanted>>,
}

/// Whether it is so already.
pub(super) fn look(place: &Place, context: &Context<'_>) -> Result<Found, ActError> {
    let action = context.action()?;
    match look_at(place, context, action) {
        // Somebody or something that an action before it makes.
        Err(ActError::Missing { .. } | ActError::NoProgram(_)) if context.changed => {
            Ok(Found::Needed)
        }
        Err(ActError::Conflict(why)) => Ok(Found::Conflict(why)),
        other => other,
    }
}

fn look_at(place: &Place, context: &Context<'_>, action: &Action) -> Result<Found, ActError> {
    let changed = if context.changed {
        Found::Needed
    } else {
        Found::Already
    };
    match action {
        Action::CreateGroup { name } => accounts::look_group(place, name),
        Action::CreateUser { name, home, .. } => accounts::look_user(place, name, home),
        Action::JoinGroup { user, group } => accounts::look_member(place, user, group),
        Action::InstallPackages { names } => packages::look(place, names),
        Action::EnableUnit { name, scope, start } if units::is_live(place, *scope) => {
            units::look(place, name, *scope, *start)
        }
        Action::OpenPort { .. } => firewall::look(place, port(action)?),
        Action::StartContainers { project, file } => containers::look(place, project, file),
        Action::Run { command } => match command {
            // These follow from what changed; where nothing did, they would do nothing.
            Command::ReloadUnits | Command::RestartUnit { .. } => Ok(changed),
            Command::RefreshPackages if !installs_later(place, context)? => Ok(Found::Already),
            Command::RefreshPackages => packages::look_lists(place),
            Command::LoadModule { name } => Ok(commands::look_module(place, name)),
            Command::SetPowerLimit { gpu, watts } => commands::look_power(place, gpu, *watts),
            Command::KeepRunning { user } => Ok(commands::look_linger(place, user)),
        },
        Action::SetSetting { .. } | Action::KeepSecret { .. } | Action::AddUpstream { .. } => {
            Err(ActError::Agent("only the agent can do that".to_owned()))
        }
        Action::WriteFile { .. }
        | Action::EditBlock { .. }
        | Action::MakeFolder { .. }
        | Action::EnableUnit { .. }
        | Action::GenerateKey { .. }
        | Action::GenerateCertificate { .. }
        | Action::Download { .. }
        | Action::InstallProgram { .. } => {
            let all = wanted::of(place, action)?.unwrap_or_default();
            paths::look(place, &all)
        }
    }
}

/// Whether an action after this one needs packages.
fn installs_later(place: &Place, context: &Context<'_>) -> Result<bool, ActError> {
    for planned in context.plan.actions.iter().skip(context.index) {
        if let Action::InstallPackages { names } = &planned.action
            && packages::look(place, names)? == Found::Needed
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn port(action: &Action) -> Result<Port<'_>, ActError> {
    match action {
        Action::OpenPort {
            firewall,
            protocol,
            port,
            from,
        } => Ok(Port {
            firewall: *firewall,
            protocol: *protocol,
            port: *port,
            from: from.as_deref(),
        }),
        _ => Err(ActError::Agent("this is no port".to_owned())),
    }
}

/// Keeps what is there, and makes what is to be there. `first` is what a first attempt, which was cut off, found.
pub(super) fn prepare(
    place: &Place,
    action: &Action,
    first: Option<&Before>,
) -> Result<Ready, ActError> {
    let wanted = wanted::of(place, action)?;
    let before = match (&wanted, first) {
        (Some(all), _) => paths::before(place, all, first)?,
        (None, Some(first)) => first.clone(),
        (None, None) => match action {
            Action::InstallPackages { names } => packages::before(place, names)?,
            Action::EnableUnit { name, scope, .. } => units::before(place, name, *scope)?,
            Action::Run {
                command: Command::RestartUnit { name },
            } => units::before_restart(place, name)?,
            Action::Run {
                command: Command::SetPowerLimit { gpu, .. },
            } => commands::before_power(gpu)?,
            _ => Before::Nothing,
        },
    };
    Ok(Ready { before, wanted })
}

/// Does it, and looks whether it is done. Gives what came with it.
pub(super) fn carry_out(
    place: &Place,
    action: &Action,
    ready: &Ready,
) -> Result<Vec<String>, ActError> {
    let Ready { before, wanted } = ready;
    let all = wanted.as_deref().unwrap_or_default();
    match action {
        Action::CreateGroup { name } if place.group(name)?.is_none() => {
            accounts::create_group(place, name)?
        }
        Action::CreateUser {
            name,
            group,
            home,
            comment,
        } if place.user(name)?.is_none() => {
            accounts::create_user(place, name, group, home, comment)?;
        }
        // They were made before a crash.
        Action::CreateGroup { .. } | Action::CreateUser { .. } => {}
        Action::JoinGroup { user, group } => accounts::join(place, user, group)?,
        Action::InstallPackages { names } => return packages::install(place, names, before),
        Action::OpenPort { .. } => firewall::open(place, port(action)?, all, before)?,
        Action::StartContainers { project, file } => containers::start(place, project, file)?,
        Action::EnableUnit { name, scope, start } if wanted.is_none() => {
            units::enable(place, name, *scope, *start)?;
        }
        Action::Run { command } if wanted.is_none() => match command {
            Command::ReloadUnits => units::reload(place)?,
            Command::RestartUnit { name } => units::restart(place, name)?,
            Command::RefreshPackages => packages::refresh(place)?,
            Command::LoadModule { name } => commands::load_module(place, name)?,
            Command::SetPowerLimit { gpu, watts } => commands::set_power(gpu, *watts)?,
            Command::KeepRunning { user } => commands::set_linger(place, user, true)?,
        },
        Action::SetSetting { .. } | Action::KeepSecret { .. } | Action::AddUpstream { .. } => {
            return Err(ActError::Agent("only the agent can do that".to_owned()));
        }
        Action::WriteFile { .. }
        | Action::EditBlock { .. }
        | Action::MakeFolder { .. }
        | Action::EnableUnit { .. }
        | Action::Run { .. }
        | Action::GenerateKey { .. }
        | Action::GenerateCertificate { .. }
        | Action::Download { .. }
        | Action::InstallProgram { .. } => paths::carry_out(place, all, before)?,
    }
    Ok(Vec::new())
}

/// Undoes it. `Some`: something was left as it is, for this reason.
pub(super) fn undo(
    place: &Place,
    action: &Action,
    item: &Item,
) -> Result<Option<String>, ActError> {
    let before = item.before.as_ref().unwrap_or(&Before::Nothing);
    if let Action::OpenPort { .. } = action {
        firewall::close(place, port(action)?)?;
        if let Before::Paths { changes } = before {
            return firewall::undo_paths(place, port(action)?, action, changes);
        }
    }
    if let Before::Paths { changes } = before {
        return paths::undo(place, action, changes);
    }
    match action {
        Action::CreateGroup { name } => accounts::remove_group(place, name),
        Action::CreateUser { name, home, .. } => accounts::remove_user(place, name, home),
        Action::JoinGroup { user, group } => accounts::leave(place, user, group),
        Action::InstallPackages { .. } => packages::remove(place, before, &item.came),
        Action::EnableUnit { name, scope, .. } => {
            units::disable(place, name, *scope, before).map(|()| None)
        }
        Action::StartContainers { project, file } => containers::stop(place, project, file),
        Action::Run { command } => match (command, before) {
            (Command::LoadModule { name }, _) => commands::unload_module(place, name),
            (Command::SetPowerLimit { gpu, watts }, Before::Power { watts: was }) => {
                commands::restore_power(gpu, *watts, *was)
            }
            (Command::KeepRunning { user }, _) => {
                commands::set_linger(place, user, false).map(|()| None)
            }
            // These come again once everything else is undone; see `afterwards`.
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// What has to follow once a whole run is undone. It may come twice.
pub(super) fn afterwards(place: &Place, plan: &Plan, items: &[Item]) -> Result<(), ActError> {
    let undone = plan.actions.iter().zip(items).filter(|(_, item)| {
        item.before
            .as_ref()
            .is_some_and(|before| *before != Before::Elsewhere)
    });
    let commands: Vec<(&Command, &Item)> = undone
        .filter_map(|(planned, item)| match &planned.action {
            Action::Run { command } => Some((command, item)),
            _ => None,
        })
        .collect();
    if commands
        .iter()
        .any(|(command, _)| **command == Command::ReloadUnits)
    {
        units::reload(place)?;
    }
    for (command, item) in commands {
        if let (Command::RestartUnit { name }, Some(Before::Flag { on: true })) =
            (command, &item.before)
        {
            units::restart_again(place, name)?;
        }
    }
    Ok(())
}

/// What is no longer as it was made, if anything.
pub(super) fn drifted(
    place: &Place,
    context: &Context<'_>,
    item: &Item,
) -> Result<Option<String>, ActError> {
    let action = context.action()?;
    if let Some(Before::Paths { changes }) = &item.before {
        let files = paths::drifted(place, action, changes)?;
        let rules = matches!(
            action,
            Action::OpenPort {
                firewall: Firewall::Nftables,
                ..
            }
        );
        if files.is_some() || !rules {
            return Ok(files);
        }
    }
    // Commands leave nothing behind that could be looked at, and lists of packages grow old.
    let passing = [Command::ReloadUnits, Command::RefreshPackages];
    match action {
        Action::Run { command } if passing.contains(command) => return Ok(None),
        Action::Run {
            command: Command::RestartUnit { .. },
        } => return Ok(None),
        _ => {}
    }
    Ok(match look(place, context)? {
        Found::Already => None,
        Found::Needed => Some("it is no longer so".to_owned()),
        Found::Conflict(why) => Some(why),
    })
}

/// What an action left, in words.
pub(super) fn expected(item: &Item) -> String {
    match (&item.stage, &item.before) {
        (Stage::Done, Some(Before::Paths { changes })) => {
            let changed = changes
                .iter()
                .filter(|change| change.becomes != Entry::Absent);
            let words: Vec<String> = changed
                .map(|change| format!("at {}, {}", change.path, entry_words(&change.becomes)))
                .collect();
            words.join("; ")
        }
        _ => "as it was done".to_owned(),
    }
}
