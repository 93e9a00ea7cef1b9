//! What is right and wrong about the service on a machine.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use skep_sdk::installer::{Facts, Finding};

use super::machine::UNIT_FILE;
use super::{CARD_GROUPS, MACHINE_UNIT, PACKAGED, UNIT};

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let Some(version) = facts.system.systemd else {
        return vec![
            Finding::notice(
                "Nothing starts skep with the machine.",
                "systemd is not in charge of services here",
            )
            .remedy("have whatever is in charge run `skep up`"),
        ];
    };
    let mut findings = Vec::new();
    if version < OLDEST {
        findings.push(
            Finding::warning(
                "This systemd knows only some of the service's walls.",
                format!("systemd {version}; {OLDEST} knows all"),
            )
            .remedy("a newer release of the distribution has a newer one"),
        );
    }
    let own = facts.file(UNIT_FILE);
    let packaged = facts.file(PACKAGED);
    let personal = facts.file("~/.config/systemd/user/skep.service");
    if own.is_none() && packaged.is_none() {
        match personal {
            Some(file) => findings.push(Finding::fine(
                "skep is a service of this user.",
                format!("there is {}", file.path),
            )),
            None => findings.push(
                Finding::notice(
                    "skep is no service yet: it ends with the session that started it.",
                    format!("there is no {UNIT_FILE}"),
                )
                .remedy("sudo skep install   (or `skep install --user`)"),
            ),
        }
        return findings;
    }
    if let Some(text) = own.and_then(|file| file.content.as_deref())
        && !is_ours(text)
    {
        findings.push(
            Finding::notice(
                "The unit is another than this version would write.",
                format!("{UNIT_FILE} differs"),
            )
            .remedy("sudo skep install"),
        );
    }
    if own.is_some() && packaged.is_some() {
        findings.push(
            Finding::warning(
                "Two units are called skep, and the package's is not in force.",
                format!("{UNIT_FILE} hides {PACKAGED}"),
            )
            .remedy("sudo skep uninstall   (what the package brought stays)"),
        );
    }
    match facts.unit(UNIT) {
        Some(unit) if unit.active => {
            findings.push(Finding::fine(
                "The service runs.",
                "systemd says that it is active",
            ));
        }
        Some(unit) if unit.enabled => findings.push(
            Finding::failure(
                "The service should run and does not.",
                "systemd says that it is enabled and not active",
            )
            .remedy("sudo systemctl start skep   (and `journalctl -u skep` says why it ended)"),
        ),
        _ => findings.push(
            Finding::notice(
                "The service does not start with the machine.",
                "systemd says that it is not enabled",
            )
            .remedy("sudo systemctl enable --now skep"),
        ),
    }
    findings.extend(cards(facts));
    findings
}

/// Cards whose nodes the service may not open.
fn cards(facts: &Facts) -> Option<Finding> {
    let card = facts.gpus.first()?;
    let account = facts.account("skep")?;
    let lacks: Vec<&str> = CARD_GROUPS
        .into_iter()
        .filter(|group| facts.groups.iter().any(|known| known == group))
        .filter(|group| !account.groups.iter().any(|known| known == group))
        .collect();
    if lacks.is_empty() {
        return None;
    }
    let groups = lacks.join(",");
    Some(
        Finding::warning(
            "The service may not be allowed to use the graphics cards.",
            format!("there is {} and `skep` is not in {groups}", card.name),
        )
        .remedy(format!(
            "sudo usermod -aG {groups} skep && sudo systemctl restart skep"
        )),
    )
}

/// Whether a unit has our text, for whatever program.
fn is_ours(text: &str) -> bool {
    let Some((before, after)) = MACHINE_UNIT.split_once("{program}") else {
        return false;
    };
    let inner = text
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after));
    inner.is_some_and(|program| program.starts_with('/') && !program.contains('\n'))
}

/// Knows every directive of the unit (`ProtectProc` came with 247).
const OLDEST: u32 = 247;
