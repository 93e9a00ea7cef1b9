//! Alerts to a channel of Slack, by a bot's `chat.postMessage`.
//!
//! Decides how an alert looks there: a coloured bar, the headline, the text and the facts as plain text, so that nothing in an alert
//! is taken for markup or mentions anybody. Refuses to know the bot's token, which the host puts into a header.
#![warn(missing_docs)]

use serde::Deserialize;
use serde_json::{Value, json};
use skep_sdk::http::{Request, join, quoted};
use skep_sdk::notifier::{Alert, Error, Notifier, Settings, Severity, accepted, cut, escaped};

/// The notifier.
#[derive(Debug)]
pub struct Slack;

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    error: Option<String>,
}

impl Notifier for Slack {
    fn notify(settings: Settings, alert: Alert) -> Result<(), Error> {
        let base = settings.get("base-url").unwrap_or(BASE_URL);
        let token = settings.secret("token")?;
        let token =
            token.ok_or_else(|| Error::invalid("token", "the setting `token` is missing"))?;
        let message = message(settings.need("channel")?, &alert);
        let response = Request::post(join(base, "chat.postMessage"))
            .secret("authorization", "Bearer ", &token)
            .json(message.to_string())
            .send()?;
        read(&accepted(response, "Slack", "base-url")?)
    }
}

/// What is posted.
fn message(channel: &str, alert: &Alert) -> Value {
    let color = match (alert.resolved, alert.severity) {
        (true, _) => "#2eb67d",
        (false, Severity::Info) => "#36c5f0",
        (false, Severity::Warning) => "#ecb22e",
        (false, Severity::Critical) => "#e01e5a",
    };
    let plain =
        |text: &str, limit| json!({"type": "plain_text", "emoji": false, "text": cut(text, limit)});
    let mut blocks = vec![json!({"type": "header", "text": plain(&alert.headline(), HEADER_MAX)})];
    if !alert.text.trim().is_empty() {
        blocks.push(json!({"type": "section", "text": plain(&alert.text, SECTION_MAX)}));
    }
    if !alert.facts.is_empty() {
        let facts: Vec<_> = alert
            .facts
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        blocks.push(json!({"type": "section", "text": plain(&facts.join("\n"), SECTION_MAX)}));
    }
    blocks.push(json!({"type": "context", "elements": [plain(&alert.foot(), SECTION_MAX)]}));
    // What notifications show; here markup is read.
    let fallback = escaped(
        &alert.headline(),
        FALLBACK_MAX,
        |character| match character {
            '&' => Some("&amp;"),
            '<' => Some("&lt;"),
            '>' => Some("&gt;"),
            _ => None,
        },
    );
    json!({
        "channel": channel,
        "text": fallback,
        "attachments": [{"color": color, "blocks": blocks}],
        "mrkdwn": false,
        "parse": "none",
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// Slack refuses with a status of success.
fn read(body: &[u8]) -> Result<(), Error> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| {
        Error::Other(format!(
            "Slack answered what is none of its answers: {}",
            quoted(&String::from_utf8_lossy(body))
        ))
    })?;
    if answer.ok {
        return Ok(());
    }
    let code = quoted(&answer.error.unwrap_or_default());
    Err(match code.as_str() {
        "invalid_auth"
        | "not_authed"
        | "account_inactive"
        | "token_revoked"
        | "token_expired"
        | "missing_scope"
        | "no_permission"
        | "not_allowed_token_type"
        | "access_denied"
        | "ekm_access_denied"
        | "org_login_required"
        | "two_factor_setup_required" => Error::Denied(format!(
            "Slack refused the secret `token`, or what it may do: {code}"
        )),
        "not_in_channel" => Error::invalid("channel", "the bot is not in the channel: invite it"),
        "channel_not_found" | "is_archived" | "invalid_channel" | "restricted_action" => {
            Error::invalid("channel", format!("Slack refused the channel: {code}"))
        }
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => {
            Error::Exhausted(format!("Slack asks to come back later: {code}"))
        }
        "internal_error"
        | "fatal_error"
        | "service_unavailable"
        | "request_timeout"
        | "team_added_to_org" => Error::Other(format!("Slack failed: {code}")),
        _ => Error::Unsupported(format!("Slack refused it: {code}")),
    })
}

const BASE_URL: &str = "https://slack.com/api";
/// Slack's limits of characters in a header and in a section; of the fallback it shows a line.
const HEADER_MAX: usize = 150;
const SECTION_MAX: usize = 3000;
const FALLBACK_MAX: usize = 1000;

skep_sdk::notifier!(Slack);

#[cfg(test)]
mod tests {
    use super::*;

    fn alert() -> Alert {
        Alert {
            id: "7".to_owned(),
            kind: "node.down".to_owned(),
            severity: Severity::Critical,
            title: "<!channel> & *b*".to_owned(),
            text: "It is down.".to_owned(),
            cluster: "home".to_owned(),
            node: Some("b".to_owned()),
            at_unix_s: 60,
            resolved: false,
            facts: vec![("address".to_owned(), "10.0.0.2".to_owned())],
        }
    }

    #[test]
    fn nothing_in_an_alert_is_markup() {
        let message = message("C1", &alert());
        assert_eq!(message["text"], "[critical] &lt;!channel&gt; &amp; *b*");
        let blocks = &message["attachments"][0]["blocks"];
        assert_eq!(message["attachments"][0]["color"], "#e01e5a");
        assert_eq!(blocks[0]["text"]["type"], "plain_text");
        assert_eq!(blocks[0]["text"]["text"], "[critical] <!channel> & *b*");
        assert_eq!(blocks[1]["text"]["text"], "It is down.");
        assert_eq!(blocks[2]["text"]["text"], "address: 10.0.0.2");
        assert!(!message.to_string().contains("\"mrkdwn\":true"));
    }

    #[test]
    fn long_alerts_keep_to_the_limits() {
        let mut long = alert();
        long.title = "&".repeat(5000);
        long.text = "\u{1f600}".repeat(5000);
        long.facts = vec![("a".repeat(4000), String::new()); 40];
        long.resolved = true;
        let message = message("C1", &long);
        let units = |value: &Value| value.as_str().unwrap().encode_utf16().count();
        assert!(units(&message["text"]) <= 1000);
        let attachment = &message["attachments"][0];
        assert_eq!(attachment["color"], "#2eb67d");
        assert_eq!(units(&attachment["blocks"][0]["text"]["text"]), 150);
        assert!(units(&attachment["blocks"][1]["text"]["text"]) <= 3000);
        assert!(units(&attachment["blocks"][2]["text"]["text"]) <= 3000);
        // An empty text would be refused.
        long.text = " ".to_owned();
        long.facts.clear();
        let short = super::message("C1", &long);
        assert_eq!(
            short["attachments"][0]["blocks"].as_array().unwrap().len(),
            2
        );
    }

    #[test]
    fn answers_are_understood() {
        let of = |error: &str| read(format!("{{\"ok\":false,\"error\":\"{error}\"}}").as_bytes());
        assert!(read(b"{\"ok\":true,\"ts\":\"1\"}").is_ok());
        assert!(matches!(of("invalid_auth"), Err(Error::Denied(_))));
        assert!(matches!(of("not_in_channel"), Err(Error::Invalid(_))));
        assert!(matches!(of("ratelimited"), Err(Error::Exhausted(_))));
        assert!(matches!(of("internal_error"), Err(Error::Other(_))));
        assert!(matches!(of("invalid_blocks"), Err(Error::Unsupported(_))));
        assert!(matches!(read(b"<html>"), Err(Error::Other(_))));
    }
}
