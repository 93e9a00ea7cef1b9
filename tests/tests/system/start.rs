//! Starting, stopping, and what is said when the agent cannot start.

use std::time::{Duration, Instant};

use skep_tests::agent::{Agent, fail_to_start};
use skep_tests::raw;

/// Starts that fail say what to do and end with a code that a supervisor understands.
#[test]
fn a_start_that_fails_says_why() {
    let check = |settings: &[(&str, &str)], code: i32, parts: &[&str]| {
        let home = tempfile::tempdir().unwrap();
        let (found, said) = fail_to_start(home.path(), settings).unwrap();
        assert_eq!(found, Some(code), "{said}");
        for part in parts {
            assert!(said.contains(part), "`{part}` is not in: {said}");
        }
    };
    check(
        &[("SKEP_HTTP_LISTEN", "0.0.0.0:0")],
        78,
        &["without TLS", "http.tls_certificate", "http.tls_key"],
    );
    check(
        &[("SKEP_HTTP_CONNECTIONS_MAX", "no")],
        78,
        &["SKEP_HTTP_CONNECTIONS_MAX"],
    );
    check(
        &[("SKEP_HTTP_LISTN", "x")],
        78,
        &["SKEP_HTTP_LISTN", "listen"],
    );
    check(
        &[("SKEP_CONFIG", "/nonexistent.toml")],
        78,
        &["/nonexistent.toml"],
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check(
        &[("SKEP_HTTP_LISTEN", &address)],
        75,
        &[&address, "--listen"],
    );
    check(
        &[
            ("SKEP_HTTP_LISTEN", "0.0.0.0:0"),
            ("SKEP_HTTP_TLS_CERTIFICATE", "/nonexistent.pem"),
            ("SKEP_HTTP_TLS_KEY", "/nonexistent.pem"),
        ],
        78,
        &["certificate", "/nonexistent.pem"],
    );
}

#[test]
fn a_home_has_one_agent_and_survives_it() {
    let mut agent = Agent::start(&[]).unwrap();
    let (code, said) = fail_to_start(agent.home(), &[]).unwrap();
    assert_eq!(code, Some(75), "{said}");
    assert!(said.contains(&format!("process {}", agent.pid())), "{said}");
    assert!(agent.is_alive().unwrap());

    let home = agent.home().to_owned();
    let file = |name: &str| std::fs::read_to_string(home.join(name)).unwrap();
    let before = (file("state/identity.pem"), file("state/keys.json"));
    let asked = Instant::now();
    agent.signal("TERM").unwrap();
    assert_eq!(agent.wait().unwrap().code(), Some(0));
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    let after = (file("state/identity.pem"), file("state/keys.json"));
    assert_eq!(before, after);
    assert!(!home.join("run/endpoint.json").exists());
}

/// Answers that are under way finish; new connections are refused at once.
#[test]
fn stopping_does_not_wait_for_idle_connections() {
    let mut agent = Agent::start(&[]).unwrap();
    let mut idle = raw::connect(agent.address()).unwrap();
    let asked = Instant::now();
    agent.signal("INT").unwrap();
    assert_eq!(agent.wait().unwrap().code(), Some(0));
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    assert!(
        raw::listen(&mut idle, Duration::from_secs(1))
            .unwrap()
            .closed
    );
}
