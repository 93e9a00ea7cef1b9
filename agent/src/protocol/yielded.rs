//! What a model answers: the other half of `interface model-types` in `wit/engine.wit`, which
//! documents each field. Events here carry no request id: an exchange knows whose they are.

use serde::{Deserialize, Serialize};

use super::Error;

/// What a model can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abilities {
    pub chat: bool,
    pub complete: bool,
    pub embed: bool,
}

/// What was opened. Never changes while the model is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// The architecture as the file names it.
    pub architecture: String,
    /// For people; may be empty.
    pub name: String,
    pub parameters: u64,
    /// For people: `Q4_K_M`, `F16`.
    pub quantisation: String,
    pub vocabulary: u32,
    /// The longest sequence, prompt and answer together, that this open model takes.
    pub context_tokens: u32,
    /// The context that the model was trained on.
    pub trained_context_tokens: u32,
    /// Width of an embedding, or 0.
    pub embedding_width: u32,
    pub sequences: u32,
    pub cache_bytes: u64,
    pub abilities: Abilities,
}

/// How full a model is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    pub running: u32,
    pub waiting: u32,
    pub cache_pages: u32,
    pub cache_pages_used: u32,
    /// Tokens guessed and computed ahead since the model was opened.
    pub guessed: u64,
    /// Of these, how many became part of an answer.
    pub guesses_kept: u64,
}

/// What a request cost, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub prompt_tokens: u32,
    /// Of these, how many came from the cache of an earlier request.
    pub cached_tokens: u32,
    pub completion_tokens: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finish {
    /// An end token or a stop text.
    Stop,
    /// `max_tokens` or the context is reached.
    Length,
    /// The request was cancelled.
    Cancelled,
}

/// A token that was or might have been chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    pub token: u32,
    /// The token's own bytes; a character may be split over several tokens.
    pub bytes: Vec<u8>,
    /// Natural logarithm of the probability before temperature and cuts.
    pub logprob: f32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    pub chosen: Candidate,
    pub alternatives: Vec<Candidate>,
    /// False for the first token of an echoed prompt, which nothing predicts.
    pub predicted: bool,
}

/// What one answer of a request gained in one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// Which of the request's answers, from 0.
    pub choice: u32,
    /// Whole characters only; may be empty.
    pub text: String,
    /// The tokens generated since this choice's last gain, those whose text is held back included.
    pub tokens: Vec<u32>,
    pub logprobs: Vec<TokenLogprob>,
    /// Set with the last event of this choice.
    pub finish: Option<Finish>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Embedding {
    /// Which of the request's inputs.
    pub index: u32,
    pub values: Vec<f32>,
}

/// Something that happened to a request. `Done` and `Failed` are the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The prompt is tokenised and has a place: its length is known.
    Started(Usage),
    Gained(Gain),
    Embedded(Embedding),
    Done(Usage),
    Failed(Error),
}

impl Event {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Failed(_))
    }

    /// About how many bytes it holds while it waits for its reader.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let held = match self {
            Self::Gained(gain) => {
                gain.text.len()
                    + gain.tokens.len() * size_of::<u32>()
                    + gain
                        .logprobs
                        .iter()
                        .map(TokenLogprob::size_bytes)
                        .sum::<usize>()
            }
            Self::Embedded(embedding) => embedding.values.len() * size_of::<f32>(),
            Self::Failed(error) => error.to_string().len(),
            Self::Started(_) | Self::Done(_) => 0,
        };
        size_of::<Self>() + held
    }
}

impl TokenLogprob {
    fn size_bytes(&self) -> usize {
        let candidate = |one: &Candidate| size_of::<Candidate>() + one.bytes.len();
        candidate(&self.chosen) + self.alternatives.iter().map(candidate).sum::<usize>()
    }
}
