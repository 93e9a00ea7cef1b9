//! Going on after a break gives what would have come without it, wherever the break is.

use super::*;
use crate::contract::Continued;

/// What is there of an answer, as a host that counted gains knows it.
fn there(answer: &Answer) -> Continued {
    Continued {
        tokens: answer.tokens.clone(),
        text_bytes: answer.text.len() as u64,
        logprobs: answer.logprobs.len() as u32,
        finish: answer.finish,
    }
}

/// The job as it is handed to the next instance.
pub(super) fn rest(job: &Job, record: &Record, request: u64) -> Job {
    let choices = (0..job.choices).map(|choice| {
        let answer = record.answers.get(&(request, choice));
        answer.map_or_else(|| there(&Answer::default()), there)
    });
    Job {
        continued: choices.collect(),
        ..job.clone()
    }
}

/// A record of what came before a break, ready for what comes after.
pub(super) fn broken(record: &Record) -> Record {
    Record {
        answers: record.answers.clone(),
        ..Record::default()
    }
}

/// Jobs whose answers hold text back: stop texts that nearly come, characters of several tokens.
fn holding(draw: &mut Draw) -> Job {
    let mut job = draw.job();
    if draw.below(2) == 0 {
        job.sampling.logit_bias = vec![(0xC3, 5.0), (0xA9, 5.0), (0xE2, 3.0), (0x82, 3.0)];
    }
    if draw.below(2) == 0 {
        job.stops = ["éé\u{20AC}".to_owned(), "é\u{FFFD}é".to_owned()].into();
    }
    job
}

#[test]
fn every_break_of_one_request_heals() {
    let (mut breaks, mut held) = (0, 0);
    for seed in 0..10 {
        let mut draw = Draw(seed);
        let job = holding(&mut draw);
        let expected = alone(&job);
        // The run that is broken off after ever more steps.
        for steps in 0..200 {
            let mut first = batcher(100, bounds());
            first.submit(1, job.clone()).unwrap();
            let mut record = Record::default();
            for _ in 0..steps {
                record.take(first.step().unwrap());
            }
            if record.done.contains_key(&1) {
                break;
            }
            let unfinished =
                |answer: &&Answer| answer.finish.is_none() && !answer.tokens.is_empty();
            for answer in record.answers.values().filter(unfinished) {
                let echo = job.echo.as_deref().unwrap_or_default();
                let text = tokenizer().decode(&answer.tokens, false);
                held += usize::from(answer.text.len() < echo.len() + text.len());
            }
            breaks += 1;
            let mut after = broken(&record);
            let mut second = batcher(40, bounds());
            second.submit(7, rest(&job, &record, 1)).unwrap();
            after.answers = record
                .answers
                .iter()
                .map(|((_, choice), answer)| ((7, *choice), answer.clone()))
                .collect();
            finish(&mut second, &mut after);
            assert!(after.failed.is_empty(), "{:?}", after.failed);
            for (choice, expected) in &expected {
                let found = &after.answers[&(7, *choice)];
                assert_eq!(
                    found, expected,
                    "seed {seed}, {steps} steps, choice {choice}"
                );
            }
            let tokens: usize = expected.values().map(|answer| answer.tokens.len()).sum();
            let usage = after.done[&7];
            assert_eq!(usage.completion_tokens as usize, tokens);
            assert_eq!(usage.prompt_tokens as usize, job.prompt.len());
            assert!(usage.cached_tokens <= usage.prompt_tokens);
        }
    }
    assert!(breaks > 150 && held > 50, "{breaks} {held}");
}

