//! Rights that are taken away: at once, also from calls that are using them.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use skep::protocol::{Error, Event, ToService};

use crate::bench::{Service, Wish, rights};
use crate::calls::until;
use crate::servers::{Piece, Web, text};

fn dripping(path: &str) -> Vec<Piece> {
    if path == "/quick" {
        return text("200 OK", "", "quick");
    }
    let mut pieces = vec![Piece::Bytes(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())];
    for _ in 0..3_000 {
        pieces.push(Piece::Bytes(b"drop\n".to_vec()));
        pieces.push(Piece::Pause(Duration::from_millis(20)));
    }
    pieces
}

#[tokio::test]
async fn a_running_stream_ends_within_a_second() {
    let (web, kept) = (Web::start(dripping).await, Web::start(dripping).await);
    let mut service = Service::with(&[web.grant(), kept.grant()]).await;
    let gone = service.begin(&format!("stream {}", web.url("/"))).await;
    let stays = service.begin(&format!("stream {}", kept.url("/"))).await;
    for id in [gone, stays] {
        for _ in 0..3 {
            assert!(matches!(service.event(id).await, Event::Gained(_)));
        }
    }
    let began = Instant::now();
    let rest = rights(&[kept.grant()], &[]);
    service.send(&ToService::Rights(rest)).await;
    let (_, last) = service.rest(gone).await;
    let took = began.elapsed();
    match last {
        Event::Failed(Error::Denied(text)) => assert!(text.contains("revoked"), "{text}"),
        other => panic!("{other:?}"),
    }
    until(|| web.open.load(Ordering::SeqCst) == 0).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    // Who used nothing that is gone goes on.
    for _ in 0..10 {
        assert!(matches!(service.event(stays).await, Event::Gained(_)));
    }
    let said = service
        .says(&format!("fetch GET {}", web.url("/quick")))
        .await;
    assert_eq!(said, "error ErrorCode::HttpRequestDenied");
    // And back again.
    service
        .send(&ToService::Rights(rights(&[web.grant()], &[])))
        .await;
    let said = service
        .says(&format!("fetch GET {}", web.url("/quick")))
        .await;
    assert!(said.ends_with(" quick"), "{said}");
}

#[tokio::test]
async fn a_secret_that_is_revoked_ends_who_opened_it() {
    let web = Web::start(dripping).await;
    let secrets = [("key", "0123456789".to_owned())];
    let mut service = Service::open(Wish {
        granted: vec![web.grant(), "secret:key".to_owned()],
        secrets: secrets.to_vec(),
        ..Wish::default()
    })
    .await;
    let id = service.begin("secret key\nsleep 9223372036854775808").await;
    assert!(matches!(service.event(id).await, Event::Gained(_)));
    service
        .send(&ToService::Rights(rights(&[web.grant()], &secrets)))
        .await;
    match service.rest(id).await.1 {
        Event::Failed(Error::Denied(text)) => assert!(text.contains("the secret `key`"), "{text}"),
        other => panic!("{other:?}"),
    }
    let said = service.says("secret key").await;
    assert!(said.contains("is not granted"), "{said}");
}

#[tokio::test]
async fn a_wider_grant_in_the_place_of_a_narrow_one_ends_nothing() {
    let web = Web::start(dripping).await;
    let port = web.address.port();
    let mut service = Service::with(&[web.grant(), format!("http-local:localhost:{port}")]).await;
    let id = service.begin(&format!("stream {}", web.url("/"))).await;
    assert!(matches!(service.event(id).await, Event::Gained(_)));
    service
        .send(&ToService::Rights(rights(
            &[web.grant(), "secret:new".to_owned()],
            &[],
        )))
        .await;
    for _ in 0..10 {
        assert!(matches!(service.event(id).await, Event::Gained(_)));
    }
}
