//! What is asked of a model: the request half of `interface model-types` in `wit/engine.wit`, which
//! documents each field. Decides no default and checks nothing: the gateway parses, the plugin refuses.

use serde::{Deserialize, Serialize};

use super::Finish;
use super::few::few;

/// How to open a model. `None` leaves the choice to the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Settings {
    /// The longest context to make room for, in tokens.
    pub context_tokens: Option<u32>,
    /// How many sequences may run at once.
    pub sequences: Option<u32>,
    /// How many bytes the cache of keys and values may take.
    pub cache_bytes: Option<u64>,
    /// How the cache keeps them.
    pub cache_type: Option<CacheType>,
    /// Whether tokens may be guessed ahead.
    pub speculate: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            context_tokens: None,
            sequences: None,
            cache_bytes: None,
            cache_type: None,
            speculate: true,
        }
    }
}

/// How keys and values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CacheType {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// Bytes with a scale for each 32.
    Q8_0,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, ...: as the model's template knows them.
    pub role: String,
    pub content: String,
    /// The author's name, if given.
    pub name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Prompt {
    /// A conversation, formatted by the model's own template.
    Chat(#[serde(deserialize_with = "few")] Vec<Message>),
    /// Text, tokenised as it stands.
    Text(String),
    /// Token ids, used as they stand.
    Tokens(Vec<u32>),
}

/// How the next token is chosen; the order of the fields is the order in which they apply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// Added to a token's logit.
    pub logit_bias: Vec<(u32, f32)>,
    /// 1 is off.
    pub repetition_penalty: f32,
    pub presence_penalty: f32,
    pub frequency_penalty: f32,
    /// 0 takes the likeliest token.
    pub temperature: f32,
    /// 0 is off.
    pub top_k: u32,
    /// 1 is off.
    pub top_p: f32,
    /// 0 is off.
    pub min_p: f32,
    /// Same seed, same request, same model: same text. `None`: `entropy` is used.
    pub seed: Option<u64>,
    /// Randomness from the host, new for each request.
    pub entropy: u64,
}

impl Default for Sampling {
    /// The plain distribution of the model: everything off, temperature 1. `entropy` is 0.
    fn default() -> Self {
        Self {
            logit_bias: Vec::new(),
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed: None,
            entropy: 0,
        }
    }
}

/// A text to be generated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    pub prompt: Prompt,
    pub sampling: Sampling,
    /// `None`: until the context is full.
    pub max_tokens: Option<u32>,
    /// Stop before any of these texts.
    #[serde(deserialize_with = "few")]
    pub stop: Vec<String>,
    /// Go on after the model's own end tokens.
    pub ignore_end: bool,
    /// How many independent answers.
    pub choices: u32,
    /// `None`, or log probabilities of the chosen token and of so many alternatives.
    pub logprobs: Option<u32>,
    /// Return the prompt as the first part of the answer.
    pub echo: bool,
    /// What is there already of each answer; empty for a new request.
    #[serde(deserialize_with = "few")]
    pub continued: Vec<Continued>,
}

/// One answer as far as a replica that was lost brought it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continued {
    /// Every token generated so far, those whose text was held back included.
    pub tokens: Vec<u32>,
    /// How many bytes of text were returned, an echoed prompt among them.
    pub text_bytes: u64,
    /// How many log probabilities were returned, an echoed prompt's among them.
    pub logprobs: u32,
    /// Set for an answer that was over.
    pub finish: Option<Finish>,
}

/// One request to a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Work {
    Generate(Generation),
    /// The inputs to embed.
    Embed(#[serde(deserialize_with = "few")] Vec<Prompt>),
}
