//! Users and groups, by the programs that every Linux has for them.
//!
//! Decides that an account which is there is used as it is, and that undoing removes only what was not there before.

use super::ActError;
use super::place::Place;
use super::program::{Program, need};
use super::view::Found;

pub(super) fn look_group(place: &Place, name: &str) -> Result<Found, ActError> {
    Ok(if place.group(name)?.is_some() {
        Found::Already
    } else {
        Found::Needed
    })
}

pub(super) fn create_group(place: &Place, name: &str) -> Result<(), ActError> {
    tool(place, "groupadd")?.args(["--system", name]).run()?;
    verify(place.group(name)?.is_some(), "group", name)
}

pub(super) fn remove_group(place: &Place, name: &str) -> Result<Option<String>, ActError> {
    let Some(group) = place.group(name)? else {
        return Ok(None);
    };
    if !group.members.is_empty() {
        return Ok(Some(format!(
            "the group `{name}` has members: {}",
            group.members.join(", ")
        )));
    }
    tool(place, "groupdel")?.arg(name).run()?;
    Ok(None)
}

pub(super) fn look_user(place: &Place, name: &str, home: &str) -> Result<Found, ActError> {
    Ok(match place.user(name)? {
        None => Found::Needed,
        Some(user) if user.home == home => Found::Already,
        Some(user) => Found::Conflict(format!(
            "the user `{name}` has the home {}, not {home}",
            user.home
        )),
    })
}

pub(super) fn create_user(
    place: &Place,
    name: &str,
    group: &str,
    home: &str,
    comment: &str,
) -> Result<(), ActError> {
    let nologin = ["/usr/sbin/nologin", "/sbin/nologin"]
        .into_iter()
        .find(|path| place.root.exists(path))
        .unwrap_or("/bin/false");
    let program = tool(place, "useradd")?
        .args([
            "--system",
            "--no-create-home",
            "--gid",
            group,
            "--home-dir",
            home,
        ])
        .args(["--shell", nologin, "--comment", comment, name]);
    program.run()?;
    verify(place.user(name)?.is_some(), "user", name)
}

pub(super) fn remove_user(
    place: &Place,
    name: &str,
    home: &str,
) -> Result<Option<String>, ActError> {
    let Some(user) = place.user(name)? else {
        return Ok(None);
    };
    if user.home != home {
        return Ok(Some(format!(
            "somebody gave the user `{name}` the home {}",
            user.home
        )));
    }
    tool(place, "userdel")?.arg(name).run()?;
    Ok(None)
}

pub(super) fn look_member(place: &Place, user: &str, group: &str) -> Result<Found, ActError> {
    let missing = |what, name: &str| ActError::Missing {
        what,
        name: name.to_owned(),
    };
    let about = place.user(user)?.ok_or_else(|| missing("user", user))?;
    let of = place.group(group)?.ok_or_else(|| missing("group", group))?;
    let is_in = about.gid == of.gid || of.members.iter().any(|member| member == user);
    Ok(if is_in { Found::Already } else { Found::Needed })
}

pub(super) fn join(place: &Place, user: &str, group: &str) -> Result<(), ActError> {
    tool(place, "usermod")?
        .args(["--append", "--groups", group, user])
        .run()?;
    verify(
        look_member(place, user, group)? == Found::Already,
        "member",
        user,
    )
}

pub(super) fn leave(place: &Place, user: &str, group: &str) -> Result<Option<String>, ActError> {
    let is_in = place
        .group(group)?
        .is_some_and(|group| group.members.iter().any(|member| member == user));
    if is_in {
        let mut program = need("gpasswd")?;
        if !place.is_live() {
            program = program.arg("--root").arg(place.root.path().as_os_str());
        }
        program.args(["--delete", user, group]).run()?;
    }
    Ok(None)
}

/// A program of shadow, told of which system.
fn tool(place: &Place, name: &str) -> Result<Program, ActError> {
    let program = need(name)?;
    if place.is_live() {
        return Ok(program);
    }
    Ok(program.arg("--prefix").arg(place.root.path().as_os_str()))
}

fn verify(holds: bool, what: &'static str, name: &str) -> Result<(), ActError> {
    if holds {
        return Ok(());
    }
    Err(ActError::Missing {
        what,
        name: name.to_owned(),
    })
}
