//! Which settings come of what somebody answers, and where backups may not lie.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use skep_sdk::installer::{
    Action, Answer, Disk, Facts, Installer as _, MakeFolder, Severity, Value, answer, samples,
    try_out,
};
use step_backup::Backup;

fn wanted(more: &[(&str, &str)]) -> Vec<Answer> {
    let more = more
        .iter()
        .map(|(id, text)| answer(id, Value::Text((*text).into())));
    let flags = ["backups", "seal"].map(|id| answer(id, Value::Flag(true)));
    flags.into_iter().chain(more).collect()
}

fn settings(facts: &Facts, answers: &[Answer]) -> Vec<(String, Option<String>)> {
    let plan = try_out::<Backup>(facts, answers).plan.unwrap();
    let settings = plan
        .actions
        .into_iter()
        .filter_map(|planned| match planned.action {
            Action::SetSetting(setting) => Some((setting.key, setting.value)),
            _ => None,
        });
    settings.collect()
}

fn folder(facts: &Facts, answers: &[Answer]) -> MakeFolder {
    let plan = try_out::<Backup>(facts, answers).plan.unwrap();
    let made = plan
        .actions
        .into_iter()
        .find_map(|planned| match planned.action {
            Action::MakeFolder(folder) => Some(folder),
            _ => None,
        });
    made.unwrap()
}

/// What is wrong with backups there.
fn problem(facts: &Facts, at: &str) -> Option<String> {
    let trial = try_out::<Backup>(facts, &wanted(&[("folder", at)]));
    trial.problem("folder").map(str::to_owned)
}

fn another_disk(facts: &mut Facts, mount: &str, file_system: &str, free_bytes: u64) {
    facts.disks.push(Disk {
        mount: mount.into(),
        file_system: file_system.into(),
        device: "/dev/sdb1".into(),
        total_bytes: 1 << 40,
        free_bytes,
        read_only: false,
        removable: true,
    });
}

#[test]
fn nothing_is_made_unless_somebody_wants_it() {
    let mut facts = samples::debian();
    assert_eq!(settings(&facts, &[]), []);
    facts
        .agent
        .settings
        .push(("backup.folder".into(), "\"/srv/skep-backups\"".into()));
    let none = [answer("backups", Value::Flag(false))];
    assert_eq!(settings(&facts, &none), [("backup.folder".into(), None)]);
}

#[test]
fn a_service_keeps_them_where_its_unit_lets_it_write() {
    let facts = samples::debian();
    let all = settings(&facts, &wanted(&[]));
    assert_eq!(
        all[0],
        ("backup.folder".into(), Some("\"/srv/skep-backups\"".into()))
    );
    assert!(
        all[1..3].iter().all(|(_, value)| value.is_none()),
        "{all:?}"
    );
    assert_eq!(all[3].1.as_deref(), Some("\"/etc/skep/backup.pass\""));
    assert_eq!(folder(&facts, &wanted(&[])).mode, 0o700);
    assert_eq!(problem(&facts, "/var/backups/skep/hive"), None);
    assert!(
        problem(&facts, "/home/sam/backups")
            .unwrap()
            .contains("/srv/skep-backups")
    );
}

