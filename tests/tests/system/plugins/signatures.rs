//! Who signed a component, and whether anybody has to have.

use std::fs;
use std::process::Command;

use skep_tests::agent::Agent;

use super::{BARE, component, ill, keep, parse, show, well};

/// A key that signs without being asked.
fn key(agent: &Agent, folder: &std::path::Path, name: &str) -> (String, String) {
    let path = folder.join(name).into_os_string().into_string().unwrap();
    well(agent, &["plugin", "keygen", &path, "--no-password"]);
    (format!("{path}.key"), format!("{path}.pub"))
}

#[test]
fn once_somebody_is_trusted_the_rest_has_to_be_accepted_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(&[BARE]).unwrap();
    let (ada, ada_public) = key(&agent, folder.path(), "ada");
    let (eve, eve_public) = key(&agent, folder.path(), "eve");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&ada).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let said = ill(
        &agent,
        &[
            "plugin",
            "keygen",
            ada.trim_end_matches(".key"),
            "--no-password",
        ],
    );
    assert!(said.contains("is there already"), "{said}");
    let version = |number: u8| {
        let bytes = component("spread", "calm", &format!("1.{number}.0"), &[]);
        keep(folder.path(), &format!("calm{number}.wasm"), &bytes)
    };

    // While nobody is trusted, signatures are shown and not asked for.
    let first = version(0);
    well(&agent, &["plugin", "sign", &first, "--key", &eve]);
    well(&agent, &["plugin", "add", &first, "--yes"]);
    assert_eq!(show(&agent, "calm")["signature"]["state"], "unknown");

    well(&agent, &["plugin", "trust", &ada_public]);
    let trusted = parse(&well(&agent, &["plugin", "trust", "ls", "--json"]));
    assert_eq!(trusted["signers"][0]["name"], "ada", "{trusted}");
    assert!(
        trusted["signers"][0]["added_by"]
            .as_str()
            .unwrap()
            .starts_with("user ")
    );
    let second = version(1);
    for (accepts, signed) in [("unsigned", false), ("unknown-signer", true)] {
        if signed {
            well(&agent, &["plugin", "sign", &second, "--key", &eve]);
        }
        let said = ill(&agent, &["plugin", "update", "calm", &second, "--yes"]);
        assert!(
            said.contains("beware:") && said.contains(&format!("--accept {accepts}")),
            "{said}"
        );
    }
    // A doubt that is not there does not excuse one that is.
    let said = ill(
        &agent,
        &[
            "plugin", "update", "calm", &second, "--yes", "--accept", "unsigned",
        ],
    );
    assert!(said.contains("--accept unknown-signer"), "{said}");
    well(
        &agent,
        &[
            "plugin",
            "update",
            "calm",
            &second,
            "--yes",
            "--accept",
            "unknown-signer",
        ],
    );

    let third = version(2);
    well(&agent, &["plugin", "sign", &third, "--key", &ada]);
    well(&agent, &["plugin", "update", "calm", &third]);
    let shown = show(&agent, "calm");
    assert_eq!(
        (&shown["signature"]["state"], &shown["signature"]["name"]),
        (&"trusted".into(), &"ada".into())
    );

    // What a trusted key signed and somebody changed is no doubt but an error.
    let fourth = version(3);
    fs::copy(format!("{third}.minisig"), format!("{fourth}.minisig")).unwrap();
    let said = ill(
        &agent,
        &[
            "plugin", "update", "calm", &fourth, "--yes", "--accept", "unsigned",
        ],
    );
    assert!(
        said.contains("by the trusted key `ada` and does not fit"),
        "{said}"
    );

    // Another's signature on the same plugin is asked about, also when both are trusted.
    well(&agent, &["plugin", "trust", &eve_public, "--name", "grace"]);
    well(&agent, &["plugin", "sign", &fourth, "--key", &eve]);
    let said = ill(&agent, &["plugin", "update", "calm", &fourth]);
    assert!(said.contains("--accept other-signer"), "{said}");
    well(
        &agent,
        &[
            "plugin",
            "update",
            "calm",
            &fourth,
            "--yes",
            "--accept",
            "other-signer",
        ],
    );
    well(&agent, &["plugin", "trust", "remove", "grace"]);
    assert_eq!(show(&agent, "calm")["signature"]["state"], "unknown");
    assert!(ill(&agent, &["plugin", "trust", "remove", "grace"]).contains("no signer `grace`"));
    assert!(ill(&agent, &["plugin", "trust", "RWnonsense"]).contains("no public key"));
}

/// The tool that others sign with: each side's signatures are good on the other.
#[test]
fn minisign_understands_us_and_we_understand_minisign() {
    if Command::new("minisign").arg("-v").output().is_err() {
        eprintln!("not tried: `minisign` is not installed (on Debian: apt-get install minisign)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(&[BARE]).unwrap();
    let file = keep(
        folder.path(),
        "calm.wasm",
        &component("spread", "calm", "1.0.0", &[]),
    );
    let (ours, ours_public) = key(&agent, folder.path(), "ours");
    let minisign = |arguments: &[&str]| {
        let done = Command::new("minisign").args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        (
            done.status.success(),
            said + &String::from_utf8_lossy(&done.stdout),
        )
    };
    well(&agent, &["plugin", "sign", &file, "--key", &ours]);
    let (good, said) = minisign(&["-Vm", &file, "-p", &ours_public]);
    assert!(good, "{said}");

    let theirs = folder
        .path()
        .join("theirs")
        .into_os_string()
        .into_string()
        .unwrap();
    let (secret, public) = (format!("{theirs}.key"), format!("{theirs}.pub"));
    let (made, said) = minisign(&["-G", "-W", "-p", &public, "-s", &secret]);
    assert!(made, "{said}");
    let (signed, said) = minisign(&["-Sm", &file, "-s", &secret]);
    assert!(signed, "{said}");
    well(&agent, &["plugin", "trust", &public]);
    well(&agent, &["plugin", "add", &file, "--yes"]);
    assert_eq!(show(&agent, "calm")["signature"]["name"], "theirs");
    // Their secret key signs here, too.
    well(&agent, &["plugin", "sign", &file, "--key", &secret]);
    let (good, said) = minisign(&["-Vm", &file, "-p", &public]);
    assert!(good, "{said}");
}
