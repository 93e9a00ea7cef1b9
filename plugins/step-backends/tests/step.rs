//! Which upstreams come of what is found and answered.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use skep_sdk::installer::{
    Action, AddUpstream, Answer, Facts, Installer as _, Program, Service, Severity, Value, answer,
    samples, try_out,
};
use step_backends::Backends;

fn upstreams(facts: &Facts, answers: &[Answer]) -> Vec<AddUpstream> {
    let plan = try_out::<Backends>(facts, answers).plan.unwrap();
    let upstreams = plan
        .actions
        .into_iter()
        .filter_map(|planned| match planned.action {
            Action::AddUpstream(upstream) => Some(upstream),
            _ => None,
        });
    upstreams.collect()
}

fn text(id: &str, text: &str) -> Answer {
    answer(id, Value::Text(text.into()))
}

fn server(url: &str, plugin: &str) -> Service {
    Service {
        url: url.into(),
        plugin: plugin.into(),
        models: vec!["llama3.2:1b".into()],
    }
}

#[test]
fn by_default_nothing_is_added() {
    for facts in [samples::debian(), samples::fedora(), samples::arch()] {
        assert_eq!(upstreams(&facts, &[]), []);
        assert_eq!(Backends::check(&facts)[0].severity, Severity::Fine);
    }
}

#[test]
fn servers_that_are_found_are_used_under_names_that_stay() {
    let mut facts = samples::debian();
    facts.services = vec![
        server("http://127.0.0.1:11434", "ollama"),
        server("http://127.0.0.1:11435", "ollama"),
        server("http://127.0.0.1:8000/v1", "openai"),
        server("http://user@127.0.0.1:1", "openai"),
        server("javascript:alert(1)", "openai"),
    ];
    let names: Vec<_> = upstreams(&facts, &[])
        .into_iter()
        .map(|one| one.name)
        .collect();
    assert_eq!(names, ["ollama", "ollama-11435", "openai-8000"]);
    let one = Value::Several(vec!["http://127.0.0.1:11435".into()]);
    let chosen = upstreams(&facts, &[answer("local", one)]);
    assert_eq!(chosen.len(), 1);
    assert_eq!(
        chosen[0].settings,
        [("base-url".into(), "http://127.0.0.1:11435".into())]
    );
    assert_eq!(Backends::check(&facts).len(), 3);
}

#[test]
fn a_key_is_kept_as_a_secret() {
    let facts = samples::fedora();
    let openai = text("provider", "openai");
    let without = try_out::<Backends>(&facts, std::slice::from_ref(&openai));
    assert!(without.problem("key").is_some() && without.plan.is_err());
    let answers = [openai.clone(), answer("key", Value::SecretGiven)];
    let plan = try_out::<Backends>(&facts, &answers).plan.unwrap();
    let Action::KeepSecret(secret) = &plan.actions[0].action else {
        unreachable!("{plan:?}");
    };
    assert_eq!(
        (secret.name.as_str(), secret.question.as_str()),
        ("openai-key", "key")
    );
    let upstream = upstreams(&facts, &answers).remove(0);
    assert_eq!(upstream.settings[1], ("key".into(), "openai-key".into()));
    assert!(plan.notes[0].contains("leave this machine"));
    // From before, it need not be typed again.
    let mut facts = samples::fedora();
    facts.agent.secrets = vec!["openai-key".into()];
    assert_eq!(upstreams(&facts, &[openai])[0].settings.len(), 2);
}

#[test]
fn addresses_and_names_are_checked() {
    let facts = samples::arch();
    let of = |url: &str| [text("provider", "other"), text("url", url)];
    for bad in [
        "",
        "models",
        "ftp://x/",
        "https://u:p@x/",
        "https://a b/",
        "http://models.example.org/v1",
    ] {
        let tried = try_out::<Backends>(&facts, &of(bad));
        assert!(
            tried.problem("url").is_some() && tried.plan.is_err(),
            "{bad}"
        );
    }
    for good in [
        "https://models.example.org/v1/",
        "http://192.168.1.5:8000/v1",
        "http://[::1]:80",
        "http://nas/v1",
        "http://nas.local:1/v1",
    ] {
        let upstream = upstreams(&facts, &of(good)).remove(0);
        assert_eq!(
            (upstream.name.as_str(), upstream.plugin.as_str()),
            ("models", "openai")
        );
        assert!(!upstream.settings[0].1.ends_with('/'), "{good}");
    }
    let mut answers = of("https://models.example.org/v1").to_vec();
    answers.push(text("name", "Not A Name"));
    assert!(
        try_out::<Backends>(&facts, &answers)
            .problem("name")
            .is_some()
    );
    let mut facts = samples::arch();
    facts.services = vec![server("http://127.0.0.1:11434", "ollama")];
    answers[2] = text("name", "ollama");
    assert!(
        try_out::<Backends>(&facts, &answers)
            .problem("name")
            .unwrap()
            .contains("this machine")
    );
}

#[test]
fn several_cards_and_one_server_are_told() {
    let mut facts = samples::arch();
    facts.services = vec![server("http://127.0.0.1:11434", "ollama")];
    facts.gpus = vec![samples::nvidia(0), samples::nvidia(1)];
    let found = Backends::check(&facts);
    assert!(
        found.iter().any(|one| one.what.contains("all cards")),
        "{found:?}"
    );
    facts.services.clear();
    facts.programs = vec![Program {
        name: "ollama".into(),
        path: "/usr/local/bin/ollama".into(),
        version: None,
    }];
    assert!(Backends::check(&facts)[0].what.contains("does not answer"));
}
