//! Whether what is granted covers what is wanted.

use skep_core::capability::{Capability, Host, Place, Reach};

use super::Wanted;

/// Whether any of these grants lets a plugin do this.
pub(super) fn covers(granted: &[Capability], wanted: &Capability) -> bool {
    granted.iter().any(|grant| covers_one(grant, wanted))
}

/// What has to be granted before a service can work.
pub(super) fn missing(granted: &[Capability], wanted: &[Wanted]) -> Vec<Capability> {
    let needed = wanted.iter().filter(|wanted| !wanted.optional);
    needed
        .filter(|wanted| !covers(granted, &wanted.capability))
        .map(|wanted| wanted.capability.clone())
        .collect()
}

/// What is wanted, with a place on this machine or in its network named as such: nothing else reaches it.
pub(super) fn located(wanted: Capability) -> Capability {
    match wanted {
        Capability::Http(place) => Capability::Http(as_local(place)),
        Capability::Mail(place) => Capability::Mail(as_local(place)),
        Capability::Secret(name) => Capability::Secret(name),
    }
}

fn as_local(mut place: Place) -> Place {
    place.local |= match &place.host {
        Host::Address(address) => Reach::of(*address) == Reach::Local,
        Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Below(_) => false,
    };
    place
}

fn covers_one(granted: &Capability, wanted: &Capability) -> bool {
    match (granted, wanted) {
        (Capability::Http(granted), Capability::Http(wanted)) => {
            within(granted, wanted, &Capability::HTTP_PORTS)
        }
        (Capability::Mail(granted), Capability::Mail(wanted)) => within(granted, wanted, &[]),
        (granted, wanted) => granted == wanted,
    }
}

fn within(granted: &Place, wanted: &Place, usual: &[u16]) -> bool {
    let hosts = granted.host == wanted.host || granted.host.covers(&wanted.host);
    let ports = match (granted.port, wanted.port) {
        (None, Some(port)) => usual.contains(&port),
        (granted, wanted) => granted == wanted,
    };
    hosts && ports && (granted.local || !wanted.local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(granted: &str, wanted: &str, expect: bool) {
        let capability = |text: &str| text.parse::<Capability>().unwrap();
        let found = covers(&[capability(granted)], &located(capability(wanted)));
        assert_eq!(found, expect, "{granted} for {wanted}");
    }

    #[test]
    fn grants_cover_what_is_within_them() {
        check("http:api.example.org", "http:api.example.org:443", true);
        check("http:api.example.org", "http:api.example.org:8443", false);
        check("http:*.example.org", "http:api.example.org:443", true);
        check("http:*.example.org", "http:example.org:443", false);
        check("http:api.example.org:443", "http:api.example.org", false);
        check("http:127.0.0.1:8000", "http:127.0.0.1:8000", false);
        check("http-local:127.0.0.1:8000", "http:127.0.0.1:8000", true);
        check("http-local:localhost:8000", "http:localhost:8000", true);
        check("http:localhost:8000", "http:localhost:8000", false);
        check(
            "http-local:api.example.org",
            "http:api.example.org:80",
            true,
        );
        check(
            "mail:smtp.example.org:587",
            "mail:smtp.example.org:587",
            true,
        );
        check(
            "mail:smtp.example.org:587",
            "http:smtp.example.org:587",
            false,
        );
        check("secret:a", "secret:a", true);
        check("secret:a", "secret:b", false);
    }
}
