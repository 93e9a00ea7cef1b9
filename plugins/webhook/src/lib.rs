//! Alerts as JSON to a URL: one object for each, with the names of the contract.
//!
//! Decides the object's shape. Refuses to know who reads it. A secret can go along in a header; a signature over the body would
//! need its text, which no plugin sees.
#![warn(missing_docs)]

use std::collections::BTreeMap;

use serde::Serialize;
use skep_sdk::http::Request;
use skep_sdk::notifier::{Alert, Error, Notifier, Settings, accepted};

/// The notifier.
#[derive(Debug)]
pub struct Webhook;

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    kind: &'a str,
    severity: &'a str,
    resolved: bool,
    title: &'a str,
    text: &'a str,
    cluster: &'a str,
    node: Option<&'a str>,
    at: String,
    at_unix_s: u64,
    facts: BTreeMap<&'a str, &'a str>,
}

impl Notifier for Webhook {
    fn notify(settings: Settings, alert: Alert) -> Result<(), Error> {
        let mut request = Request::post(settings.need("url")?)
            .header("user-agent", concat!("skep/", env!("CARGO_PKG_VERSION")))
            .json(body(&alert)?);
        if let Some(key) = settings.secret("key")? {
            let header = settings.get("key-header").unwrap_or(AUTHORIZATION);
            let prefix = if header.eq_ignore_ascii_case(AUTHORIZATION) {
                "Bearer "
            } else {
                ""
            };
            request = request.secret(header, prefix, &key);
        }
        accepted(request.send()?, "the receiver", "url")?;
        Ok(())
    }
}

fn body(alert: &Alert) -> Result<Vec<u8>, Error> {
    let facts = alert.facts.iter();
    serde_json::to_vec(&Body {
        id: &alert.id,
        kind: &alert.kind,
        severity: alert.severity.word(),
        resolved: alert.resolved,
        title: &alert.title,
        text: &alert.text,
        cluster: &alert.cluster,
        node: alert.node.as_deref(),
        at: alert.at_rfc3339(),
        at_unix_s: alert.at_unix_s,
        facts: facts
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect(),
    })
    .map_err(|error| Error::Other(error.to_string()))
}

const AUTHORIZATION: &str = "authorization";

skep_sdk::notifier!(Webhook);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use skep_sdk::notifier::Severity;

    #[test]
    fn everything_is_in_the_object() {
        let alert = Alert {
            id: "7".to_owned(),
            kind: "device.lost".to_owned(),
            severity: Severity::Warning,
            title: "a \"card\" is lost".to_owned(),
            text: "line\nline".to_owned(),
            cluster: "home".to_owned(),
            node: None,
            at_unix_s: 60,
            resolved: true,
            facts: vec![("uuid".to_owned(), "GPU-1".to_owned())],
        };
        let body: Value = serde_json::from_slice(&body(&alert).unwrap()).unwrap();
        assert_eq!(
            body,
            json!({"id": "7", "kind": "device.lost", "severity": "warning", "resolved": true,
                "title": "a \"card\" is lost", "text": "line\nline", "cluster": "home", "node": null,
                "at": "1970-01-01T00:01:00Z", "at_unix_s": 60, "facts": {"uuid": "GPU-1"}})
        );
    }
}
