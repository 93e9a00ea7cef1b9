//! `sdk/GUIDE.md`, followed word for word: every block is run, in order, by somebody who has nothing but a shell.
//!
//! Blocks of commands are run in one folder for each chapter, excerpts of code must be in the project that the commands before made,
//! and lines of output must come from the last commands. A chapter whose language is not installed here is left out, and says so.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use skep_tests::agent::{Agent, binary};

/// The first build compiles the SDK, on a machine that may do much else.
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) const GUIDE: &str = include_str!("../../../sdk/GUIDE.md");

struct Block<'a> {
    chapter: &'a str,
    kind: &'a str,
    text: String,
}

/// Who follows the guide: where they are, and what they last saw.
struct Reader {
    agent: Agent,
    folder: tempfile::TempDir,
    place: PathBuf,
    seen: String,
}

#[test]
fn every_block_of_the_guide_does_what_it_says() {
    let mut reader = Reader::new();
    let mut left_out: Option<&str> = None;
    let mut chapter = "";
    let blocks = blocks();
    assert!(blocks.len() > 15, "the guide was not read");
    for block in &blocks {
        if block.chapter != chapter {
            chapter = block.chapter;
            reader.place = reader.folder.path().to_owned();
            left_out = missing(chapter);
            if let Some(tool) = left_out {
                println!("NOT TRIED: the guide's chapter `{chapter}`: {tool}");
            }
        }
        if left_out.is_some() {
            continue;
        }
        match block.kind {
            // It runs already; in the guide it has a terminal of its own.
            "sh" if block.text.trim() == "skep up" => {}
            "sh" => reader.run(block),
            "text" => reader.expect(block),
            _ => reader.find(block),
        }
        if block.kind == "sh" && block.text.contains("scheduler use") {
            reader.is_in_charge(block);
        }
    }
    if missing("C").is_none() {
        reader.edits();
    }
}

fn blocks() -> Vec<Block<'static>> {
    let mut chapter = "";
    let mut blocks = Vec::new();
    let mut open: Option<Block<'static>> = None;
    for line in GUIDE.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => writeln!(block.text, "{line}").unwrap(),
            (None, Some(kind)) => {
                open = Some(Block {
                    chapter,
                    kind,
                    text: String::new(),
                });
            }
            (None, None) => {
                if let Some(title) = line.strip_prefix("## ") {
                    chapter = title;
                }
            }
        }
    }
    assert!(open.is_none(), "a block of the guide has no end");
    blocks
}

/// What a chapter needs and this machine lacks.
pub(super) fn missing(chapter: &str) -> Option<&'static str> {
    let works = |program: &str, arguments: &[&str]| {
        let run = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        run.is_ok_and(|status| status.success())
    };
    let c = "int main(void) { return 0; }";
    let c_works = || {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.c");
        let made = folder.path().join("a.wasm");
        fs::write(&file, c).unwrap();
        let (file, made) = (file.to_str().unwrap(), made.to_str().unwrap());
        works("clang", &["--target=wasm32-wasi", file, "-o", made])
    };
    match chapter.trim_start_matches("Other worlds in ") {
        "JavaScript" if !works("npm", &["--version"]) => Some("install Node 20 with npm"),
        "Python"
            if !works(
                "python3",
                &[
                    "-c",
                    "import venv, ensurepip, sys; sys.exit(sys.version_info < (3, 10))",
                ],
            ) =>
        {
            Some("install Python 3.10 with venv")
        }
        "C" if !c_works() => Some(
            "install clang, lld, wasi-libc and libclang-rt-dev-wasm32, as `cargo xtask test` does",
        ),
        _ => None,
    }
}

