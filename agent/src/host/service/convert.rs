//! The contract's generated types and the protocol's: the same shapes, field by field. What engines share with adapters is
//! mapped in `host::engine`.

use super::notifier::exports::skep::plugin::notice;
use super::upstream::exports::skep::plugin::adapter;
use crate::egress::{EgressError, MailError, SecretError, Teller};
use crate::host::engine::generated::skep::plugin::types;
use crate::host::printable;
use crate::limits::{ERROR_TEXT_BYTES, OFFERS_MAX};
use crate::protocol::{
    Alert, Error, Event, Invalid, ModelInfo, Offer, PullProgress, Severity, Tagged,
};

impl From<SecretError> for types::Error {
    fn from(error: SecretError) -> Self {
        let text = error.to_string();
        match error {
            SecretError::NotGranted { .. } => Self::Denied(text),
            SecretError::Randomness => Self::Other(text),
            SecretError::Name(_)
            | SecretError::Missing(_)
            | SecretError::Unfit(_)
            | SecretError::Path(_)
            | SecretError::Prefix => Self::Invalid(types::Invalid {
                field: Some("secret".to_owned()),
                message: text,
            }),
        }
    }
}

/// Why a message did not leave, in the contract's words and without secrets.
pub(super) fn mail_error(error: MailError, teller: &Teller) -> types::Error {
    let text = chain(&error);
    let text = teller.redacted(&text);
    match error {
        MailError::Invalid { field, message } => types::Error::Invalid(types::Invalid {
            field: Some(field.to_owned()),
            message: teller.redacted(&message),
        }),
        MailError::Denied(_) => types::Error::Denied(text),
        MailError::Exhausted(_) => types::Error::Exhausted(text),
        MailError::Other(_) => types::Error::Other(text),
        MailError::Secret(error) => error.into(),
        MailError::Egress(error) => match error {
            EgressError::NotGranted { .. } | EgressError::Prohibited(_) => {
                types::Error::Denied(text)
            }
            EgressError::TooMany => types::Error::Exhausted(text),
            _ => types::Error::Other(text),
        },
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    printable(&text)
}

pub(super) fn adapter_settings(values: &[(String, String)]) -> adapter::Settings {
    adapter::Settings {
        values: values.to_vec(),
    }
}

pub(super) fn notice_settings(values: &[(String, String)]) -> notice::Settings {
    notice::Settings {
        values: values.to_vec(),
    }
}

/// What an upstream offers, as many as are kept.
pub(super) fn offers(offers: Vec<adapter::Offer>) -> Vec<Offer> {
    offers
        .into_iter()
        .take(OFFERS_MAX)
        .map(|offer| Offer {
            id: short(&offer.id),
            info: offer.info.map(ModelInfo::from),
        })
        .collect()
}

impl From<adapter::Progress> for PullProgress {
    fn from(progress: adapter::Progress) -> Self {
        Self {
            what: short(&progress.what),
            done_bytes: progress.done_bytes,
            total_bytes: progress.total_bytes,
        }
    }
}

impl From<Alert> for notice::Alert {
    fn from(alert: Alert) -> Self {
        Self {
            id: alert.id,
            kind: alert.kind,
            severity: match alert.severity {
                Severity::Info => notice::Severity::Info,
                Severity::Warning => notice::Severity::Warning,
                Severity::Critical => notice::Severity::Critical,
            },
            title: alert.title,
            text: alert.text,
            cluster: alert.cluster,
            node: alert.node,
            at_unix_s: alert.at_unix_s,
            resolved: alert.resolved,
            facts: alert.facts,
        }
    }
}

/// An event under the identity that its request has, whatever the plugin says; without secrets in its error.
pub(super) fn event(event: adapter::Event, teller: &Teller) -> Event {
    let Tagged { event, .. } = event.into();
    match event {
        Event::Failed(error) => Event::Failed(refusal(error, teller)),
        other => other,
    }
}

/// A refusal without secrets in it.
pub(super) fn refusal(error: impl Into<Error>, teller: &Teller) -> Error {
    let redact = |text: String| teller.redacted(&text);
    let invalid = |invalid: Invalid| Invalid {
        field: invalid.field.map(redact),
        message: redact(invalid.message),
    };
    match error.into() {
        Error::Invalid(what) => Error::Invalid(invalid(what)),
        Error::TooLong(what) => Error::TooLong(invalid(what)),
        Error::Malformed(text) => Error::Malformed(redact(text)),
        Error::Unsupported(text) => Error::Unsupported(redact(text)),
        Error::Exhausted(text) => Error::Exhausted(redact(text)),
        Error::Denied(text) => Error::Denied(redact(text)),
        Error::Lost(text) => Error::Lost(redact(text)),
        Error::Other(text) => Error::Other(redact(text)),
        Error::Upstream(text) => Error::Upstream(redact(text)),
        Error::TimedOut(text) => Error::TimedOut(redact(text)),
        Error::Limited {
            message,
            retry_after_s,
        } => Error::Limited {
            message: redact(message),
            retry_after_s,
        },
    }
}

/// A guest's words, cut and without control characters.
fn short(text: &str) -> String {
    let short: String = text.chars().take(ERROR_TEXT_BYTES).collect();
    printable(&short)
}
