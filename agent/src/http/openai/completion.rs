//! `POST /v1/completions`: the request.

use serde::de::IgnoredAny;

use super::decode::decode;
use super::fields::Inputs;
use super::request::{Choosing, Delivery, out_of_range, request};
use crate::http::error::ApiError;
use crate::http::limits::{COMPLETION_ALTERNATIVES_MAX, PROMPTS_MAX};
use crate::protocol::{Generation, Prompt};

request! {
    /// The body as it comes.
    CompletionRequest {
        prompt: Option<Inputs>,
        echo: Option<bool>,
        logprobs: Option<u32>,
        best_of: Option<u32>,
        suffix: Option<String>,
        response_format: Option<IgnoredAny>,
    }
}

/// Completions that can be run: one generation for each prompt.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) model: String,
    pub(super) generations: Vec<Generation>,
    pub(super) delivery: Delivery,
}

impl Completion {
    /// Reads and checks a body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut request: CompletionRequest = decode(body)?;
        if request.suffix.as_ref().is_some_and(|text| !text.is_empty()) {
            return Err(ApiError::unsupported(
                "suffix",
                "`suffix`: inserting text is not supported; leave it out",
            ));
        }
        if request.response_format.is_some() {
            return Err(ApiError::unsupported(
                "response_format",
                "`response_format`: answers constrained to JSON are not supported yet; leave it out",
            ));
        }
        let logprobs = request.logprobs;
        if let Some(many) = logprobs.filter(|&many| many > COMPLETION_ALTERNATIVES_MAX) {
            return Err(out_of_range(
                "logprobs",
                many,
                0,
                COMPLETION_ALTERNATIVES_MAX,
            ));
        }
        let echo = request.echo.unwrap_or(false);
        let prompts = prompts(request.prompt.take())?;
        let best_of = request.best_of;
        let mut shared = request.shared();
        // OpenAI's default; a chat has none.
        shared.max_tokens = shared.max_tokens.or(Some(16));
        if shared.max_tokens == Some(0) && !echo {
            return Err(ApiError::invalid(
                "max_tokens",
                "`max_tokens` is 0, which means something only with `echo: true`",
            ));
        }
        let choosing = Choosing::try_from(shared)?;
        if best_of.is_some_and(|best_of| best_of != choosing.choices) {
            return Err(ApiError::unsupported(
                "best_of",
                "`best_of` other than `n` is not supported; leave it out",
            ));
        }
        if choosing.choices as usize * prompts.len() > PROMPTS_MAX {
            return Err(ApiError::invalid(
                "n",
                format!("`n` times the number of prompts is more than {PROMPTS_MAX}"),
            ));
        }
        let generations = prompts.into_iter().map(|prompt| Generation {
            prompt,
            sampling: choosing.sampling.clone(),
            max_tokens: choosing.max_tokens,
            stop: choosing.stop.clone(),
            ignore_end: choosing.ignore_end,
            choices: choosing.choices,
            logprobs,
            echo,
            continued: Vec::new(),
        });
        Ok(Self {
            generations: generations.collect(),
            model: choosing.model,
            delivery: choosing.delivery,
        })
    }
}

fn prompts(prompt: Option<Inputs>) -> Result<Vec<Prompt>, ApiError> {
    let prompts: Vec<_> = match prompt {
        None => vec![Prompt::Text(String::new())],
        Some(Inputs::Text(text)) => vec![Prompt::Text(text)],
        Some(Inputs::Tokens(tokens)) => vec![Prompt::Tokens(tokens)],
        Some(Inputs::Texts(texts)) => texts.into_iter().map(Prompt::Text).collect(),
        Some(Inputs::TokenLists(lists)) => lists.into_iter().map(Prompt::Tokens).collect(),
    };
    if prompts.is_empty() || prompts.len() > PROMPTS_MAX {
        return Err(ApiError::invalid(
            "prompt",
            format!(
                "`prompt` has {} prompts; give 1 to {PROMPTS_MAX}",
                prompts.len()
            ),
        ));
    }
    Ok(prompts)
}
