//! Where a request goes, and what may not be said on the way.

use super::*;

fn target(text: &str) -> Option<(String, u16, bool)> {
    let uri: Uri = text.parse().ok()?;
    let target = Target::of(&uri).ok()?;
    Some((target.host.to_string(), target.port, target.tls))
}

#[test]
fn an_address_is_read_in_one_way_or_not_at_all() {
    for (text, host, port, tls) in [
        ("http://example.org/", "example.org", 80, false),
        ("https://EXAMPLE.org./a?b", "example.org", 443, true),
        ("https://example.org:8443", "example.org", 8443, true),
        ("http://[::1]:1/", "::1", 1, false),
        ("http://[::ffff:127.0.0.1]/", "127.0.0.1", 80, false),
    ] {
        assert_eq!(target(text), Some((host.to_owned(), port, tls)), "{text}");
    }
    for text in [
        "/path",
        "example.org:80",
        "ftp://example.org/",
        "http://user@example.org/",
        "http://user:word@example.org/",
        "http://example.org:/",
        "http://example.org:0/",
        "http://example.org:080/",
        "http://example.org:65536/",
        "http://*.example.org/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://1.2.3.04/",
        "http://a..b/",
        "http://exa_mple-.org/",
        "http://[::1%25lo]/",
    ] {
        assert_eq!(target(text), None, "{text}");
    }
}

#[test]
fn a_host_is_named_as_it_was_checked() {
    for (text, said) in [
        ("http://EXAMPLE.org.:80/", "example.org"),
        ("https://example.org:80/", "example.org:80"),
        ("http://[::1]:8080/", "[::1]:8080"),
    ] {
        let target = Target::of(&text.parse().unwrap()).unwrap();
        assert_eq!(target.authority().unwrap(), said, "{text}");
    }
}

#[test]
fn nobody_else_says_where_a_message_ends() {
    for name in FORBIDDEN_HEADERS {
        let refused = name != header::HOST;
        let mut headers = HeaderMap::new();
        headers.insert(name.clone(), HeaderValue::from_static("x"));
        assert_eq!(check(&Method::GET, &headers).is_err(), refused, "{name}");
    }
    let mut headers = HeaderMap::new();
    headers.append(header::CONTENT_LENGTH, HeaderValue::from_static("1"));
    assert!(check(&Method::POST, &headers).is_ok());
    headers.append(header::CONTENT_LENGTH, HeaderValue::from_static("1"));
    assert!(check(&Method::POST, &headers).is_err());
    assert!(check(&Method::CONNECT, &HeaderMap::new()).is_err());
}
