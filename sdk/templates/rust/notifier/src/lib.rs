//! A notifier: each alert as plain text to a URL.

use skep_sdk::http::Request;
use skep_sdk::notifier::{Alert, Error, Notifier, Settings, accepted};

/// The notifier.
pub struct Bell;

impl Notifier for Bell {
    fn notify(settings: Settings, alert: Alert) -> Result<(), Error> {
        let response = Request::post(settings.need("url")?)
            .header("content-type", "text/plain; charset=utf-8")
            .body(text(&alert))
            .send()?;
        accepted(response, "the receiver", "url")?;
        Ok(())
    }
}

fn text(alert: &Alert) -> String {
    format!("{}\n\n{}", alert.headline(), alert.plain())
}

skep_sdk::notifier!(Bell);

#[cfg(test)]
mod tests {
    use skep_sdk::notifier::Severity;

    use super::*;

    #[test]
    fn the_title_is_the_first_line() {
        let alert = Alert {
            id: "node/b".into(),
            kind: "node.down".into(),
            severity: Severity::Critical,
            title: "node b is down".into(),
            text: "Nobody hears of it any more.".into(),
            resolved: false,
            at_unix_s: 0,
            cluster: "home".into(),
            node: Some("b".into()),
            facts: Vec::new(),
        };
        let text = text(&alert);
        assert!(text.starts_with("[critical] node b is down\n\nNobody hears"), "{text}");
    }
}
