//! Which settings come of what the machine has and somebody answers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use skep_sdk::installer::{
    Action, Answer, Command, Facts, Gpu, Installer as _, Severity, Value, Vendor, answer, samples,
    try_out,
};
use step_resources::Resources;

fn settings(facts: &Facts, answers: &[Answer]) -> Vec<(String, Option<String>)> {
    let plan = try_out::<Resources>(facts, answers).plan.unwrap();
    let settings = plan
        .actions
        .into_iter()
        .filter_map(|planned| match planned.action {
            Action::SetSetting(setting) => Some((setting.key, setting.value)),
            _ => None,
        });
    settings.collect()
}

fn setting(facts: &Facts, answers: &[Answer], key: &str) -> Option<String> {
    let mut all = settings(facts, answers).into_iter();
    all.find(|(known, _)| known == key).unwrap().1
}

fn with_cards(count: u32) -> Facts {
    let mut facts = samples::debian();
    facts.gpus = (0..count).map(samples::nvidia).collect();
    facts
}

#[test]
fn by_default_everything_is_used() {
    let facts = samples::fedora();
    assert_eq!(
        setting(&facts, &[], "node.device").as_deref(),
        Some("\"cpu\"")
    );
    for key in ["node.threads", "models.cache_bytes", "models.idle_unload_s"] {
        assert_eq!(setting(&facts, &[], key), None, "{key}");
    }
    let facts = with_cards(1);
    assert_eq!(
        setting(&facts, &[], "node.device").as_deref(),
        Some("\"auto\"")
    );
}

#[test]
fn one_of_several_cards_can_be_chosen() {
    let facts = with_cards(3);
    let second = [answer("device", Value::Text("cuda:1".into()))];
    assert_eq!(
        setting(&facts, &second, "node.device").as_deref(),
        Some("\"cuda:1\"")
    );
    let none = [answer("device", Value::Text("cuda:3".into()))];
    assert!(
        try_out::<Resources>(&facts, &none)
            .problem("device")
            .is_some()
    );
    let found = Resources::check(&facts);
    assert!(
        found.iter().any(|one| one.what.contains("one card")),
        "{found:?}"
    );
}

#[test]
fn sliders_end_where_the_machine_does() {
    let facts = samples::debian();
    let few = [
        answer("threads", Value::Number(6)),
        answer("cache", Value::Number(50)),
    ];
    assert_eq!(setting(&facts, &few, "node.threads").as_deref(), Some("6"));
    let bytes: i64 = setting(&facts, &few, "models.cache_bytes")
        .unwrap()
        .parse()
        .unwrap();
    assert!((bytes - (16 << 30)).abs() < 100, "{bytes}");
    let many = [answer("threads", Value::Number(9))];
    assert!(
        try_out::<Resources>(&facts, &many)
            .problem("threads")
            .is_some()
    );
    // On a card it is the card's memory.
    let half = [answer("cache", Value::Number(50))];
    let bytes: i64 = setting(&with_cards(1), &half, "models.cache_bytes")
        .unwrap()
        .parse()
        .unwrap();
    assert!((bytes - (12 << 30)).abs() < 100, "{bytes}");
}

#[test]
fn what_is_set_is_what_is_offered() {
    let answers = [
        answer("threads", Value::Number(3)),
        answer("cache", Value::Number(35)),
        answer("context", Value::Number(8192)),
        answer("loaded", Value::Number(2)),
        answer("idle", Value::Number(30)),
        answer("device", Value::Text("cuda:1".into())),
    ];
    let mut facts = with_cards(2);
    let set = settings(&facts, &answers);
    facts.agent.settings = set
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.clone()?)))
        .collect();
    assert_eq!(facts.agent.settings.len(), 6);
    assert_eq!(settings(&facts, &[]), set);
}

#[test]
fn power_is_limited_between_what_a_card_can() {
    let facts = with_cards(2);
    let limits = |facts: &Facts, percent| {
        let answers = [
            answer("power", Value::Flag(true)),
            answer("power-percent", Value::Number(percent)),
        ];
        let plan = try_out::<Resources>(facts, &answers).plan.unwrap();
        let limits = plan
            .actions
            .into_iter()
            .filter_map(|planned| match planned.action {
                Action::Run(Command::SetPowerLimit(limit)) => Some(limit.watts),
                _ => None,
            });
        limits.collect::<Vec<_>>()
    };
    assert_eq!(limits(&facts, 80), [480, 480]);
    assert_eq!(limits(&facts, 40), [240, 240]);
    assert!(
        try_out::<Resources>(&samples::debian(), &[])
            .question("power")
            .is_none()
    );
    // Of a card that says nonsense nothing is asked.
    let mut strange = facts;
    strange.gpus = vec![Gpu {
        power_limit_min_w: Some(u32::MAX),
        power_limit_max_w: Some(0),
        ..samples::nvidia(0)
    }];
    assert!(
        try_out::<Resources>(&strange, &[])
            .question("power")
            .is_none()
    );
}

#[test]
fn a_card_that_is_not_used_is_told() {
    let mut facts = with_cards(1);
    let worst = |facts: &Facts| {
        let found = Resources::check(facts);
        found.iter().any(|one| one.severity == Severity::Warning)
    };
    assert!(worst(&facts));
    facts.agent.settings = vec![("node.device".into(), "\"auto\"".into())];
    assert!(!worst(&facts));
    facts.gpus[0].driver = None;
    assert!(Resources::check(&facts)[0].what.contains("processor"));
    facts.gpus = vec![Gpu {
        vendor: Vendor::Amd,
        ..samples::nvidia(0)
    }];
    assert!(Resources::check(&facts)[0].evidence.starts_with("hip:0"));
}
