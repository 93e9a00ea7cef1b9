//! What hostile plugins do: each ends its own call with an error that names the cause, and the service answers the next.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use skep::protocol::{Error, Event, ToService};

use crate::bench::{Service, Wish};
use crate::calls::until;
use crate::servers::{Piece, Web, text};

#[tokio::test]
async fn each_vice_ends_its_own_call() {
    let mut service = Service::open(Wish {
        call: Duration::from_secs(8),
        computing: Duration::from_millis(500),
        ..Wish::default()
    })
    .await;
    assert_eq!(service.says("say hello").await, "hello");
    let descriptors = service.descriptors();
    let resident = service.resident_bytes();
    for (command, cause) in [
        ("spin", "ran longer than 0.5 s in `next`"),
        ("spin-host", "ran longer than 0.5 s in `next`"),
        ("start: spin", "ran longer than 0.5 s in `start`"),
        ("recurse", "in `next`"),
        ("fields 100000", "total size of fields exceeds limit"),
        ("panic a b", "it panicked at"),
        ("grow", "memory limit of 128 MiB"),
        ("handles 1000000", "trapped in `next`"),
        ("pollables 100000", "trapped in `next`"),
        ("poll 10000000", "trapped in `next`"),
        ("sleep 9223372036854775808", "ran longer than 8 s in `next`"),
        ("random 4611686018427387904", "trapped in `next`"),
    ] {
        let faults = service.faults.len();
        let Error::Other(error) = service.fails(command).await else {
            panic!("{command}")
        };
        assert!(error.contains(cause), "{command}: {error}");
        assert_eq!(service.faults.len(), faults + 1, "{command}");
        assert_eq!(service.faults[faults], error);
        assert_eq!(service.says("say hello").await, "hello", "{command}");
    }
    assert!(service.descriptors() <= descriptors + 1);
    let grown = service.resident_bytes().saturating_sub(resident);
    assert!(grown < 16 << 20, "{grown} bytes");
}

#[tokio::test]
async fn what_is_too_much_is_refused_without_a_fault() {
    let web = Web::start(|_| text("200 OK", "", "")).await;
    let mut service = Service::with(&[web.grant()]).await;
    assert_eq!(service.says("poll 1000").await, "1000");
    let said = service.says(&format!("at-once 20 {}", web.url("/"))).await;
    assert!(
        said.starts_with("4 ") && said.contains("ConnectionLimitReached"),
        "{said}"
    );
    let said = service.says(&format!("many 1100 {}", web.url("/"))).await;
    assert_eq!(said, "error ErrorCode::ConnectionLimitReached");
    assert!(service.faults.is_empty(), "{:?}", service.faults);
}

#[tokio::test]
async fn it_finds_nothing_of_the_machine() {
    let mut service = Service::with(&[]).await;
    assert_eq!(
        service.says("world").await,
        "env 0 args 0 dir false stdin 0"
    );
}

#[tokio::test]
async fn a_flood_of_lines_is_counted_and_no_line_is_another() {
    let mut service = Service::with(&[]).await;
    for command in ["log 100000", "print 10000", "log-long 10000000", "forge"] {
        service.run(command).await;
    }
    // The next line tells what was dropped, once a second has passed.
    let deadline = Instant::now() + Duration::from_secs(20);
    while service.lines.iter().map(|line| line.dropped).sum::<u64>() < 90_000 {
        service.run("log 1").await;
        assert!(Instant::now() < deadline, "nothing was dropped");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(service.lines.len() < 3_000, "{}", service.lines.len());
    for line in &service.lines {
        assert!(line.text.len() <= 4_096);
        assert!(
            !line.text.contains(['\n', '\u{1b}', '\u{202e}']),
            "{line:?}"
        );
    }
}

/// Others are served while some compute for ever: they take turns.
#[tokio::test]
async fn calls_that_compute_do_not_hold_up_others() {
    let web = Web::start(|_| text("200 OK", "", "")).await;
    let mut service = Service::open(Wish {
        granted: vec![web.grant()],
        computing: Duration::from_secs(60),
        ..Wish::default()
    })
    .await;
    service.says(&format!("fetch GET {}", web.url("/"))).await;
    let spinning = [
        service.begin("spin").await,
        service.begin("spin-host").await,
    ];
    let mut took = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        let said = service.says(&format!("fetch GET {}", web.url("/"))).await;
        assert!(said.starts_with("200 "), "{said}");
        took.push(began.elapsed());
    }
    took.sort();
    // Some ten turns of four milliseconds each; without turns it would be a minute.
    assert!(took[10] < Duration::from_secs(1), "{took:?}");
    for id in spinning {
        service.send(&ToService::Cancel { request: id }).await;
    }
    assert_eq!(service.says("say hello").await, "hello");
    assert!(service.faults.is_empty(), "{:?}", service.faults);
}

