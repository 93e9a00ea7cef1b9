//! Passwords that are kept here: who gets in, what each may do, and when that ends.

use super::*;

#[test]
fn a_user_signs_in_may_what_their_role_says_and_is_out_at_once() {
    let agent = Agent::start(&[NO_MODEL]).unwrap();
    add(&agent, "Ada", "admin", "correct horse\n");
    add(&agent, "bob", "member", "battery staple");
    let (done, listed, _) = agent.skep(&["user", "ls", "--json"], "").unwrap();
    assert!(done && !listed.contains("argon2"), "{listed}");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["users"][0]["name"], "ada");
    assert_eq!(listed["users"][0]["role"], "admin");

    // Wrong, nobody's, none, injected: one answer for all.
    let mut nobody = Browser::new(&agent);
    let mut answers = std::collections::BTreeSet::new();
    for (name, password) in [
        ("ada", "Correct horse"),
        ("eve", "correct horse"),
        ("ada", ""),
        ("*)(uid=*", "correct horse"),
    ] {
        let (status, said) = nobody.sign_in(name, password);
        assert_eq!(status, 401, "{name}: {said}");
        answers.insert(said.split_once("\r\n\r\n").unwrap().1.to_owned());
    }
    assert_eq!(answers.len(), 1, "{answers:?}");

    let mut ada = Browser::new(&agent);
    let mut bob = Browser::new(&agent);
    assert_eq!(ada.sign_in("ADA", "correct horse").0, 204);
    assert_eq!(bob.sign_in("bob", "battery staple").0, 204);
    assert_eq!((ada.user(), bob.user()), (json!("ada"), json!("bob")));

    // What a member may, and may not.
    for path in [
        "/api/v1/top",
        "/api/v1/models",
        "/api/v1/keys",
        "/v1/models",
    ] {
        assert_eq!(bob.get(path).0, 200, "{path}");
    }
    for path in [
        "/api/v1/users",
        "/api/v1/logs",
        "/api/v1/secrets",
        "/api/v1/setup",
    ] {
        let (status, said) = bob.get(path);
        assert_eq!(
            (status, &said["error"]["code"]),
            (403, &json!("admin_needed")),
            "{path}"
        );
    }
    let grab = json!({ "role": "admin" });
    assert_eq!(bob.post("/api/v1/users/bob/role", &grab).0, 403);
    assert_eq!(bob.post("/api/v1/setup/link", &json!({})).0, 403);
    assert_eq!(bob.ask("DELETE", "/api/v1/users/ada", "").0, 403);

    // A key of his has his rights, and is seen by him and by administrators only.
    let (status, made) = bob.post("/api/v1/keys", &json!({ "name": "bobs" }));
    assert_eq!((status, &made["key"]["owner"]), (200, &json!("bob")));
    let secret = made["secret"].as_str().unwrap().to_owned();
    let with_key = |method: &str, path: &str, body: &str| {
        let fields = format!("authorization: Bearer {secret}\r\n");
        raw::request(agent.address(), method, path, &fields, body)
            .unwrap()
            .0
    };
    assert_eq!(with_key("GET", "/v1/models", ""), 200);
    assert_eq!(with_key("GET", "/api/v1/logs", ""), 403);
    assert_eq!(with_key("POST", "/api/v1/users", "{}"), 403);
    assert_eq!(
        bob.get("/api/v1/keys").1["keys"].as_array().unwrap().len(),
        1
    );
    assert_eq!(
        ada.get("/api/v1/keys").1["keys"].as_array().unwrap().len(),
        2
    );
    assert_eq!(bob.ask("DELETE", "/api/v1/keys/first", "").0, 404);

    // His own password: the old one is needed, and every other session of his ends.
    let mut other = Browser::new(&agent);
    assert_eq!(other.sign_in("bob", "battery staple").0, 204);
    let change = |old: &str, new: &str| json!({ "password": old, "new": new });
    let path = "/api/v1/session/password";
    assert_eq!(bob.post(path, &change("battery", "paperclip wire")).0, 401);
    assert_eq!(bob.post(path, &change("battery staple", "short")).0, 400);
    assert_eq!(
        bob.post(path, &change("battery staple", "paperclip wire"))
            .0,
        204
    );
    assert_eq!(other.user(), Value::Null);
    assert_eq!(bob.sign_in("bob", "paperclip wire").0, 204);

    // Disabled: nothing that he has counts, until he is enabled; then he signs in anew.
    let (done, ..) = agent.skep(&["user", "disable", "bob"], "").unwrap();
    assert!(done);
    assert_eq!(bob.user(), Value::Null);
    assert_eq!(
        with_key("GET", "/v1/models", ""),
        401,
        "a key that is shown has to be right"
    );
    assert_eq!(with_key("GET", "/api/v1/keys", ""), 401);
    assert_eq!(Browser::new(&agent).sign_in("bob", "paperclip wire").0, 401);
    assert!(agent.skep(&["user", "enable", "bob"], "").unwrap().0);
    assert_eq!(bob.user(), Value::Null);
    assert_eq!(bob.sign_in("bob", "paperclip wire").0, 204);
    let (done, ..) = agent
        .skep(
            &["user", "passwd", "bob", "--password-stdin"],
            "another one\n",
        )
        .unwrap();
    assert!(done);
    assert_eq!(bob.user(), Value::Null);
    assert!(agent.skep(&["user", "rm", "bob"], "").unwrap().0);
    assert_eq!(with_key("GET", "/api/v1/keys", ""), 401);

    // Nobody locks everybody out: the last administrator stays while there is no key.
    assert_eq!(ada.ask("DELETE", "/api/v1/keys/first", "").0, 200);
    let (done, _, said) = agent.skep(&["user", "rm", "ada"], "").unwrap();
    assert!(
        !done && said.contains("the last who can administer"),
        "{said}"
    );
    assert!(agent.skep(&["keys", "new", "spare"], "").unwrap().0);
    assert!(agent.skep(&["user", "rm", "ada"], "").unwrap().0);
    assert_eq!(ada.user(), Value::Null);
    let logged = std::fs::read_to_string(agent.home().join("state/skep.log")).unwrap_or_default();
    for secret in ["correct horse", "paperclip wire", "argon2id"] {
        assert!(!logged.contains(secret));
    }
}

/// Guesses at passwords wait as those at keys do, also when many come at once.
#[test]
fn guessing_passwords_is_slow() {
    let agent = Agent::start(&[NO_MODEL]).unwrap();
    add(&agent, "ada", "admin", "correct horse");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let guess = |number: usize| {
            let agent = &agent;
            move || {
                Browser::new(agent)
                    .sign_in("ada", &format!("guess {number:04}"))
                    .0
            }
        };
        let all: Vec<_> = (0..24).map(|number| scope.spawn(guess(number))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let looked_at = statuses.iter().filter(|&&status| status == 401).count();
    assert_eq!(looked_at, 10, "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 429].contains(status)));
    let mut ada = Browser::new(&agent);
    let (status, said) = ada.sign_in("ada", "correct horse");
    assert_eq!(status, 429);
    assert!(said.contains("retry-after: "), "{said}");
}
