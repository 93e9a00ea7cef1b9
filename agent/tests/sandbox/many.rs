//! Many requests at once: each gets its own answer, a slow reader is cut, a dropped one stops costing.

use std::time::Duration;

use skep::fleet::{Exchange, SubmitError};
use skep::protocol::{Error, Event, Prompt, Work};

use crate::bench::{Bench, PATIENCE, all, next, work};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_each_get_their_own_answer() {
    let bench = Bench::new();
    let id = bench.echo("echo").await;
    let exchanges: Vec<_> = (0..1_000)
        .map(|number| {
            (
                number,
                bench
                    .fleet
                    .submit(id, work(&format!("number {number} of many"), None))
                    .unwrap(),
            )
        })
        .collect();
    for (number, exchange) in exchanges {
        let (text, last) = all(exchange).await;
        assert_eq!(text, format!("number {number} of many"));
        assert!(
            matches!(last, Event::Done(usage) if usage.completion_tokens == 4),
            "{last:?}"
        );
    }
    let inputs = vec![Prompt::Text("12345".to_owned()), Prompt::Tokens(vec![1, 2])];
    let mut exchange = bench.fleet.submit(id, Work::Embed(inputs)).unwrap();
    for expected in [5.0, 4.0] {
        let Some(Event::Embedded(embedding)) = next(&mut exchange).await else {
            panic!()
        };
        assert_eq!(embedding.values, [expected]);
    }
    assert_eq!(
        bench.fleet.tokenize(id, "ab".to_owned()).await.unwrap(),
        [97, 98]
    );
    assert_eq!(
        bench.fleet.detokenize(id, vec![97, 98]).await.unwrap(),
        "ab"
    );
    let refused = bench.fleet.detokenize(id, vec![1_000]).await.unwrap_err();
    assert!(
        matches!(refused, SubmitError::Refused(Error::Invalid(_))),
        "{refused:?}"
    );
    assert!(bench.fleet.stats(id).await.unwrap().steps > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_read_is_cut_and_holds_up_nobody() {
    // Whoever reads is interrupted at times, and then is no quick reader either.
    for _ in 0..10 {
        let bench = Bench::new();
        let id = bench.wayward("model", "never verbosity").await.unwrap();
        let slow = bench.fleet.submit(id, work("x", None)).unwrap();
        let quick = bench.fleet.submit(id, work("x", None)).unwrap();
        if slow_one_is_cut(slow, quick).await {
            return;
        }
    }
    panic!("nobody reads quickly here");
}

/// Not so where the other one was interrupted.
async fn slow_one_is_cut(slow: Exchange, mut quick: Exchange) -> bool {
    let was_slow =
        |event: &Option<Event>| matches!(event, Some(Event::Failed(Error::Exhausted(_))));
    // 64 KiB a step: the slow one is over its limit long before this.
    for _ in 0..64 {
        let event = next(&mut quick).await;
        if was_slow(&event) {
            return false;
        }
        assert!(matches!(event, Some(Event::Gained(_))), "{event:?}");
    }
    let (_, last) = all(slow).await;
    assert!(
        matches!(&last, Event::Failed(Error::Exhausted(why)) if why.contains("not read fast enough")),
        "{last:?}"
    );
    let event = next(&mut quick).await;
    was_slow(&event) || matches!(event, Some(Event::Gained(_)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_request_stops_within_a_step() {
    let bench = Bench::new();
    let id = bench.wayward("model", "never nothing").await.unwrap();
    let mut exchange = bench.fleet.submit(id, work("x", None)).unwrap();
    assert!(matches!(next(&mut exchange).await, Some(Event::Gained(_))));
    assert_eq!(bench.status(id).living, 1);
    drop(exchange);
    let quiet = async {
        loop {
            let before = bench.fleet.stats(id).await.unwrap().steps;
            tokio::time::sleep(Duration::from_millis(20)).await;
            if bench.fleet.stats(id).await.unwrap().steps == before {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, quiet).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_over_the_limit_of_a_frame_is_refused() {
    let bench = Bench::new();
    let id = bench.echo("echo").await;
    let refused = bench
        .fleet
        .submit(id, work(&"x".repeat(65 << 20), None))
        .unwrap_err();
    assert!(matches!(refused, SubmitError::TooLong(_)), "{refused:?}");
    bench.check_echo(id).await;
}