#[tokio::test]
async fn all_calls_together_have_a_limit_of_memory_and_number() {
    let mut service = Service::open(Wish {
        computing: Duration::from_secs(60),
        ..Wish::default()
    })
    .await;
    // Each takes a hundred megabytes and keeps them.
    let mut greedy = Vec::new();
    for _ in 0..14 {
        greedy.push(
            service
                .begin("touch 100000000\nsleep 9223372036854775808")
                .await,
        );
    }
    let mut refused = 0;
    for id in &greedy {
        match service.event(*id).await {
            Event::Gained(_) => {}
            Event::Failed(Error::Other(error)) => {
                assert!(
                    error.contains("for all calls of a service together"),
                    "{error}"
                );
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!((3..=6).contains(&refused), "{refused}");
    for id in greedy {
        service.send(&ToService::Cancel { request: id }).await;
    }
    assert_eq!(service.says("touch 100000000").await, "100000000");

    let mut waiting = Vec::new();
    for _ in 0..128 {
        waiting.push(service.begin("sleep 9223372036854775808").await);
    }
    match service.fails("say hello").await {
        Error::Exhausted(text) => assert!(text.contains("128 calls"), "{text}"),
        other => panic!("{other:?}"),
    }
    for id in waiting {
        service.send(&ToService::Cancel { request: id }).await;
    }
    assert_eq!(service.says("say hello").await, "hello");
}

/// Calls that are dropped at whatever they wait for leave nothing behind.
#[tokio::test]
async fn ten_thousand_calls_that_are_dropped_midway_leave_nothing() {
    let web = Web::start(|path| match path {
        "/mute" => vec![Piece::Hang],
        _ => text("200 OK", "", "fine"),
    })
    .await;
    let mut service = Service::with(&[web.grant(), "secret:key".to_owned()]).await;
    let scripts = [
        "spin".to_owned(),
        "say a\nsay b\nsay c".to_owned(),
        "sleep 9223372036854775808".to_owned(),
        format!("fetch GET {}", web.url("/")),
        format!("fetch GET {}", web.url("/mute")),
        format!("stream {}", web.url("/")),
        "log 1000".to_owned(),
        "grow".to_owned(),
    ];
    let mut before = (0, 0);
    for round in 0..1_250 {
        let mut ids = Vec::new();
        for script in &scripts {
            ids.push(service.begin(script).await);
        }
        // Each time at another moment, from the first instruction to the last byte of an answer.
        tokio::time::sleep(Duration::from_micros(round % 60 * 100)).await;
        for request in ids {
            service.send(&ToService::Cancel { request }).await;
        }
        assert_eq!(service.says("say on").await, "on");
        if round == 10 {
            before = (service.descriptors(), service.resident_bytes());
        }
    }
    until(|| web.open.load(Ordering::SeqCst) == 0).await;
    assert!(
        service.descriptors() <= before.0 + 2,
        "{}",
        service.descriptors()
    );
    let grown = service.resident_bytes().saturating_sub(before.1);
    assert!(grown < 16 << 20, "{grown} bytes");
    assert!(service.faults.is_empty(), "{:?}", service.faults);
}
