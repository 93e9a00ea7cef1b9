//! Every project that `skep plugin new` offers: its own test runs, it builds, and the component keeps its world's contract.
//!
//! Those that the guide makes are tried there (`guide.rs`); what is left is tried here, and each is named with what became of it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use skep_tests::agent::binary;

use super::guide::{GUIDE, missing};

const LANGS: [(&str, &str); 4] = [
    ("rust", "Rust"),
    ("js", "JavaScript"),
    ("python", "Python"),
    ("c", "C"),
];
const WORLDS: [&str; 5] = ["scheduler", "notifier", "upstream", "engine", "installer"];

/// Languages and worlds of the projects that the guide makes.
fn in_guide() -> Vec<(String, String)> {
    let commands = GUIDE
        .lines()
        .filter(|line| line.starts_with("skep plugin new "));
    commands
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let after = |name: &str, usual: &str| {
                let at = words.iter().position(|word| *word == name);
                at.map_or(usual, |at| words[at + 1]).to_owned()
            };
            (after("--lang", "rust"), after("--world", "scheduler"))
        })
        .collect()
}

#[test]
fn every_project_that_is_offered_builds_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let in_guide = in_guide();
    assert!(in_guide.len() > 8, "{in_guide:?}");
    let mut offered = 0;
    for (lang, chapter) in LANGS {
        for world in WORLDS {
            let name = format!("{world}-{lang}");
            let new = skep(
                folder.path(),
                &["plugin", "new", &name, "--world", world, "--lang", lang],
            );
            let Ok(said) = new else {
                refused(lang, world, &new.unwrap_err());
                continue;
            };
            offered += 1;
            assert!(said.contains("Next:"), "{said}");
            let what = format!("{lang} {world}");
            if let Some(tool) = missing(chapter) {
                println!("NOT TRIED: {what}: {tool}");
            } else if in_guide.iter().any(|(l, w)| l == lang && w == world) {
                println!("{what}: tried with the guide");
            } else {
                let started = Instant::now();
                let dir = folder.path().join(&name);
                own_test(folder.path(), &dir, lang);
                skep(&dir, &["plugin", "build"]).unwrap_or_else(|said| panic!("{what}: {said}"));
                skep(&dir, &["plugin", "test"]).unwrap_or_else(|said| panic!("{what}: {said}"));
                println!(
                    "{what}: its own test, build and contract in {:.1?}",
                    started.elapsed()
                );
            }
        }
    }
    assert_eq!(
        offered, 17,
        "every language for four worlds, and Rust for `installer`"
    );
}

/// Whoever asks for what is not there hears what is.
fn refused(lang: &str, world: &str, said: &str) {
    assert!(
        world == "installer" && lang != "rust",
        "{lang} {world}: {said}"
    );
    for part in [
        "there is no project of the world `installer`",
        "that language has scheduler, notifier, upstream, engine",
        "--lang rust",
    ] {
        assert!(said.contains(part), "{lang}: {said}");
    }
    println!("{lang} {world}: not offered, and refused with what there is");
}

/// The test that comes with a project, by the language's own tools.
fn own_test(folder: &Path, dir: &Path, lang: &str) {
    let command = match lang {
        "rust" => "cargo test --quiet",
        "js" => "npm install --silent && npm test",
        // One environment serves all of them.
        "python" => {
            "test -d ../.venv || { python3 -m venv ../.venv && ../.venv/bin/pip install --quiet -r requirements.txt; }\n\
             ln -s ../.venv .venv && python3 -m unittest"
        }
        _ => panic!("all projects in {lang} are in the guide"),
    };
    let said = run(folder, dir, "sh", &["-euc", command]).unwrap_or_else(|said| panic!("{said}"));
    let ran_none = ["running 0 tests", "Ran 0 tests", "tests 0"];
    let is_empty = |line: &str| ran_none.contains(&line.trim_start_matches("ℹ ").trim());
    let counted = said
        .lines()
        .filter(|line| line.starts_with("running ") && !is_empty(line));
    assert!(lang != "rust" || counted.count() > 0, "{lang}: {said}");
    assert!(
        lang == "rust" || !said.lines().any(is_empty),
        "{lang}: {said}"
    );
}

fn skep(dir: &Path, arguments: &[&str]) -> Result<String, String> {
    let skep = std::fs::canonicalize(binary()).unwrap();
    run(dir, dir, skep.to_str().unwrap(), arguments)
}

/// Both outputs, of a success or of a failure.
fn run(home: &Path, dir: &Path, program: &str, arguments: &[&str]) -> Result<String, String> {
    // What cargo compiles is kept, for the guide and for here.
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guide");
    let output = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .env("SKEP_HOME", home.join(".skep"))
        .env("CARGO_TARGET_DIR", kept)
        // Set by whoever runs this test, for the repository's own toolchain.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(said)
    }
}
