//! Alerts to a channel of Discord, by a bot.
//!
//! Decides how an alert looks there: one embed with a colour, the headline, the text and the facts, with all markup escaped and
//! no mention heeded. Refuses to know the bot's token, which the host puts into a header.
#![warn(missing_docs)]

use serde_json::{Value, json};
use skep_sdk::http::{Request, join};
use skep_sdk::notifier::{Alert, Error, Notifier, Settings, Severity, accepted, escaped};

/// The notifier.
#[derive(Debug)]
pub struct Discord;

impl Notifier for Discord {
    fn notify(settings: Settings, alert: Alert) -> Result<(), Error> {
        let base = settings.get("base-url").unwrap_or(BASE_URL);
        let channel = settings.need("channel")?;
        // It becomes a part of the path.
        if channel.len() > 20 || !channel.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::invalid(
                "channel",
                "the setting `channel` is the channel's identity, a number",
            ));
        }
        let token = settings.secret("token")?;
        let token =
            token.ok_or_else(|| Error::invalid("token", "the setting `token` is missing"))?;
        let response = Request::post(join(base, &format!("channels/{channel}/messages")))
            .secret("authorization", "Bot ", &token)
            // Discord asks for this form.
            .header(
                "user-agent",
                concat!("DiscordBot (skep, ", env!("CARGO_PKG_VERSION"), ")"),
            )
            .json(message(&alert).to_string())
            .send()?;
        accepted(response, "Discord", "channel")?;
        Ok(())
    }
}

/// What is posted.
fn message(alert: &Alert) -> Value {
    let color = match (alert.resolved, alert.severity) {
        (true, _) => 0x2e_b6_7d,
        (false, Severity::Info) => 0x36_c5_f0,
        (false, Severity::Warning) => 0xec_b2_2e,
        (false, Severity::Critical) => 0xe0_1e_5a,
    };
    let some = |text: &str, limit| {
        let made = escaped(text, limit, markup);
        // An empty one is refused.
        if made.trim().is_empty() {
            "–".to_owned()
        } else {
            made
        }
    };
    let facts = alert.facts.iter().take(FIELDS_MAX);
    let fields: Vec<_> = facts
        .map(|(name, value)| {
            json!({"name": some(name, NAME_MAX), "value": some(value, VALUE_MAX), "inline": true})
        })
        .collect();
    json!({
        "embeds": [{
            "title": escaped(&alert.headline(), TITLE_MAX, markup),
            "description": escaped(&alert.text, TEXT_MAX, markup),
            "color": color,
            "fields": fields,
            // Shown as it stands.
            "footer": {"text": skep_sdk::notifier::cut(&alert.foot(), FOOT_MAX)},
            "timestamp": alert.at_rfc3339(),
        }],
        "allowed_mentions": {"parse": []},
    })
}

/// Characters that begin markup somewhere in Discord's dialect of Markdown.
fn markup(character: char) -> Option<&'static str> {
    Some(match character {
        '\\' => "\\\\",
        '*' => "\\*",
        '_' => "\\_",
        '~' => "\\~",
        '`' => "\\`",
        '|' => "\\|",
        '>' => "\\>",
        '<' => "\\<",
        '#' => "\\#",
        '-' => "\\-",
        '[' => "\\[",
        ']' => "\\]",
        '(' => "\\(",
        ')' => "\\)",
        ':' => "\\:",
        '@' => "\\@",
        _ => return None,
    })
}

const BASE_URL: &str = "https://discord.com/api/v10";
/// Discord takes 256 characters of title, 4,096 of description, 256 and 1,024 of a field, 2,048 of footer, 25 fields, and
/// 6,000 of all together; these add up to no more than that.
const TITLE_MAX: usize = 256;
const TEXT_MAX: usize = 2900;
const FIELDS_MAX: usize = 8;
const NAME_MAX: usize = 64;
const VALUE_MAX: usize = 256;
const FOOT_MAX: usize = 280;

skep_sdk::notifier!(Discord);

#[cfg(test)]
mod tests {
    use super::*;

    fn alert() -> Alert {
        Alert {
            id: "7".to_owned(),
            kind: "node.down".to_owned(),
            severity: Severity::Warning,
            title: "@everyone **b**".to_owned(),
            text: "[x](http://a.example)".to_owned(),
            cluster: "home".to_owned(),
            node: Some("b".to_owned()),
            at_unix_s: 60,
            resolved: false,
            facts: vec![("address".to_owned(), String::new())],
        }
    }

    #[test]
    fn markup_is_escaped_and_nobody_is_mentioned() {
        let message = message(&alert());
        let embed = &message["embeds"][0];
        assert_eq!(embed["title"], "\\[warning\\] \\@everyone \\*\\*b\\*\\*");
        assert_eq!(embed["description"], "\\[x\\]\\(http\\://a.example\\)");
        assert_eq!(embed["fields"][0]["value"], "–");
        assert_eq!(embed["timestamp"], "1970-01-01T00:01:00Z");
        assert_eq!(message["allowed_mentions"], json!({"parse": []}));
    }

    #[test]
    fn long_alerts_keep_to_the_limits() {
        let mut long = alert();
        long.title = "*".repeat(5000);
        long.text = "\u{1f600}_".repeat(5000);
        long.cluster = "c".repeat(5000);
        long.facts = vec![("a".repeat(4000), "#".repeat(4000)); 40];
        let message = message(&long);
        let embed = &message["embeds"][0];
        let units = |value: &Value| value.as_str().unwrap().encode_utf16().count();
        let fields = embed["fields"].as_array().unwrap();
        let mut all = units(&embed["title"]) + units(&embed["description"]);
        all += units(&embed["footer"]["text"]);
        for field in fields {
            all += units(&field["name"]) + units(&field["value"]);
        }
        assert!(fields.len() <= 25 && units(&embed["title"]) <= 256);
        assert!(all <= 6000, "{all}");
    }
}
