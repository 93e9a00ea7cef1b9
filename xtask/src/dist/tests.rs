//! A release, and the script that installs it, on folders of their own. The program in it is this test: it is a program for this
//! machine, and nothing here runs it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::binary::Binary;
use super::tree::{Completions, Tree};
use super::{Release, deb, sign, tarball};

struct Made {
    folder: tempfile::TempDir,
    key: String,
}

impl Made {
    fn dist(&self) -> PathBuf {
        self.folder.path().join("dist")
    }
}

fn release() -> Release {
    Release {
        version: "0.1.0".to_owned(),
        epoch: 1_700_000_000,
        url: String::new(),
        maintainer: "A Person <a@example.org>".to_owned(),
    }
}

fn tree() -> Tree {
    Tree {
        manual: vec![("skep.1".to_owned(), b".TH skep 1\n".to_vec())],
        completions: Completions {
            bash: "b\n".to_owned(),
            zsh: "z\n".to_owned(),
            fish: "f\n".to_owned(),
        },
        documents: vec![
            ("CHANGELOG.md", b"# Changes\n".to_vec()),
            (
                "LICENSE-MIT",
                b"Copyright (c) them\n\nPermission is granted\n".to_vec(),
            ),
        ],
    }
}

fn make() -> Made {
    let folder = tempfile::tempdir().unwrap();
    let dist = folder.path().join("dist");
    fs::create_dir(&dist).unwrap();
    let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, pair.sk.to_box(None).unwrap().to_string()).unwrap();
    let binary = Binary::open(&std::env::current_exe().unwrap()).unwrap();
    tarball::write(&dist, &release(), &binary, &tree()).unwrap();
    sign::finish(&dist, &release(), Some(&secret)).unwrap();
    Made {
        folder,
        key: pair.pk.to_base64(),
    }
}

/// The tools that the script uses, without some.
fn tools(folder: &Path, without: &[&str]) -> PathBuf {
    let into = folder.join(format!("tools-{}", without.join("-")));
    fs::create_dir_all(&into).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    for tool in TOOLS.iter().filter(|tool| !without.contains(tool)) {
        let found = std::env::split_paths(&path)
            .map(|place| place.join(tool))
            .find(|tool| tool.is_file());
        if let Some(found) = found {
            let _ = std::os::unix::fs::symlink(found, into.join(tool));
        }
    }
    into
}

fn install(script: &Path, home: &Path, path: Option<&Path>, arguments: &[&str]) -> Output {
    let mut command = Command::new("/bin/sh");
    command.arg(script).args(arguments).env("HOME", home);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every path below a folder with its mode.
fn listing(folder: &Path) -> BTreeMap<PathBuf, u32> {
    let mut all = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let about = path.symlink_metadata().unwrap();
            if about.is_dir() {
                left.push(path.clone());
            }
            all.insert(path, about.permissions().mode());
        }
    }
    all
}

#[test]
fn a_release_is_installed_twice_and_removed_without_a_trace() {
    let made = make();
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join(".local/bin")).unwrap();
    fs::write(home.path().join(".local/bin/other"), "x").unwrap();
    let before = listing(home.path());
    let dist = made.dist();
    let script = dist.join("install.sh");
    let from = ["--user", "--no-service", "--from", dist.to_str().unwrap()];
    let first = install(&script, home.path(), None, &from);
    assert!(first.status.success(), "{}", said(&first));
    let program = home.path().join(".local/bin/skep");
    assert_eq!(
        program.metadata().unwrap().permissions().mode() & 0o777,
        0o755
    );
    assert!(fs::read(&program).unwrap() == fs::read(std::env::current_exe().unwrap()).unwrap());
    assert!(home.path().join(".local/share/man/man1/skep.1").is_file());
    let after = listing(home.path());
    let again = install(&script, home.path(), None, &from);
    assert!(again.status.success(), "{}", said(&again));
    assert_eq!(listing(home.path()), after);
    let gone = install(
        &script,
        home.path(),
        None,
        &["--user", "--no-service", "--uninstall"],
    );
    assert!(gone.status.success(), "{}", said(&gone));
    assert_eq!(listing(home.path()), before);
    let gone = install(&script, home.path(), None, &["--user", "--uninstall"]);
    assert_eq!(gone.status.code(), Some(1), "{}", said(&gone));
}

