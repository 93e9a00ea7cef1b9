//! Alerts by mail, through a server that the host speaks to.
//!
//! Decides the subject and the text of a message, and what the settings mean. Refuses to know SMTP and passwords; addresses are
//! the host's to check.
#![warn(missing_docs)]

use skep_sdk::mail::{Message, Security, Server, send};
use skep_sdk::notifier::{Alert, Error, Notifier, Settings};

/// The notifier.
#[derive(Debug)]
pub struct Email;

impl Notifier for Email {
    fn notify(settings: Settings, alert: Alert) -> Result<(), Error> {
        let server = server(&settings)?;
        let message = Message {
            sender: settings.need("from")?.to_owned(),
            recipients: recipients(settings.need("to")?)?,
            subject: subject(&alert),
            body: body(&alert),
        };
        let password = settings.secret("password")?;
        send(&server, password.as_ref(), &message)
    }
}

fn server(settings: &Settings) -> Result<Server, Error> {
    let wrong = || {
        Error::invalid(
            "server",
            "the setting `server` is a server and its port: smtp.example.org:587",
        )
    };
    let text = settings.need("server")?;
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let port = port.parse().ok().filter(|&port| port > 0);
    if host.is_empty() {
        return Err(wrong());
    }
    Ok(Server {
        host: host.to_owned(),
        port: port.ok_or_else(wrong)?,
        security: match settings.get("security").unwrap_or("starttls") {
            "starttls" => Security::Starttls,
            "tls" => Security::Tls,
            "none" => Security::None,
            _ => {
                return Err(Error::invalid(
                    "security",
                    "the setting `security` is `starttls`, `tls` or `none`",
                ));
            }
        },
        user: settings.get("user").map(str::to_owned),
    })
}

fn recipients(text: &str) -> Result<Vec<String>, Error> {
    let all: Vec<_> = text
        .split(',')
        .map(str::trim)
        .filter(|address| !address.is_empty())
        .map(str::to_owned)
        .collect();
    if all.is_empty() || all.len() > RECIPIENTS_MAX {
        return Err(Error::invalid(
            "to",
            format!("the setting `to` names 1 to {RECIPIENTS_MAX} addresses, with commas between"),
        ));
    }
    Ok(all)
}

/// One line, whatever the title holds.
fn subject(alert: &Alert) -> String {
    let whole = format!("{} ({})", alert.headline(), alert.cluster);
    let mut line: String = whole
        .chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect();
    if line.len() > SUBJECT_BYTES_MAX {
        let mut end = SUBJECT_BYTES_MAX - '…'.len_utf8();
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
        line.push('…');
    }
    line
}

fn body(alert: &Alert) -> String {
    let title = &alert.title;
    let severity = alert.severity.word();
    let state = if alert.resolved {
        "This is over now."
    } else {
        "This goes on."
    };
    let plain = skep_sdk::notifier::cut(&alert.plain(), BODY_MAX);
    format!(
        "{title}\n\n{plain}\n\nSeverity: {severity}. {state}\nKind: {}\nIdentity: {}\n",
        alert.kind, alert.id
    )
}

/// What the contract takes.
const RECIPIENTS_MAX: usize = 100;
/// A line of a message has at most 998 bytes (RFC 5322, section 2.1.1), and some of them are the field's name; what is not
/// ASCII takes three times its bytes there.
const SUBJECT_BYTES_MAX: usize = 240;
/// Nobody reads more by mail; the contract takes a megabyte.
const BODY_MAX: usize = 100_000;

skep_sdk::notifier!(Email);

#[cfg(test)]
mod tests {
    use super::*;
    use skep_sdk::notifier::Severity;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let owned = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings {
            values: owned.collect(),
        }
    }

    #[test]
    fn servers_are_read() {
        let of = |text: &str| server(&settings(&[("server", text)])).map(|it| (it.host, it.port));
        assert_eq!(
            of("smtp.example.org:587").unwrap(),
            ("smtp.example.org".to_owned(), 587)
        );
        assert_eq!(of("[::1]:25").unwrap(), ("::1".to_owned(), 25));
        for wrong in ["smtp.example.org", ":25", "a:0", "a:70000", "a:b", ""] {
            assert!(matches!(of(wrong), Err(Error::Invalid(_))), "{wrong}");
        }
        let tls = server(&settings(&[("server", "a:465"), ("security", "tls")])).unwrap();
        assert!(matches!(tls.security, Security::Tls));
        assert!(server(&settings(&[("server", "a:465"), ("security", "maybe")])).is_err());
    }

    #[test]
    fn recipients_are_read() {
        assert_eq!(
            recipients(" a@b.c, ,D <d@e.f>").unwrap(),
            ["a@b.c", "D <d@e.f>"]
        );
        assert!(recipients(" , ").is_err());
        assert!(recipients(&"a@b.c,".repeat(101)).is_err());
    }

    #[test]
    fn a_subject_is_one_line_that_fits() {
        let mut alert = Alert {
            id: "7".to_owned(),
            kind: "node.down".to_owned(),
            severity: Severity::Critical,
            title: "b is down\r\nBcc: x@y.z".to_owned(),
            text: String::new(),
            cluster: "home".to_owned(),
            node: None,
            at_unix_s: 60,
            resolved: false,
            facts: Vec::new(),
        };
        assert_eq!(subject(&alert), "[critical] b is down  Bcc: x@y.z (home)");
        assert!(body(&alert).contains("Severity: critical. This goes on."));
        alert.title = "ü".repeat(2000);
        assert!(subject(&alert).len() <= 240);
        assert!(subject(&alert).ends_with('…'));
        alert.resolved = true;
        assert!(body(&alert).contains("This is over now."));
    }
}
