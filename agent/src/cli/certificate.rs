//! `skep certificate`: what callers are shown, how long it holds, and having it renewed.

use super::figures;
use super::terminal::{Paint, printable, say};
use super::waiting::Waiting;
use super::{Failure, print_json};
use crate::client::Client;
use crate::keys::unix_now_s;
use crate::wire::{Certificate, RenewWish};

pub(super) fn show(client: &Client, json: bool) -> Result<(), Failure> {
    let found: Certificate = client.get("/api/v1/certificate")?;
    if json {
        return print_json(&found);
    }
    Ok(say(render(&found, Paint::for_stdout(), unix_now_s()))?)
}

pub(super) fn renew(client: &Client, force: bool, json: bool) -> Result<(), Failure> {
    let waiting = Waiting::begin("asking the authority");
    let renewed = client.post("/api/v1/certificate/renew", &RenewWish { force });
    drop(waiting);
    let renewed: Certificate = renewed?;
    if json {
        return print_json(&renewed);
    }
    Ok(say(render(&renewed, Paint::for_stdout(), unix_now_s()))?)
}

pub(super) fn render(found: &Certificate, paint: Paint, now: u64) -> String {
    let mut lines = vec![match (found.source.as_str(), &found.path) {
        ("acme", _) => format!(
            "{} for {}, by {}",
            paint.bold("a certificate by ACME"),
            printable(&found.names.join(", ")),
            printable(found.issuer.as_deref().unwrap_or("nobody known"))
        ),
        ("own", _) => format!(
            "{}: browsers warn of it",
            paint.bold("a certificate that was made here")
        ),
        ("file", Some(path)) => {
            format!("{} `{}`", paint.bold("the certificate in"), printable(path))
        }
        _ => "there is no certificate: only this machine reaches the agent, without TLS".to_owned(),
    }];
    if let Some(until) = found.valid_until_unix_s {
        lines.push(match until.checked_sub(now).filter(|left| *left > 0) {
            Some(left) => format!("holds for {}", figures::span(left)),
            None => paint.red("has ended".to_owned()),
        });
    }
    let Some(acme) = &found.acme else {
        return lines.join("\n");
    };
    lines.push(format!(
        "asked for at {}: {}",
        printable(&acme.directory),
        printable(&acme.names.join(", "))
    ));
    if !acme.terms_agreed {
        let at = acme
            .terms
            .as_deref()
            .map_or_else(String::new, |url| format!(" ({})", printable(url)));
        lines.push(paint.yellow(format!(
            "nothing is asked for before its terms{at} are agreed to: `http.acme_terms_agreed = true`"
        )));
    } else if let Some(terms) = &acme.terms {
        lines.push(format!(
            "its terms, which were agreed to: {}",
            printable(terms)
        ));
    }
    if let Some(why) = &acme.why {
        lines.push(paint.red(format!("the last attempt failed: {}", printable(why))));
        if let Some(remedy) = &acme.remedy {
            lines.push(format!("to mend it: {}", printable(remedy)));
        }
    }
    lines.push(match acme.next_unix_s {
        _ if acme.under_way => "the authority is being asked now".to_owned(),
        Some(next) if next > now => format!("is asked again in {}", figures::span(next - now)),
        Some(_) => "is asked again now".to_owned(),
        None => "is not asked".to_owned(),
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::AcmeStanding;

    #[test]
    fn it_says_what_is_shown_and_what_failed() {
        let mut found = Certificate {
            source: "acme".into(),
            names: vec!["hive.example.org".into()],
            issuer: Some("R11".into()),
            valid_from_unix_s: Some(0),
            valid_until_unix_s: Some(86_400 * 60),
            path: None,
            acme: Some(AcmeStanding {
                directory: "https://acme.example/dir".into(),
                names: vec!["hive.example.org".into()],
                contact: None,
                terms: Some("https://acme.example/terms".into()),
                terms_agreed: true,
                under_way: false,
                failures: 1,
                tried_unix_s: Some(1),
                next_unix_s: Some(600),
                why: Some("the authority was not reached\u{1b}[31m".into()),
                remedy: Some("look".into()),
            }),
        };
        let text = render(&found, Paint::none(), 300);
        for part in [
            "hive.example.org",
            "R11",
            "holds for",
            "not reached",
            "to mend it: look",
            "again in",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
        found.source = "none".into();
        found.acme = None;
        found.valid_until_unix_s = Some(1);
        let text = render(&found, Paint::none(), 300);
        assert!(
            text.contains("no certificate") && text.contains("has ended"),
            "{text}"
        );
    }
}