#[test]
fn a_person_keeps_them_at_home_or_on_another_disk() {
    let mut facts = samples::fedora();
    let made = folder(&facts, &wanted(&[]));
    assert_eq!(made.path, "/home/sam/skep-backups");
    assert_eq!(made.owner.user, "sam");
    another_disk(&mut facts, "/run/media/sam/stick", "ext4", 1 << 38);
    let there = wanted(&[
        ("folder", "/run/media/sam/stick/skep/"),
        ("every", "3600"),
        ("passphrase-file", "/home/sam/.backup-pass"),
    ]);
    let all = settings(&facts, &there);
    assert_eq!(all[0].1.as_deref(), Some("\"/run/media/sam/stick/skep\""));
    assert_eq!(all[1], ("backup.every_s".into(), Some("3600".into())));
    assert_eq!(all[3].1.as_deref(), Some("\"/home/sam/.backup-pass\""));
    // Nobody wants it sealed any more.
    facts
        .agent
        .settings
        .push(("backup.passphrase_file".into(), "\"/home/sam/p\"".into()));
    let open = [
        answer("backups", Value::Flag(true)),
        answer("seal", Value::Flag(false)),
    ];
    assert_eq!(settings(&facts, &open)[3].1, None);
    facts.agent.settings.clear();
    let notes = |answers: &[Answer]| try_out::<Backup>(&facts, answers).plan.unwrap().notes;
    let same_disk = |notes: Vec<String>| notes.iter().any(|note| note.contains("lie on the disk"));
    assert!(!same_disk(notes(&there)));
    assert!(same_disk(notes(&wanted(&[]))));
}

#[test]
fn where_a_backup_would_be_lost_none_is_made() {
    let mut facts = samples::fedora();
    another_disk(&mut facts, "/tmp", "tmpfs", 1 << 34);
    another_disk(&mut facts, "/mnt/full", "ext4", 1 << 20);
    another_disk(&mut facts, "/mnt/fixed", "iso9660", 1 << 34);
    facts.disks.last_mut().unwrap().read_only = true;
    for (at, why) in [
        ("backups", "absolute"),
        ("/home/sam/../x", "absolute"),
        ("", "needed"),
        ("/home/sam/.local/share/skep", "is lost with"),
        ("/home/sam/.config/skep/backups", "is lost with"),
        ("/tmp/skep", "memory"),
        ("/mnt/full/skep", "not enough"),
        ("/mnt/fixed", "cannot be written"),
    ] {
        let said = problem(&facts, at).unwrap_or_default();
        assert!(said.contains(why), "{at}: {said}");
    }
    assert_eq!(problem(&facts, "/home/sam/.local/share/skep-backups"), None);
    let beside = wanted(&[("passphrase-file", "/home/sam/skep-backups/pass")]);
    let trial = try_out::<Backup>(&facts, &beside);
    assert!(trial.problem("passphrase-file").unwrap().contains("beside"));
}

#[test]
fn what_was_set_by_hand_is_what_is_offered() {
    let mut facts = samples::fedora();
    for (key, value) in [
        ("backup.folder", "\"/home/sam/b\""),
        ("backup.every_s", "7_200"),
        ("backup.keep", "3"),
    ] {
        facts.agent.settings.push((key.into(), value.into()));
    }
    let all = settings(&facts, &[]);
    let values: Vec<_> = all.iter().map(|(_, value)| value.as_deref()).collect();
    assert_eq!(
        values,
        [Some("\"/home/sam/b\""), Some("7200"), Some("3"), None]
    );
}

#[test]
fn what_is_missing_is_found() {
    let mut facts = samples::fedora();
    let whats = |facts: &Facts| -> Vec<(Severity, String)> {
        let found = Backup::check(facts).into_iter();
        found.map(|one| (one.severity, one.what)).collect()
    };
    let none = whats(&facts);
    assert!(none[0].1.contains("no backups"), "{none:?}");
    facts
        .agent
        .settings
        .push(("backup.folder".into(), "\"/home/sam/b\"".into()));
    let same = whats(&facts);
    assert!(same[0].1.contains("on the disk"), "{same:?}");
    assert!(same[1].1.contains("not sealed"), "{same:?}");
    facts.agent.settings[0].1 = "\"/mnt/b\"".into();
    facts
        .agent
        .settings
        .push(("backup.passphrase_file".into(), "\"/home/sam/p\"".into()));
    another_disk(&mut facts, "/mnt", "ext4", 1 << 38);
    assert_eq!(
        whats(&facts),
        [(Severity::Fine, "Backups are made.".into())]
    );
    facts.disks.last_mut().unwrap().read_only = true;
    assert_eq!(whats(&facts)[0].0, Severity::Warning);
}
