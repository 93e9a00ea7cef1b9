//! Who is let into a setup, as browsers and those who would like to be one see it.

mod cluster;
mod parts;
mod several;

use skep_tests::agent::Agent;
use skep_tests::raw;

use super::services::NO_MODEL;

/// The secret of a link that was made just now.
fn secret(agent: &Agent) -> String {
    let (done, link, said) = agent.skep(&["setup", "link"], "").unwrap();
    assert!(done, "{said}");
    let (address, secret) = link.trim().split_once("/#setup=").unwrap();
    assert_eq!(address, format!("http://{}", agent.address()));
    secret.to_owned()
}

/// What `POST /api/v1/session` answers: its status, and the cookie if it gives one.
fn sign_in(agent: &Agent, fields: &str, body: &str) -> (u16, Option<String>) {
    let to = agent.address();
    let length = body.len();
    let request = format!(
        "POST /api/v1/session HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n{fields}content-length: {length}\r\n\r\n{body}"
    );
    let patience = std::time::Duration::from_secs(10);
    let heard = raw::say(to, request.as_bytes(), patience).unwrap();
    let cookie = heard.text.lines().find_map(|line| {
        let field = line.strip_prefix("set-cookie: ")?;
        field.split(';').next().map(str::to_owned)
    });
    (heard.statuses()[0], cookie)
}

fn with_secret(secret: &str) -> String {
    serde_json::json!({ "secret": secret }).to_string()
}

/// Only the secret opens, once, from our own page, while it is the newest; the cookie that it gives changes nothing without
/// what only our page sends, and nothing at all once it was signed out, also after a restart.
#[test]
fn only_whoever_holds_the_link_gets_in_and_only_once() {
    let mut agent = Agent::start(&[NO_MODEL]).unwrap();
    let to = agent.address();
    let show = |agent: &Agent, fields: &str| {
        raw::request(agent.address(), "GET", "/api/v1/session", fields, "").unwrap()
    };
    let (status, body) = show(&agent, "");
    assert_eq!(status, 200);
    for part in [
        r#""signed_in":false"#,
        r#""setup":"open""#,
        r#""needs_key":false"#,
    ] {
        assert!(body.contains(part), "{body}");
    }
    let stale = secret(&agent);
    let fresh = secret(&agent);

    // A page of another origin, a name that was pointed here, a link that is not the newest one, guesses.
    let foreign = "origin: https://evil.example\r\nsec-fetch-site: cross-site\r\n";
    assert_eq!(sign_in(&agent, foreign, &with_secret(&fresh)).0, 403);
    let body = with_secret(&fresh);
    let rebound = format!(
        "POST /api/v1/session HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let patience = std::time::Duration::from_secs(10);
    let heard = raw::say(to, rebound.as_bytes(), patience).unwrap();
    assert_eq!(heard.statuses(), [421], "{}", heard.text);
    for wrong in [
        with_secret(&stale),
        with_secret(""),
        with_secret(&"A".repeat(32)),
        r#"{"key":"sk-skep-no"}"#.to_owned(),
    ] {
        let (status, cookie) = sign_in(&agent, "", &wrong);
        assert_eq!((status, cookie), (401, None), "{wrong}");
    }
    assert_eq!(sign_in(&agent, "", "{}").0, 400);

    let own = format!("origin: http://{to}\r\nsec-fetch-site: same-origin\r\n");
    let (status, cookie) = sign_in(&agent, &own, &with_secret(&fresh));
    assert_eq!(status, 204);
    let cookie = format!("cookie: {}\r\n", cookie.unwrap());
    assert_eq!(
        sign_in(&agent, &own, &with_secret(&fresh)).0,
        401,
        "used twice"
    );
    assert!(show(&agent, &cookie).1.contains(r#""signed_in":true"#));

    // With the cookie alone nothing is changed, whoever made the browser send it.
    let csrf = "x-skep-csrf: 1\r\n";
    let key = |fields: &str, name: &str| {
        let body = format!(r#"{{"name":"{name}"}}"#);
        raw::request(to, "POST", "/api/v1/keys", fields, &body)
            .unwrap()
            .0
    };
    assert_eq!(key("", "nobody"), 401);
    assert_eq!(key(&cookie, "form"), 403);
    assert_eq!(key(&format!("{cookie}{own}"), "page"), 403);
    assert_eq!(key(&format!("{cookie}{csrf}"), "script"), 403);
    assert_eq!(key(&format!("{cookie}{csrf}{foreign}"), "foreign"), 403);
    let ours = format!("{cookie}{csrf}{own}");
    assert_eq!(key(&ours, "ours"), 200);

    // A restart forgets neither the session nor that the link was used.
    agent.restart(&[NO_MODEL]).unwrap();
    assert!(show(&agent, &cookie).1.contains(r#""signed_in":true"#));
    assert_eq!(sign_in(&agent, "", &with_secret(&fresh)).0, 401);
    let to = agent.address();
    let ours = format!("{cookie}{csrf}origin: http://{to}\r\n");
    let out = raw::request(to, "DELETE", "/api/v1/session", &cookie, "").unwrap();
    assert_eq!(out.0, 403);
    let out = raw::request(to, "DELETE", "/api/v1/session", &ours, "").unwrap();
    assert_eq!(out.0, 204);
    assert!(
        show(&agent, &cookie).1.contains(r#""signed_in":false"#),
        "replayed"
    );
    let listed = raw::request(to, "GET", "/api/v1/keys", &cookie, "").unwrap();
    assert_eq!(listed.0, 401);
    // Neither a link nor a cookie is in the log.
    let log = std::fs::read_to_string(agent.home().join("state/skep.log")).unwrap_or_default();
    let value = cookie.split('=').nth(1).unwrap().trim();
    for kept in [fresh.as_str(), value] {
        assert!(!log.contains(kept));
        for file in ["state/setup.json", "state/sessions.json"] {
            let text = std::fs::read_to_string(agent.home().join(file)).unwrap();
            assert!(!text.contains(kept), "{file}");
        }
    }
}

/// Who guesses has to wait, and is told for how long; a right link does not help meanwhile.
#[test]
fn guessing_is_slow() {
    let agent = Agent::start(&[NO_MODEL]).unwrap();
    let link = secret(&agent);
    let guesses = (0..20).map(|_| sign_in(&agent, "", &with_secret("guess")).0);
    let guesses: Vec<u16> = guesses.collect();
    assert_eq!(guesses[..10], [401; 10]);
    assert_eq!(guesses[10..], [429; 10]);
    assert_eq!(sign_in(&agent, "", &with_secret(&link)).0, 429);
}
