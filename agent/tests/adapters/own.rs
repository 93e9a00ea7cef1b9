//! The plugin `openai` against a server that is no stand-in: an agent of our own with the model that every binary carries.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use skep::compiler::Compiled;
use skep::host::World;
use skep::protocol::{Error, Finish, Prompt, Work};

use crate::bench::{Service, Wish};
use crate::call::{chat, models, run_for};

struct Agent {
    child: Child,
    url: String,
    _home: tempfile::TempDir,
}

impl Agent {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        spare_compiling(home.path()).await;
        let mut child = Command::new(env!("CARGO_BIN_EXE_skep"))
            .arg("up")
            .arg("--home")
            .arg(home.path())
            .env("SKEP_HTTP_LISTEN", "127.0.0.1:0")
            .env("SKEP_MODELS_DEFAULT", "tiny")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let serving = log
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.contains("serving"));
        assert!(serving.is_some(), "the agent did not start");
        std::thread::spawn(move || log.for_each(drop));
        let endpoint = std::fs::read_to_string(home.path().join("run/endpoint.json")).unwrap();
        let endpoint: serde_json::Value = serde_json::from_str(&endpoint).unwrap();
        Self {
            child,
            url: endpoint["url"].as_str().unwrap().to_owned(),
            _home: home,
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Gives the agent its engine compiled, from where these tests keep theirs.
async fn spare_compiling(home: &Path) {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("engine");
    let llama = skep::plugins::find("llama")
        .expect("this binary carries no plugins: `cargo xtask plugins` builds them, then set SKEP_PLUGINS_DIR");
    let compiled = Compiled::open(kept.clone(), env!("CARGO_BIN_EXE_skep").into()).unwrap();
    compiled.obtain(World::Engine, llama.bytes).await.unwrap();
    let folder = home.join("cache/compiled");
    let mut make = std::fs::DirBuilder::new();
    make.recursive(true).mode(0o700).create(&folder).unwrap();
    for entry in std::fs::read_dir(kept).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
    }
}

fn greedy(prompt: Prompt) -> Work {
    let mut work = chat();
    work.prompt = prompt;
    work.sampling.temperature = 0.0;
    work.max_tokens = Some(12);
    Work::Generate(work)
}

#[tokio::test]
async fn another_skep_is_an_upstream() {
    let agent = Agent::start().await;
    let authority = agent.url.strip_prefix("http://").unwrap();
    let mut service = Service::open(Wish {
        guest: "openai",
        world: World::Upstream,
        granted: vec![format!("http-local:{authority}")],
        settings: vec![("base-url".to_owned(), format!("{}/v1", agent.url))],
        ..Wish::default()
    })
    .await;

    let offers = models(&mut service).await.unwrap();
    assert!(offers.iter().any(|offer| offer.id == "tiny"), "{offers:?}");

    let text = || Prompt::Text("Once upon a time".to_owned());
    // A first request waits for the model; one that is refused for that says so.
    let mut streamed = run_for(&mut service, "tiny", greedy(text())).await;
    for _ in 0..60 {
        if !matches!(
            streamed.error,
            Some(Error::Exhausted(_) | Error::Limited { .. } | Error::Other(_))
        ) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        streamed = run_for(&mut service, "tiny", greedy(text())).await;
    }
    assert_eq!(streamed.finishes, [Finish::Length], "{streamed:?}");
    assert_eq!(streamed.usage.unwrap().completion_tokens, 12);
    let whole: serde_json::Value = tokio::task::spawn_blocking({
        let url = format!("{}/v1/completions", agent.url);
        move || {
            let body =
                r#"{"model":"tiny","prompt":"Once upon a time","temperature":0,"max_tokens":12}"#;
            let mut answer = ureq::post(url)
                .content_type("application/json")
                .send(body)
                .unwrap();
            serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
        }
    })
    .await
    .unwrap();
    assert_eq!(whole["choices"][0]["text"], streamed.texts[0].as_str());

    let mut many = chat();
    many.choices = 2;
    many.logprobs = Some(2);
    let outcome = run_for(&mut service, "tiny", Work::Generate(many)).await;
    assert_eq!(
        (outcome.texts.len(), outcome.finishes.len()),
        (2, 2),
        "{outcome:?}"
    );
    assert!(
        outcome.logprobs >= 2 && outcome.logprobs <= 10,
        "{outcome:?}"
    );

    let wrong = run_for(&mut service, "none-such", greedy(text())).await;
    assert!(
        matches!(&wrong.error, Some(Error::Invalid(invalid)) if invalid.field.as_deref() == Some("model")),
        "{wrong:?}"
    );
    let long = Prompt::Text("word ".repeat(5_000));
    let long = run_for(&mut service, "tiny", greedy(long)).await;
    assert!(matches!(long.error, Some(Error::TooLong(_))), "{long:?}");
    assert!(service.faults.is_empty(), "{:?}", service.faults);
}
