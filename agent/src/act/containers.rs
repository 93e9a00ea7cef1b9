//! Containers of a compose file, by Docker or Podman.

use super::ActError;
use super::place::Place;
use super::program::{Program, find};
use super::view::Found;
use crate::limits::CONTAINERS_TIMEOUT;

fn compose(place: &Place, project: &str, file: &str) -> Result<Program, ActError> {
    if !place.is_live() {
        return Err(ActError::Conflict(
            "containers run only on the machine itself".to_owned(),
        ));
    }
    let tool = ["docker", "podman"].into_iter().find_map(find);
    let tool = tool.ok_or_else(|| ActError::NoProgram("docker, podman".to_owned()))?;
    Ok(tool
        .within(CONTAINERS_TIMEOUT)
        .args(["compose", "--project-name", project, "--file", file]))
}

/// Whether every service of the file runs.
pub(super) fn look(place: &Place, project: &str, file: &str) -> Result<Found, ActError> {
    if place.is_live() && !place.root.exists(file) {
        return Err(ActError::Missing {
            what: "compose file",
            name: file.to_owned(),
        });
    }
    let wanted = compose(place, project, file)?
        .args(["config", "--services"])
        .run()?;
    let running = compose(place, project, file)?
        .args(["ps", "--services", "--status", "running"])
        .run()?;
    let running: Vec<&str> = running.lines().map(str::trim).collect();
    let so = wanted
        .lines()
        .all(|service| running.contains(&service.trim()));
    Ok(if so { Found::Already } else { Found::Needed })
}

pub(super) fn start(place: &Place, project: &str, file: &str) -> Result<(), ActError> {
    compose(place, project, file)?
        .args(["up", "--detach", "--no-color", "--quiet-pull"])
        .run()?;
    if look(place, project, file)? == Found::Already {
        return Ok(());
    }
    Err(ActError::Conflict(format!(
        "not every container of `{project}` runs; `docker compose -p {project} logs` says why"
    )))
}

pub(super) fn stop(place: &Place, project: &str, file: &str) -> Result<Option<String>, ActError> {
    if !place.root.exists(file) {
        return Ok(Some(format!(
            "{file} is gone, so its containers are not known"
        )));
    }
    compose(place, project, file)?.arg("down").run()?;
    Ok(None)
}
