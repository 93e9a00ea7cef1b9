//! Which packages are proposed for which cards.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use skep_sdk::installer::{
    Action, Answer, Facts, Gpu, Installer as _, PackageFacts, Severity, Value, Vendor, answer,
    samples, try_out,
};
use step_drivers::Drivers;

fn packages(facts: &Facts, answers: &[Answer]) -> Vec<String> {
    let plan = try_out::<Drivers>(facts, answers).plan.unwrap();
    let packages = plan
        .actions
        .into_iter()
        .filter_map(|planned| match planned.action {
            Action::InstallPackages(names) => Some(names),
            _ => None,
        });
    packages.flatten().collect()
}

fn package(name: &str, installed: bool) -> PackageFacts {
    PackageFacts {
        name: name.into(),
        installed: installed.then(|| "1".into()),
        available: Some("1".into()),
    }
}

fn bare(vendor: Vendor) -> Gpu {
    Gpu {
        vendor,
        module: None,
        driver: None,
        ..samples::nvidia(0)
    }
}

#[test]
fn without_a_card_nothing_is_asked() {
    for facts in [samples::debian(), samples::fedora(), samples::arch()] {
        let tried = try_out::<Drivers>(&facts, &[]);
        assert!(tried.questions.is_empty());
        assert_eq!(tried.plan.unwrap().actions, []);
        assert_eq!(Drivers::check(&facts)[0].severity, Severity::Fine);
    }
}

#[test]
fn a_card_of_nvidia_gets_what_the_distribution_has() {
    for (mut facts, has, expect) in [
        (
            samples::debian(),
            vec!["nvidia-driver"],
            vec!["nvidia-driver"],
        ),
        (
            samples::debian(),
            vec!["nvidia-driver-570", "nvidia-driver-580"],
            vec!["nvidia-driver-580"],
        ),
        (
            samples::fedora(),
            vec!["akmod-nvidia"],
            vec!["akmod-nvidia"],
        ),
        (
            samples::arch(),
            vec!["nvidia", "nvidia-open"],
            vec!["nvidia-open"],
        ),
        (samples::debian(), vec![], vec![]),
        (samples::fedora(), vec![], vec![]),
    ] {
        facts.gpus = vec![bare(Vendor::Nvidia)];
        facts.packages = has.iter().map(|name| package(name, false)).collect();
        assert_eq!(packages(&facts, &[]), expect, "{has:?}");
        assert_eq!(Drivers::check(&facts)[0].severity, Severity::Warning);
        let notes = try_out::<Drivers>(&facts, &[]).plan.unwrap().notes;
        assert_eq!(notes.len(), 1, "what a person does is said: {notes:?}");
    }
}

#[test]
fn one_that_works_is_left_as_it_is() {
    let mut facts = samples::debian();
    facts.gpus = vec![samples::nvidia(0)];
    facts.packages = vec![package("nvidia-driver", false)];
    assert_eq!(packages(&facts, &[]), Vec::<String>::new());
    assert_eq!(Drivers::check(&facts)[0].severity, Severity::Fine);
    // The plan is the same once it was carried out.
    facts.packages = vec![
        package("nvidia-driver-570", true),
        package("nvidia-driver-580", false),
    ];
    assert_eq!(packages(&facts, &[]), ["nvidia-driver-570"]);
    let no = [answer("nvidia", Value::Flag(false))];
    assert_eq!(packages(&facts, &no), Vec::<String>::new());
}

#[test]
fn free_drivers_cards_set_aside_and_containers_are_told() {
    let mut facts = samples::debian();
    let with = |module: &str| Gpu {
        module: Some(module.into()),
        driver: None,
        ..samples::nvidia(0)
    };
    let said = |facts: &Facts| Drivers::check(facts)[0].what.clone();
    facts.gpus = vec![with("nouveau")];
    assert!(said(&facts).contains("cannot compute"));
    facts.gpus = vec![with("nvidia")];
    assert!(said(&facts).contains("library is not"));
    facts.packages = vec![package("nvidia-driver", false)];
    facts.gpus = vec![with("vfio-pci")];
    assert!(said(&facts).contains("virtual machine"));
    assert_eq!(packages(&facts, &[]), Vec::<String>::new());
    facts.gpus = vec![bare(Vendor::Nvidia)];
    facts.system.container = Some("docker".into());
    assert!(try_out::<Drivers>(&facts, &[]).questions.is_empty());
    assert!(
        Drivers::check(&facts)[0]
            .remedy
            .as_deref()
            .unwrap()
            .contains("host")
    );
}

#[test]
fn cards_of_amd_need_firmware_and_groups() {
    let mut facts = samples::fedora();
    facts.gpus = vec![Gpu {
        vendor: Vendor::Amd,
        module: Some("amdgpu".into()),
        ..bare(Vendor::Amd)
    }];
    facts.packages = vec![package("amd-gpu-firmware", true)];
    assert_eq!(packages(&facts, &[]), ["amd-gpu-firmware"]);
    let joined = |facts: &Facts| {
        let plan = try_out::<Drivers>(facts, &[]).plan.unwrap();
        let joins = plan
            .actions
            .into_iter()
            .filter_map(|planned| match planned.action {
                Action::JoinGroup(join) => Some((join.user, join.group)),
                _ => None,
            });
        joins.collect::<Vec<_>>()
    };
    assert_eq!(
        joined(&facts),
        [
            ("sam".into(), "render".into()),
            ("sam".into(), "video".into())
        ]
    );
    let found = Drivers::check(&facts);
    assert!(
        found[1]
            .remedy
            .as_deref()
            .unwrap()
            .contains("usermod -aG render,video sam")
    );
    facts.agent.uid = 0;
    assert_eq!(joined(&facts), []);
}