/// Many requests break off at once, twice, and go on together in too little room.
#[test]
fn breaks_of_whole_batches_heal() {
    for seed in 0..8 {
        let mut draw = Draw(100 + seed);
        let jobs: Vec<Job> = (0..12).map(|_| holding(&mut draw)).collect();
        let mut record = Record::default();
        let mut living: Vec<u64> = (0..jobs.len() as u64).collect();
        for life in 0..3 {
            let mut batcher = batcher(17 + 8 * (seed as u32 % 3), bounds());
            for &request in &living {
                let job = rest(&jobs[request as usize], &record, request);
                batcher.submit(request, job).unwrap();
            }
            let done = std::mem::take(&mut record.done);
            record = broken(&record);
            if life == 2 {
                finish(&mut batcher, &mut record);
            } else {
                for _ in 0..5 + draw.below(30) {
                    record.take(batcher.step().unwrap());
                }
            }
            living.retain(|request| !record.done.contains_key(request));
            record.done.extend(done);
        }
        assert!(record.failed.is_empty(), "{:?}", record.failed);
        assert_eq!(record.done.len(), jobs.len());
        for (request, job) in jobs.iter().enumerate() {
            let mut tokens = 0;
            for (choice, expected) in alone(job) {
                let found = &record.answers[&(request as u64, choice)];
                assert_eq!(
                    found, &expected,
                    "seed {seed}, request {request}, choice {choice}"
                );
                tokens += expected.tokens.len();
            }
            let usage = record.done[&(request as u64)];
            assert_eq!(usage.completion_tokens as usize, tokens);
        }
    }
}

/// The one that was lost may have held back more or less than this one does.
#[test]
fn text_comes_once_whatever_was_held_back() {
    let mut job = job(&[3, 1, 4]);
    job.sampling.logit_bias = vec![(0xC3, 6.0), (0xA9, 6.0)];
    let expected = alone(&job).remove(&0).unwrap();
    for tokens in 1..expected.tokens.len() {
        for (bytes, _) in expected.text.char_indices() {
            let continued = Continued {
                tokens: expected.tokens[..tokens].to_vec(),
                text_bytes: bytes as u64,
                logprobs: 0,
                finish: None,
            };
            let mut batcher = batcher(100, bounds());
            let job = Job {
                continued: [continued].into(),
                ..job.clone()
            };
            batcher.submit(1, job).unwrap();
            let mut record = Record::default();
            finish(&mut batcher, &mut record);
            let answer = &record.answers[&(1, 0)];
            assert_eq!(
                answer.text,
                expected.text[bytes..],
                "{tokens} tokens, {bytes} bytes"
            );
            assert_eq!(answer.tokens, expected.tokens[tokens..]);
        }
    }
}

#[test]
fn what_cannot_have_been_is_refused() {
    let mut ending = job(&[1, 2]);
    ending.ignore_end = false;
    ending.stops = ["ab".to_owned()].into();
    let refuses = |there: Continued| {
        let job = Job {
            continued: [there].into(),
            ..ending.clone()
        };
        let mut batcher = batcher(17, bounds());
        let refused = batcher.submit(1, job);
        let Err(Error::Invalid(refused)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(refused.field.as_deref(), Some("continued"));
        assert!(batcher.step().unwrap().is_empty(), "something was kept");
    };
    let there = |tokens: &[u32], text_bytes| Continued {
        tokens: tokens.to_vec(),
        text_bytes,
        logprobs: 0,
        finish: None,
    };
    refuses(there(&[5, END], 1));
    refuses(there(&[u32::from(b'a'), u32::from(b'b'), 7], 0));
    refuses(there(&[5; 12], 12));
    refuses(there(&[5; 100_000], 12));
    // Inside of a character.
    refuses(there(&[0xC3, 0xA9, 5], 1));
    // All of it over: said once more, and nothing else.
    let over = Continued {
        finish: Some(Finish::Stop),
        ..there(&[5, 6, END], 2)
    };
    let mut batcher = batcher(17, bounds());
    let over = Job {
        continued: [over].into(),
        ..ending.clone()
    };
    batcher.submit(1, over).unwrap();
    let mut record = Record::default();
    finish(&mut batcher, &mut record);
    assert_eq!(record.done[&1].completion_tokens, 3);
    assert!(record.answers.is_empty());
}
