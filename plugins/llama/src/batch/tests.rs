//! Batching against a small machine whose logits are a hash of everything that the cache says came before, so that a
//! page in the wrong place, a token at the wrong position or a row of somebody else shows at once.

use std::collections::BTreeMap;
use std::rc::Rc;

mod guesses;
mod machine;
mod resume;

use super::*;
use crate::contract::{Sampling, TokenLogprob, Usage};
use crate::tokenizer::LeadingSpace;
use machine::{END, Machine, POISON, tokenizer};
pub(crate) use machine::{first, tokenizer as byte_tokenizer, tokenizer_of as byte_tokenizer_of};

const PAGE: usize = 4;

fn bounds() -> Bounds {
    Bounds {
        context: 64,
        sequences: 5,
        step_tokens: 16,
        step_tokens_beside_decode: 6,
        output_rows: 8,
    }
}

fn batcher(pages: u32, bounds: Bounds) -> Batcher<Machine> {
    let machine = Machine::new(pages, PAGE, bounds);
    Batcher::new(machine, Rc::new(tokenizer()), bounds, pages, PAGE)
}

fn greedy() -> Sampling {
    Sampling {
        logit_bias: Vec::new(),
        repetition_penalty: 1.0,
        presence_penalty: 0.0,
        frequency_penalty: 0.0,
        temperature: 0.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        seed: Some(1),
        entropy: 0,
    }
}

fn job(prompt: &[u32]) -> Job {
    Job {
        prompt: prompt.into(),
        echo: None,
        sampling: greedy(),
        tokens_max: Some(12),
        stops: Rc::default(),
        ignore_end: true,
        choices: 1,
        logprobs: None,
        leading: LeadingSpace::Keep,
        continued: Rc::default(),
    }
}

/// What one answer was in the end.
#[derive(Debug, Clone, PartialEq, Default)]
struct Answer {
    text: String,
    tokens: Vec<u32>,
    logprobs: Vec<TokenLogprobEq>,
    finish: Option<Finish>,
}

type TokenLogprobEq = (u32, u32, Vec<(u32, u32)>, bool);

fn comparable(logprob: &TokenLogprob) -> TokenLogprobEq {
    let alternatives = logprob.alternatives.iter();
    (
        logprob.chosen.token,
        logprob.chosen.logprob.to_bits(),
        alternatives
            .map(|other| (other.token, other.logprob.to_bits()))
            .collect(),
        logprob.predicted,
    )
}

/// Everything that happened to some requests.
#[derive(Debug, Default)]
struct Record {
    answers: BTreeMap<(u64, u32), Answer>,
    started: BTreeMap<u64, Usage>,
    done: BTreeMap<u64, Usage>,
    failed: BTreeMap<u64, Error>,
    steps: usize,
}

impl Record {
    fn take(&mut self, events: Vec<Event>) {
        self.steps += 1;
        for event in events {
            match event {
                Event::Started((request, usage)) => {
                    assert!(self.started.insert(request, usage).is_none());
                }
                Event::Gained(gain) => {
                    assert!(!self.done.contains_key(&gain.request));
                    let key = (gain.request, gain.choice);
                    let answer = self.answers.entry(key).or_default();
                    assert_eq!(answer.finish, None, "nothing follows the end");
                    answer.text.push_str(&gain.text);
                    answer.tokens.extend(&gain.tokens);
                    answer.logprobs.extend(gain.logprobs.iter().map(comparable));
                    answer.finish = gain.finish;
                }
                Event::Done((request, usage)) => {
                    assert!(self.done.insert(request, usage).is_none());
                }
                Event::Failed((request, error)) => {
                    self.failed.insert(request, error);
                }
                Event::Embedded(_) => panic!("no embeddings here"),
            }
        }
    }
}

/// Steps until nothing lives.
fn finish(batcher: &mut Batcher<Machine>, record: &mut Record) {
    for _ in 0..100_000 {
        let living = !batcher.living.is_empty();
        let events = batcher.step().unwrap();
        assert!(
            !living || !events.is_empty(),
            "a living request and nothing to tell"
        );
        if events.is_empty() {
            assert_eq!(batcher.load().cache_pages_used, 0, "pages held for nobody");
            return;
        }
        record.take(events);
    }
    panic!("no end in sight: {record:?}");
}

