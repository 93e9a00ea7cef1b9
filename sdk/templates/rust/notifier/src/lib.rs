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
