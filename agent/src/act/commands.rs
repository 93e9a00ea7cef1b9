//! The few programs that a plan may have run by itself: modules, power limits, lingering.

use skep_core::install::Before;

use super::ActError;
use super::place::Place;
use super::program::need;
use super::root::Rights;
use super::view::Found;
use super::wanted::Wanted;

const LINGER: &str = "/var/lib/systemd/linger";

fn module_folder(name: &str) -> String {
    format!("/sys/module/{}", name.replace('-', "_"))
}

/// Another system's root has no kernel: there is nothing to do until it runs.
pub(super) fn look_module(place: &Place, name: &str) -> Found {
    if !place.is_live() || place.root.exists(&module_folder(name)) {
        return Found::Already;
    }
    Found::Needed
}

pub(super) fn load_module(place: &Place, name: &str) -> Result<(), ActError> {
    need("modprobe")?.args(["--", name]).run()?;
    if look_module(place, name) == Found::Already {
        return Ok(());
    }
    Err(ActError::Missing {
        what: "module in the kernel, although it was loaded:",
        name: name.to_owned(),
    })
}

pub(super) fn unload_module(place: &Place, name: &str) -> Result<Option<String>, ActError> {
    if !place.root.exists(&module_folder(name)) {
        return Ok(None);
    }
    match need("modprobe")?.args(["--remove", "--", name]).run() {
        Ok(_) => Ok(None),
        Err(ActError::Program { said, .. }) if said.contains("in use") => {
            Ok(Some(format!("the module {name} is in use")))
        }
        Err(error) => Err(error),
    }
}

/// The limit in force, in watts.
fn power(gpu: &str) -> Result<u32, ActError> {
    let said = need("nvidia-smi")?
        .args([
            "--id",
            gpu,
            "--query-gpu=power.limit",
            "--format=csv,noheader,nounits",
        ])
        .run()?;
    let whole = said.trim().split('.').next().unwrap_or_default();
    whole.parse().map_err(|_| {
        ActError::Conflict(format!(
            "the card {gpu} has no limit of power that could be set"
        ))
    })
}

pub(super) fn look_power(place: &Place, gpu: &str, watts: u32) -> Result<Found, ActError> {
    let so = !place.is_live() || power(gpu)? == watts;
    Ok(if so { Found::Already } else { Found::Needed })
}

pub(super) fn before_power(gpu: &str) -> Result<Before, ActError> {
    Ok(Before::Power { watts: power(gpu)? })
}

pub(super) fn set_power(gpu: &str, watts: u32) -> Result<(), ActError> {
    need("nvidia-smi")?
        .args(["--id", gpu, "--power-limit", &watts.to_string()])
        .run()?;
    let now = power(gpu)?;
    if now == watts {
        return Ok(());
    }
    Err(ActError::Conflict(format!(
        "the card {gpu} still has the limit {now} W"
    )))
}

/// Puts a limit back, unless somebody set another meanwhile.
pub(super) fn restore_power(gpu: &str, ours: u32, watts: u32) -> Result<Option<String>, ActError> {
    let now = power(gpu)?;
    if now == watts {
        return Ok(None);
    }
    if now != ours {
        return Ok(Some(format!("somebody set the limit {now} W")));
    }
    set_power(gpu, watts)?;
    Ok(None)
}

pub(super) fn look_linger(place: &Place, user: &str) -> Found {
    if place.root.exists(&format!("{LINGER}/{user}")) {
        Found::Already
    } else {
        Found::Needed
    }
}

pub(super) fn set_linger(place: &Place, user: &str, on: bool) -> Result<(), ActError> {
    let verb = if on {
        "enable-linger"
    } else {
        "disable-linger"
    };
    need("loginctl")?
        .args(["--no-ask-password", verb, user])
        .run()?;
    if (look_linger(place, user) == Found::Already) == on {
        return Ok(());
    }
    Err(ActError::Conflict(format!(
        "loginctl did not {verb} for {user}"
    )))
}

/// The file by which systemd remembers it.
pub(super) fn wanted_linger(place: &Place, user: &str) -> Result<Vec<Wanted>, ActError> {
    let rights = |mode| Rights {
        mode,
        uid: place.uid,
        gid: place.gid,
    };
    Ok(vec![
        Wanted::folder_at_least(place, LINGER, || Ok(rights(0o755)))?,
        Wanted::file(&format!("{LINGER}/{user}"), Vec::new(), rights(0o644)),
    ])
}
