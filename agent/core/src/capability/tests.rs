//! Grants as they are written, and what they cover.

use std::net::IpAddr;

use super::*;

fn grant(text: &str) -> Capability {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn place(text: &str) -> Place {
    match grant(text) {
        Capability::Http(place) | Capability::Mail(place) => place,
        Capability::Secret(_) => panic!("{text} is a secret"),
    }
}

fn covers(text: &str, host: &str, port: u16) -> bool {
    let host = host.parse().expect(host);
    place(text).covers(&host, port, &Capability::HTTP_PORTS)
}

#[test]
fn what_is_read_is_written_in_one_way() {
    for (written, kept) in [
        ("http:API.Example.org.", "http:api.example.org"),
        ("http:api.example.org:8443", "http:api.example.org:8443"),
        ("http:*.example.org", "http:*.example.org"),
        ("http-local:[::1]:80", "http-local:[::1]:80"),
        ("http-local:::1", "http-local:[::1]"),
        ("http-local:[::ffff:10.0.0.1]:1", "http-local:10.0.0.1:1"),
        ("mail:smtp.example.org:587", "mail:smtp.example.org:587"),
        ("mail-local:10.1.2.3:25", "mail-local:10.1.2.3:25"),
        ("secret:open-ai_1.key", "secret:open-ai_1.key"),
    ] {
        assert_eq!(grant(written).to_string(), kept);
        assert_eq!(grant(kept), grant(written));
    }
}

#[test]
fn what_is_wide_or_ambiguous_is_no_grant() {
    for text in [
        "",
        "http",
        "http:",
        "http:*",
        "http:*.",
        "http:*.org",
        "http:*com",
        "http:a.*.org",
        "http:example.org/path",
        "http://example.org",
        "http:https://example.org",
        "http:user@example.org",
        "http:example.org:0",
        "http:example.org:080",
        "http:example.org:65536",
        "http:example.org:",
        "http:example..org",
        "http:-a.org",
        "http:exa mple.org",
        "http:exämple.org",
        "http:127.1",
        "http:2130706433",
        "http:0x7f000001",
        "http:017700000001",
        "http:1.2.3.04",
        "http:[::1",
        "http:[::1%lo]",
        "http:example.org\n",
        "mail:smtp.example.org",
        "secret:",
        "secret:../key",
        "secret:.hidden",
        "file:/etc/passwd",
        "HTTP:example.org",
    ] {
        assert!(text.parse::<Capability>().is_err(), "{text:?}");
    }
    let long = format!("http:{}.org", "a".repeat(64));
    assert!(long.parse::<Capability>().is_err());
}

#[test]
fn a_grant_covers_what_it_names_and_no_more() {
    assert!(covers("http:example.org", "Example.ORG", 443));
    assert!(covers("http:example.org", "example.org.", 80));
    assert!(!covers("http:example.org", "example.org", 8080));
    assert!(!covers("http:example.org:8080", "example.org", 443));
    assert!(!covers("http:example.org", "api.example.org", 443));
    assert!(!covers("http:example.org", "example.org.evil.net", 443));
    assert!(covers("http:*.example.org", "a.b.example.org", 443));
    assert!(!covers("http:*.example.org", "example.org", 443));
    assert!(!covers("http:*.example.org", "evilexample.org", 443));
    assert!(covers("http-local:127.0.0.1:1", "::ffff:127.0.0.1", 1));
}

#[test]
fn addresses_are_whose_they_are() {
    let reach = |text: &str| Reach::of(text.parse::<IpAddr>().expect(text));
    for local in [
        "10.0.0.1",
        "127.0.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "100.64.0.1",
        "198.18.0.1",
        "::1",
        "fd12::1",
        "::ffff:192.168.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:db8::1",
    ] {
        assert_eq!(reach(local), Reach::Local, "{local}");
    }
    for never in [
        "0.0.0.0",
        "169.254.169.254",
        "169.254.0.1",
        "fd00:ec2::254",
        "fe80::1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::",
        "ff02::1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "64:ff9b:1::1",
        "2001::1",
        "::2",
    ] {
        assert_eq!(reach(never), Reach::Never, "{never}");
    }
    for public in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111"] {
        assert_eq!(reach(public), Reach::Public, "{public}");
    }
}

#[test]
fn a_public_grant_reaches_no_address_of_the_own_network() {
    let public = place("http:example.org");
    let local = place("http-local:example.org");
    let address = |text: &str| text.parse::<IpAddr>().expect(text);
    assert!(public.reaches(address("1.1.1.1")) && local.reaches(address("1.1.1.1")));
    assert!(!public.reaches(address("10.0.0.1")) && local.reaches(address("10.0.0.1")));
    assert!(!public.reaches(address("169.254.169.254")));
    assert!(!local.reaches(address("169.254.169.254")));
}

#[test]
fn grants_are_said_in_words() {
    assert_eq!(
        grant("http:*.example.org").in_words(),
        "send requests to every host below `example.org`"
    );
    assert_eq!(
        grant("http-local:127.0.0.1:11434").in_words(),
        "send requests to `127.0.0.1` on port 11434, in your own network or on this machine"
    );
    assert_eq!(
        grant("secret:a").in_words(),
        "use the secret `a`, which it cannot read"
    );
}