/// What a job gives with the whole machine for itself, prompt in one piece.
fn alone(job: &Job) -> BTreeMap<u32, Answer> {
    let roomy = Bounds {
        step_tokens: 64,
        step_tokens_beside_decode: 64,
        output_rows: 64,
        ..bounds()
    };
    only(batcher(1000, roomy), job)
}

/// What `batcher` answers to a job when it has no other.
fn only(mut batcher: Batcher<Machine>, job: &Job) -> BTreeMap<u32, Answer> {
    batcher.submit(0, job.clone()).unwrap();
    let mut record = Record::default();
    finish(&mut batcher, &mut record);
    let answers = record.answers.into_iter();
    answers
        .map(|((_, choice), answer)| (choice, answer))
        .collect()
}

struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn prompt(&mut self) -> Vec<u32> {
        let shared = [7, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8];
        let mut prompt = shared[..self.below(13) as usize].to_vec();
        let more = 1 + self.below(20);
        prompt.extend((0..more).map(|_| self.below(200) as u32));
        prompt
    }

    fn job(&mut self) -> Job {
        let mut job = job(&self.prompt());
        job.tokens_max = [None, Some(1 + self.below(30) as u32)][self.below(2) as usize];
        job.choices = 1 + self.below(3) as u32;
        job.ignore_end = self.below(2) == 0;
        job.logprobs = [None, Some(self.below(4) as u32)][self.below(2) as usize];
        if self.below(4) == 0 {
            job.echo = Some("the prompt".into());
        }
        if self.below(2) == 0 {
            job.stops = ["ab".to_owned(), "Q".to_owned()].into();
        }
        job.sampling.seed = Some(self.below(1000));
        job.sampling.temperature = [0.0, 0.7, 1.0, 2.0][self.below(4) as usize];
        job.sampling.top_k = [0, 5, 40][self.below(3) as usize];
        job.sampling.top_p = [1.0, 0.9][self.below(2) as usize];
        job.sampling.frequency_penalty = [0.0, 0.5, -0.3][self.below(3) as usize];
        job.sampling.repetition_penalty = [1.0, 1.2][self.below(2) as usize];
        job
    }
}

/// Many requests at once, with too few pages for all of them, give what each gives alone.
#[test]
fn company_changes_nothing() {
    for seed in 0..12 {
        let mut draw = Draw(seed);
        // From barely one context to plenty.
        let pages = 17 + 8 * (seed as u32 % 4);
        let mut batcher = batcher(pages, bounds());
        let mut record = Record::default();
        let jobs: Vec<Job> = (0..14).map(|_| draw.job()).collect();
        for (request, job) in jobs.iter().enumerate() {
            batcher.submit(request as u64, job.clone()).unwrap();
            for _ in 0..draw.below(4) {
                let events = batcher.step().unwrap();
                record.take(events);
            }
        }
        finish(&mut batcher, &mut record);
        assert!(record.failed.is_empty(), "{:?}", record.failed);
        assert_eq!(record.done.len(), jobs.len());
        for (request, job) in jobs.iter().enumerate() {
            for (choice, expected) in alone(job) {
                let found = &record.answers[&(request as u64, choice)];
                assert_eq!(
                    found, &expected,
                    "seed {seed}, request {request}, choice {choice}"
                );
            }
            let usage = record.done[&(request as u64)];
            let tokens: u32 = (0..job.choices)
                .map(|choice| record.answers[&(request as u64, choice)].tokens.len() as u32)
                .sum();
            assert_eq!(usage.completion_tokens, tokens);
            assert_eq!(usage.prompt_tokens as usize, job.prompt.len());
        }
    }
}