#[test]
fn what_is_not_signed_by_the_key_is_refused() {
    let made = make();
    let dist = made.dist();
    let script = dist.join("install.sh");
    let home = tempfile::tempdir().unwrap();
    let with_openssl = tools(made.folder.path(), &["minisign"]);
    let with_none = tools(made.folder.path(), &["minisign", "openssl"]);
    let from = ["--user", "--no-service", "--from", dist.to_str().unwrap()];
    let refused = |path: Option<&Path>, arguments: &[&str], words: &str| {
        let output = install(&script, home.path(), path, arguments);
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
        assert!(listing(home.path()).is_empty());
    };
    refused(Some(&with_none), &from, "apt-get install minisign");
    let other = minisign::KeyPair::generate_unencrypted_keypair()
        .unwrap()
        .pk
        .to_base64();
    let mut ways: Vec<Option<&Path>> = Vec::new();
    if crate::step::exists("minisign") {
        ways.push(None);
    } else {
        println!(
            "SKIPPED: minisign is not here to check with; on Debian `apt-get install minisign` brings it"
        );
    }
    if openssl_checks() {
        ways.push(Some(&with_openssl));
    } else {
        println!("SKIPPED: openssl 3 is not here to check with");
    }
    for way in ways {
        let by_other = [&from[..], &["--key", &other]].concat();
        refused(way, &by_other, "signature of SHA256SUMS is wrong");
        refused(
            way,
            &[&from[..], &["--key", "nonsense"]].concat(),
            "signature of SHA256SUMS is wrong",
        );
        // Other digests than those that were signed.
        let sums = dist.join("SHA256SUMS");
        let right = fs::read_to_string(&sums).unwrap();
        fs::write(&sums, right.replace('a', "b")).unwrap();
        refused(way, &from, "signature of SHA256SUMS is wrong");
        fs::write(&sums, &right).unwrap();
        // A signature that is cut off.
        let signature = dist.join("SHA256SUMS.minisig");
        let whole = fs::read_to_string(&signature).unwrap();
        fs::write(&signature, whole.get(..80).unwrap()).unwrap();
        refused(way, &from, "signature of SHA256SUMS is wrong");
        fs::write(&signature, &whole).unwrap();
        // Another program than the one whose digest was signed.
        let tarball = fs::read_dir(&dist)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let tarball = tarball
            .into_iter()
            .find(|path| path.extension().is_some_and(|end| end == "gz"))
            .unwrap();
        let bytes = fs::read(&tarball).unwrap();
        fs::write(&tarball, [&bytes[..], b"x"].concat()).unwrap();
        refused(way, &from, "is not what was signed");
        fs::write(&tarball, &bytes).unwrap();
        // And untouched it is taken, by this very way.
        let output = install(&script, home.path(), way, &from);
        assert!(output.status.success(), "{}", said(&output));
        let gone = install(
            &script,
            home.path(),
            way,
            &["--user", "--no-service", "--uninstall"],
        );
        assert!(gone.status.success(), "{}", said(&gone));
        fs::remove_dir(home.path().join(".local")).ok();
    }
    assert!(!made.key.is_empty());
}

fn openssl_checks() -> bool {
    let help = Command::new("openssl").args(["pkeyutl", "-help"]).output();
    help.is_ok_and(|help| String::from_utf8_lossy(&help.stderr).contains("rawin"))
}

/// However much of the script arrives, it does everything or nothing.
#[test]
fn a_script_that_is_cut_off_does_nothing() {
    let made = make();
    let dist = made.dist();
    let text = fs::read_to_string(dist.join("install.sh")).unwrap();
    let home = tempfile::tempdir().unwrap();
    let end = text.rfind("main \"$@\"").unwrap();
    let cut = made.folder.path().join("cut.sh");
    for length in (0..end).step_by(701).chain([end, end + 3]) {
        fs::write(&cut, text.get(..length).unwrap_or_default()).unwrap();
        let from = ["--user", "--no-service", "--from", dist.to_str().unwrap()];
        install(&cut, home.path(), None, &from);
        assert!(listing(home.path()).is_empty(), "{length}");
    }
}

