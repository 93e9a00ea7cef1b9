//! Answers as OpenAI's clients expect them: what is gathered, and how it is written.

use serde::Serialize;

use crate::protocol::{Candidate, Finish, TokenLogprob, Usage};

/// What every part of one answer says of itself.
#[derive(Clone, Debug)]
pub(super) struct Label {
    /// `chatcmpl-…` or `cmpl-…`.
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) model: String,
    pub(super) fingerprint: String,
}

/// Tokens as OpenAI counts them.
#[derive(Debug, Serialize)]
pub(super) struct UsageShape {
    prompt_tokens: u32,
    completion_tokens: u32,
    total_tokens: u32,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Debug, Serialize)]
struct PromptDetails {
    cached_tokens: u32,
    audio_tokens: u32,
}

#[derive(Debug, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u32,
    audio_tokens: u32,
    accepted_prediction_tokens: u32,
    rejected_prediction_tokens: u32,
}

impl From<Usage> for UsageShape {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.prompt_tokens.saturating_add(usage.completion_tokens),
            prompt_tokens_details: PromptDetails {
                cached_tokens: usage.cached_tokens,
                audio_tokens: 0,
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: 0,
                audio_tokens: 0,
                accepted_prediction_tokens: 0,
                rejected_prediction_tokens: 0,
            },
        }
    }
}

/// Why a choice ended. A cancelled one is never written.
pub(super) fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length | Finish::Cancelled => "length",
    }
}

/// A chat's log probabilities.
#[derive(Debug, Serialize)]
pub(super) struct ChatLogprobs<'a> {
    content: Vec<ChatToken<'a>>,
    refusal: Option<()>,
}

#[derive(Debug, Serialize)]
struct ChatToken<'a> {
    #[serde(flatten)]
    chosen: ChatCandidate<'a>,
    top_logprobs: Vec<ChatCandidate<'a>>,
}

#[derive(Debug, Serialize)]
struct ChatCandidate<'a> {
    token: String,
    logprob: f32,
    bytes: &'a [u8],
}

impl<'a> ChatLogprobs<'a> {
    pub(super) fn of(tokens: &'a [TokenLogprob]) -> Self {
        let content = tokens.iter().map(|token| ChatToken {
            chosen: chat_candidate(&token.chosen),
            top_logprobs: token.alternatives.iter().map(chat_candidate).collect(),
        });
        Self {
            content: content.collect(),
            refusal: None,
        }
    }
}

fn chat_candidate(candidate: &Candidate) -> ChatCandidate<'_> {
    ChatCandidate {
        token: String::from_utf8_lossy(&candidate.bytes).into_owned(),
        logprob: finite(candidate.logprob),
        bytes: &candidate.bytes,
    }
}

/// A completion's log probabilities: OpenAI's four lists, then ours, in which no two tokens share a name.
#[derive(Debug, Default, Serialize)]
pub(super) struct CompletionLogprobs {
    tokens: Vec<String>,
    token_logprobs: Vec<Option<f32>>,
    top_logprobs: Vec<Option<serde_json::Map<String, serde_json::Value>>>,
    text_offset: Vec<usize>,
    token_ids: Vec<u32>,
    top_ids: Vec<Vec<u32>>,
    top_values: Vec<Vec<f32>>,
}

impl CompletionLogprobs {
    /// `offset` is where in the text the first token begins, in characters; it is moved on.
    pub(super) fn of(tokens: &[TokenLogprob], offset: &mut usize) -> Self {
        let mut lists = Self::default();
        for token in tokens {
            let chosen = &token.chosen;
            lists.tokens.push(token_text(&chosen.bytes));
            lists.token_ids.push(chosen.token);
            lists.text_offset.push(*offset);
            *offset += characters(&chosen.bytes);
            if token.predicted {
                lists.token_logprobs.push(Some(finite(chosen.logprob)));
                let named = token.alternatives.iter().map(|one| {
                    (
                        token_text(&one.bytes),
                        serde_json::Value::from(finite(one.logprob)),
                    )
                });
                lists.top_logprobs.push(Some(named.collect()));
            } else {
                lists.token_logprobs.push(None);
                lists.top_logprobs.push(None);
            }
            let ids = token.alternatives.iter().map(|one| one.token);
            lists.top_ids.push(ids.collect());
            let values = token.alternatives.iter().map(|one| finite(one.logprob));
            lists.top_values.push(values.collect());
        }
        lists
    }
}

/// A token's text; a part of a character is written as OpenAI does.
fn token_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => {
            let mut text = "bytes:".to_owned();
            for byte in bytes {
                text.push_str(&format!("\\x{byte:02x}"));
            }
            text
        }
    }
}

/// How many characters begin in these bytes.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| (**byte & 0xc0) != 0x80).count()
}

/// JSON has no infinity; OpenAI writes this for what cannot happen.
fn finite(logprob: f32) -> f32 {
    if logprob.is_finite() {
        logprob
    } else {
        -9_999.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(token: u32, bytes: &[u8], logprob: f32) -> Candidate {
        Candidate {
            token,
            bytes: bytes.to_vec(),
            logprob,
        }
    }

    #[test]
    fn completions_list_every_token() {
        let tokens = [
            TokenLogprob {
                chosen: candidate(1, b"<s>", 0.0),
                alternatives: Vec::new(),
                predicted: false,
            },
            TokenLogprob {
                chosen: candidate(5, "é".as_bytes(), -0.5),
                alternatives: vec![
                    candidate(5, "é".as_bytes(), -0.5),
                    candidate(6, &[0xe2], f32::NEG_INFINITY),
                ],
                predicted: true,
            },
            TokenLogprob {
                chosen: candidate(7, &[0xe2], -1.5),
                alternatives: vec![],
                predicted: true,
            },
        ];
        let mut offset = 0;
        let json = serde_json::to_value(CompletionLogprobs::of(&tokens, &mut offset)).unwrap();
        let expect = serde_json::json!({
            "tokens": ["<s>", "é", "bytes:\\xe2"],
            "token_logprobs": [null, -0.5, -1.5],
            "top_logprobs": [null, {"é": -0.5, "bytes:\\xe2": -9999.0}, {}],
            "text_offset": [0, 3, 4],
            "token_ids": [1, 5, 7],
            "top_ids": [[], [5, 6], []],
            "top_values": [[], [-0.5, -9999.0], []],
        });
        assert_eq!(json, expect);
        assert_eq!(offset, 5);
    }

    #[test]
    fn chats_list_bytes() {
        let tokens = [TokenLogprob {
            chosen: candidate(5, &[0xe2, 0x82], -0.5),
            alternatives: vec![candidate(6, b"a", -1.0)],
            predicted: true,
        }];
        let json = serde_json::to_value(ChatLogprobs::of(&tokens)).unwrap();
        let expect = serde_json::json!({"content": [{
            "token": "\u{fffd}", "logprob": -0.5, "bytes": [0xe2, 0x82],
            "top_logprobs": [{"token": "a", "logprob": -1.0, "bytes": [97]}],
        }], "refusal": null});
        assert_eq!(json, expect);
    }
}