#[test]
fn reuses_a_known_beginning() {
    let mut batcher = batcher(100, bounds());
    let prompt: Vec<u32> = (0..22).collect();
    let mut record = Record::default();
    batcher.submit(1, job(&prompt)).unwrap();
    finish(&mut batcher, &mut record);
    assert_eq!(record.done[&1].cached_tokens, 0);
    batcher.submit(2, job(&prompt)).unwrap();
    finish(&mut batcher, &mut record);
    // Five full pages; the rest of the prompt is computed for its logits.
    assert_eq!(record.done[&2].cached_tokens, 20);
    assert_eq!(record.answers[&(1, 0)], record.answers[&(2, 0)]);
    // A prompt that is whole pages keeps its last token to compute.
    batcher.submit(3, job(&prompt[..20])).unwrap();
    finish(&mut batcher, &mut record);
    assert_eq!(record.done[&3].cached_tokens, 16);
}

#[test]
fn choices_share_their_prompt() {
    let mut batcher = batcher(100, bounds());
    let mut asked = job(&(0..30).collect::<Vec<_>>());
    asked.choices = 4;
    asked.sampling.temperature = 1.0;
    batcher.submit(1, asked.clone()).unwrap();
    let mut record = Record::default();
    let mut used = 0;
    while record.done.is_empty() {
        let events = batcher.step().unwrap();
        record.take(events);
        used = used.max(batcher.load().cache_pages_used);
    }
    // Seven full pages are shared; each has up to four of its own beside them.
    assert!(used <= 7 + 4 * 4, "{used}");
    assert_eq!(batcher.plan.computed, 30 + 3 * 2 + 4 * 11);
    let texts: std::collections::BTreeSet<_> = record.answers.values().map(|a| &a.text).collect();
    assert_eq!(texts.len(), 4, "independent answers");
    assert_eq!(record.answers.len(), 4);
    assert_eq!(record.done[&1].prompt_tokens, 30);
}

#[test]
fn decoding_goes_on_beside_a_long_prompt() {
    let mut batcher = batcher(100, bounds());
    let mut record = Record::default();
    batcher
        .submit(
            1,
            Job {
                tokens_max: Some(40),
                ..job(&[1, 2])
            },
        )
        .unwrap();
    record.take(batcher.step().unwrap());
    batcher
        .submit(2, job(&(0..50).collect::<Vec<_>>()))
        .unwrap();
    for _ in 0..8 {
        let before = record.answers[&(1, 0)].tokens.len();
        record.take(batcher.step().unwrap());
        assert_eq!(record.answers[&(1, 0)].tokens.len(), before + 1);
        assert!(batcher.plan.largest_run <= 1 + bounds().step_tokens_beside_decode);
    }
}

#[test]
fn cancels_before_the_next_step() {
    let mut batcher = batcher(17, bounds());
    let mut record = Record::default();
    for request in 0..8 {
        let long = Job {
            tokens_max: None,
            choices: 2,
            ..job(&[request as u32 + 1; 20])
        };
        batcher.submit(request, long).unwrap();
    }
    (0..5).for_each(|_| record.take(batcher.step().unwrap()));
    batcher.cancel(0);
    batcher.cancel(7);
    batcher.cancel(99);
    record.take(batcher.step().unwrap());
    for (request, choice) in [(0, 0), (0, 1), (7, 0), (7, 1)] {
        assert_eq!(
            record.answers[&(request, choice)].finish,
            Some(Finish::Cancelled)
        );
    }
    assert!(record.done.contains_key(&0) && record.done.contains_key(&7));
    (1..7).for_each(|request| batcher.cancel(request));
    finish(&mut batcher, &mut record);
    assert_eq!(record.done.len(), 8);
}

#[test]
fn ends_where_it_should() {
    let run = |job: Job| alone(&job).remove(&0).unwrap();
    let full = run(Job {
        tokens_max: None,
        ..job(&[1; 10])
    });
    assert_eq!(
        (full.tokens.len(), full.finish),
        (54, Some(Finish::Length)),
        "the context is full"
    );
    let few = run(Job {
        tokens_max: Some(3),
        ..job(&[1; 10])
    });
    assert_eq!((few.tokens.len(), few.finish), (3, Some(Finish::Length)));
    let mut ending = job(&[1; 10]);
    ending.sampling.logit_bias = vec![(END, 100.0)];
    let ignored = run(ending.clone());
    assert_eq!(
        (ignored.tokens.len(), ignored.finish, ignored.text.as_str()),
        (12, Some(Finish::Length), "")
    );
    ending.ignore_end = false;
    let ended = run(ending);
    assert_eq!(
        (ended.tokens.len(), ended.finish, ended.text.as_str()),
        (1, Some(Finish::Stop), "")
    );
}

