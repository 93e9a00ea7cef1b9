//! Log probabilities in the two shapes that services have: OpenAI's for chats (a list of tokens, each with its alternatives),
//! and the older one for completions (lists side by side).

use std::collections::BTreeMap;

use serde::Deserialize;
use skep_sdk::upstream::{Candidate, TokenLogprob};

/// Either shape, and whatever else is in it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Logprobs {
    content: Option<Vec<Token>>,
    tokens: Option<Vec<String>>,
    token_logprobs: Option<Vec<Option<f32>>>,
    top_logprobs: Option<Vec<Option<BTreeMap<String, f32>>>>,
    /// Ours: identities beside the names.
    token_ids: Option<Vec<u32>>,
}

#[derive(Debug, Deserialize)]
struct Token {
    #[serde(flatten)]
    chosen: Named,
    top_logprobs: Option<Vec<Named>>,
}

#[derive(Debug, Deserialize)]
struct Named {
    token: String,
    logprob: Option<f32>,
    bytes: Option<Vec<u8>>,
    /// llama-server's.
    id: Option<u32>,
}

impl Logprobs {
    pub(crate) fn into_list(self) -> Vec<TokenLogprob> {
        if let Some(content) = self.content {
            return content.into_iter().map(Token::into_logprob).collect();
        }
        let ids = self.token_ids.unwrap_or_default();
        let logprobs = self.token_logprobs.unwrap_or_default();
        let mut tops = self.top_logprobs.unwrap_or_default().into_iter();
        let tokens = self.tokens.unwrap_or_default().into_iter().enumerate();
        tokens
            .map(|(at, token)| {
                let logprob = logprobs.get(at).copied().flatten();
                let id = ids.get(at).copied();
                let top = tops.next().flatten().unwrap_or_default();
                let mut alternatives: Vec<_> = top
                    .into_iter()
                    .map(|(token, logprob)| candidate(token, None, Some(logprob), None))
                    .collect();
                alternatives.sort_by(|a, b| b.logprob.total_cmp(&a.logprob));
                TokenLogprob {
                    chosen: candidate(token, None, logprob, id),
                    alternatives,
                    predicted: logprob.is_some(),
                }
            })
            .collect()
    }
}

impl Token {
    fn into_logprob(self) -> TokenLogprob {
        let alternatives = self.top_logprobs.unwrap_or_default();
        TokenLogprob {
            predicted: self.chosen.logprob.is_some(),
            chosen: self.chosen.into_candidate(),
            alternatives: alternatives
                .into_iter()
                .map(Named::into_candidate)
                .collect(),
        }
    }
}

impl Named {
    fn into_candidate(self) -> Candidate {
        candidate(self.token, self.bytes, self.logprob, self.id)
    }
}

fn candidate(
    token: String,
    bytes: Option<Vec<u8>>,
    logprob: Option<f32>,
    id: Option<u32>,
) -> Candidate {
    Candidate {
        token: id.unwrap_or(UNKNOWN),
        bytes: bytes.unwrap_or_else(|| token.into_bytes()),
        logprob: logprob.unwrap_or_default(),
    }
}

/// A token whose identity the service does not tell: no vocabulary has so many.
pub(crate) const UNKNOWN: u32 = u32::MAX;
