//! An engine that misbehaves in every call it has. Whatever it does, the agent says what it was, and another model goes on
//! answering.

use skep::fleet::{LoadError, ReplicaState};
use skep::protocol::{Error, Event};

use crate::bench::{Bench, all, next, work};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opening_a_model_survives_every_vice() {
    let bench = Bench::new();
    let echo = bench.echo("echo").await;
    for (vice, cause) in [
        ("loop", "ran longer than 2 s in `open`"),
        ("host-loop", "ran longer than 2 s in `open`"),
        ("grow", "reached its memory limit of 512 MiB in `open`"),
        (
            "trap",
            "trapped in `open`: wasm `unreachable` instruction executed",
        ),
        ("panic", r"a panic with\u{a}an \u{1b}[31mescape"),
        ("recursion", "reached its stack limit of 1024 KiB in `open`"),
        ("handles", "more than 16384 handles"),
        ("giant-list", "too much data"),
        ("giant-cache", "too large"),
        ("giant-weight", "all were refused"),
        ("misaligned-weight", "is not a multiple of 4"),
        (
            "environment",
            "0 variables, 0 arguments, folder false, 0 lines",
        ),
        ("exit", "it called `exit`"),
        ("sleep", "trapped in `open`"),
        ("read-past", "0 bytes past the end"),
        ("long-error", "lies lies"),
        ("nothing", "no vice is named `nothing`"),
    ] {
        let error = bench
            .wayward(vice, &format!("open {vice}"))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(cause), "`{vice}`: {error}");
        assert!(error.len() < 5_000, "`{vice}`: {} bytes", error.len());
        bench.check_echo(echo).await;
    }
    assert_eq!(
        bench.fleet.replicas().len(),
        1,
        "what could not be opened leaves nothing"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_lines_are_cut_and_the_model_opens() {
    let bench = Bench::new();
    for vice in ["log-flood", "long-line"] {
        let id = bench.wayward(vice, &format!("open {vice}")).await.unwrap();
        assert_eq!(bench.status(id).state, ReplicaState::Ready);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_without_a_name_are_nothing() {
    let bench = Bench::new();
    let id = bench.wayward("flags", "never flags").await.unwrap();
    let abilities = bench.status(id).info.unwrap().abilities;
    assert_eq!(
        (abilities.chat, abilities.complete, abilities.embed),
        (false, true, false)
    );
    let mut exchange = bench.fleet.submit(id, work("x", None)).unwrap();
    assert!(matches!(next(&mut exchange).await, Some(Event::Gained(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_under_way_fails_its_requests_and_the_worker_comes_back() {
    let bench = Bench::new();
    let echo = bench.echo("echo").await;
    for (place, vice, cause) in [
        ("submit", "loop", "ran longer than 1 s in `submit`"),
        ("submit", "trap", "trapped in `submit`"),
        ("step", "loop", "ran longer than 1 s in `step`"),
        ("step", "grow", "memory limit of 512 MiB in `step`"),
        ("step", "recursion", "stack limit"),
        ("never", "silence", "yielded nothing in 100000 steps"),
        (
            "never",
            "refusal",
            "the plugin gave up: it does not feel like it",
        ),
    ] {
        let name = format!("{place}-{vice}");
        let id = bench
            .wayward(&name, &format!("{place} {vice}"))
            .await
            .unwrap();
        let before = bench.status(id).pid;
        let (_, last) = all(bench.fleet.submit(id, work("x", None)).unwrap()).await;
        let Event::Failed(Error::Lost(why)) = last else {
            panic!("{name}: {last:?}")
        };
        assert!(why.contains(cause), "{name}: {why}");
        bench.check_echo(echo).await;
        let status = bench
            .until(id, |status| {
                status.state == ReplicaState::Ready && status.pid != before
            })
            .await;
        assert_eq!(status.restarts, 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_in_cancel_ends_the_worker_and_nothing_else() {
    let bench = Bench::new();
    let echo = bench.echo("echo").await;
    let id = bench.wayward("model", "cancel loop").await.unwrap();
    let mut exchange = bench.fleet.submit(id, work("x", None)).unwrap();
    let mut other = bench.fleet.submit(id, work("y", None)).unwrap();
    assert!(matches!(next(&mut exchange).await, Some(Event::Gained(_))));
    drop(exchange);
    let why = loop {
        match next(&mut other).await.unwrap() {
            Event::Failed(Error::Lost(why)) => break why,
            Event::Gained(_) | Event::Started(_) => {}
            event => panic!("{event:?}"),
        }
    };
    assert!(why.contains("in `cancel`"), "{why}");
    bench.check_echo(echo).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_a_model_file_is_refused() {
    let bench = Bench::new();
    let folder = bench.file("x", b"").parent().unwrap().to_owned();
    let pipe = folder.join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    for (path, cause) in [
        (folder.clone(), "is not a regular file"),
        (pipe, "is not a regular file"),
        ("/dev/zero".into(), "is not a regular file"),
        (folder.join("absent"), "could not open the model file"),
        ("/proc/self/mem\0".into(), "could not open the model file"),
    ] {
        let error = bench.load("model", "wayward", &path).await.unwrap_err();
        assert!(matches!(error, LoadError::Refused { .. }), "{error:?}");
        assert!(
            error.to_string().contains(cause),
            "{}: {error}",
            path.display()
        );
    }
    // A link to a model is what many people have.
    let target = bench.file("target", b"never nothing");
    let link = folder.join("link");
    std::os::unix::fs::symlink(target, &link).unwrap();
    bench.load("linked", "wayward", &link).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_in_any_other_call_is_told_and_ends_the_worker_alone() {
    let bench = Bench::new();
    let echo = bench.echo("echo").await;
    let error = bench.wayward("info", "info trap").await.unwrap_err();
    assert!(error.to_string().contains("trapped in `info`"), "{error}");
    for place in ["tokenize", "detokenize", "load"] {
        let id = bench
            .wayward(place, &format!("{place} trap"))
            .await
            .unwrap();
        let before = bench.status(id).pid;
        match place {
            "tokenize" => drop(bench.fleet.tokenize(id, "x".to_owned()).await.unwrap_err()),
            "detokenize" => drop(bench.fleet.detokenize(id, vec![1]).await.unwrap_err()),
            // It is asked while a request runs.
            _ => {
                let (_, last) = all(bench.fleet.submit(id, work("x", None)).unwrap()).await;
                assert!(matches!(last, Event::Failed(Error::Lost(_))), "{last:?}");
            }
        }
        bench
            .until(id, |status| {
                status.state == ReplicaState::Ready && status.pid != before
            })
            .await;
        bench.check_echo(echo).await;
    }
}
