//! A certificate that is not renewed.

use super::{facts, sentence};
use crate::acme::View;
use crate::alerts::Condition;
use crate::protocol::Severity;

/// From the first failure on: whoever is told late has browsers that warn.
pub(super) fn renewal(view: &View, here: &str, now: u64) -> Option<Condition> {
    let standing = &view.standing;
    let why = standing.why.as_deref()?;
    let left = view
        .given
        .as_ref()
        .map(|given| given.validity.left(now).as_secs());
    let (severity, state) = match left {
        None => (Severity::Warning, "there is none yet".to_owned()),
        Some(0) => (Severity::Critical, "the last one has ended".to_owned()),
        Some(left) => (
            if left < DAYS_LEFT * 86_400 {
                Severity::Critical
            } else {
                Severity::Warning
            },
            format!(
                "the one that is shown holds for {} more days",
                left / 86_400
            ),
        ),
    };
    let remedy = standing.remedy.as_deref().unwrap_or_default();
    Some(Condition {
        id: format!("certificate/{here}"),
        kind: "certificate.renewal".to_owned(),
        severity,
        title: format!("`{here}` gets no new certificate; {state}"),
        text: format!(
            "{} To mend it: {} `skep certificate` tells more, and `skep certificate renew` tries again.",
            sentence(why),
            sentence(remedy)
        ),
        node: Some(here.to_owned()),
        facts: facts([
            ("why", why.to_owned()),
            ("names", view.settings.names.join(", ")),
        ]),
    })
}

/// With fewer it is urgent.
const DAYS_LEFT: u64 = 3;
