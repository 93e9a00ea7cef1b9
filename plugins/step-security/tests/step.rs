//! What the step asks and plans on made-up machines.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use skep_sdk::installer::{
    Action, Answer, Facts, FileFacts, Installer as _, Proposal, Severity, Value, answer, samples,
    try_out,
};
use step_security::Security;

fn plan(facts: &Facts, answers: &[Answer]) -> Proposal {
    try_out::<Security>(facts, answers).plan.unwrap()
}

fn setting(plan: &Proposal, wanted: &str) -> Option<String> {
    let mut settings = plan
        .actions
        .iter()
        .filter_map(|planned| match &planned.action {
            Action::SetSetting(setting) if setting.key == wanted => Some(setting.value.clone()),
            _ => None,
        });
    settings.next().flatten()
}

fn text(id: &str, text: &str) -> Answer {
    answer(id, Value::Text(text.into()))
}

#[test]
fn by_default_only_this_machine_can_reach_it() {
    for facts in [samples::debian(), samples::fedora(), samples::arch()] {
        let plan = plan(&facts, &[]);
        assert_eq!(
            setting(&plan, "http.listen").as_deref(),
            Some("\"127.0.0.1:7420\"")
        );
        assert_eq!(setting(&plan, "http.require_key"), None);
        assert!(
            !plan
                .actions
                .iter()
                .any(|one| matches!(one.action, Action::GenerateKey(_)))
        );
    }
    let key = [answer("require-key", Value::Flag(true))];
    let plan = plan(&samples::debian(), &key);
    assert_eq!(setting(&plan, "http.require_key").as_deref(), Some("true"));
}

