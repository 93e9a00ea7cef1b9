//! Whoever hears the events of one request: keeps what they add up to, and says when they make no sense together.

use crate::protocol::{Error, Event, Finish, Usage};

/// One request as it was told.
#[derive(Debug)]
pub(super) struct Listener {
    /// Of each choice.
    pub(super) answers: Vec<Answer>,
    /// Of each input.
    pub(super) embeddings: Vec<Option<Vec<f32>>>,
    pub(super) end: Option<Result<Usage, Error>>,
    started: bool,
}

/// One of a request's answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) tokens: Vec<u32>,
    pub(super) finish: Option<Finish>,
}

impl Listener {
    /// Nothing was told yet of so many answers, and vectors of so many inputs.
    pub(super) fn new(choices: usize, inputs: usize) -> Self {
        Self {
            answers: vec![Answer::default(); choices],
            embeddings: vec![None; inputs],
            end: None,
            started: false,
        }
    }

    pub(super) fn take(&mut self, event: Event) -> Result<(), String> {
        if self.end.is_some() {
            return Err(format!("after the last event there was another: {event:?}"));
        }
        match event {
            Event::Started(_) if self.started => return Err("it started twice".to_owned()),
            Event::Started(_) => self.started = true,
            Event::Gained(gain) => {
                let choice = gain.choice as usize;
                let answer = self.answers.get_mut(choice);
                let answer = answer.ok_or_else(|| {
                    format!("answer {choice} gained something, which was not asked for")
                })?;
                if answer.finish.is_some() {
                    return Err(format!("answer {choice} gained something after its end"));
                }
                answer.text.push_str(&gain.text);
                answer.tokens.extend(gain.tokens);
                answer.finish = gain.finish;
            }
            Event::Embedded(embedding) => {
                let index = embedding.index as usize;
                let place = self.embeddings.get_mut(index);
                let place =
                    place.ok_or_else(|| format!("input {index} was embedded, which is none"))?;
                if place.replace(embedding.values).is_some() {
                    return Err(format!("input {index} was embedded twice"));
                }
            }
            Event::Done(usage) => self.end = Some(Ok(usage)),
            Event::Failed(error) => self.end = Some(Err(error)),
        }
        Ok(())
    }

    /// What it used, when all of it was told.
    pub(super) fn whole(&self) -> Result<Usage, String> {
        let usage = match &self.end {
            None => return Err("there was no last event".to_owned()),
            Some(Err(error)) => return Err(format!("it failed: {error}")),
            Some(Ok(usage)) => *usage,
        };
        if self.answers.iter().any(|answer| answer.finish.is_none()) {
            return Err("it is done, and an answer has no end".to_owned());
        }
        if self.embeddings.contains(&None) {
            return Err("it is done, and an input was not embedded".to_owned());
        }
        Ok(usage)
    }

    /// The first answer.
    pub(super) fn answer(&self) -> Answer {
        self.answers.first().cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Embedding, Gain};

    fn gain(choice: u32, finish: Option<Finish>) -> Event {
        Event::Gained(Gain {
            choice,
            text: "a".to_owned(),
            tokens: vec![1],
            logprobs: Vec::new(),
            finish,
        })
    }

    /// The fault of these events, if they have one.
    fn fault(choices: usize, inputs: usize, events: Vec<Event>) -> Option<String> {
        let mut listener = Listener::new(choices, inputs);
        let taken = events
            .into_iter()
            .try_for_each(|event| listener.take(event));
        taken.and_then(|()| listener.whole().map(drop)).err()
    }

    #[test]
    fn events_that_make_no_sense_together_are_faults() {
        let done = || Event::Done(Usage::default());
        let stop = Some(Finish::Stop);
        let started = || Event::Started(Usage::default());
        let vector = |index| {
            Event::Embedded(Embedding {
                index,
                values: vec![0.0],
            })
        };
        assert_eq!(
            fault(1, 0, vec![started(), gain(0, None), gain(0, stop), done()]),
            None
        );
        assert_eq!(fault(0, 2, vec![vector(1), vector(0), done()]), None);
        for (choices, inputs, events) in [
            (1, 0, vec![gain(0, stop)]),
            (1, 0, vec![gain(0, None), done()]),
            (1, 0, vec![gain(1, stop), done()]),
            (1, 0, vec![gain(0, stop), gain(0, None), done()]),
            (1, 0, vec![gain(0, stop), done(), done()]),
            (1, 0, vec![started(), started(), gain(0, stop), done()]),
            (2, 0, vec![gain(0, stop), done()]),
            (0, 2, vec![vector(0), done()]),
            (0, 1, vec![vector(0), vector(0), done()]),
            (0, 1, vec![vector(1), done()]),
            (1, 0, vec![Event::Failed(Error::Other("no".to_owned()))]),
        ] {
            assert!(
                fault(choices, inputs, events.clone()).is_some(),
                "{events:?}"
            );
        }
    }
}
