//! What one piece of work has gained, as far as it takes to go on with it on another replica.
//!
//! Decides what is asked of the next replica, and that tokens are counted once. Refuses to know replicas.

use std::sync::Arc;

use crate::limits::REPLAY_TOKENS_MAX;
use crate::protocol::{Continued, Event, Usage, Work};

/// Work and what was heard of it.
#[derive(Debug)]
pub(super) struct Progress {
    work: Arc<Work>,
    answers: Vec<Continued>,
    /// What the first replica said when it started.
    started: Option<Usage>,
    tokens: usize,
}

/// What is still to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Rest {
    /// This, by another replica.
    Work(Arc<Work>),
    /// Nothing: only the last word was lost.
    Nothing(Usage),
    /// More was generated than is kept.
    TooLong,
}

impl Progress {
    /// Nothing is heard yet.
    pub(super) fn new(work: Arc<Work>) -> Self {
        let answers = match &*work {
            Work::Generate(generation) if generation.continued.is_empty() => {
                vec![Continued::default(); generation.choices as usize]
            }
            Work::Generate(generation) => generation.continued.clone(),
            Work::Embed(_) => Vec::new(),
        };
        Self {
            work,
            answers,
            started: None,
            tokens: 0,
        }
    }

    /// Takes in an event that the client gets. Tells whether it brought the client anything.
    pub(super) fn note(&mut self, event: &Event) -> bool {
        let gain = match event {
            Event::Started(usage) => {
                self.started.get_or_insert(*usage);
                return false;
            }
            Event::Embedded(_) => return true,
            Event::Done(_) | Event::Failed(_) => return false,
            Event::Gained(gain) => gain,
        };
        self.tokens = self.tokens.saturating_add(gain.tokens.len());
        if self.tokens > REPLAY_TOKENS_MAX {
            self.answers = Vec::new();
        }
        if let Some(answer) = self.answers.get_mut(gain.choice as usize) {
            answer.tokens.extend_from_slice(&gain.tokens);
            answer.text_bytes = answer.text_bytes.saturating_add(gain.text.len() as u64);
            let logprobs = u32::try_from(gain.logprobs.len()).unwrap_or(u32::MAX);
            answer.logprobs = answer.logprobs.saturating_add(logprobs);
            answer.finish = answer.finish.or(gain.finish);
        }
        !gain.tokens.is_empty() || !gain.text.is_empty() || !gain.logprobs.is_empty()
    }

    /// What the next replica has to do.
    pub(super) fn rest(&self) -> Rest {
        let Work::Generate(generation) = &*self.work else {
            return Rest::Work(self.work.clone());
        };
        if self.tokens > REPLAY_TOKENS_MAX {
            return Rest::TooLong;
        }
        let fresh = Continued::default();
        if self.answers.iter().all(|answer| *answer == fresh) {
            return Rest::Work(self.work.clone());
        }
        if self.answers.iter().all(|answer| answer.finish.is_some()) {
            return Rest::Nothing(Usage {
                completion_tokens: u32::try_from(self.tokens).unwrap_or(u32::MAX),
                ..self.started.unwrap_or_default()
            });
        }
        let mut generation = generation.clone();
        generation.continued.clone_from(&self.answers);
        Rest::Work(Arc::new(Work::Generate(generation)))
    }

    /// What the work used, where the last replica says `usage`: what the first one found in its cache is what the client
    /// is told, since only there the prompt was new.
    pub(super) fn used(&self, usage: Usage) -> Usage {
        Usage {
            cached_tokens: self.started.unwrap_or(usage).cached_tokens,
            ..usage
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Finish, Gain, Generation, Prompt, Sampling};

    fn work(choices: u32) -> Arc<Work> {
        Arc::new(Work::Generate(Generation {
            prompt: Prompt::Text("x".into()),
            sampling: Sampling::default(),
            max_tokens: None,
            stop: Vec::new(),
            ignore_end: false,
            choices,
            logprobs: None,
            echo: false,
            continued: Vec::new(),
        }))
    }

    fn gain(choice: u32, text: &str, tokens: &[u32], finish: Option<Finish>) -> Event {
        Event::Gained(Gain {
            choice,
            text: text.into(),
            tokens: tokens.into(),
            logprobs: Vec::new(),
            finish,
        })
    }

    const STARTED: Usage = Usage {
        prompt_tokens: 5,
        cached_tokens: 2,
        completion_tokens: 0,
    };

    #[test]
    fn what_was_heard_is_what_the_next_one_is_told() {
        let mut progress = Progress::new(work(2));
        assert_eq!(progress.rest(), Rest::Work(work(2)));
        assert!(!progress.note(&Event::Started(STARTED)));
        // A sign of life inside of a long prompt.
        assert!(!progress.note(&gain(0, "", &[], None)));
        assert_eq!(progress.rest(), Rest::Work(work(2)));
        assert!(progress.note(&gain(0, "é", &[1, 2], None)));
        assert!(progress.note(&gain(1, "", &[9], Some(Finish::Stop))));
        assert!(progress.note(&gain(0, "", &[3], None)));
        // A choice that nobody asked for.
        progress.note(&gain(7, "?", &[], None));
        let Rest::Work(rest) = progress.rest() else {
            panic!()
        };
        let Work::Generate(rest) = &*rest else {
            panic!()
        };
        let expect = [
            Continued {
                tokens: vec![1, 2, 3],
                text_bytes: 2,
                logprobs: 0,
                finish: None,
            },
            Continued {
                tokens: vec![9],
                text_bytes: 0,
                logprobs: 0,
                finish: Some(Finish::Stop),
            },
        ];
        assert_eq!(rest.continued, expect);
        // The second replica starts, too, with more of it cached.
        progress.note(&Event::Started(Usage {
            cached_tokens: 4,
            ..STARTED
        }));
        progress.note(&gain(0, "", &[4], Some(Finish::Length)));
        let whole = Usage {
            completion_tokens: 5,
            ..STARTED
        };
        assert_eq!(progress.rest(), Rest::Nothing(whole));
        assert_eq!(
            progress.used(Usage {
                cached_tokens: 4,
                ..whole
            }),
            whole
        );
    }

    #[test]
    fn no_more_is_kept_than_may_be() {
        let mut progress = Progress::new(work(1));
        let many = vec![7; REPLAY_TOKENS_MAX / 2];
        progress.note(&gain(0, "", &many, None));
        progress.note(&gain(0, "", &many, None));
        assert!(matches!(progress.rest(), Rest::Work(_)));
        progress.note(&gain(0, "", &[1], None));
        assert_eq!(progress.rest(), Rest::TooLong);
        assert!(progress.answers.is_empty());
    }

    #[test]
    fn embeddings_run_again() {
        let embed = Arc::new(Work::Embed(vec![Prompt::Text("x".into())]));
        let progress = Progress::new(embed.clone());
        assert_eq!(progress.rest(), Rest::Work(embed));
    }
}
