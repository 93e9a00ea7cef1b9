//! The contract's generated types and the protocol's: the same shapes, field by field. Decides only how much of an error's
//! text is kept.

use super::generated::exports::skep::plugin::model as exported;
use super::generated::skep::plugin::{model_types as wit, types};
use crate::host::log::printable;
use crate::limits::ERROR_TEXT_BYTES;
use crate::protocol as ours;

impl From<types::Error> for ours::Error {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Invalid(invalid) => Self::Invalid(invalid.into()),
            types::Error::TooLong(invalid) => Self::TooLong(invalid.into()),
            types::Error::Malformed(text) => Self::Malformed(sentence(text)),
            types::Error::Unsupported(text) => Self::Unsupported(sentence(text)),
            types::Error::Exhausted(text) => Self::Exhausted(sentence(text)),
            types::Error::Denied(text) => Self::Denied(sentence(text)),
            types::Error::Other(text) => Self::Other(sentence(text)),
        }
    }
}

impl From<ours::Error> for types::Error {
    fn from(error: ours::Error) -> Self {
        match error {
            ours::Error::Invalid(invalid) => Self::Invalid(invalid.into()),
            ours::Error::TooLong(invalid) => Self::TooLong(invalid.into()),
            ours::Error::Malformed(text) => Self::Malformed(text),
            ours::Error::Unsupported(text) => Self::Unsupported(text),
            ours::Error::Exhausted(text) | ours::Error::Limited { message: text, .. } => {
                Self::Exhausted(text)
            }
            ours::Error::Denied(text) => Self::Denied(text),
            // A plugin knows no replicas, and no upstreams but its own.
            ours::Error::Lost(text)
            | ours::Error::Other(text)
            | ours::Error::Upstream(text)
            | ours::Error::TimedOut(text) => Self::Other(text),
        }
    }
}

impl From<types::Invalid> for ours::Invalid {
    fn from(types::Invalid { field, message }: types::Invalid) -> Self {
        Self {
            field: field.map(sentence),
            message: sentence(message),
        }
    }
}

impl From<ours::Invalid> for types::Invalid {
    fn from(ours::Invalid { field, message }: ours::Invalid) -> Self {
        Self { field, message }
    }
}

/// A guest's words, cut and without control characters.
fn sentence(mut text: String) -> String {
    if text.len() > ERROR_TEXT_BYTES {
        let end = (0..=ERROR_TEXT_BYTES)
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or_default();
        text.truncate(end);
    }
    printable(&text)
}

impl From<ours::Settings> for wit::Settings {
    fn from(settings: ours::Settings) -> Self {
        let ours::Settings {
            context_tokens,
            sequences,
            cache_bytes,
            cache_type,
            speculate,
        } = settings;
        Self {
            context_tokens,
            sequences,
            cache_bytes,
            cache_type: cache_type.map(|kept| match kept {
                ours::CacheType::F32 => wit::CacheType::F32,
                ours::CacheType::F16 => wit::CacheType::F16,
                ours::CacheType::Q8_0 => wit::CacheType::Q80,
            }),
            speculate,
        }
    }
}

impl From<wit::ModelInfo> for ours::ModelInfo {
    fn from(info: wit::ModelInfo) -> Self {
        let abilities = info.abilities;
        Self {
            architecture: sentence(info.architecture),
            name: sentence(info.name),
            parameters: info.parameters,
            quantisation: sentence(info.quantisation),
            vocabulary: info.vocabulary,
            context_tokens: info.context_tokens,
            trained_context_tokens: info.trained_context_tokens,
            embedding_width: info.embedding_width,
            sequences: info.sequences,
            cache_bytes: info.cache_bytes,
            abilities: ours::Abilities {
                chat: abilities.contains(wit::Abilities::CHAT),
                complete: abilities.contains(wit::Abilities::COMPLETE),
                embed: abilities.contains(wit::Abilities::EMBED),
            },
        }
    }
}

impl From<ours::Work> for exported::Work {
    fn from(work: ours::Work) -> Self {
        match work {
            ours::Work::Generate(generation) => Self::Generate(generation.into()),
            ours::Work::Embed(inputs) => Self::Embed(wit::EmbeddingRequest {
                inputs: inputs.into_iter().map(Into::into).collect(),
            }),
        }
    }
}

