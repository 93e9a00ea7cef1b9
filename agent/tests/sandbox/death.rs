//! Workers that die from outside: their requests are answered within a second, others never notice.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use skep::fleet::{ReplicaState, ReplicaStatus, SubmitError};
use skep::protocol::{Error, Event, Timeouts};

use crate::bench::{Bench, all, next, work};

fn signal(status: &ReplicaStatus, signal: Signal) {
    let pid = Pid::from_raw(status.pid.unwrap().cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_answers_its_requests_and_is_replaced() {
    let bench = Bench::new();
    let echo = bench.echo("echo").await;
    let id = bench.wayward("model", "never nothing").await.unwrap();
    let mut living = Vec::new();
    for _ in 0..20 {
        let mut exchange = bench.fleet.submit(id, work("x", None)).unwrap();
        assert!(matches!(next(&mut exchange).await, Some(Event::Gained(_))));
        living.push(exchange);
    }
    let before = bench.status(id);
    signal(&before, Signal::KILL);
    let killed = Instant::now();
    for exchange in living {
        let (_, last) = all(exchange).await;
        let Event::Failed(Error::Lost(why)) = last else {
            panic!("{last:?}")
        };
        assert!(why.contains("SIGKILL"), "{why}");
    }
    assert!(
        killed.elapsed() < Duration::from_secs(1),
        "{:?}",
        killed.elapsed()
    );
    bench.check_echo(echo).await;
    let after = bench
        .until(id, |status| {
            status.state == ReplicaState::Ready && status.pid != before.pid
        })
        .await;
    assert_eq!(after.restarts, 1);
    let mut exchange = bench.fleet.submit(id, work("x", None)).unwrap();
    assert!(matches!(next(&mut exchange).await, Some(Event::Gained(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_file_that_shrinks_while_it_is_mapped_ends_the_worker_alone() {
    let bench = Bench::new();
    let echo = bench.echo("echo").await;
    let mut bytes = b"never reading\n".to_vec();
    bytes.resize(4_096 + 1_024 * 4_096, 0);
    let path = bench.file("model", &bytes);
    let id = bench.load("model", "wayward", &path).await.unwrap();
    let mut exchange = bench.fleet.submit(id, work("x", None)).unwrap();
    assert!(matches!(next(&mut exchange).await, Some(Event::Gained(_))));
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(4_096)
        .unwrap();
    bench.check_echo(echo).await;
    let (_, last) = all(exchange).await;
    let Event::Failed(Error::Lost(why)) = last else {
        panic!("{last:?}")
    };
    assert!(why.contains("SIGBUS: a model file became shorter"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_worker_is_found_and_killed() {
    let bench = Bench::with(Timeouts {
        stall: Duration::from_secs(1),
        ..Timeouts::default()
    });
    let echo = bench.echo("echo").await;
    let id = bench.wayward("model", "never nothing").await.unwrap();
    let exchange = bench.fleet.submit(id, work("x", None)).unwrap();
    signal(&bench.status(id), Signal::STOP);
    bench.check_echo(echo).await;
    let (_, last) = all(exchange).await;
    let Event::Failed(Error::Lost(why)) = last else {
        panic!("{last:?}")
    };
    assert!(why.contains("no sign of life for 1 s"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_always_dies_is_tried_again_and_says_why() {
    let bench = Bench::new();
    let id = bench.wayward("model", "step trap").await.unwrap();
    for attempt in 1..=3 {
        let (_, last) = all(bench.fleet.submit(id, work("x", None)).unwrap()).await;
        let Event::Failed(Error::Lost(why)) = last else {
            panic!("{last:?}")
        };
        assert!(why.contains("trapped in `step`"), "{why}");
        // Until it is back, requests are refused at once and told why.
        match bench.fleet.submit(id, work("x", None)) {
            Err(SubmitError::NotReady(_)) => {}
            other => assert!(bench.status(id).restarts >= attempt, "{other:?}"),
        }
        bench
            .until(id, |status| {
                status.state == ReplicaState::Ready && status.restarts >= attempt
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unloading_lets_requests_finish_and_then_does_not_wait() {
    let bench = Bench::new();
    let id = bench.echo("short").await;
    let exchange = bench
        .fleet
        .submit(id, work(&"word ".repeat(2_000), None))
        .unwrap();
    bench
        .fleet
        .unload("short", Duration::from_secs(30))
        .await
        .unwrap();
    let (text, last) = all(exchange).await;
    assert!(matches!(last, Event::Done(_)), "{last:?}");
    assert_eq!(text.len(), 10_000);

    let id = bench.wayward("endless", "never nothing").await.unwrap();
    let exchange = bench.fleet.submit(id, work("x", None)).unwrap();
    let asked = Instant::now();
    let ((), (_, last)) = tokio::join!(
        bench.fleet.shutdown(Duration::from_millis(300)),
        all(exchange)
    );
    assert!(matches!(last, Event::Failed(_)), "{last:?}");
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    assert!(bench.fleet.replicas().is_empty());
}
