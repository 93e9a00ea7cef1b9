//! What stands in the compose file, and that it is written only where it is wanted.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use skep_sdk::installer::{
    Action, Answer, Facts, Installer as _, Listener, Program, Proposal, Protocol, Value, answer,
    samples, try_out,
};
use step_containers::Containers;

fn program(name: &str) -> Program {
    Program {
        name: name.into(),
        path: format!("/usr/bin/{name}"),
        version: Some("27.5.1".into()),
    }
}

fn text(id: &str, text: &str) -> Answer {
    answer(id, Value::Text(text.into()))
}

fn wanted(more: &[Answer]) -> Vec<Answer> {
    let mut answers = vec![answer("container", Value::Flag(true))];
    answers.extend_from_slice(more);
    answers
}

fn plan(facts: &Facts, more: &[Answer]) -> Proposal {
    try_out::<Containers>(facts, &wanted(more)).plan.unwrap()
}

fn file(plan: &Proposal) -> &str {
    let content = plan
        .actions
        .iter()
        .find_map(|planned| match &planned.action {
            Action::WriteFile(file) => Some(file.content.as_str()),
            _ => None,
        });
    content.unwrap()
}

fn starts(plan: &Proposal) -> bool {
    let last = plan.actions.last().map(|planned| &planned.action);
    matches!(last, Some(Action::StartContainers(_)))
}

#[test]
fn by_default_there_is_no_container() {
    for facts in [samples::debian(), samples::fedora(), samples::arch()] {
        assert_eq!(try_out::<Containers>(&facts, &[]).plan.unwrap().actions, []);
        assert!(Containers::check(&facts)[0].what.contains("Nothing here"));
    }
    let mut inside = samples::debian();
    inside.system.container = Some("docker".into());
    assert!(
        try_out::<Containers>(&inside, &wanted(&[]))
            .questions
            .is_empty()
    );
}

#[test]
fn the_file_is_confined_and_runs_this_program() {
    let mut facts = samples::debian();
    facts.programs = vec![program("docker")];
    let plan = plan(&facts, &[]);
    let file = file(&plan);
    for part in [
        "image: \"docker.io/library/debian:stable-slim\"",
        "\"/usr/bin/skep:/usr/local/bin/skep:ro\"",
        "\"/srv/skep-container/data:/var/lib/skep\"",
        "SKEP_HTTP_LISTEN: \"127.0.0.1:7430\"",
        "read_only: true",
        "cap_drop: [\"ALL\"]",
        "no-new-privileges:true",
    ] {
        assert!(file.contains(part), "`{part}` is not in:\n{file}");
    }
    assert!(!file.contains("nvidia"));
    assert!(starts(&plan));
    let later = self::plan(&facts, &[answer("container-start", Value::Flag(false))]);
    assert!(!starts(&later) && later.notes[0].contains("docker compose"));
    assert!(
        !starts(&self::plan(&samples::fedora(), &[])),
        "nothing could start it"
    );
}

#[test]
fn cards_are_passed_through_where_that_can_be() {
    let mut facts = samples::fedora();
    facts.gpus = vec![samples::nvidia(0)];
    facts.programs = vec![program("podman")];
    assert!(!file(&plan(&facts, &[])).contains("nvidia"));
    let cards = answer("container-cards", Value::Flag(true));
    let tried = try_out::<Containers>(&facts, &wanted(std::slice::from_ref(&cards)));
    assert!(tried.problem("container-cards").is_some());
    facts.programs.push(program("nvidia-ctk"));
    let plan = plan(&facts, &[]);
    assert!(file(&plan).contains("driver: \"nvidia\"") && file(&plan).contains("SKEP_NODE_DEVICE"));
    assert!(file(&plan).contains("/home/sam/skep-container/data"));
}

#[test]
fn what_is_answered_is_checked() {
    let mut facts = samples::debian();
    facts.listeners.push(Listener {
        protocol: Protocol::Tcp,
        address: "127.0.0.1".into(),
        port: 7430,
        program: Some("nginx".into()),
    });
    let problem = |id: &str, more: &[Answer]| {
        let tried = try_out::<Containers>(&facts, &wanted(more));
        tried.problem(id).is_some()
    };
    assert!(problem("container-port", &[]));
    assert!(problem(
        "container-port",
        &[answer("container-port", Value::Number(7420))]
    ));
    assert!(!problem(
        "container-port",
        &[answer("container-port", Value::Number(7440))]
    ));
    for bad in ["srv", "/srv/../x", "/srv/a:b", "/srv/$HOME", "/"] {
        assert!(
            problem("container-folder", &[text("container-folder", bad)]),
            "{bad}"
        );
    }
    let image = |image: &str| [text("registry", "other"), text("image", image)];
    for bad in ["", "debian", "-x/y", "a b/c", "r/x\"y"] {
        assert!(problem("image", &image(bad)), "{bad}");
    }
    assert!(!problem(
        "image",
        &image("registry.example.org:5000/debian:12")
    ));
}
