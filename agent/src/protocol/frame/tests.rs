//! Frames go through whole, and damaged or oversized ones are refused.

use super::*;
use crate::protocol::{
    Continued, Event, Finish, FromWorker, Gain, Generation, Load, Prompt, Sampling, Tagged,
    ToWorker, Usage, Work,
};

fn submit(request: u64, text: &str) -> ToWorker {
    let work = Work::Generate(Generation {
        prompt: Prompt::Text(text.to_owned()),
        sampling: Sampling::default(),
        max_tokens: Some(3),
        stop: vec!["\n".to_owned()],
        ignore_end: false,
        choices: 1,
        logprobs: None,
        echo: false,
        continued: vec![Continued {
            tokens: vec![7; request as usize],
            text_bytes: 3,
            logprobs: 0,
            finish: Some(Finish::Stop),
        }],
    });
    let work = work.into();
    ToWorker::Submit { request, work }
}

#[test]
fn messages_survive_any_cut_into_pieces() {
    let messages: Vec<_> = (0..20)
        .map(|n| submit(n, &"x".repeat(n as usize * 7)))
        .collect();
    let mut bytes = Vec::new();
    for message in &messages {
        encode(message, &mut bytes).unwrap();
    }
    for piece in [1, 2, 3, 5, 64, 1 << 20] {
        let mut decoder = Decoder::default();
        let mut seen = Vec::new();
        for part in bytes.chunks(piece) {
            decoder.space().extend_from_slice(part);
            while let Some(message) = decoder.decode::<ToWorker>().unwrap() {
                seen.push(message);
            }
        }
        assert_eq!(seen, messages, "in pieces of {piece}");
        assert!(!decoder.is_midway());
    }
}

#[test]
fn events_come_back_as_they_were() {
    let gain = Gain {
        choice: 1,
        text: "é\0".to_owned(),
        tokens: vec![2, u32::MAX],
        logprobs: Vec::new(),
        finish: None,
    };
    let message = FromWorker::Events {
        events: vec![
            Tagged {
                request: u64::MAX,
                event: Event::Gained(gain),
            },
            Tagged {
                request: 0,
                event: Event::Done(Usage::default()),
            },
        ],
        load: Load {
            running: 1,
            waiting: 2,
            cache_pages: 3,
            cache_pages_used: 4,
            guessed: 5,
            guesses_kept: u64::MAX,
        },
    };
    let mut decoder = Decoder::default();
    encode(&message, decoder.space()).unwrap();
    assert_eq!(decoder.decode().unwrap(), Some(message));
}

#[test]
fn a_message_over_the_limit_is_refused_and_leaves_no_trace() {
    let mut bytes = b"before".to_vec();
    let long = submit(0, &"x".repeat(FRAME_BYTES_MAX));
    assert!(matches!(
        encode(&long, &mut bytes),
        Err(FrameError::TooLong(_))
    ));
    assert_eq!(bytes, b"before");
}

#[test]
fn hostile_bytes_are_an_error_and_never_a_large_allocation() {
    let mut decoder = Decoder::default();
    decoder.space().extend_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(
        decoder.decode::<FromWorker>(),
        Err(FrameError::TooLong(_))
    ));

    // A list that claims 2^35 elements in a frame of a few bytes.
    let mut decoder = Decoder::default();
    let body = [4, 0xff, 0xff, 0xff, 0xff, 0x7f, 0];
    decoder
        .space()
        .extend_from_slice(&(body.len() as u32).to_le_bytes());
    decoder.space().extend_from_slice(&body);
    assert!(matches!(
        decoder.decode::<FromWorker>(),
        Err(FrameError::Decode(_))
    ));
}

#[test]
fn how_much_is_awaited_is_known_with_the_header() {
    let mut decoder = Decoder::with_limit(10);
    assert_eq!(decoder.awaited(), None);
    decoder.space().extend_from_slice(&[5, 0, 0]);
    assert_eq!(decoder.awaited(), None);
    decoder.space().push(0);
    assert_eq!(decoder.awaited(), Some(5));
    decoder.space().extend_from_slice(&[1, 2, 3, 4, 5]);
    let _: Option<(u8, u8, u8, u8, u8)> = decoder.decode().unwrap();
    assert_eq!(decoder.awaited(), None);
}
