//! Going on with an answer that another instance began: its tokens become this sequence's own, and what its reader has
//! of its text is told from what was held back. Decides what of that can be refused; trusts none of it.

use super::Sequence;
use crate::contract::{Continued, Error};
use crate::error::invalid;
use crate::tokenizer::Tokenizer;

/// The difference between the text that the tokens so far release and the text that was returned of them.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Released here and not returned there.
    text: String,
    /// Bytes returned there and not released here yet.
    ahead: usize,
}

impl Sequence {
    /// Takes over what is there of a new answer. `scores_prompt` says whether the prompt's log probabilities are
    /// returned.
    ///
    /// Fails for `continued` when a token of it would have ended the answer or is over its length, or when the text
    /// returned does not end with a character.
    pub(in crate::batch) fn resume(
        &mut self,
        there: &Continued,
        scores_prompt: bool,
        tokenizer: &Tokenizer,
    ) -> Result<(), Error> {
        let told = there.text_bytes > 0 || there.logprobs > 0 || !there.tokens.is_empty();
        if !told {
            return Ok(());
        }
        let mut released = self.echo.take().as_deref().unwrap_or_default().to_owned();
        if scores_prompt {
            let scored = (there.logprobs as usize).min(self.prompt.len());
            self.scored = match there.tokens.is_empty() {
                true => scored,
                // No token is chosen before the whole prompt is scored.
                false => self.prompt.len(),
            };
        }
        for (place, &token) in there.tokens.iter().enumerate() {
            self.sampler.spend();
            let accepted = self.read(token, tokenizer);
            if accepted.finish.is_some() {
                let message = format!("holds an end at token {place}, but the answer is not over");
                return Err(invalid("continued", message));
            }
            released.push_str(&accepted.text);
        }
        let returned = usize::try_from(there.text_bytes).unwrap_or(usize::MAX);
        self.owed = match released.get(returned..) {
            Some(rest) => Owed {
                text: rest.to_owned(),
                ahead: 0,
            },
            None if returned > released.len() => Owed {
                text: String::new(),
                ahead: returned - released.len(),
            },
            None => {
                let message = format!("says {returned} bytes of text, which ends in a character");
                return Err(invalid("continued", message));
            }
        };
        Ok(())
    }
}

impl Owed {
    /// What is to be returned where `released` is what a token releases.
    pub(super) fn settle(&mut self, released: String) -> String {
        if self.ahead > 0 {
            let mut cut = self.ahead.min(released.len());
            while !released.is_char_boundary(cut) {
                cut += 1;
            }
            self.ahead = self.ahead.saturating_sub(cut);
            return released.get(cut..).unwrap_or_default().to_owned();
        }
        match self.text.is_empty() {
            true => released,
            false => std::mem::take(&mut self.text) + &released,
        }
    }
}
