//! What servers answer with: slow, endless, enormous, cut off. The plugin hears of it, and the service is none the worse.

use std::time::Duration;

use skep::protocol::{Error, Event};

use crate::bench::{Service, Wish};
use crate::servers::{Piece, Web, text};

fn bytes(text: &str) -> Piece {
    Piece::Bytes(text.as_bytes().to_vec())
}

fn hostile(path: &str) -> Vec<Piece> {
    let head = "HTTP/1.1 200 OK\r\n";
    match path {
        "/mute" => vec![Piece::Hang],
        "/slow-head" => vec![bytes(head), Piece::Hang],
        "/endless-head" => vec![bytes(head), Piece::Endless(b"x-y: zzzzzzzz\r\n".to_vec())],
        "/many-headers" => {
            let lines: String = (0..100_000).map(|n| format!("x-{n}: y\r\n")).collect();
            vec![bytes(&format!("{head}{lines}\r\n"))]
        }
        "/endless" => vec![
            bytes(&format!("{head}\r\n")),
            Piece::Endless(vec![b'x'; 1 << 20]),
        ],
        "/stalls" => vec![
            bytes(&format!("{head}content-length: 9\r\n\r\nabc")),
            Piece::Hang,
        ],
        "/cut" => vec![bytes(&format!("{head}content-length: 9\r\n\r\nabc"))],
        "/gone" => Vec::new(),
        "/not-http" => vec![bytes("220 smtp.example.org ESMTP\r\n")],
        "/lies" => vec![bytes(&format!(
            "{head}content-length: 3\r\ncontent-length: 9\r\n\r\nabc"
        ))],
        "/smuggles" => vec![bytes(&format!(
            "{head}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        ))],
        "/switches" => vec![bytes(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        )],
        // A bomb of ten megabytes of nothing in ten kilobytes stays as it is.
        "/bomb" => {
            let body = vec![0x1f; 10_000];
            let mut all = format!("{head}content-encoding: gzip\r\ncontent-length: 10000\r\n\r\n")
                .into_bytes();
            all.extend(body);
            vec![Piece::Bytes(all)]
        }
        _ => text("200 OK", "", "fine"),
    }
}

#[tokio::test]
async fn whatever_a_server_does_is_an_error_and_no_more() {
    let web = Web::start(hostile).await;
    let mut service = Service::open(Wish {
        granted: vec![web.grant()],
        call: Duration::from_secs(20),
        ..Wish::default()
    })
    .await;
    // The first call maps what all later ones share.
    service.says(&format!("fetch GET {}", web.url("/"))).await;
    let descriptors = service.descriptors();
    for (path, error) in [
        ("/endless-head", "HttpResponseHeaderSectionSize"),
        ("/many-headers", "HttpResponseHeaderSectionSize"),
        ("/endless", "HttpResponseBodySize"),
        ("/cut", "HttpResponseIncomplete"),
        ("/gone", "HttpResponseIncomplete"),
        ("/not-http", "HttpProtocolError"),
        ("/lies", "HttpProtocolError"),
    ] {
        let said = service.says(&format!("fetch GET {}", web.url(path))).await;
        assert!(said.contains(error), "{path}: {said}");
    }
    let said = service
        .says(&format!("fetch GET {}", web.url("/bomb")))
        .await;
    assert!(said.starts_with("200 10000 "), "{said}");
    // Two lengths: one of them counts, for us as for the next.
    let said = service
        .says(&format!("fetch GET {}", web.url("/smuggles")))
        .await;
    assert!(
        said.starts_with("error") || said.starts_with("200 3 "),
        "{said}"
    );
    service
        .says(&format!("fetch GET {}", web.url("/switches")))
        .await;
    let said = service.says(&format!("fetch GET {}", web.url("/"))).await;
    assert!(said.ends_with(" fine"), "{said}");
    assert!(service.faults.is_empty(), "{:?}", service.faults);
    assert!(service.descriptors() <= descriptors + 1);
    let grown = service.resident_bytes();
    assert!(grown < 256 << 20, "{grown} bytes");
}

#[tokio::test]
async fn a_server_that_says_nothing_costs_its_call_and_nobody_elses() {
    let web = Web::start(hostile).await;
    let mut service = Service::open(Wish {
        granted: vec![web.grant()],
        call: Duration::from_millis(700),
        ..Wish::default()
    })
    .await;
    let mut waiting = Vec::new();
    for path in ["/mute", "/slow-head", "/stalls"] {
        let command = format!("fetch GET {}", web.url(path));
        waiting.push((path, service.begin(&command).await));
    }
    let said = service.says(&format!("fetch GET {}", web.url("/"))).await;
    assert!(said.ends_with(" fine"), "{said}");
    for (path, id) in waiting {
        let (texts, last) = service.rest(id).await;
        let timed_out = match &last {
            Event::Failed(Error::Other(text)) => text.contains("ran longer than"),
            _ => {
                let said = |text: &String| {
                    text.contains("ConnectionReadTimeout") || text.contains("read timeout")
                };
                texts.iter().any(said)
            }
        };
        assert!(timed_out, "{path}: {texts:?} {last:?}");
    }
}

#[tokio::test]
async fn a_stream_comes_piece_by_piece() {
    let pause = Piece::Pause(Duration::from_millis(50));
    let web = Web::start(move |_| {
        let mut pieces = vec![bytes(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        )];
        for word in ["one", "two", "three"] {
            pieces.push(bytes(&format!("{:x}\r\n{word}\r\n", word.len())));
            pieces.push(pause.clone());
        }
        pieces.push(bytes("0\r\n\r\n"));
        pieces
    })
    .await;
    let mut service = Service::with(&[web.grant()]).await;
    let (texts, last) = service.run(&format!("stream {}", web.url("/"))).await;
    assert_eq!(texts, ["open", "one", "two", "three"]);
    assert!(matches!(last, Event::Done(_)), "{last:?}");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_not_sent_to_its_end() {
    let web = Web::start(|_| text("200 OK", "", "")).await;
    let mut service = Service::with(&[web.grant()]).await;
    let said = service
        .says(&format!("fetch POST {} body=40000000", web.url("/")))
        .await;
    assert!(said.starts_with("error"), "{said}");
}
