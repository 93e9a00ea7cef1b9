//! Secrets: used where a header goes to a granted host, and nowhere to be read.

use skep::protocol::{Error, Event};

use crate::bench::{Service, Wish};
use crate::servers::{Piece, Web, text};

const KEY: &str = "sk-very-secret-0123456789";

async fn keeper(web: &Web) -> Service {
    Service::open(Wish {
        granted: vec![
            web.grant(),
            "secret:key".to_owned(),
            "secret:missing".to_owned(),
            "secret:broken".to_owned(),
        ],
        secrets: vec![
            ("key", KEY.to_owned()),
            ("other", "not-granted".to_owned()),
            ("broken", "a\r\nevil: b".to_owned()),
        ],
        ..Wish::default()
    })
    .await
}

fn echo() -> impl Fn(&str) -> Vec<Piece> {
    |_| text("200 OK", "", "ok")
}

#[tokio::test]
async fn a_secret_stands_in_headers_alone() {
    let web = Web::start(echo()).await;
    let mut service = keeper(&web).await;
    let url = web.url("/");
    let said = service
        .says(&format!("with-secret key header GET {url}"))
        .await;
    assert!(said.starts_with("200 "), "{said}");
    assert!(
        web.last().contains(&format!("authorization: Bearer {KEY}")),
        "{}",
        web.last()
    );
    // In a URL, or in a header's name, the stand-in is just text.
    for place in ["url", "name"] {
        service
            .says(&format!("with-secret key {place} GET {url}"))
            .await;
        assert!(!web.last().contains(KEY), "{place}: {}", web.last());
        assert!(
            web.last().contains("skep-secret-"),
            "{place}: {}",
            web.last()
        );
    }
}

#[tokio::test]
async fn a_stand_in_is_the_calls_own_and_says_nothing() {
    let web = Web::start(echo()).await;
    let mut service = keeper(&web).await;
    let first = service.says("secret key").await;
    let second = service.says("secret key").await;
    assert!(first.starts_with("stands skep-secret-"), "{first}");
    assert_ne!(first, second);
    assert!(!first.contains(KEY));
    // One call's stand-in means nothing in another.
    let stolen = first.trim_start_matches("stands ");
    service
        .says(&format!("fetch GET {} x-key={stolen}", web.url("/")))
        .await;
    assert!(
        web.last().contains(stolen) && !web.last().contains(KEY),
        "{}",
        web.last()
    );
}

#[tokio::test]
async fn what_cannot_be_used_is_said() {
    let web = Web::start(echo()).await;
    let mut service = keeper(&web).await;
    for (name, word) in [
        ("other", "Denied"),
        ("missing", "there is no secret"),
        ("broken", "no header carries"),
        ("../key", "no secret's name"),
    ] {
        let said = service.says(&format!("secret {name}")).await;
        assert!(said.contains(word), "{name}: {said}");
        assert!(
            !said.contains("evil") && !said.contains("not-granted"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_secret_that_a_server_echoes_is_dots_in_lines_and_errors() {
    let web = Web::start(|_| text("200 OK", &format!("x-echo: {KEY}\r\n"), KEY)).await;
    let mut service = keeper(&web).await;
    let (texts, last) = service
        .run(&format!("with-secret key echo GET {}", web.url("/")))
        .await;
    let Event::Failed(Error::Other(error)) = last else {
        panic!("{texts:?} {last:?}")
    };
    assert!(web.last().contains(KEY), "{}", web.last());
    assert!(error.contains("•••") && !error.contains(KEY), "{error}");
    assert!(
        service.said().contains("•••") && !service.said().contains(KEY),
        "{}",
        service.said()
    );
}
