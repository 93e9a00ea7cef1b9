//! The plugin `ollama`, against servers that answer as Ollama does, and as it should not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use skep::protocol::{Error, Finish, Prompt, Work};

use crate::call::{adapter, bytes, chat, fails, models, pull, run, streamed};
use crate::servers::{Piece, Web, text};

fn line(content: &str, rest: &str) -> String {
    format!("{{\"message\":{{\"role\":\"assistant\",\"content\":\"{content}\"}}{rest}}}\n")
}

#[tokio::test]
async fn chats_models_vectors_and_pulls() {
    let web = Web::start(|path| match path {
        "/api/tags" => text("200 OK", "", "{\"models\":[{\"name\":\"m:1b\"},{\"name\":\"n\"}]}"),
        "/api/show" => text(
            "200 OK",
            "",
            "{\"capabilities\":[\"completion\"],\"details\":{\"quantization_level\":\"Q4_0\"},\
             \"model_info\":{\"general.architecture\":\"llama\",\"llama.context_length\":4096}}",
        ),
        "/api/embed" => text("200 OK", "", "{\"embeddings\":[[1],[2]],\"prompt_eval_count\":7}"),
        "/api/pull" => vec![
            streamed("application/x-ndjson"),
            bytes("{\"status\":\"pulling manifest\"}\n{\"status\":\"pulling abc\",\"total\":100,\"comp"),
            Piece::Pause(Duration::from_millis(20)),
            bytes("leted\":40}\n{\"status\":\"success\"}\n"),
        ],
        _ => vec![
            streamed("application/x-ndjson"),
            bytes(&line("hel", ",\"done\":false")),
            Piece::Pause(Duration::from_millis(20)),
            bytes(&line("lo", ",\"done\":false")),
            bytes(&line("", ",\"done\":true,\"done_reason\":\"length\",\"prompt_eval_count\":3,\"eval_count\":2")),
        ],
    })
    .await;
    let mut service = adapter("ollama", &web, "/api/", &[]).await;
    let outcome = run(&mut service, Work::Generate(chat())).await;
    assert_eq!(outcome.texts, ["hello"], "{outcome:?}");
    assert_eq!(outcome.finishes, [Finish::Length]);
    assert_eq!(outcome.usage.unwrap().completion_tokens, 2);
    assert!(web.last().starts_with("POST /api/chat"), "{}", web.last());

    let offers = models(&mut service).await.unwrap();
    assert_eq!(offers.len(), 2);
    let info = offers[0].info.as_ref().unwrap();
    assert_eq!(
        (info.architecture.as_str(), info.context_tokens),
        ("llama", 4096)
    );

    let inputs = ["a", "b"]
        .map(|text| Prompt::Text(text.to_owned()))
        .to_vec();
    let outcome = run(&mut service, Work::Embed(inputs)).await;
    assert_eq!(outcome.vectors, [[1.0], [2.0]], "{outcome:?}");

    let (news, result) = pull(&mut service).await;
    result.unwrap();
    assert_eq!((news[1].done_bytes, news[1].total_bytes), (40, Some(100)));
}

#[tokio::test]
async fn whatever_a_server_does_ends_in_an_error_that_says_so() {
    let one = || {
        vec![
            streamed("application/x-ndjson"),
            bytes(&line("one", ",\"done\":false")),
        ]
    };
    let with = move |piece: Piece| {
        let mut all = one();
        all.push(piece);
        all
    };
    let web = Web::start(
        move |path| match path.split('/').nth(1).unwrap_or_default() {
            "cut" => one(),
            "slow" => with(Piece::Hang),
            "wrong" => with(bytes("<html>\n")),
            "endless" => with(Piece::Endless(vec![b'x'; 1 << 16])),
            "inside" => with(bytes("{\"error\":\"gpu on fire\"}\n")),
            "model" => text("404 Not Found", "", "{\"error\":\"model 'm' not found\"}"),
            "busy" => text(
                "503 Service Unavailable",
                "retry-after: 60\r\n",
                "{\"error\":\"server busy\"}",
            ),
            "other" => text("404 Not Found", "", "404 page not found"),
            other => panic!("{other}"),
        },
    )
    .await;
    for (base, came, expected) in [
        ("/cut", true, "not all of it"),
        ("/slow", true, "silent for too long"),
        ("/wrong", true, "no piece of an answer"),
        ("/endless", true, "longer than"),
        ("/inside", true, "gpu on fire"),
        ("/model", false, "not found"),
        ("/busy", false, "60 s"),
        ("/other", false, "is it an Ollama"),
    ] {
        let mut service = adapter("ollama", &web, base, &[("silence-s", "1")]).await;
        let outcome = run(&mut service, Work::Generate(chat())).await;
        let error = outcome.error.expect(base);
        assert!(error.to_string().contains(expected), "{base}: {error:?}");
        assert_eq!(!outcome.texts.is_empty(), came, "{base}");
        assert!(service.faults.is_empty(), "{base}: {:?}", service.faults);
    }
    let mut service = adapter("ollama", &web, "/cut", &[]).await;
    let mut echo = chat();
    echo.echo = true;
    assert!(matches!(
        fails(&mut service, Work::Generate(echo)).await,
        Error::Unsupported(_)
    ));
    let (_, result) = pull(&mut service).await;
    assert!(result.is_err());
}

/// A list that names models is worth more than what is said of each: one that describes none does not hold it up.
#[tokio::test]
async fn a_list_does_not_wait_for_descriptions() {
    let asked = Arc::new(AtomicUsize::new(0));
    let shows = asked.clone();
    let web = Web::start(move |path| match path {
        "/api/tags" => {
            let named = (0..50).map(|number| format!("{{\"name\":\"m{number}\"}}"));
            let named = named.collect::<Vec<_>>().join(",");
            text("200 OK", "", &format!("{{\"models\":[{named}]}}"))
        }
        _ => {
            shows.fetch_add(1, Ordering::Relaxed);
            text("500 Internal Server Error", "", "out of order")
        }
    })
    .await;
    let mut service = adapter("ollama", &web, "/api/", &[]).await;
    let offers = models(&mut service).await.unwrap();
    assert_eq!(offers.len(), 50);
    assert!(offers.iter().all(|offer| offer.info.is_none()));
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}
