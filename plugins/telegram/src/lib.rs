//! Alerts to a chat of Telegram, by a bot's `sendMessage`.
//!
//! Decides how an alert looks there: the headline in bold, then text, facts and where it was, with what HTML would take for
//! markup escaped. Refuses to know the bot's token: it stands in the path of the address, where the host puts it.
#![warn(missing_docs)]

use serde::Deserialize;
use serde_json::{Value, json};
use skep_sdk::http::{Request, join};
use skep_sdk::notifier::{
    Alert, Error, Notifier, Settings, Severity, accepted, cut, escaped, refusal,
};

/// The notifier.
#[derive(Debug)]
pub struct Telegram;

#[derive(Deserialize)]
struct Refused {
    description: Option<String>,
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
}

impl Notifier for Telegram {
    fn notify(settings: Settings, alert: Alert) -> Result<(), Error> {
        let base = settings.get("base-url").unwrap_or(BASE_URL);
        let thread =
            match settings.get("thread") {
                Some(text) => Some(text.parse().map_err(|_| {
                    Error::invalid("thread", "the setting `thread` is a whole number")
                })?),
                None => None,
            };
        let message = message(settings.need("chat")?, thread, &alert);
        let token = settings.secret("token")?;
        let token =
            token.ok_or_else(|| Error::invalid("token", "the setting `token` is missing"))?;
        let path = format!("bot{}/sendMessage", token.path_value()?);
        let response = Request::post(join(base, &path))
            .json(message.to_string())
            .send()?;
        if response.is_success() {
            accepted(response, "Telegram", "base-url")?;
            return Ok(());
        }
        let status = response.status();
        Err(read(status, &response.read_some(REFUSAL_BYTES_MAX)))
    }
}

/// What is posted.
fn message(chat: &str, thread: Option<i64>, alert: &Alert) -> Value {
    let headline = cut(&alert.headline(), HEADLINE_MAX);
    // What is counted is what is shown, without markup.
    let rest = cut(&alert.plain(), TEXT_MAX - HEADLINE_MAX - 2);
    let text = format!("<b>{}</b>\n\n{}", html(&headline), html(&rest));
    let mut message = json!({
        "chat_id": chat,
        "text": text,
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": true},
        "disable_notification": alert.resolved || alert.severity == Severity::Info,
    });
    if let (Some(thread), Some(fields)) = (thread, message.as_object_mut()) {
        fields.insert("message_thread_id".to_owned(), thread.into());
    }
    message
}

fn html(text: &str) -> String {
    escaped(text, usize::MAX, |character| match character {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    })
}

/// What a refusal means.
fn read(status: u16, body: &[u8]) -> Error {
    let refused: Option<Refused> = serde_json::from_slice(body).ok();
    let (said, retry_after_s) = match refused {
        Some(refused) => (
            refused.description.unwrap_or_default(),
            refused.parameters.and_then(|more| more.retry_after),
        ),
        None => (String::from_utf8_lossy(body).into_owned(), None),
    };
    let shown = skep_sdk::http::quoted(&said);
    match status {
        // A wrong token is an address that is not there.
        401 | 404 => Error::Denied(format!("Telegram refused the secret `token`: {shown}")),
        400 if said.contains("chat not found") || said.contains("thread not found") => {
            Error::invalid("chat", format!("Telegram refused the chat: {shown}"))
        }
        403 => Error::Denied(format!("the bot may not write to this chat: {shown}")),
        _ => refusal(status, retry_after_s, &said, "Telegram", "base-url"),
    }
}

const BASE_URL: &str = "https://api.telegram.org";
/// Telegram's limit of a message.
const TEXT_MAX: usize = 4096;
/// A headline is a line.
const HEADLINE_MAX: usize = 256;
/// What is read of a refusal.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

skep_sdk::notifier!(Telegram);

#[cfg(test)]
mod tests {
    use super::*;

    fn alert() -> Alert {
        Alert {
            id: "7".to_owned(),
            kind: "node.down".to_owned(),
            severity: Severity::Critical,
            title: "<b> & co".to_owned(),
            text: "It is <i>down</i>.".to_owned(),
            cluster: "home".to_owned(),
            node: None,
            at_unix_s: 60,
            resolved: false,
            facts: Vec::new(),
        }
    }

    #[test]
    fn markup_is_escaped() {
        let message = message("-100", Some(3), &alert());
        assert_eq!(
            message["text"],
            "<b>[critical] &lt;b&gt; &amp; co</b>\n\nIt is &lt;i&gt;down&lt;/i&gt;.\n\ncluster home · 1970-01-01 00:01:00 UTC"
        );
        assert_eq!(message["message_thread_id"], 3);
        assert_eq!(message["disable_notification"], false);
        assert!(
            super::message("1", None, &alert())
                .get("message_thread_id")
                .is_none()
        );
    }

    #[test]
    fn long_alerts_keep_to_the_limit() {
        let mut long = alert();
        long.title = "<".repeat(5000);
        long.text = "\u{1f600}".repeat(5000);
        let message = message("1", None, &long);
        let shown = message["text"].as_str().unwrap();
        let shown = shown
            .replace("<b>", "")
            .replace("</b>", "")
            .replace("&lt;", "<");
        let units = shown.encode_utf16().count();
        assert!((4000..=4096).contains(&units), "{units}");
    }

    #[test]
    fn answers_are_understood() {
        let limited = read(429, b"{\"ok\":false,\"error_code\":429,\"description\":\"Too Many Requests: retry after 5\",\"parameters\":{\"retry_after\":5}}");
        assert!(
            matches!(&limited, Error::Exhausted(text) if text.contains("5 s")),
            "{limited:?}"
        );
        assert!(matches!(
            read(404, b"{\"ok\":false,\"description\":\"Not Found\"}"),
            Error::Denied(_)
        ));
        assert!(matches!(
            read(
                400,
                b"{\"ok\":false,\"description\":\"Bad Request: chat not found\"}"
            ),
            Error::Invalid(_)
        ));
        assert!(matches!(read(400, b"{}"), Error::Unsupported(_)));
        assert!(matches!(read(502, b"<html>"), Error::Other(_)));
    }
}
