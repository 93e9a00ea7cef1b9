//! What a step's outputs mean for each answer: the prompt's scores, the next token and its text, and the end.

use super::compose::{Ask, Part, Turn};
use super::job::Living;
use super::sequence::{logprob_of, token_logprob, unpredicted};
use super::{Batcher, no_gain};
use crate::contract::{Error, Event, Finish, Gain, Output};
use crate::device::Plan;
use crate::sample::score;

impl<P: Plan> Batcher<P> {
    /// Gives each sequence its outputs, returns events through `ready`, and lets finished ones go.
    pub(super) fn settle(&mut self, turn: &Turn, outputs: &[Output]) {
        let mut next = 0;
        let mut failed: Vec<(u64, Error)> = Vec::new();
        let mut finished = Vec::new();
        for part in &turn.parts {
            let range = next..next + part.asks;
            next += part.asks;
            let asks = range.filter_map(|index| {
                let ask = *turn.asks.get(index)?;
                Some((index as u32, ask, outputs.get(index)?))
            });
            match self.gain(part, asks) {
                Ok(None) => {}
                Ok(Some(gain)) => {
                    if gain.finish.is_some() {
                        finished.push(part.sequence);
                    }
                    self.ready.push(Event::Gained(gain));
                }
                Err(error) => {
                    let request = self.running.get(part.sequence).map(|found| found.request);
                    failed.extend(request.map(|request| (request, error)));
                }
            }
        }
        for index in finished.into_iter().rev() {
            let sequence = self.running.remove(index);
            self.pages.release(&sequence.pages);
            self.finish_choice(sequence.request);
        }
        for (request, error) in failed {
            if self.living.remove(&request).is_some() {
                self.drop_sequences(request);
                self.ready.push(Event::Failed((request, error)));
            }
        }
    }

    /// What one sequence gained; none if there is nothing to tell.
    fn gain<'o>(
        &mut self,
        part: &Part,
        asks: impl Iterator<Item = (u32, Ask, &'o Output)>,
    ) -> Result<Option<Gain>, Error> {
        let Some(sequence) = self.running.get_mut(part.sequence) else {
            return Ok(None);
        };
        let Some(living) = self.living.get_mut(&sequence.request) else {
            return Ok(None);
        };
        let tokenizer = &self.tokenizer;
        sequence.advance(part.tokens, &mut self.pages);
        let mut gain = no_gain(sequence.request, sequence.choice);
        let echo = sequence.echo.take();
        let told = echo.is_some();
        gain.text.extend(echo.as_deref());
        if told && living.job.scores_prompt() {
            let first = sequence.token(0).map(|token| unpredicted(token, tokenizer));
            gain.logprobs.extend(first);
            sequence.scored = 1;
        }
        for (index, ask, output) in asks {
            let row = || self.plan.row(index);
            let Output::Top(top) = output else {
                return Err(Error::Other(
                    "the host returned a row for candidates".to_owned(),
                ));
            };
            match ask {
                Ask::Score(place) => {
                    let Some(token) = sequence.token(place) else {
                        continue;
                    };
                    let count = living.job.logprobs.unwrap_or(0);
                    let logprobs = score(top, token, count, row)?;
                    gain.logprobs
                        .push(token_logprob(token, &logprobs, tokenizer));
                    sequence.scored = place + 1;
                }
                Ask::Next => {
                    let chosen = match sequence.sampler.choose(top, row) {
                        // What came before is told first; the next step fails in the same place.
                        Err(_) if !gain.tokens.is_empty() => {
                            sequence.compute_last_again();
                            break;
                        }
                        chosen => chosen?,
                    };
                    gain.logprobs.extend(logprob_of(&chosen, tokenizer));
                    let accepted = sequence.accept(chosen.token, tokenizer);
                    gain.text.push_str(&accepted.text);
                    gain.finish = accepted.finish;
                    gain.tokens.push(chosen.token);
                    living.usage.completion_tokens += 1;
                    let speculation = self.speculation.as_mut();
                    let follows = speculation
                        .is_some_and(|all| sequence.judge(chosen.token, all, &mut self.pages));
                    if !follows || gain.finish.is_some() {
                        // What was computed behind another token than the chosen one is overwritten by what follows.
                        break;
                    }
                }
            }
        }
        if sequence.missing() == 0 && !sequence.wants_token() && gain.finish.is_none() {
            gain.finish = Some(Finish::Length);
        }
        note_prompt(living, sequence.choice, sequence.computed);
        let silent = !told && part.asks == 0 && gain.finish.is_none();
        Ok((!silent).then_some(gain))
    }

    fn finish_choice(&mut self, request: u64) {
        let Some(living) = self.living.get_mut(&request) else {
            return;
        };
        living.unfinished = living.unfinished.saturating_sub(1);
        if living.unfinished == 0 {
            let usage = living.usage;
            self.living.remove(&request);
            self.ready.push(Event::Done((request, usage)));
        }
    }
}

/// Lets the other answers in once one has computed the prompt.
fn note_prompt(living: &mut Living, choice: u32, computed: usize) {
    if choice == living.leader && computed >= living.job.prompt.len() {
        living.prompt_known = true;
    }
}