impl Reader {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(".bin")).unwrap();
        let skep = fs::canonicalize(binary()).unwrap();
        std::os::unix::fs::symlink(skep, folder.path().join(".bin/skep")).unwrap();
        Self {
            agent: Agent::start(&[]).unwrap(),
            place: folder.path().to_owned(),
            folder,
            seen: String::new(),
        }
    }

    fn shell(&self, text: &str) -> Command {
        let path = std::env::var("PATH").unwrap();
        let own = self.folder.path().join(".bin");
        // What cargo compiles is kept, so that only the first run takes long.
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guide");
        let mut command = Command::new("sh");
        command
            .args(["-euc", text])
            .current_dir(&self.place)
            .env("PATH", format!("{}:{path}", own.display()))
            .env("SKEP_HOME", self.agent.home())
            .env("CARGO_TARGET_DIR", kept)
            // Set by whoever runs this test, for the repository's own toolchain.
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO")
            .stdin(Stdio::null());
        command
    }

    /// Runs commands where the last ones ended.
    fn run(&mut self, block: &Block<'_>) {
        let started = Instant::now();
        let place = self.folder.path().join(".bin/place");
        let text = format!("{}\npwd > '{}'\n", block.text, place.display());
        let output = self.shell(&text).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.seen = text(&output.stdout) + &text(&output.stderr);
        assert!(
            output.status.success(),
            "in `{}`:\n{}\n{}",
            block.chapter,
            block.text,
            self.seen
        );
        self.place = fs::read_to_string(place).unwrap().trim().into();
        let first = block.text.lines().next().unwrap_or_default();
        println!("{:>7.1?} {}: {first} …", started.elapsed(), block.chapter);
    }

    fn expect(&self, block: &Block<'_>) {
        for line in block.text.lines() {
            assert!(
                self.seen.contains(line),
                "in `{}` this is not said: {line}\n{}",
                block.chapter,
                self.seen
            );
        }
    }

    /// An excerpt is in some file of the project, however deep it is indented there.
    fn find(&self, block: &Block<'_>) {
        let flat =
            |text: &str| -> String { text.lines().map(str::trim).collect::<Vec<_>>().join("\n") };
        let wanted = flat(block.text.trim());
        let folders = ["", "src", "tests"].map(|name| self.place.join(name));
        let entries = folders
            .iter()
            .filter_map(|folder| fs::read_dir(folder).ok());
        let found = entries
            .flatten()
            .filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok())
            .any(|text| flat(&text).contains(&wanted));
        assert!(found, "in `{}` no file has:\n{}", block.chapter, block.text);
    }

    /// The scheduler that was just put in charge decided, and never failed.
    fn is_in_charge(&self, block: &Block<'_>) {
        let now = self.active();
        let name = now["name"].as_str().unwrap();
        assert!(block.text.contains(name), "`{name}` is in charge");
        assert!(now["decisions"].as_u64().unwrap() > 0, "{now}");
        assert_eq!(now["failures"], 0, "{now}");
    }

    fn active(&self) -> Value {
        let (_, said, _) = self.agent.skep(&["scheduler", "ls", "--json"], "").unwrap();
        let all: Value = serde_json::from_str(&said).unwrap();
        all["schedulers"][0].clone()
    }

    /// `skep plugin dev`: an edit is built and taken, one that does not compile changes nothing, and at the end everything is as
    /// it was.
    fn edits(&mut self) {
        self.place = self.folder.path().join("calm-c");
        let (done, _, said) = self
            .agent
            .skep(&["scheduler", "use", "spread"], "")
            .unwrap();
        assert!(done, "{said}");
        let mut dev = self
            .shell("exec skep plugin dev")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = lines(&mut dev);
        wait_for(&said, "ok `calm-c` 0.1.0");
        wait_for(&said, "watching");
        assert_eq!(self.active()["name"], "calm-c.wasm");

        let source = self.place.join("src/scheduler.c");
        let before = fs::read_to_string(&source).unwrap();
        fs::write(&source, format!("{before}\nno C at all\n")).unwrap();
        wait_for(&said, "clang failed");
        assert_eq!(self.active()["name"], "calm-c.wasm");
        let edited = before.replace("running, the fewest", "running, after an edit");
        assert_ne!(edited, before);
        fs::write(&source, edited).unwrap();
        wait_for(&said, "ok `calm-c` 0.1.0");

        let interrupt = Command::new("kill")
            .args(["-INT", &dev.id().to_string()])
            .status();
        assert!(interrupt.unwrap().success());
        assert_eq!(dev.wait().unwrap().code(), Some(130));
        assert_eq!(self.active()["name"], "spread");
    }
}

fn lines(child: &mut Child) -> Receiver<String> {
    let (tell, said) = channel();
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let also = tell.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    std::thread::spawn(move || {
        for line in BufReader::new(err).lines().map_while(Result::ok) {
            let _ = also.send(line);
        }
    });
    said
}

fn wait_for(said: &Receiver<String>, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = String::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = said
            .recv_timeout(left)
            .unwrap_or_else(|_| panic!("it never said `{what}`: {seen}"));
        if line.contains(what) {
            return;
        }
        writeln!(seen, "{line}").unwrap();
    }
}
