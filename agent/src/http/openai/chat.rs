//! `POST /v1/chat/completions`: the request.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::decode::decode;
use super::fields::{Bounded, Content, Object, Part};
use super::request::{Choosing, Delivery, out_of_range, refuse_unless_empty, request};
use crate::http::error::ApiError;
use crate::http::limits::{CHAT_ALTERNATIVES_MAX, MESSAGES_MAX};
use crate::protocol::{Generation, Message, Prompt};

request! {
    /// The body as it comes.
    ChatRequest {
        messages: Bounded<Object<ChatMessage>, MESSAGES_MAX>,
        max_completion_tokens: Option<u32>,
        logprobs: Option<bool>,
        top_logprobs: Option<u32>,
        response_format: Option<Object<ResponseFormat>>,
        tools: Option<Vec<IgnoredAny>>,
        functions: Option<Vec<IgnoredAny>>,
        modalities: Option<Bounded<String, 8>>,
        audio: Option<IgnoredAny>,
        web_search_options: Option<IgnoredAny>,
    }
}

/// A chat that can be run.
#[derive(Debug)]
pub(super) struct Chat {
    pub(super) model: String,
    pub(super) generation: Generation,
    pub(super) delivery: Delivery,
}

#[derive(Debug, Deserialize)]
struct ChatMessage {
    role: String,
    content: Option<Content>,
    name: Option<String>,
    tool_calls: Option<Vec<IgnoredAny>>,
}

#[derive(Debug, Deserialize)]
struct ResponseFormat {
    r#type: String,
}

impl Chat {
    /// Reads and checks a body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut request: ChatRequest = decode(body)?;
        request.refuse_what_is_not_done()?;
        let alternatives = request.alternatives()?;
        let mut shared = request.shared();
        shared.max_tokens = match (request.max_completion_tokens, shared.max_tokens) {
            (Some(0), _) => return Err(out_of_range("max_completion_tokens", 0, 1, u32::MAX)),
            (_, Some(0)) => return Err(out_of_range("max_tokens", 0, 1, u32::MAX)),
            (new, old) => new.or(old),
        };
        let messages = messages(request.messages.0)?;
        let choosing = Choosing::try_from(shared)?;
        Ok(Self {
            model: choosing.model,
            generation: Generation {
                prompt: Prompt::Chat(messages),
                sampling: choosing.sampling,
                max_tokens: choosing.max_tokens,
                stop: choosing.stop,
                ignore_end: choosing.ignore_end,
                choices: choosing.choices,
                logprobs: alternatives,
                echo: false,
                continued: Vec::new(),
            },
            delivery: choosing.delivery,
        })
    }
}

impl ChatRequest {
    fn refuse_what_is_not_done(&self) -> Result<(), ApiError> {
        refuse_unless_empty("tools", self.tools.as_ref(), "calling tools")?;
        refuse_unless_empty("functions", self.functions.as_ref(), "calling functions")?;
        if let Some(Object(format)) = &self.response_format
            && format.r#type != "text"
        {
            return Err(match format.r#type.as_str() {
                "json_schema" | "json_object" => ApiError::unsupported(
                    "response_format",
                    "`response_format`: answers constrained to JSON are not supported yet; \
                     leave it out, and ask for JSON in the prompt",
                ),
                _ => ApiError::invalid(
                    "response_format.type",
                    "`response_format.type` must be `text`",
                ),
            });
        }
        let spoken = self
            .modalities
            .as_ref()
            .is_some_and(|Bounded(list)| list.iter().any(|one| one != "text"));
        if spoken || self.audio.is_some() {
            return Err(ApiError::unsupported(
                "modalities",
                "`modalities`: only `text` is answered; leave out `audio`",
            ));
        }
        if self.web_search_options.is_some() {
            return Err(ApiError::unsupported(
                "web_search_options",
                "`web_search_options`: there is no search here; leave it out",
            ));
        }
        Ok(())
    }

    fn alternatives(&self) -> Result<Option<u32>, ApiError> {
        match (self.logprobs.unwrap_or(false), self.top_logprobs) {
            (false, None | Some(0)) => Ok(None),
            (false, Some(_)) => Err(ApiError::invalid(
                "top_logprobs",
                "`top_logprobs` needs `logprobs: true`",
            )),
            (true, Some(many)) if many > CHAT_ALTERNATIVES_MAX => {
                Err(out_of_range("top_logprobs", many, 0, CHAT_ALTERNATIVES_MAX))
            }
            (true, some) => Ok(Some(some.unwrap_or(0))),
        }
    }
}

fn messages(messages: Vec<Object<ChatMessage>>) -> Result<Vec<Message>, ApiError> {
    if messages.is_empty() {
        return Err(ApiError::invalid(
            "messages",
            "`messages` is empty; give at least one",
        ));
    }
    messages
        .into_iter()
        .enumerate()
        .map(|(i, Object(message))| one_message(i, message))
        .collect()
}

fn one_message(i: usize, message: ChatMessage) -> Result<Message, ApiError> {
    let role = match message.role.as_str() {
        // OpenAI's newer name for the same thing, which models' templates do not know.
        "developer" => "system".to_owned(),
        "system" | "user" | "assistant" | "tool" | "function" => message.role,
        _ => {
            return Err(ApiError::invalid(
                format!("messages[{i}].role"),
                format!(
                    "`messages[{i}].role` must be `system`, `developer`, `user`, `assistant` or `tool`"
                ),
            ));
        }
    };
    if message.tool_calls.is_some_and(|calls| !calls.is_empty()) {
        return Err(ApiError::unsupported(
            format!("messages[{i}].tool_calls"),
            format!("`messages[{i}].tool_calls`: calling tools is not supported yet"),
        ));
    }
    let content = match message.content {
        Some(Content::Text(text)) => text,
        Some(Content::Parts(parts)) => joined(i, parts)?,
        None if role == "assistant" => String::new(),
        None => {
            return Err(ApiError::invalid(
                format!("messages[{i}].content"),
                format!("`messages[{i}].content` is missing"),
            ));
        }
    };
    Ok(Message {
        role,
        content,
        name: message.name,
    })
}

fn joined(i: usize, parts: Vec<Object<Part>>) -> Result<String, ApiError> {
    let mut text = String::new();
    for (j, Object(part)) in parts.into_iter().enumerate() {
        let at = || format!("messages[{i}].content[{j}]");
        let found = match part.kind.as_str() {
            "text" => part.text,
            "refusal" => part.refusal,
            kind => {
                let kind = kind.chars().take(40).collect::<String>();
                return Err(ApiError::unsupported(
                    at(),
                    format!(
                        "`{}` is of type `{}`, but only `text` is understood",
                        at(),
                        kind.escape_debug()
                    ),
                ));
            }
        };
        let Some(found) = found else {
            return Err(ApiError::invalid(at(), format!("`{}` has no text", at())));
        };
        text.push_str(&found);
    }
    Ok(text)
}
