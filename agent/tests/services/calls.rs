//! The calls of both worlds, and how a service begins and ends.

use std::time::Duration;

use skep::host::World;
use skep::protocol::{
    Error, Event, FromService, OpenService, Rights, ServiceTimeouts, ToService, VERSION,
};

use crate::bench::{Service, Wish};
use crate::servers::{Piece, Web, text};

#[tokio::test]
async fn every_call_is_answered_under_its_own_identity() {
    let web = Web::start(|_| text("200 OK", "", "a model")).await;
    let mut service = Service::open(Wish {
        granted: vec![web.grant()],
        settings: vec![(
            "models".to_owned(),
            format!("fetch GET {}", web.url("/tags")),
        )],
        ..Wish::default()
    })
    .await;
    let (models, pull, unknown) = (service.id(), service.id(), service.id());
    service.send(&ToService::Models { call: models }).await;
    service
        .send(&ToService::Pull {
            call: pull,
            model: "m".to_owned(),
        })
        .await;
    service
        .send(&ToService::Pull {
            call: unknown,
            model: "unknown".to_owned(),
        })
        .await;
    let exchange = service.begin("say one\nsay two").await;

    match service.of(models).await {
        FromService::Models {
            result: Ok(offers), ..
        } => {
            assert!(offers[0].id.ends_with(" a model"), "{offers:?}");
        }
        other => panic!("{other:?}"),
    }
    for done in 1..=3 {
        match service.of(pull).await {
            FromService::Progress { progress, .. } => {
                assert_eq!((progress.done_bytes, progress.total_bytes), (done, Some(3)));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(
        service.of(pull).await,
        FromService::Done { result: Ok(()), .. }
    ));
    match service.of(unknown).await {
        FromService::Done {
            result: Err(Error::Invalid(invalid)),
            ..
        } => {
            assert_eq!(invalid.field.as_deref(), Some("model"));
        }
        other => panic!("{other:?}"),
    }
    let (texts, last) = service.rest(exchange).await;
    assert_eq!(texts, ["one", "two"]);
    assert!(matches!(last, Event::Done(_)), "{last:?}");
    // A notifier's call is none of an adapter's.
    let call = service.id();
    let alert = crate::mail::alert(&[]);
    service.send(&ToService::Notify { call, alert }).await;
    match service.of(call).await {
        FromService::Done {
            result: Err(Error::Unsupported(_)),
            ..
        } => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_plugin_cannot_speak_for_another_request_or_end_without_a_word() {
    let mut service = Service::with(&[]).await;
    let request = service.id();
    service
        .send(&ToService::Submit {
            request,
            model: "liar".to_owned(),
            work: std::sync::Arc::new(crate::bench::work("say mine")),
        })
        .await;
    let (texts, last) = service.rest(request).await;
    assert_eq!(texts, ["mine"]);
    assert!(matches!(last, Event::Done(_)));
    match service.run("say a\nvanish").await {
        (texts, Event::Failed(Error::Malformed(text))) => {
            assert_eq!(texts, ["a"]);
            assert!(text.contains("before it was done"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_cancelled_says_nothing_more_and_hangs_up() {
    let web = Web::start(|_| {
        vec![
            Piece::Bytes(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
            Piece::Endless(b"again\n".repeat(100)),
        ]
    })
    .await;
    let mut service = Service::with(&[web.grant()]).await;
    let id = service.begin(&format!("stream {}", web.url("/"))).await;
    for _ in 0..10 {
        assert!(matches!(service.event(id).await, Event::Gained(_)));
    }
    service.send(&ToService::Cancel { request: id }).await;
    // Unknown identities are no matter.
    service.send(&ToService::Cancel { request: 999_999 }).await;
    assert_eq!(service.says("say on").await, "on");
    until(|| web.open.load(std::sync::atomic::Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn a_drained_service_finishes_and_leaves() {
    let mut service = Service::with(&[]).await;
    let id = service.begin("sleep 300000000\nsay done").await;
    service.send(&ToService::Drain).await;
    match service.fails("say late").await {
        Error::Lost(_) => {}
        other => panic!("{other:?}"),
    }
    let (texts, last) = service.rest(id).await;
    assert_eq!(texts, ["awake", "done"]);
    assert!(matches!(last, Event::Done(_)));
    assert_eq!(service.left().await, (None, true));
}

#[tokio::test]
async fn a_service_that_cannot_be_opened_says_why() {
    // A component that is none of ours.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("component");
    std::fs::write(&file, b"not compiled here").unwrap();
    let open = |world: &str, authorities: Vec<Vec<u8>>| OpenService {
        plugin: "reach".to_owned(),
        world: world.to_owned(),
        compiled: file.clone(),
        settings: Vec::new(),
        rights: Rights::default(),
        own_addresses: Vec::new(),
        resolver: None,
        authorities,
        timeouts: ServiceTimeouts {
            call: Duration::from_secs(1),
            computing: Duration::from_secs(1),
            connect: Duration::from_secs(1),
        },
    };
    for (open, expected) in [
        (open("upstream", Vec::new()), None),
        (open("engine", Vec::new()), Some("world")),
        (
            open("nothing", Vec::new()),
            Some("there is no world `nothing`"),
        ),
        (
            open("upstream", vec![vec![1, 2, 3]]),
            Some("is no certificate"),
        ),
    ] {
        let mut service = Service::spawn();
        service.message().await;
        service.send(&ToService::Hello { version: VERSION }).await;
        service.send(&ToService::Open(Box::new(open))).await;
        match expected {
            None => assert_eq!(service.message().await, FromService::Stale),
            Some(word) => {
                let (ending, _) = service.left().await;
                let ending = ending.unwrap_or_default();
                assert!(ending.contains(word), "{word}: {ending}");
            }
        }
    }
}

#[tokio::test]
async fn a_service_leaves_when_the_agent_speaks_another_language_or_is_gone() {
    let mut service = Service::spawn();
    service.message().await;
    service
        .send(&ToService::Hello {
            version: VERSION + 1,
        })
        .await;
    assert_eq!(service.left().await, (None, false));

    let mut wrong = Service::open(Wish::default()).await;
    wrong.send(&ToService::Hello { version: VERSION }).await;
    assert_eq!(wrong.left().await, (None, false));

    let mut twice = Service::with(&[]).await;
    let id = twice.begin("sleep 9223372036854775808").await;
    twice.send(&ToService::Models { call: id }).await;
    assert_eq!(twice.left().await, (None, false));
}

#[tokio::test]
async fn a_notifier_is_no_adapter() {
    let mut service = Service::open(Wish {
        guest: "tell",
        world: World::Notifier,
        ..Wish::default()
    })
    .await;
    match service.fails("say hello").await {
        Error::Unsupported(_) => {}
        other => panic!("{other:?}"),
    }
}

/// Waits until something is so.
pub(crate) async fn until(is_it: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + crate::bench::PATIENCE;
    while !is_it() {
        assert!(std::time::Instant::now() < deadline, "it never was");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