#[test]
fn characters_stay_whole() {
    // The tokens of a two-byte character in turn, by bias; the answer ends inside of one.
    let mut asked = job(&[1, 2, 3]);
    asked.sampling.logit_bias = vec![(0xC3, 50.0)];
    asked.tokens_max = Some(2);
    let answer = alone(&asked).remove(&0).unwrap();
    assert_eq!(answer.text, "\u{FFFD}\u{FFFD}");
}

#[test]
fn stops_at_a_text() {
    let free = alone(&job(&[5; 6])).remove(&0).unwrap();
    let chars: Vec<char> = free.text.chars().filter(|c| *c != '\u{FFFD}').collect();
    let stop = *chars.get(chars.len() / 2).unwrap();
    let stopped = alone(&Job {
        stops: [stop.to_string()].into(),
        ..job(&[5; 6])
    })
    .remove(&0)
    .unwrap();
    assert_eq!(stopped.finish, Some(Finish::Stop));
    assert_eq!(stopped.text, free.text.split(stop).next().unwrap());
}

#[test]
fn echo_scores_the_prompt() {
    let prompt: Vec<u32> = (0..40).map(|token| token * 5 % 200).collect();
    let asked = Job {
        echo: Some("hello".into()),
        logprobs: Some(2),
        tokens_max: Some(0),
        ..job(&prompt)
    };
    let mut batcher = batcher(100, bounds());
    batcher.submit(1, asked.clone()).unwrap();
    let mut record = Record::default();
    finish(&mut batcher, &mut record);
    let answer = &record.answers[&(1, 0)];
    assert_eq!(
        (answer.text.as_str(), answer.tokens.len(), answer.finish),
        ("hello", 0, Some(Finish::Length))
    );
    let tokens: Vec<u32> = answer.logprobs.iter().map(|entry| entry.0).collect();
    assert_eq!(tokens, prompt);
    assert!(!answer.logprobs[0].3 && answer.logprobs[1].3);
    for (place, entry) in answer.logprobs.iter().enumerate().skip(1) {
        let logits = Machine::logits(&prompt[..place]);
        let total = logits.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
        let expected = f64::from(logits[prompt[place] as usize]) - total;
        let found = f64::from(f32::from_bits(entry.1));
        assert!(
            (found - expected).abs() < 1e-4,
            "{found} is not {expected} at {place}"
        );
        assert_eq!(entry.2.len(), 2);
    }
    let free = Job {
        logprobs: None,
        ..asked
    };
    let answer = alone(&free).remove(&0).unwrap();
    assert_eq!(
        (answer.text.as_str(), answer.finish),
        ("hello", Some(Finish::Length))
    );
}

#[test]
fn no_numbers_fail_one_request() {
    let mut batcher = batcher(100, bounds());
    batcher.submit(1, job(&[1, POISON, 2])).unwrap();
    batcher.submit(2, job(&[1, 3, 2])).unwrap();
    let mut record = Record::default();
    finish(&mut batcher, &mut record);
    let Error::Malformed(message) = &record.failed[&1] else {
        panic!("{record:?}");
    };
    assert!(message.contains("not numbers"), "{message}");
    assert_eq!(record.answers[&(2, 0)], alone(&job(&[1, 3, 2]))[&0]);
}

#[test]
fn refuses_what_it_cannot_hold() {
    let mut batcher = batcher(17, bounds());
    batcher.submit(1, job(&[1])).unwrap();
    assert!(matches!(
        batcher.submit(1, job(&[1])),
        Err(Error::Invalid(_))
    ));
    for request in 2..=REQUESTS_MAX as u64 {
        batcher.submit(request, job(&[1])).unwrap();
    }
    assert!(matches!(
        batcher.submit(0, job(&[1])),
        Err(Error::Exhausted(_))
    ));
    assert_eq!(batcher.load().waiting as usize, REQUESTS_MAX);
}