impl From<ours::Generation> for wit::Generation {
    fn from(generation: ours::Generation) -> Self {
        let ours::Generation {
            prompt,
            sampling,
            max_tokens,
            stop,
            ignore_end,
            choices,
            logprobs,
            echo,
            continued,
        } = generation;
        Self {
            prompt: prompt.into(),
            sampling: sampling.into(),
            max_tokens,
            stop,
            ignore_end,
            choices,
            logprobs,
            echo,
            continued: continued.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<ours::Continued> for wit::Continued {
    fn from(continued: ours::Continued) -> Self {
        Self {
            tokens: continued.tokens,
            text_bytes: continued.text_bytes,
            logprobs: continued.logprobs,
            finish: continued.finish.map(|finish| match finish {
                ours::Finish::Stop => wit::Finish::Stop,
                ours::Finish::Length => wit::Finish::Length,
                ours::Finish::Cancelled => wit::Finish::Cancelled,
            }),
        }
    }
}

impl From<ours::Prompt> for wit::Prompt {
    fn from(prompt: ours::Prompt) -> Self {
        let message = |ours::Message {
                           role,
                           content,
                           name,
                       }: ours::Message| wit::Message {
            role,
            content,
            name,
        };
        match prompt {
            ours::Prompt::Chat(messages) => Self::Chat(messages.into_iter().map(message).collect()),
            ours::Prompt::Text(text) => Self::Text(text),
            ours::Prompt::Tokens(tokens) => Self::Tokens(tokens),
        }
    }
}

impl From<ours::Sampling> for wit::Sampling {
    fn from(sampling: ours::Sampling) -> Self {
        Self {
            logit_bias: sampling.logit_bias,
            repetition_penalty: sampling.repetition_penalty,
            presence_penalty: sampling.presence_penalty,
            frequency_penalty: sampling.frequency_penalty,
            temperature: sampling.temperature,
            top_k: sampling.top_k,
            top_p: sampling.top_p,
            min_p: sampling.min_p,
            seed: sampling.seed,
            entropy: sampling.entropy,
        }
    }
}

impl From<wit::Event> for ours::Tagged {
    fn from(event: wit::Event) -> Self {
        let (request, event) = match event {
            wit::Event::Started((request, usage)) => (request, ours::Event::Started(usage.into())),
            wit::Event::Gained(gain) => (gain.request, ours::Event::Gained(gain.into())),
            wit::Event::Embedded(wit::Embedding {
                request,
                index,
                values,
            }) => (
                request,
                ours::Event::Embedded(ours::Embedding { index, values }),
            ),
            wit::Event::Done((request, usage)) => (request, ours::Event::Done(usage.into())),
            wit::Event::Failed((request, error)) => (request, ours::Event::Failed(error.into())),
        };
        Self { request, event }
    }
}

impl From<wit::Gain> for ours::Gain {
    fn from(gain: wit::Gain) -> Self {
        Self {
            choice: gain.choice,
            text: gain.text,
            tokens: gain.tokens,
            logprobs: gain.logprobs.into_iter().map(Into::into).collect(),
            finish: gain.finish.map(|finish| match finish {
                wit::Finish::Stop => ours::Finish::Stop,
                wit::Finish::Length => ours::Finish::Length,
                wit::Finish::Cancelled => ours::Finish::Cancelled,
            }),
        }
    }
}

impl From<wit::TokenLogprob> for ours::TokenLogprob {
    fn from(token: wit::TokenLogprob) -> Self {
        let candidate = |wit::Candidate {
                             token,
                             bytes,
                             logprob,
                         }| ours::Candidate {
            token,
            bytes,
            logprob,
        };
        Self {
            chosen: candidate(token.chosen),
            alternatives: token.alternatives.into_iter().map(candidate).collect(),
            predicted: token.predicted,
        }
    }
}

impl From<wit::Usage> for ours::Usage {
    fn from(usage: wit::Usage) -> Self {
        let wit::Usage {
            prompt_tokens,
            cached_tokens,
            completion_tokens,
        } = usage;
        Self {
            prompt_tokens,
            cached_tokens,
            completion_tokens,
        }
    }
}

impl From<wit::Load> for ours::Load {
    fn from(load: wit::Load) -> Self {
        let wit::Load {
            running,
            waiting,
            cache_pages,
            cache_pages_used,
            guessed,
            guesses_kept,
        } = load;
        Self {
            running,
            waiting,
            cache_pages,
            cache_pages_used,
            guessed,
            guesses_kept,
        }
    }
}
