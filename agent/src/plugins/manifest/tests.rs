//! Manifests as authors write them and as components carry them.

use super::*;

const WHOLE: &str = r#"
name = "openai"
version = "0.1.0"
world = "upstream"
title = "OpenAI and what speaks like it"
licence = "MIT OR Apache-2.0"
authors = ["A. Uthor <a@example.org>"]

[[capability]]
wants = "http:${base-url}"
reason = "sends requests there"

[[capability]]
wants = "secret:${key}"
reason = "signs requests with it"
optional = true

[[setting]]
name = "base-url"
kind = "url"
default = "https://api.openai.com/v1"

[[setting]]
name = "key"
kind = "secret"
"#;

/// The smallest component there is.
const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

fn refused(from: &str, to: &str) -> String {
    let text = WHOLE.replacen(from, to, 1);
    assert_ne!(text, WHOLE, "{from}");
    Manifest::from_toml(&text).expect_err(to).to_string()
}

#[test]
fn a_component_carries_the_manifest_that_was_put_in() {
    let manifest = Manifest::from_toml(WHOLE).unwrap();
    let made = embed(EMPTY, &manifest).unwrap();
    assert_eq!(extract(&made).unwrap(), manifest);
    // A second one takes the place of the first.
    let mut newer = manifest.clone();
    newer.version = Version::new(1, 2, 3);
    let again = embed(&made, &newer).unwrap();
    assert_eq!(extract(&again).unwrap(), newer);
    assert_eq!(embed(&again, &manifest).unwrap(), made);
    assert!(wasmparser::validate(&made).is_ok());
}

#[test]
fn manifests_that_are_missing_doubled_or_cut_are_told() {
    let manifest = Manifest::from_toml(WHOLE).unwrap();
    let made = embed(EMPTY, &manifest).unwrap();
    assert!(matches!(extract(EMPTY), Err(ManifestError::Absent)));
    let mut twice = made.clone();
    twice.extend_from_slice(&made[EMPTY.len()..]);
    assert!(matches!(extract(&twice), Err(ManifestError::Twice)));
    for cut in EMPTY.len() + 1..made.len() {
        assert!(extract(&made[..cut]).is_err(), "{cut}");
    }
    assert!(matches!(
        extract(b"\0asm\x01\0\0\0"),
        Err(ManifestError::Component(_))
    ));
    let mut flipped = made.clone();
    for at in EMPTY.len()..made.len() {
        flipped[at] ^= 0x80;
        let _ = extract(&flipped);
        flipped[at] ^= 0x80;
    }
}

#[test]
fn what_is_wrong_in_a_manifest_is_named() {
    assert!(refused("openai", "Open AI").contains("`name`"));
    assert!(refused("0.1.0", "one").contains("version"));
    assert!(refused("upstream", "kernel").contains("there is no world `kernel`"));
    assert!(refused("sends requests there", " ").contains("say what for"));
    assert!(refused("http:${base-url}", "http:${url}").contains("`url`"));
    assert!(refused("http:${base-url}", "file:/etc").contains("capability"));
    assert!(refused("title", "tittle").contains("tittle"));
    assert!(refused("\"key\"", "\"base-url\"").contains("twice"));
    assert!(refused("OpenAI and", "\\u001b[2J").contains("control"));
    assert!(refused("\"url\"", "\"choice\"").contains("choice"));
    assert!(Manifest::from_toml(&"#".repeat(MANIFEST_BYTES + 1)).is_err());
}

#[test]
fn settings_decide_what_is_wanted() {
    let manifest = Manifest::from_toml(WHOLE).unwrap();
    let wanted = |pairs: &[(&str, &str)]| {
        let value = |name: &str| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        manifest.wanted(value).map(|all| {
            let names = all.iter().map(|(capability, _)| capability.to_string());
            names.collect::<Vec<_>>().join(" ")
        })
    };
    assert_eq!(wanted(&[]).unwrap(), "http:api.openai.com:443");
    assert_eq!(
        wanted(&[("base-url", "http://[::1]:8080/v1"), ("key", "mine")]).unwrap(),
        "http:[::1]:8080 secret:mine"
    );
    assert_eq!(
        wanted(&[("base-url", "http://host/v1")]).unwrap(),
        "http:host:80"
    );
    for bad in ["ftp://host", "https://user@host", "https://", "https://*/"] {
        assert!(wanted(&[("base-url", bad)]).is_err(), "{bad}");
    }
}

#[test]
fn our_own_plugins_have_manifests() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(path.join("plugin.toml")) else {
            assert!(!path.join("Cargo.toml").exists(), "{}", path.display());
            continue;
        };
        let manifest = Manifest::from_toml(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(
            path.file_name().unwrap().to_str(),
            Some(manifest.name.as_str())
        );
        // What it wants can be said with what is set by default.
        manifest.wanted(|_| None).unwrap();
        if let Some(embedded) = crate::plugins::find(&manifest.name) {
            assert_eq!(
                extract(embedded.bytes).unwrap(),
                manifest,
                "{}",
                manifest.name
            );
            let inspected = crate::host::inspect(embedded.bytes).unwrap();
            assert_eq!(inspected.world, manifest.world().ok(), "{}", manifest.name);
            assert_eq!(
                inspected.ungranted(),
                Vec::<&str>::new(),
                "{}",
                manifest.name
            );
        }
        seen += 1;
    }
    assert!(seen > 3);
}
