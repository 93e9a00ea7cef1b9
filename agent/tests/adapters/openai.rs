//! The plugin `openai`, against servers that answer as services do, and as they should not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use skep::protocol::{Error, Finish, Prompt, Work};

use crate::call::{KEY, adapter, bytes, chat, fails, models, run, streamed};
use crate::servers::{Piece, Web, text};

fn chunk(content: &str, finish: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{content}\"}},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

fn good() -> Vec<Piece> {
    let all = chunk("grüß ", "null")
        + &chunk("dich", "null")
        + &chunk("", "\"length\"")
        + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    // Split in the middle of a character.
    let at = all.find('ß').unwrap() + 1;
    vec![
        streamed("text/event-stream"),
        Piece::Bytes(all.as_bytes()[..at].to_vec()),
        Piece::Pause(Duration::from_millis(20)),
        Piece::Bytes(all.as_bytes()[at..].to_vec()),
    ]
}

#[tokio::test]
async fn a_chat_is_streamed_and_signed() {
    let web = Web::start(|_| good()).await;
    let mut service = adapter("openai", &web, "/v1", &[("key", "mine")]).await;
    let outcome = run(&mut service, Work::Generate(chat())).await;
    assert_eq!(outcome.texts, ["grüß dich"], "{outcome:?}");
    assert_eq!(outcome.finishes, [Finish::Length]);
    let usage = outcome.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (9, 2));
    let asked = web.last();
    assert!(
        asked.starts_with("POST /v1/chat/completions HTTP/1.1"),
        "{asked}"
    );
    assert!(
        asked.contains(&format!("authorization: Bearer {KEY}")),
        "{asked}"
    );
}

#[tokio::test]
async fn models_and_vectors_are_read() {
    let web = Web::start(|path| match path {
        "/v1/models" => text(
            "200 OK",
            "",
            "{\"data\":[{\"id\":\"a\"},{\"id\":\"b\",\"max_model_len\":64}]}",
        ),
        _ => {
            let vectors: Vec<_> = (0..64)
                .map(|n| format!("{{\"index\":{n},\"embedding\":[{n}]}}"))
                .collect();
            let body = format!(
                "{{\"data\":[{}],\"usage\":{{\"prompt_tokens\":64}}}}",
                vectors.join(",")
            );
            text("200 OK", "content-type: application/json\r\n", &body)
        }
    })
    .await;
    let mut service = adapter("openai", &web, "/v1/", &[]).await;
    let offers = models(&mut service).await.unwrap();
    assert_eq!((offers[0].id.as_str(), offers[1].id.as_str()), ("a", "b"));
    assert_eq!(offers[1].info.as_ref().unwrap().context_tokens, 64);
    let inputs = |count| {
        let inputs = (0..count).map(|n| Prompt::Text(format!("text {n}")));
        Work::Embed(inputs.collect())
    };
    let outcome = run(&mut service, inputs(128)).await;
    assert_eq!(outcome.vectors.len(), 128, "{outcome:?}");
    assert_eq!(outcome.usage.unwrap().prompt_tokens, 128);
    // More vectors than texts.
    assert!(matches!(
        fails(&mut service, inputs(3)).await,
        Error::Malformed(_)
    ));
}

