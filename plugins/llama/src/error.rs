//! How this plugin says that something is wrong: short makers of the contract's error, and the mapping from the
//! parsers' errors. The text is for people; the case is for callers.

use crate::contract::{Error, Invalid};
use crate::gguf::GgufError;
use crate::tokenizer::TokenizerError;

/// The request's `field` is wrong.
pub fn invalid(field: &str, message: impl Into<String>) -> Error {
    Error::invalid(field, message)
}

/// The request's `field` is longer than the model or the plugin takes.
pub fn too_long(field: &str, message: impl Into<String>) -> Error {
    Error::TooLong(Invalid {
        field: Some(field.to_owned()),
        message: message.into(),
    })
}

/// The file is damaged or contradicts itself.
pub fn malformed(message: impl Into<String>) -> Error {
    Error::Malformed(message.into())
}

/// Right, but not something that this plugin does.
pub fn unsupported(message: impl Into<String>) -> Error {
    Error::Unsupported(message.into())
}

/// A limit is reached.
pub fn exhausted(message: impl Into<String>) -> Error {
    Error::Exhausted(message.into())
}

impl From<GgufError> for Error {
    fn from(error: GgufError) -> Self {
        let message = chain(&error);
        match error {
            GgufError::Version(_)
            | GgufError::ByteSwapped
            | GgufError::NestedArray(_)
            | GgufError::UnsupportedType { .. } => Self::Unsupported(message),
            GgufError::Read { .. } => Self::Other(message),
            _ => Self::Malformed(message),
        }
    }
}

impl From<TokenizerError> for Error {
    fn from(error: TokenizerError) -> Self {
        match error {
            TokenizerError::Metadata(cause) => cause.into(),
            TokenizerError::Model(_) | TokenizerError::PreTokenizer(_) => {
                Self::Unsupported(chain(&error))
            }
            _ => Self::Malformed(chain(&error)),
        }
    }
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
