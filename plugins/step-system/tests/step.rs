//! What the step finds and plans on made-up machines.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use skep_sdk::installer::{
    Action, Facts, Installer as _, Listener, Protocol, Severity, UnitFacts, Value, answer, samples,
    try_out,
};
use step_system::System;

fn worst(facts: &Facts, words: &str) -> Severity {
    let found = System::check(facts);
    let finding = found.iter().find(|finding| finding.what.contains(words));
    finding
        .unwrap_or_else(|| unreachable!("{words}: {found:?}"))
        .severity
}

#[test]
fn a_usual_machine_is_fine() {
    for facts in [samples::debian(), samples::fedora(), samples::arch()] {
        let found = System::check(&facts);
        assert!(found.len() >= 5, "{found:?}");
        assert!(
            found.iter().all(|one| one.severity == Severity::Fine),
            "{found:?}"
        );
    }
}

#[test]
fn what_is_wrong_is_said() {
    let mut facts = samples::debian();
    facts.system.kernel = "5.10.0-8".into();
    facts.system.memory_bytes = 1 << 30;
    facts.system.systemd = None;
    facts.system.clock_kept = Some(false);
    facts.system.architecture = "riscv64".into();
    facts.disks[0].free_bytes = 5_000_000_000;
    facts.listeners = vec![Listener {
        protocol: Protocol::Tcp,
        address: "0.0.0.0".into(),
        port: 7420,
        program: Some("nginx".into()),
    }];
    assert_eq!(worst(&facts, "kernel is older"), Severity::Warning);
    assert_eq!(worst(&facts, "little memory"), Severity::Warning);
    assert_eq!(worst(&facts, "no systemd"), Severity::Warning);
    assert_eq!(worst(&facts, "Nothing keeps the clock"), Severity::Warning);
    assert_eq!(worst(&facts, "portable code"), Severity::Notice);
    assert_eq!(worst(&facts, "little room"), Severity::Warning);
    assert_eq!(worst(&facts, "Another program listens"), Severity::Failure);
    facts.disks[0].read_only = true;
    facts.system.now_unix_s = 12;
    facts.system.container = Some("docker".into());
    assert_eq!(worst(&facts, "cannot be written"), Severity::Failure);
    assert_eq!(worst(&facts, "clock is wrong"), Severity::Failure);
    assert_eq!(worst(&facts, "container"), Severity::Notice);
    assert_eq!(
        worst(&samples::nothing(), "which distribution"),
        Severity::Warning
    );
}

#[test]
fn the_clock_is_kept_by_what_the_distribution_has() {
    let unit = |facts: &Facts| {
        let actions = try_out::<System>(facts, &[]).plan.unwrap().actions;
        actions
            .into_iter()
            .find_map(|planned| match planned.action {
                Action::EnableUnit(unit) => Some(unit.name),
                _ => None,
            })
    };
    assert_eq!(
        unit(&samples::debian()).as_deref(),
        Some("systemd-timesyncd.service")
    );
    assert_eq!(unit(&samples::fedora()).as_deref(), Some("chronyd.service"));
    assert_eq!(
        unit(&samples::arch()).as_deref(),
        Some("systemd-timesyncd.service")
    );
    let mut other = samples::debian();
    other.units = vec![UnitFacts {
        name: "chrony.service".into(),
        enabled: true,
        active: true,
    }];
    assert_eq!(unit(&other), None, "another keeps it");
    let mut container = samples::debian();
    container.system.container = Some("lxc".into());
    assert_eq!(unit(&container), None);
    let no = [answer("keep-clock", Value::Flag(false))];
    assert_eq!(
        try_out::<System>(&samples::debian(), &no)
            .plan
            .unwrap()
            .actions,
        []
    );
}
