//! The port under hostile hands: requests that two parsers might read differently, slow ones, large ones, many.

use std::io::Write;
use std::time::{Duration, Instant};

use skep_tests::agent::Agent;
use skep_tests::raw;

const PATIENCE: Duration = Duration::from_secs(3);

/// A request must never be read as two, and what RFC 9112 calls an error must be one.
#[test]
fn what_could_be_smuggled_is_refused() {
    let agent = Agent::start(&[]).unwrap();
    let to = agent.address();
    let host = format!("host: {to}\r\n");
    // The part that would be a second request to whoever reads lengths differently.
    let hidden = format!("GET /healthz HTTP/1.1\r\nhost: {to}\r\n\r\n");
    let check = |name: &str, request: String, allowed: &[u16]| {
        let heard = raw::say(to, request.as_bytes(), PATIENCE).unwrap();
        let statuses = heard.statuses();
        assert!(
            statuses.len() <= 1,
            "{name}: read as {statuses:?}:\n{}",
            heard.text
        );
        for status in statuses {
            assert!(
                allowed.contains(&status),
                "{name}: {status}:\n{}",
                heard.text
            );
        }
        assert!(heard.closed, "{name}: the connection stays open");
    };
    let post = "POST /v1/chat/completions HTTP/1.1\r\n";
    let length = hidden.len();
    let cases = [
        (
            "two lengths",
            format!("{post}{host}content-length: 2\r\ncontent-length: {length}\r\n\r\n{hidden}"),
        ),
        (
            "a list of lengths",
            format!("{post}{host}content-length: 2, {length}\r\n\r\n{hidden}"),
        ),
        (
            "a length with a sign",
            format!("{post}{host}content-length: +2\r\n\r\n{{}}{hidden}"),
        ),
        (
            "a negative length",
            format!("{post}{host}content-length: -2\r\n\r\n{{}}{hidden}"),
        ),
        (
            "a length in hex",
            format!("{post}{host}content-length: 0x2\r\n\r\n{{}}{hidden}"),
        ),
        (
            "a length and chunks",
            format!(
                "{post}{host}content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
            ),
        ),
        (
            "an unknown coding",
            format!("{post}{host}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "chunked, then another coding",
            format!("{post}{host}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "space before the colon",
            format!("{post}{host}transfer-encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "a folded field",
            format!("{post}{host}x-a: b\r\n c\r\ncontent-length: 0\r\n\r\n"),
        ),
        (
            "a NUL in a field",
            format!("{post}{host}x-a: b\0c\r\ncontent-length: 0\r\n\r\n"),
        ),
        (
            "a bare CR in a field",
            format!("{post}{host}x-a: b\rc\r\ncontent-length: 0\r\n\r\n"),
        ),
        ("no host", format!("{post}content-length: 0\r\n\r\n")),
        (
            "two hosts",
            format!("{post}{host}{host}content-length: 0\r\n\r\n"),
        ),
        (
            "chunks in HTTP/1.0",
            format!(
                "POST /v1/chat/completions HTTP/1.0\r\n{host}transfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
            ),
        ),
        (
            "an endless chunk size",
            format!(
                "{post}{host}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n1{}\r\na\r\n0\r\n\r\n{hidden}",
                "0".repeat(17)
            ),
        ),
        (
            "a chunk size with a sign",
            format!(
                "{post}{host}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n{hidden}"
            ),
        ),
        (
            "a chunk longer than it says",
            format!(
                "{post}{host}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabcdef\r\n0\r\n\r\n{hidden}"
            ),
        ),
        (
            "another protocol",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        ),
        (
            "no request at all",
            "\u{16}\u{3}\u{1}\0\u{5}hello\r\n\r\n".to_owned(),
        ),
        (
            "a target with a space",
            format!("GET /heal thz HTTP/1.1\r\n{host}\r\n"),
        ),
    ];
    for (name, request) in cases {
        // A connection that is closed without a word is as good as a refusal.
        check(name, request, &[400, 405, 408, 415, 501, 505]);
    }
    let (status, _) = raw::request(to, "GET", "/healthz", "", "").unwrap();
    assert_eq!(status, 200);
}

/// A slow head, a slow body and an idle connection each end within their time; others are served meanwhile.
#[test]
fn whoever_dawdles_is_closed() {
    let agent = Agent::start(&[("SKEP_HTTP_HEADER_TIMEOUT_S", "2")]).unwrap();
    let to = agent.address();
    let begin = Instant::now();
    let slow = |first: String, every: &'static str| {
        std::thread::spawn(move || {
            let mut stream = raw::connect(to).unwrap();
            stream.write_all(first.as_bytes()).unwrap();
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(20) {
                let heard = raw::listen(&mut stream, Duration::from_millis(500)).unwrap();
                if heard.closed {
                    return start.elapsed();
                }
                let _ = stream.write_all(every.as_bytes());
            }
            start.elapsed()
        })
    };
    let heads = slow(format!("GET / HTTP/1.1\r\nhost: {to}\r\n"), "x: y\r\n");
    let idle = slow(String::new(), "");
    let body = slow(
        format!(
            "POST /v1/embeddings HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{{"
        ),
        " ",
    );
    for _ in 0..20 {
        let (status, _) = raw::request(to, "GET", "/healthz", "", "").unwrap();
        assert_eq!(status, 200);
    }
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert!(heads.join().unwrap() < Duration::from_secs(6));
    assert!(idle.join().unwrap() < Duration::from_secs(6));
    assert!(body.join().unwrap() < Duration::from_secs(16));
}

/// Heads, bodies and connections have bounds; past them there is an answer or a closed door.
#[test]
fn what_is_too_much_is_refused() {
    let agent = Agent::start(&[("SKEP_HTTP_BODY_MAX_BYTES", "65536")]).unwrap();
    let to = agent.address();
    let host = format!("host: {to}\r\n");
    let status = |request: String| {
        let heard = raw::say(to, request.as_bytes(), PATIENCE).unwrap();
        heard.statuses().first().copied()
    };
    let post = "POST /v1/embeddings HTTP/1.1\r\ncontent-type: application/json\r\n";
    assert_eq!(
        status(format!("{post}{host}content-length: 10737418240\r\n\r\n{{")),
        Some(413)
    );
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let chunks = chunk.repeat(4);
    assert_eq!(
        status(format!(
            "{post}{host}transfer-encoding: chunked\r\n\r\n{chunks}"
        )),
        Some(413)
    );
    // The door may close while the rest is still on its way, which takes the answer with it.
    let large = "a".repeat(100_000);
    let fields = "x: y\r\n".repeat(1_000);
    for head in [
        format!("GET / HTTP/1.1\r\n{host}x: {large}\r\n\r\n"),
        format!("GET /{large} HTTP/1.1\r\n{host}\r\n"),
        format!("GET / HTTP/1.1\r\n{host}{fields}\r\n"),
    ] {
        let found = status(head);
        assert!(matches!(found, None | Some(414 | 431)), "{found:?}");
    }
    assert_eq!(
        status(format!(
            "{post}{host}content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{{}}"
        )),
        Some(415)
    );
}

/// Past the limit a connection is closed at once; those before it are not disturbed.
#[test]
fn connections_have_a_bound() {
    let agent = Agent::start(&[("SKEP_HTTP_CONNECTIONS_MAX", "8")]).unwrap();
    let to = agent.address();
    let mut held: Vec<_> = (0..8).map(|_| raw::connect(to).unwrap()).collect();
    let ninth = raw::say(to, b"", PATIENCE).unwrap();
    assert!(ninth.closed && ninth.statuses().is_empty());
    for stream in &mut held {
        let heard = raw::listen(stream, Duration::from_millis(50)).unwrap();
        assert!(!heard.closed);
    }
    drop(held);
    let deadline = Instant::now() + PATIENCE;
    while raw::request(to, "GET", "/healthz", "", "").is_err() {
        assert!(
            Instant::now() < deadline,
            "the agent serves nobody any more"
        );
    }
}

/// Everything that is refused has OpenAI's shape, and a request id.
#[test]
fn refusals_have_one_shape() {
    let agent = Agent::start(&[]).unwrap();
    let to = agent.address();
    let check = |method: &str, path: &str, fields: &str, body: &str, expect: u16, code: &str| {
        let (status, answer) = raw::request(to, method, path, fields, body).unwrap();
        assert_eq!(status, expect, "{method} {path}: {answer}");
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let error = &answer["error"];
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{answer}"
        );
        assert!(
            error["type"].is_string() && error.get("param").is_some(),
            "{answer}"
        );
        assert_eq!(error["code"].as_str().unwrap_or(""), code, "{answer}");
    };
    let json = "content-type: application/json\r\n";
    let chat = r#"{"model":"nothing-like-it","messages":[{"role":"user","content":"x"}]}"#;
    check("GET", "/nowhere", "", "", 404, "unknown_endpoint");
    check(
        "GET",
        "/v1/chat/completions",
        "",
        "",
        405,
        "method_not_allowed",
    );
    check("DELETE", "/v1/models", "", "", 405, "method_not_allowed");
    check(
        "POST",
        "/v1/chat/completions",
        json,
        "{",
        400,
        "invalid_json",
    );
    check("POST", "/v1/chat/completions", json, "{}", 400, "");
    check(
        "POST",
        "/v1/chat/completions",
        json,
        chat,
        404,
        "model_not_found",
    );
    check(
        "GET",
        "/v1/models/nothing-like-it",
        "",
        "",
        404,
        "model_not_found",
    );
    check(
        "POST",
        "/v1/chat/completions",
        "content-type: application/x-www-form-urlencoded\r\n",
        chat,
        404,
        "model_not_found",
    );
    check(
        "POST",
        "/v1/chat/completions",
        "content-type: text/plain\r\n",
        chat,
        415,
        "",
    );
    check(
        "GET",
        "/v1/models",
        "authorization: Bearer sk-skep-wrong\r\n",
        "",
        401,
        "invalid_api_key",
    );
    check(
        "POST",
        "/v1/chat/completions",
        "origin: https://evil.example\r\n",
        chat,
        403,
        "foreign_origin",
    );
    check("POST", "/api/v1/keys", json, r#"{"name":"x"}"#, 401, "");
    let evil = "GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    let heard = raw::say(to, evil.as_bytes(), PATIENCE).unwrap();
    assert_eq!(heard.statuses(), [421]);
    let named = format!(
        "GET /healthz HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\nx-request-id: mine-1\r\n\r\n"
    );
    let heard = raw::say(to, named.as_bytes(), PATIENCE).unwrap();
    assert!(
        heard.text.contains("x-request-id: mine-1\r\n"),
        "{}",
        heard.text
    );
}

/// A thousand hostile bodies leave the agent alive and no larger.
#[test]
fn hostile_bodies_cost_little() {
    let agent = Agent::start(&[]).unwrap();
    let to = agent.address();
    let json = "content-type: application/json\r\n";
    let before = agent.resident_bytes().unwrap();
    let deep = format!(
        r#"{{"model":"m","messages":{}{}}}"#,
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    let many = format!(
        r#"{{"model":"m","messages":[{}]}}"#,
        vec![r#"{"role":"user","content":""}"#; 100_000].join(",")
    );
    let empty = format!(
        r#"{{"model":"m","messages":[{}]}}"#,
        vec!["{}"; 1_000_000].join(",")
    );
    let parts = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":[{}]}}]}}"#,
        vec![r#"{"type":"text","text":""}"#; 100_000].join(",")
    );
    let stops = format!(
        r#"{{"model":"m","messages":[],"stop":[{}]}}"#,
        vec!["\"x\""; 100_000].join(",")
    );
    let biases: Vec<_> = (0..200_000).map(|i| format!("\"{i}\":1")).collect();
    let biases = format!(
        r#"{{"model":"m","messages":[],"logit_bias":{{{}}}}}"#,
        biases.join(",")
    );
    let image = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{}"}}}}]}}]}}"#,
        "A".repeat(10 << 20)
    );
    let choices =
        r#"{"model":"m","messages":[{"role":"user","content":"x"}],"n":1000000}"#.to_owned();
    for body in [deep, many, empty, parts, stops, biases, image, choices] {
        let start = Instant::now();
        let (status, answer) =
            raw::request(to, "POST", "/v1/chat/completions", json, &body).unwrap();
        assert_eq!(status, 400, "{answer}");
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{:?}",
            start.elapsed()
        );
    }
    let grown = agent.resident_bytes().unwrap().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
}