#[tokio::test]
async fn tries_again_before_anything_came_and_never_after() {
    let tries = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&tries);
    let web = Web::start(move |path| {
        let tried = counted.fetch_add(1, Ordering::SeqCst);
        match path.split('/').nth(1).unwrap_or_default() {
            "busy" if tried == 0 => text("429 Too Many Requests", "retry-after: 1\r\n", "{}"),
            "busy" => good(),
            "busier" => text(
                "429 Too Many Requests",
                "retry-after: 60\r\n",
                "{\"error\":{\"message\":\"slow down\"}}",
            ),
            "down" => text("503 Service Unavailable", "", "{}"),
            "broken" => text(
                "500 Internal Server Error",
                "",
                "{\"error\":{\"message\":\"boom\"}}",
            ),
            _ => vec![streamed("text/event-stream"), bytes(&chunk("one", "null"))],
        }
    })
    .await;
    let work = || Work::Generate(chat());
    let tried = async |base: &str| {
        tries.store(0, Ordering::SeqCst);
        let mut service = adapter("openai", &web, base, &[]).await;
        let started = Instant::now();
        let outcome = run(&mut service, work()).await;
        (outcome, tries.load(Ordering::SeqCst), started.elapsed())
    };
    let (outcome, count, took) = tried("/busy").await;
    assert_eq!((outcome.texts.len(), count), (1, 2), "{outcome:?}");
    assert!(took >= Duration::from_secs(1));
    let (outcome, count, _) = tried("/busier").await;
    assert!(
        matches!(&outcome.error, Some(Error::Limited { message, retry_after_s: Some(60) }) if message.contains("slow down")),
        "{outcome:?}"
    );
    assert_eq!(count, 1);
    let (outcome, count, _) = tried("/down").await;
    assert_eq!((outcome.error.is_some(), count), (true, 3), "{outcome:?}");
    let (outcome, count, _) = tried("/broken").await;
    assert!(matches!(outcome.error, Some(Error::Other(said)) if said.contains("boom")));
    assert_eq!(count, 1);
    // What came stays, and nothing is asked twice.
    let (outcome, count, _) = tried("/cut").await;
    assert_eq!((outcome.texts, count), (vec!["one".to_owned()], 1));
    assert!(matches!(outcome.error, Some(Error::Other(said)) if said.contains("not all of it")));
}

#[tokio::test]
async fn whatever_a_service_does_ends_in_an_error_that_says_so() {
    let one = || vec![streamed("text/event-stream"), bytes(&chunk("one", "null"))];
    let with = move |piece: Piece| {
        let mut all = one();
        all.push(piece);
        all
    };
    let web = Web::start(move |path| match path.split('/').nth(1).unwrap_or_default() {
        "slow" => with(Piece::Hang),
        "mute" => vec![Piece::Hang],
        "reset" => vec![bytes(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 99999\r\n\r\n: \n\n",
        )],
        "wrong" => with(bytes("data: {\"choices\":\n\n")),
        "endless" => with(Piece::Endless(vec![b'x'; 1 << 16])),
        "event" => with(Piece::Endless(b"data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n".repeat(1000))),
        "whole" => vec![streamed("application/json"), Piece::Endless(vec![b' '; 1 << 16])],
        "inside" => with(bytes("data: {\"error\":{\"message\":\"gpu on fire\",\"code\":500}}\n\n")),
        "key" => text("401 Unauthorized", "", "{\"error\":{\"message\":\"no key\"}}"),
        "model" => text("404 Not Found", "", "{\"error\":{\"message\":\"no such model\"}}"),
        "field" => text("400 Bad Request", "", "{\"error\":{\"message\":\"too hot\",\"param\":\"temperature\"}}"),
        "away" => text("302 Found", "location: http://169.254.169.254/\r\n", ""),
        other => panic!("{other}"),
    })
    .await;
    for (base, came, expected) in [
        ("/slow", true, "silent for too long"),
        ("/mute", false, "silent for too long"),
        ("/reset", false, "closed the connection"),
        ("/wrong", true, "no piece of an answer"),
        ("/endless", true, "longer than"),
        ("/event", true, "longer than"),
        ("/whole", false, "longer than"),
        ("/inside", true, "gpu on fire"),
        ("/key", false, "wants a key"),
        ("/model", false, "no such model"),
        ("/field", false, "too hot"),
        ("/away", false, "base-url"),
    ] {
        let mut service = adapter("openai", &web, base, &[("silence-s", "1")]).await;
        let outcome = run(&mut service, Work::Generate(chat())).await;
        let error = outcome.error.expect(base);
        assert!(error.to_string().contains(expected), "{base}: {error:?}");
        assert_eq!(!outcome.texts.is_empty(), came, "{base}");
        assert!(service.faults.is_empty(), "{base}: {:?}", service.faults);
    }
}