#[test]
fn beyond_this_machine_there_is_a_certificate() {
    let plan = plan(&samples::fedora(), &[text("reach", "network")]);
    assert_eq!(
        setting(&plan, "http.listen").as_deref(),
        Some("\"0.0.0.0:7420\"")
    );
    let path = "\"/home/sam/.config/skep/tls.crt\"";
    assert_eq!(
        setting(&plan, "http.tls_certificate").as_deref(),
        Some(path)
    );
    let Action::GenerateCertificate(made) = &plan.actions[1].action else {
        unreachable!("{plan:?}");
    };
    assert_eq!(
        made.names,
        [
            "hive",
            "hive.local",
            "localhost",
            "127.0.0.1",
            "::1",
            "192.168.1.10"
        ]
    );
    assert_eq!(made.owner.user, "sam");
    let hosts = setting(&plan, "http.allowed_hosts");
    assert_eq!(hosts.as_deref(), Some("[\"hive\", \"hive.local\"]"));
    assert!(plan.notes.iter().any(|note| note.contains("skep key")));
    // The listener comes after what it depends on.
    let order: Vec<_> = plan
        .actions
        .iter()
        .filter_map(|planned| match &planned.action {
            Action::SetSetting(setting) => Some(setting.key.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        order[..4],
        [
            "http.tls_certificate",
            "http.tls_key",
            "http.require_key",
            "http.listen"
        ]
    );
}

#[test]
fn certificates_of_ones_own_are_named_by_their_files() {
    let answers = |chain: &str| {
        [
            text("reach", "network"),
            text("certificate", "files"),
            text("certificate-file", chain),
            text("key-file", "/etc/ssl/private/hive.key"),
        ]
    };
    let plan = plan(&samples::debian(), &answers("/etc/ssl/hive.crt"));
    assert_eq!(
        setting(&plan, "http.tls_certificate").as_deref(),
        Some("\"/etc/ssl/hive.crt\"")
    );
    assert!(
        !plan
            .actions
            .iter()
            .any(|one| matches!(one.action, Action::GenerateKey(_)))
    );
    for bad in ["hive.crt", "/etc/../hive.crt", "/"] {
        let tried = try_out::<Security>(&samples::debian(), &answers(bad));
        assert!(tried.problem("certificate-file").is_some(), "{bad}");
    }
    let missing = try_out::<Security>(&samples::debian(), &answers("")[..2]);
    assert!(missing.problem("key-file").is_some() && missing.plan.is_err());
}

#[test]
fn names_and_ports_are_checked() {
    let facts = samples::fedora();
    for bad in ["*.example", "a b", "-x", ""] {
        let answers = [text("reach", "network"), text("names", bad)];
        assert!(
            try_out::<Security>(&facts, &answers)
                .problem("names")
                .is_some(),
            "{bad}"
        );
    }
    for (port, fits) in [(443, false), (22, false), (8443, true)] {
        let tried = try_out::<Security>(&facts, &[answer("port", Value::Number(port))]);
        assert_eq!(tried.problem("port").is_none(), fits, "{port}");
    }
    let root = try_out::<Security>(&samples::debian(), &[answer("port", Value::Number(443))]);
    assert!(root.plan.is_ok());
}

#[test]
fn keys_of_ssh_are_made_and_let_in() {
    let key = format!("ssh-ed25519 AAAA{} sam@desk", "C3Nz".repeat(16));
    let answers = [text("ssh-key", "make"), text("ssh-authorized", &key)];
    let plan = plan(&samples::fedora(), &answers);
    let made = plan
        .actions
        .iter()
        .find_map(|planned| match &planned.action {
            Action::GenerateKey(key) => Some(key.path.as_str()),
            _ => None,
        });
    assert_eq!(made, Some("/home/sam/.ssh/id_ed25519"));
    let block = plan
        .actions
        .iter()
        .find_map(|planned| match &planned.action {
            Action::EditBlock(block) => Some((block.path.as_str(), block.lines.as_slice())),
            _ => None,
        });
    assert_eq!(
        block,
        Some(("/home/sam/.ssh/authorized_keys", &[key.clone()][..]))
    );
    let options = format!("command=\"reboot\" {key}");
    for bad in [
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "hello",
        options.as_str(),
        "ssh-ed25519 x",
    ] {
        let tried = try_out::<Security>(&samples::fedora(), &[text("ssh-authorized", bad)]);
        assert!(tried.problem("ssh-authorized").is_some(), "{bad}");
    }
}

#[test]
fn a_key_of_ones_own_is_used() {
    let identity = |facts: &Facts, answers: &[Answer]| {
        let settings = plan(facts, answers).actions.into_iter();
        let mut settings = settings.filter_map(|planned| match planned.action {
            Action::SetSetting(setting) => Some((setting.key, setting.value)),
            _ => None,
        });
        settings.find(|(key, _)| key == "node.ssh_identity")
    };
    let mut facts = samples::fedora();
    assert_eq!(identity(&facts, &[]), None);
    let path = "/home/sam/.ssh/id_cluster";
    let other = [text("ssh-key", "other"), text("ssh-identity", path)];
    let set = Some(format!("\"{path}\""));
    assert_eq!(identity(&facts, &other).unwrap().1, set);
    for bad in [
        "",
        "id_cluster",
        "/home/sam/.ssh/id_cluster.pub",
        "/home/../x",
    ] {
        let answers = [text("ssh-key", "other"), text("ssh-identity", bad)];
        let tried = try_out::<Security>(&facts, &answers);
        assert!(tried.problem("ssh-identity").is_some(), "{bad}");
    }
    // What is set already is what is offered, until somebody wants another.
    let now = ("node.ssh_identity".to_owned(), format!("\"{path}\""));
    facts.agent.settings.push(now);
    assert_eq!(identity(&facts, &[]).unwrap().1, set);
    let usual = [text("ssh-key", "keep")];
    assert_eq!(identity(&facts, &usual).unwrap().1, None);
}

#[test]
fn what_is_wrong_is_said() {
    let severity = |facts: &Facts, words: &str| {
        let found = Security::check(facts);
        found
            .iter()
            .find(|one| one.what.contains(words))
            .map(|one| one.severity)
    };
    let mut facts = samples::debian();
    assert_eq!(severity(&facts, "runs as root"), Some(Severity::Notice));
    assert_eq!(severity(&facts, "Only this machine"), Some(Severity::Fine));
    facts.agent.listen = "0.0.0.0:7420".into();
    assert_eq!(
        severity(&facts, "without a certificate"),
        Some(Severity::Warning)
    );
    let config = |content: &str| FileFacts {
        path: "/etc/ssh/sshd_config".into(),
        content: Some(content.into()),
        mode: 0o644,
        owner: "root".into(),
        group: "root".into(),
        size_bytes: 1,
    };
    facts.files = vec![config("#PasswordAuthentication no\n")];
    assert_eq!(severity(&facts, "Passwords may"), Some(Severity::Notice));
    facts.files = vec![config("passwordauthentication no\n")];
    assert_eq!(severity(&facts, "Only keys"), Some(Severity::Fine));
}

#[test]
fn an_authority_is_asked_once_its_terms_are_agreed_to() {
    let facts = samples::fedora();
    let base = || {
        vec![
            text("reach", "network"),
            text("certificate", "acme"),
            text("acme-names", "hive.example.org\nwww.example.org"),
        ]
    };
    let tried = try_out::<Security>(&facts, &base());
    assert!(tried.problem("acme-terms").is_some() && tried.plan.is_err());
    let mut agreed = base();
    agreed.push(answer("acme-terms", Value::Flag(true)));
    let plan = plan(&facts, &agreed);
    let names = "[\"hive.example.org\", \"www.example.org\"]";
    assert_eq!(setting(&plan, "http.acme_names").as_deref(), Some(names));
    assert_eq!(setting(&plan, "http.allowed_hosts").as_deref(), Some(names));
    assert_eq!(
        setting(&plan, "http.acme_terms_agreed").as_deref(),
        Some("true")
    );
    assert_eq!(setting(&plan, "http.acme_directory"), None);
    assert!(plan.notes.iter().any(|note| note.contains("Port 443")));
    assert!(
        !plan
            .actions
            .iter()
            .any(|one| matches!(one.action, Action::GenerateKey(_)))
    );
    // The listener comes after what it depends on.
    let at = |wanted: &str| {
        plan.actions.iter().position(|planned| {
            matches!(&planned.action, Action::SetSetting(setting) if setting.key == wanted)
        })
    };
    assert!(at("http.acme_terms_agreed") < at("http.acme_names"));
    assert!(at("http.acme_names") < at("http.listen"));
    for bad in ["hive", "192.168.1.7", "*.example.org", ""] {
        let mut answers = agreed.clone();
        answers[2] = text("acme-names", bad);
        let tried = try_out::<Security>(&facts, &answers);
        assert!(tried.problem("acme-names").is_some(), "{bad}");
    }
    for (id, bad) in [
        ("acme-contact", "nobody"),
        ("acme-directory", "http://a.b/dir"),
    ] {
        let mut answers = agreed.clone();
        answers.push(text(id, bad));
        assert!(
            try_out::<Security>(&facts, &answers).problem(id).is_some(),
            "{id}"
        );
    }
}
