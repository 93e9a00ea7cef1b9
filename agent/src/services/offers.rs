//! What an upstream's list of models becomes here: which are exposed, and what clients call them.
//!
//! Decides by the operator's patterns; what comes from elsewhere is bounded. Refuses to know whether another replica has
//! the same name.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Service;
use crate::limits::{OFFER_NAME_BYTES_MAX, OFFERS_MAX};
use crate::protocol::{ModelInfo, Offer};

/// A model that an upstream answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exposed {
    /// What clients call it.
    pub(super) name: Arc<str>,
    /// What the upstream calls it.
    pub(super) id: Arc<str>,
    pub(super) info: Option<ModelInfo>,
}

/// What is exposed of a list, in its order.
pub(super) fn exposed(service: &Service, offers: Vec<Offer>) -> Vec<Exposed> {
    let mut seen = BTreeSet::new();
    let mut exposed = Vec::new();
    for offer in offers {
        let wanted = service.models.is_empty()
            || service
                .models
                .iter()
                .any(|pattern| matches(pattern, &offer.id));
        let name = if service.prefix {
            format!("{}/{}", service.name, offer.id)
        } else {
            offer.id.clone()
        };
        let fits = (1..=OFFER_NAME_BYTES_MAX).contains(&name.len())
            && crate::host::printable(&name) == name
            && !offer.id.is_empty();
        if !wanted || !fits || exposed.len() >= OFFERS_MAX || !seen.insert(offer.id.clone()) {
            continue;
        }
        exposed.push(Exposed {
            name: name.into(),
            id: offer.id.into(),
            info: offer.info,
        });
    }
    exposed
}

/// Whether a name fits a pattern, in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    // There is always a first part.
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::Kind;

    #[test]
    fn patterns() {
        for (pattern, name, expect) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-*", "gpt-4o", true),
            ("*", "", true),
            ("*:latest", "qwen:latest", true),
            ("*:latest", "qwen:latest2", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("a*a", "a", false),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, name), expect, "{pattern} {name}");
        }
    }

    #[test]
    fn what_comes_from_elsewhere_is_bounded() {
        let mut service = Service {
            kind: Kind::Upstream,
            name: "up".into(),
            plugin: "p".into(),
            settings: [].into(),
            models: vec!["m*".into()],
            prefix: true,
            timeout_s: None,
            added_unix_s: 0,
        };
        let offer = |id: &str| Offer {
            id: id.into(),
            info: None,
        };
        let long = "m".repeat(OFFER_NAME_BYTES_MAX);
        let offers = vec![
            offer("m1"),
            offer("m1"),
            offer("x"),
            offer("m\u{1b}"),
            offer(&long),
        ];
        let names = |service: &Service, offers| {
            let exposed = exposed(service, offers);
            exposed
                .iter()
                .map(|e| e.name.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&service, offers), ["up/m1"]);
        service.prefix = false;
        let many = (0..OFFERS_MAX * 2).map(|n| offer(&format!("m{n}")));
        assert_eq!(names(&service, many.collect()).len(), OFFERS_MAX);
    }
}
