//! One call of an adapter, from its beginning to its end, and servers that answer it.

use std::sync::Arc;

use skep::host::World;
use skep::protocol::{
    Error, Event, Finish, FromService, Generation, Message, Offer, Prompt, PullProgress, Sampling,
    ToService, Usage, Work,
};

use crate::bench::{Service, Wish};
use crate::servers::{Piece, Web};

/// What became of a request.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// By choice.
    pub(crate) texts: Vec<String>,
    pub(crate) finishes: Vec<Finish>,
    /// How many of all choices together.
    pub(crate) logprobs: usize,
    pub(crate) vectors: Vec<Vec<f32>>,
    pub(crate) usage: Option<Usage>,
    pub(crate) error: Option<Error>,
}

/// A service with an adapter that reaches `web`, where its interface begins at `base`.
pub(crate) async fn adapter(
    guest: &'static str,
    web: &Web,
    base: &str,
    settings: &[(&str, &str)],
) -> Service {
    let mut all = vec![("base-url".to_owned(), web.url(base))];
    for (name, value) in settings {
        all.push(((*name).to_owned(), (*value).to_owned()));
    }
    Service::open(Wish {
        guest,
        world: World::Upstream,
        granted: vec![web.grant(), "secret:mine".to_owned()],
        secrets: vec![("mine", KEY.to_owned())],
        settings: all,
        ..Wish::default()
    })
    .await
}

pub(crate) const KEY: &str = "sk-test-0123456789abcdef";

pub(crate) fn chat() -> Generation {
    Generation {
        prompt: Prompt::Chat(vec![Message {
            role: "user".to_owned(),
            content: "hello".to_owned(),
            name: None,
        }]),
        sampling: Sampling::default(),
        max_tokens: Some(5),
        stop: Vec::new(),
        ignore_end: false,
        choices: 1,
        logprobs: None,
        echo: false,
        continued: Vec::new(),
    }
}

pub(crate) async fn run(service: &mut Service, work: Work) -> Outcome {
    run_for(service, "m", work).await
}

pub(crate) async fn run_for(service: &mut Service, model: &str, work: Work) -> Outcome {
    let request = service.id();
    let submit = ToService::Submit {
        request,
        model: model.to_owned(),
        work: Arc::new(work),
    };
    service.send(&submit).await;
    let mut outcome = Outcome::default();
    loop {
        match service.event(request).await {
            Event::Started(_) => {}
            Event::Gained(gain) => {
                let choice = gain.choice as usize;
                if outcome.texts.len() <= choice {
                    outcome.texts.resize(choice + 1, String::new());
                }
                outcome.texts[choice].push_str(&gain.text);
                outcome.finishes.extend(gain.finish);
                outcome.logprobs += gain.logprobs.len();
            }
            Event::Embedded(embedding) => {
                assert_eq!(embedding.index as usize, outcome.vectors.len());
                outcome.vectors.push(embedding.values);
            }
            Event::Done(usage) => {
                outcome.usage = Some(usage);
                return outcome;
            }
            Event::Failed(error) => {
                outcome.error = Some(error);
                return outcome;
            }
        }
    }
}

/// The error of a request that fails before anything came.
pub(crate) async fn fails(service: &mut Service, work: Work) -> Error {
    let outcome = run(service, work).await;
    assert!(outcome.texts.is_empty(), "{outcome:?}");
    outcome.error.expect("it did not fail")
}

pub(crate) async fn models(service: &mut Service) -> Result<Vec<Offer>, Error> {
    let call = service.id();
    service.send(&ToService::Models { call }).await;
    match service.of(call).await {
        FromService::Models { result, .. } => result,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn pull(service: &mut Service) -> (Vec<PullProgress>, Result<(), Error>) {
    let call = service.id();
    let model = "m".to_owned();
    service.send(&ToService::Pull { call, model }).await;
    let mut news = Vec::new();
    loop {
        match service.of(call).await {
            FromService::Progress { progress, .. } => news.push(progress),
            FromService::Done { result, .. } => return (news, result),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn bytes(text: &str) -> Piece {
    Piece::Bytes(text.as_bytes().to_vec())
}

/// The head of an answer without a length: it ends with the connection.
pub(crate) fn streamed(kind: &str) -> Piece {
    bytes(&format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n"
    ))
}
