//! The certificate that is had by ACME.

use super::{Report, Severity};
use crate::acme::{Given, Standing};
use crate::config::AcmeSettings;

pub(super) fn look(
    report: &mut Report,
    settings: &AcmeSettings,
    (standing, given): &(Standing, Option<Given>),
    now: u64,
) {
    let names = settings.names.join(", ");
    if !settings.terms_agreed {
        let title = "no certificate is asked for before the authority's terms are agreed to";
        let finding = report.find(Severity::Error, "acme_terms", title);
        let terms = standing.terms.as_deref().filter(|terms| !terms.is_empty());
        finding.seen(format!(
            "the terms of {}: {}",
            settings.directory,
            terms.unwrap_or("not seen yet")
        ));
        finding.mend("read them; if you agree, set `http.acme_terms_agreed = true`, then start the agent anew");
        return;
    }
    let left = given
        .as_ref()
        .map(|given| given.validity.left(now).as_secs());
    let state = match left {
        None => format!("there is no certificate for {names} yet"),
        Some(0) => format!("the certificate for {names} has ended"),
        Some(left) => format!(
            "the certificate for {names} holds for {} more days",
            left / DAY_S
        ),
    };
    match (&standing.why, left) {
        (None, Some(left)) if left > 0 => report.well(state),
        (None, _) => {
            let finding = report.find(Severity::Warning, "acme_none", state);
            finding.seen("the agent has not asked the authority yet");
            finding.mend("skep up   (it asks by itself; `skep certificate` tells how it went)");
        }
        (Some(why), left) => {
            let severity = match left {
                Some(left) if left > SOON_S => Severity::Warning,
                _ => Severity::Error,
            };
            let finding = report.find(
                severity,
                "acme_failed",
                format!("{state}, and it was not renewed"),
            );
            finding.seen(why.clone());
            let attempts = standing.failures;
            finding.seen(format!("{attempts} attempts in a row failed"));
            if let Some(remedy) = &standing.remedy {
                finding.mend(format!("{remedy}; then `skep certificate renew`"));
            }
        }
    }
}

const DAY_S: u64 = 86_400;
const SOON_S: u64 = 7 * DAY_S;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_told_with_its_remedy() {
        let mut settings = AcmeSettings {
            names: vec!["hive.example.org".into()],
            directory: "https://acme.example/dir".into(),
            contact: None,
            terms_agreed: false,
            root: None,
        };
        let code = |settings: &AcmeSettings, standing: &Standing| {
            let mut report = Report::default();
            look(&mut report, settings, &(standing.clone(), None), 1);
            let finding = &report.findings[0];
            (finding.code, finding.mend.clone().unwrap_or_default())
        };
        let fresh = Standing::default();
        assert_eq!(code(&settings, &fresh).0, "acme_terms");
        settings.terms_agreed = true;
        assert_eq!(code(&settings, &fresh).0, "acme_none");
        let failed = Standing {
            failures: 2,
            why: Some("the authority was not reached".into()),
            remedy: Some("look".into()),
            ..fresh
        };
        let (code, mend) = code(&settings, &failed);
        assert_eq!(code, "acme_failed");
        assert!(mend.starts_with("look"), "{mend}");
    }
}
