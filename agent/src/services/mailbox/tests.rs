//! What a mailbox keeps, gives up and tells.

use super::*;
use crate::protocol::{Decoder, Gain, Prompt};
use crate::services::{Kind, Service};

fn mailbox() -> Arc<Mailbox> {
    let service = Service {
        kind: Kind::Upstream,
        name: "up".into(),
        plugin: "p".into(),
        settings: [].into(),
        models: Vec::new(),
        prefix: false,
        timeout_s: None,
        added_unix_s: 0,
    };
    Arc::new(Mailbox::new(
        Blame::new(&service, Vec::new()),
        Arc::default(),
    ))
}

fn work() -> Arc<Work> {
    Arc::new(Work::Embed(vec![Prompt::Text("x".into())]))
}

fn sent(mailbox: &Mailbox) -> Vec<ToService> {
    let mut bytes = Vec::new();
    mailbox.take_outbox(&mut bytes);
    let mut decoder = Decoder::default();
    decoder.space().extend_from_slice(&bytes);
    let mut messages = Vec::new();
    while let Some(message) = decoder.decode().unwrap() {
        messages.push(message);
    }
    messages
}

fn gained(request: u64) -> FromService {
    let event = Event::Gained(Gain {
        choice: 0,
        text: "a".into(),
        tokens: Vec::new(),
        logprobs: Vec::new(),
        finish: None,
    });
    FromService::Events(vec![Tagged { request, event }])
}

#[tokio::test]
async fn a_client_that_goes_away_is_cancelled_and_forgotten() {
    let mailbox = mailbox();
    let exchange = mailbox.submit(&"m".into(), work()).unwrap();
    assert!(matches!(
        &sent(&mailbox)[..],
        [ToService::Submit { request: 1, .. }]
    ));
    assert_eq!(mailbox.running()["m"], 1);
    drop(exchange);
    assert!(matches!(
        &sent(&mailbox)[..],
        [ToService::Cancel { request: 1 }]
    ));
    assert!(!mailbox.is_busy());
    // What comes after is nobody's.
    mailbox.take_in(gained(1), &mut Vec::new());
}

#[tokio::test]
async fn silence_ends_as_a_timeout_and_only_for_the_silent() {
    let mailbox = mailbox();
    let mut silent = mailbox.submit(&"m".into(), work()).unwrap();
    let limit = Duration::from_secs(60);
    let later = Instant::now() + limit;
    mailbox.end_silent(later - Duration::from_secs(30), limit);
    assert!(mailbox.is_busy());
    mailbox.end_silent(later, limit);
    assert!(matches!(
        silent.recv().await,
        Some(Event::Failed(Error::TimedOut(_)))
    ));
    assert!(!mailbox.is_busy());
    assert!(sent(&mailbox).contains(&ToService::Cancel { request: 1 }));
}

#[tokio::test]
async fn what_a_lost_process_leaves_goes_elsewhere_only_if_nothing_was_said() {
    let mailbox = mailbox();
    let mut fresh = mailbox.submit(&"m".into(), work()).unwrap();
    let mut begun = mailbox.submit(&"m".into(), work()).unwrap();
    let call = mailbox.models().unwrap();
    mailbox.take_in(gained(2), &mut Vec::new());
    assert!(matches!(begun.recv().await, Some(Event::Gained(_))));
    mailbox.lose(|said| mailbox.blame().gone("it was killed", said));
    assert!(matches!(
        fresh.recv().await,
        Some(Event::Failed(Error::Lost(_)))
    ));
    assert!(matches!(
        begun.recv().await,
        Some(Event::Failed(Error::Upstream(_)))
    ));
    let answer = call.answer(Duration::from_secs(5)).await;
    assert!(matches!(answer, Err(Error::Lost(_))));
}

#[tokio::test]
async fn calls_are_answered_by_their_number_and_bounded() {
    let mailbox = mailbox();
    let call = mailbox.models().unwrap();
    let offer = Offer {
        id: "m".into(),
        info: None,
    };
    for number in [7, 1] {
        let message = FromService::Models {
            call: number,
            result: Ok(vec![offer.clone()]),
        };
        mailbox.take_in(message, &mut Vec::new());
    }
    let answer = call.answer(Duration::from_secs(5)).await;
    assert_eq!(answer.unwrap(), [offer]);
    let many: Vec<_> = (0..SERVICE_REQUESTS_MAX)
        .map(|_| mailbox.models().unwrap())
        .collect();
    assert!(matches!(mailbox.models(), Err(SubmitError::Full(_))));
    drop(many);
    assert!(!mailbox.is_busy());
    mailbox.refuse(Some("it starts again".into()));
    assert!(matches!(mailbox.models(), Err(SubmitError::NotReady(_))));
    mailbox.refuse(None);
    assert!(mailbox.models().is_ok());
}

#[tokio::test]
async fn the_start_of_a_process_is_not_its_silence() {
    let mailbox = mailbox();
    let limit = Duration::from_millis(20);
    let mut answer = std::pin::pin!(mailbox.models().unwrap().answer(limit));
    let early = tokio::time::timeout(limit * 10, &mut answer).await;
    assert!(early.is_err(), "{early:?}");
    mailbox.set_served(true);
    assert!(matches!(answer.await, Err(Error::TimedOut(_))));
    assert!(!mailbox.is_busy());
}
