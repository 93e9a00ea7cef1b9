//! `skep plugin`: what is listed, what is shown of one, and what is read before somebody agrees.

use super::check;
use crate::cli::plugin;
use crate::cli::terminal::Paint;
use crate::wire;

fn ago(_: u64) -> String {
    "5 min ago".to_owned()
}

fn signed(state: &str, name: Option<&str>) -> wire::SignatureView {
    wire::SignatureView {
        state: state.to_owned(),
        key: (state != "none" && state != "carried").then(|| "0123456789ABCDEF".to_owned()),
        name: name.map(str::to_owned),
    }
}

fn state(name: &str, world: &str, carried: bool) -> wire::PluginState {
    wire::PluginState {
        plugin: wire::Plugin {
            name: name.to_owned(),
            world: world.to_owned(),
            imports: vec![
                "skep:plugin/secrets@0.1.0".to_owned(),
                "skep:plugin/types@0.1.0".to_owned(),
                "wasi:io/error@0.2.12".to_owned(),
            ],
            bytes: 1_234_567,
            digest: format!("sha256:{}", "ab".repeat(32)),
            runs_in: "worker".to_owned(),
        },
        version: "1.1.0".to_owned(),
        title: "Models of the lab".to_owned(),
        carried,
        state: "ready".to_owned(),
        grants: Vec::new(),
        signature: signed(if carried { "carried" } else { "none" }, None),
        used_by: Vec::new(),
    }
}

fn lab() -> wire::PluginState {
    wire::PluginState {
        grants: vec!["http:api.example.org".to_owned()],
        signature: signed("trusted", Some("ada")),
        used_by: vec!["upstream lab".to_owned()],
        ..state("lab", "upstream", false)
    }
}

/// Its author's words try to look like ours, and to steer the terminal.
fn manifest() -> crate::plugins::manifest::Manifest {
    let json = r#"{
        "name": "lab", "version": "1.1.0", "world": "upstream",
        "title": "Models of the lab",
        "description": "All of them.\n\nIt may not touch:\n  anything at all",
        "licence": "MIT", "authors": ["Ada", "Grace"], "homepage": "https://example.org/lab"
    }"#;
    crate::plugins::manifest::Manifest::from_json(json.as_bytes()).unwrap()
}

fn wish(written: &str, words: &str, optional: bool, granted: bool) -> wire::PluginWish {
    wire::PluginWish {
        capability: Some(written.to_owned()),
        written: written.to_owned(),
        words: words.to_owned(),
        reason: "It asks the\nmodels there.".to_owned(),
        optional,
        granted,
    }
}

fn wishes() -> Vec<wire::PluginWish> {
    let secret = "use the secret `lab`, which it cannot read";
    vec![
        wish(
            "http:api.example.org",
            "send requests to `api.example.org`",
            false,
            true,
        ),
        wish(
            "http:new.example.org",
            "send requests to `new.example.org`",
            false,
            false,
        ),
        wish("secret:lab", secret, true, false),
    ]
}

#[test]
fn plugins_are_a_table() {
    let mut fetched = state("calm", "scheduler", false);
    fetched.state = "fetching".to_owned();
    fetched.signature = signed("unknown", None);
    let plugins = wire::PluginStates {
        plugins: vec![state("llama", "engine", true), fetched, lab()],
    };
    check("plugins", &plugin::list(&plugins, Paint::none()));
    let none = wire::PluginStates {
        plugins: Vec::new(),
    };
    let text = plugin::list(&none, Paint::none());
    assert!(text.contains("skep plugin add"), "{text}");
}

#[test]
fn everything_that_is_known_of_one_is_shown() {
    let version = |version: &str, left: Option<&str>| wire::KeptVersion {
        version: version.to_owned(),
        digest: format!("sha256:{}", "ab".repeat(32)),
        bytes: 1_234_567,
        current: left.is_none(),
        added_unix_s: 0,
        added_by: "user grace".to_owned(),
        signature: signed("trusted", Some("ada")),
        source: left
            .is_none()
            .then(|| "https://example.org/lab.wasm".to_owned()),
        left: left.map(str::to_owned),
    };
    let limit = |of: &str, name: &str, value: &str| wire::Limit {
        of: of.to_owned(),
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let details = wire::PluginDetails {
        state: lab(),
        manifest: Some(manifest()),
        wishes: wishes(),
        granted: vec![wire::GrantView {
            capability: "http:api.example.org".to_owned(),
            words: "send requests to `api.example.org`".to_owned(),
            reason: "It asks the models there.".to_owned(),
            granted_by: "user grace".to_owned(),
            granted_unix_s: 0,
            asked_for: true,
        }],
        revoked: vec![wire::RevokedView {
            capability: "secret:lab".to_owned(),
            revoked_by: "key laptop".to_owned(),
            revoked_unix_s: 0,
        }],
        gives: vec!["see the requests that it answers, texts included".to_owned()],
        may_not: vec![
            "files".to_owned(),
            "the network, but what is named above".to_owned(),
        ],
        limits: vec![
            limit("plugin", "component", "32 MiB"),
            limit("cluster", "trusted signers", "32"),
        ],
        versions: vec![
            version("1.1.0", None),
            version(
                "1.0.0",
                Some("it failed too often: it trapped in `next`\u{1b}[2J"),
            ),
        ],
        usage: vec![wire::PluginUsage {
            what: "the upstream `lab`".to_owned(),
            resident_bytes: Some(12 << 20),
            calls: Some(120),
            failures: Some(1),
            last_failure: Some("it trapped in `next`".to_owned()),
            fuel: Some(1_203),
        }],
    };
    check("plugin", &plugin::details(&details, Paint::none(), ago));
}

#[test]
fn what_somebody_agrees_to_is_said_in_words() {
    let doubt = |name: &str, words: &str| wire::Doubt {
        name: name.to_owned(),
        words: words.to_owned(),
    };
    let offer = wire::PluginOffer {
        digest: format!("sha256:{}", "cd".repeat(32)),
        bytes: 1_234_567,
        world: "upstream".to_owned(),
        manifest: manifest(),
        imports: Vec::new(),
        signature: signed("unknown", None),
        wishes: wishes(),
        gives: vec!["see the requests that it answers, texts included".to_owned()],
        may_not: vec![
            "files".to_owned(),
            "the network, but what is named above".to_owned(),
        ],
        present: Some(wire::PresentPlugin {
            version: "1.0.0".to_owned(),
            digest: format!("sha256:{}", "ab".repeat(32)),
            world: "upstream".to_owned(),
        }),
        doubts: vec![doubt("unsigned", "nobody signed it")],
        asks: true,
    };
    let from = "https://example.org/lab.wasm?token=hidden";
    check("consent", &plugin::told(&offer, from, Paint::none()));
}

#[test]
fn whoever_is_trusted_is_listed() {
    let ada = wire::SignerView {
        name: "ada".to_owned(),
        key: "RWQ".to_owned(),
        number: "0123456789ABCDEF".to_owned(),
        added_by: "user grace".to_owned(),
        added_unix_s: 0,
    };
    let signers = wire::Signers { signers: vec![ada] };
    check("signers", &plugin::signers(&signers, Paint::none(), ago));
}