#[test]
fn wrong_words_are_told() {
    let made = make();
    let script = made.dist().join("install.sh");
    let home = tempfile::tempdir().unwrap();
    for (arguments, code, words) in [
        (&["--fly"][..], 2, "--help"),
        (&["--from"], 2, "needs a value"),
        (&["--user", "--purge"], 2, "--uninstall"),
        (&["--user", "--deb"], 2, "Debian package"),
        (&["--user"], 2, "--from DIR"),
        (&["--user", "--url", "http://a.example"], 2, "https://"),
        (&["--user", "--from", "/nonexistent"], 1, "whole folder"),
    ] {
        let output = install(&script, home.path(), None, arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            said(&output)
        );
        assert!(
            said(&output).contains(words),
            "{arguments:?}: {}",
            said(&output)
        );
    }
    let help = install(&script, home.path(), None, &["--help"]);
    assert!(help.status.success() && help.stdout.len() > 500);
}

#[test]
fn the_script_passes_shellcheck() {
    let root = crate::step::root();
    let scripts = [
        "install.sh",
        "xtask/src/dist/deb/postinst.sh",
        "xtask/src/dist/deb/postrm.sh",
        "xtask/src/dist/deb/prerm.sh",
    ];
    let checked = Command::new("shellcheck")
        .args(["-s", "sh"])
        .args(scripts)
        .current_dir(root)
        .output();
    let Ok(checked) = checked else {
        println!(
            "SKIPPED: `shellcheck` is not here; on Debian `apt-get install shellcheck` brings it"
        );
        return;
    };
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stdout)
    );
}

#[test]
fn debian_takes_the_package_and_its_bytes_are_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let binary = Binary::open(&std::env::current_exe().unwrap()).unwrap();
    let package = deb::write(folder.path(), &release(), &binary, &tree()).unwrap();
    let first = fs::read(&package).unwrap();
    deb::write(folder.path(), &release(), &binary, &tree()).unwrap();
    assert!(fs::read(&package).unwrap() == first);
    let Ok(told) = Command::new("dpkg-deb")
        .arg("--contents")
        .arg(&package)
        .output()
    else {
        println!("SKIPPED: `dpkg-deb` is not here");
        return;
    };
    assert!(told.status.success(), "{}", said(&told));
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    for path in [
        "-rwxr-xr-x root/root",
        "./usr/bin/skep",
        "./usr/lib/systemd/system/skep.service",
        "man1/skep.1.gz",
        "copyright",
        "changelog.Debian.gz",
    ] {
        assert!(
            told.contains(path.trim_start_matches("./")),
            "{path} is not in {told}"
        );
    }
    let fields = Command::new("dpkg-deb")
        .arg("--field")
        .arg(&package)
        .output()
        .unwrap();
    let fields = String::from_utf8_lossy(&fields.stdout).into_owned();
    for field in [
        "Version: 0.1.0-1",
        "Depends: libc6 (>= 2.",
        "Maintainer: A Person <a@example.org>",
    ] {
        assert!(fields.contains(field), "{field} is not in {fields}");
    }
}

/// All that the script calls.
const TOOLS: [&str; 31] = [
    "awk",
    "cat",
    "chmod",
    "cmp",
    "cp",
    "dirname",
    "find",
    "getconf",
    "grep",
    "gzip",
    "head",
    "id",
    "ldd",
    "minisign",
    "mkdir",
    "mktemp",
    "mv",
    "openssl",
    "printf",
    "rm",
    "rmdir",
    "sed",
    "sh",
    "sha256sum",
    "sort",
    "tail",
    "tar",
    "touch",
    "tr",
    "uname",
    "wc",
];
