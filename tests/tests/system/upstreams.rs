//! What upstreams do wrong, as clients hear of it; finding servers; and plugins that operators add.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use skep::plugins::manifest::{embed, extract};
use skep_tests::agent::Agent;
use skep_tests::raw;

use super::services::{NO_MODEL, PATIENCE, body, chat, parse, request, send, wait_until, well};

/// A service that limits the rate, one that breaks off, and a key that is wrong: clients hear what they can do.
#[test]
fn what_an_upstream_does_wrong_reaches_the_client_in_clear_words() {
    let server = naughty();
    let far = Agent::start(&[NO_MODEL, ("SKEP_HTTP_REQUIRE_KEY", "true")]).unwrap();
    let agent = Agent::start(&[NO_MODEL]).unwrap();
    add(&agent, "odd", server, &[]);
    well(&agent, &["upstream", "models", "odd"], "");

    for stream in [false, true] {
        let heard = ask(&agent, "busy", stream);
        assert_eq!(heard.statuses(), [429], "{}", heard.text);
        let head = heard.text.to_ascii_lowercase();
        assert!(head.contains("\r\nretry-after: 37\r\n"), "{head}");
        let error = parse(&body(&heard.text))["error"].clone();
        assert_eq!(error["type"], "rate_limit_error", "{error}");
        let said = error["message"].as_str().unwrap();
        assert!(said.contains("upstream `odd`") && said.contains("slow down"));
    }

    // What comes in another order is put into the one that was asked for.
    let inputs = json!({ "model": "vectors", "input": ["one", "two"] }).to_string();
    let mut connection = raw::connect(agent.address()).unwrap();
    send(&agent, &mut connection, "/v1/embeddings", "", &inputs);
    let heard = raw::listen(&mut connection, PATIENCE).unwrap();
    let vectors = parse(&body(&heard.text))["data"].clone();
    assert_eq!(vectors[0]["embedding"], json!([1.0, 0.0]), "{}", heard.text);
    assert_eq!(vectors[1]["embedding"], json!([0.0, 1.0]), "{}", heard.text);

    let heard = ask(&agent, "dying", true);
    assert_eq!(heard.statuses(), [200], "{}", heard.text);
    let events = body(&heard.text);
    assert!(
        events.contains("hello") && !events.contains("[DONE]"),
        "{events}"
    );
    let last = events.trim_end().rsplit("data: ").next().unwrap();
    let said = parse(last)["error"]["message"].clone();
    assert!(
        said.as_str().unwrap().contains("upstream `odd`"),
        "{events}"
    );
    let (status, said) = chat(&agent, "dying", false);
    assert_eq!(status, 502, "{said}");

    // A real server that wants a key, and another key.
    well(&agent, &["secret", "set", "wrong"], "sk-skep-wrong\n");
    add(
        &agent,
        "locked",
        far.address(),
        &["--set", "key=wrong", "--grant", "secret:wrong"],
    );
    let (done, _, said) = agent.skep(&["upstream", "models", "locked"], "").unwrap();
    assert!(!done, "{said}");
    for part in ["upstream `locked`", "`skep secret set wrong`"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("sk-skep-wrong"), "{said}");
}

/// What is found is named with the command that uses it, and that command works as it stands.
#[test]
fn a_server_that_is_found_is_used_by_the_command_that_is_shown() {
    let far = Agent::start(&[NO_MODEL]).unwrap();
    let locked = Agent::start(&[NO_MODEL, ("SKEP_HTTP_REQUIRE_KEY", "true")]).unwrap();
    let ollama = small(|path| match path {
        "/api/version" => Some(json!({ "version": "0.9.1" })),
        "/api/tags" => Some(json!({ "models": [{ "name": "qwen3:8b", "model": "qwen3:8b" }] })),
        _ => None,
    });
    let page = small(|_| None);
    let near = Agent::start(&[NO_MODEL]).unwrap();
    let [far_at, locked_at, ollama_at, page_at] =
        [far.address(), locked.address(), ollama, page].map(|at| at.to_string());
    let look = |more: &[&str]| {
        let hosts = [&far_at, &locked_at, &ollama_at, &page_at].map(String::as_str);
        let all = [&["upstream", "find"][..], &hosts, more].concat();
        well(&near, &all, "")
    };
    let found = |text: &str| -> Vec<Value> {
        let list = parse(text)["found"].as_array().unwrap().clone();
        let named = [&far_at, &locked_at, &ollama_at, &page_at];
        let is_ours = |one: &Value| {
            let url = one["base_url"].as_str().unwrap();
            named
                .iter()
                .any(|at| url.starts_with(&format!("http://{at}")))
        };
        // This machine may have others.
        list.into_iter().filter(is_ours).collect()
    };
    let all = found(&look(&["--json"]));
    let of = |at: &str| {
        let mut all = all.iter();
        all.find(|one| one["base_url"].as_str().unwrap().contains(at))
            .cloned()
    };
    assert_eq!(all.len(), 3, "{all:?}");
    let one = of(&ollama_at).unwrap();
    assert_eq!(
        (&one["plugin"], &one["models"]),
        (&json!("ollama"), &json!(["qwen3:8b"]))
    );
    let one = of(&locked_at).unwrap();
    assert_eq!(
        (&one["plugin"], &one["wants_key"]),
        (&json!("openai"), &json!(true))
    );
    assert!(
        one["command"].as_str().unwrap().contains("--set key="),
        "{one}"
    );
    let one = of(&far_at).unwrap();
    assert_eq!(
        (&one["plugin"], &one["models"]),
        (&json!("openai"), &json!(["tiny"]))
    );
    let command = one["command"].as_str().unwrap();
    assert!(look(&[]).contains(command));

    let words: Vec<&str> = command.split(' ').skip(1).collect();
    well(&near, &words, "");
    let name = words[2];
    well(&near, &["upstream", "models", name], "");
    let again = found(&look(&["--json"]));
    let used = again.iter().find(|one| one["upstream"] == name).unwrap();
    assert_eq!(used["command"], Value::Null, "{used}");

    for wrong in ["10.0.0.0/24", "*.example.org", "http://hive2"] {
        let (done, _, said) = near.skep(&["upstream", "find", wrong], "").unwrap();
        assert!(!done && said.contains("HOST:PORT"), "{said}");
    }
}

/// A plugin that is no part of the binary makes upstreams as well, and is not removed from under them.
#[test]
fn a_plugin_that_an_operator_added_makes_upstreams() {
    let far = Agent::start(&[]).unwrap();
    let near = Agent::start(&[NO_MODEL]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.wasm");
    std::fs::write(&file, renamed("mine")).unwrap();
    let (done, _, said) = near
        .skep(&["upstream", "add", "x", "--plugin", "mine"], "")
        .unwrap();
    assert!(!done && said.contains("no plugin named `mine`"), "{said}");
    well(
        &near,
        &["plugin", "add", file.to_str().unwrap(), "--yes"],
        "",
    );
    let base = format!("base-url=http://{}/v1", far.address());
    let grant = format!("http-local:{}", far.address());
    let add = [
        "upstream", "add", "own", "--plugin", "mine", "--prefix", "--set", &base, "--grant", &grant,
    ];
    well(&near, &add, "");
    wait_until("it answers", || chat(&near, "own/tiny", false).0 == 200);
    let (done, _, said) = near.skep(&["plugin", "remove", "mine"], "").unwrap();
    assert!(!done && said.contains("the upstream `own`"), "{said}");
    well(&near, &["plugin", "remove", "mine", "--force"], "");
    wait_until("it is over", || chat(&near, "own/tiny", false).0 == 503);
    let (_, said) = chat(&near, "own/tiny", false);
    assert!(said.contains("upstream `own`"), "{said}");
    let shown = well(&near, &["upstream", "show", "own"], "");
    assert!(shown.contains("no plugin named `mine`"), "{shown}");
}

/// Models of an upstream are known at once after a restart although the service takes its time, and it is noticed by whoever looks that a service which nobody used has gone and come back.
#[test]
fn an_upstream_is_known_after_a_restart_and_missed_when_it_is_gone() {
    let slow = Arc::new(AtomicBool::new(false));
    let waits = slow.clone();
    let (never, hold) = std::sync::mpsc::channel::<()>();
    let server = small(move |path| {
        if waits.load(Ordering::Relaxed) {
            let _ = hold.recv_timeout(Duration::from_secs(2));
        }
        let list = json!({ "object": "list", "data": [{ "id": "far" }] });
        (path == "/v1/models").then_some(list)
    });
    let mut agent = Agent::start(&[NO_MODEL]).unwrap();
    add(&agent, "one", server, &[]);
    // On a busy machine its plugin is compiled for longer than adding waits.
    wait_until("it is listed", || {
        well(&agent, &["upstream", "models", "one"], "").contains("far")
    });

    slow.store(true, Ordering::Relaxed);
    agent.restart(&[NO_MODEL]).unwrap();
    // It was asked: what it says is that it has no such path.
    let (_, said) = chat(&agent, "far", false);
    assert!(said.contains("knows no such request"), "{said}");
    drop(never);

    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    let end = for_a_while(gone);
    add(&agent, "two", address, &[]);
    let standing = |agent: &Agent| {
        let shown = parse(&well(agent, &["upstream", "show", "two", "--json"], ""));
        shown["state"].as_str().unwrap_or_default().to_owned()
    };
    wait_until("it is well", || standing(&agent) == "up");
    end();
    // Nobody asks anything of it; whoever looks is told.
    wait_until("it is missed", || standing(&agent) == "down");
    let end = for_a_while(TcpListener::bind(address).unwrap());
    wait_until("it is back", || standing(&agent) == "up");
    end();
    well(&agent, &["upstream", "rm", "two"], "");
    let kept = agent.home().join("state/offers");
    let of = |name: &str| kept.join(format!("{name}.json")).exists();
    assert_eq!((of("one"), of("two")), (true, false));
}

/// The plugin `openai` under another name.
fn renamed(name: &str) -> Vec<u8> {
    let openai = skep::plugins::find("openai").unwrap().bytes;
    let mut manifest = extract(openai).unwrap();
    manifest.name = name.to_owned();
    embed(openai, &manifest).unwrap()
}

fn add(agent: &Agent, name: &str, at: SocketAddr, more: &[&str]) {
    let base = format!("base-url=http://{at}/v1");
    let grant = format!("http-local:{at}");
    let add = [
        "upstream", "add", name, "--plugin", "openai", "--set", &base, "--grant", &grant,
    ];
    well(agent, &[&add[..], more].concat(), "");
}

fn ask(agent: &Agent, model: &str, stream: bool) -> raw::Heard {
    let ask = json!({
        "model": model, "stream": stream, "messages": [{ "role": "user", "content": "x" }],
    });
    let mut connection = raw::connect(agent.address()).unwrap();
    send(
        agent,
        &mut connection,
        "/v1/chat/completions",
        "",
        &ask.to_string(),
    );
    raw::listen(&mut connection, PATIENCE).unwrap()
}

/// A server that gives JSON for some paths, and a page for people for the rest.
fn small(answer: impl Fn(&str) -> Option<Value> + Send + 'static) -> SocketAddr {
    serve(move |stream, first, _| {
        let path = first.split(' ').nth(1).unwrap_or_default();
        let (status, kind, text) = match answer(path) {
            Some(value) => ("200 OK", "application/json", value.to_string()),
            None => (
                "404 Not Found",
                "text/html",
                "<html>nothing here</html>".to_owned(),
            ),
        };
        reply(stream, status, &format!("content-type: {kind}\r\n"), &text);
    })
}

/// A server with three models: `busy`, which never has time, `dying`, which breaks off after its first word, and `vectors`.
fn naughty() -> SocketAddr {
    serve(|stream, first, body| {
        let json = "content-type: application/json\r\n";
        if first.starts_with("GET ") {
            let models = ["busy", "dying", "vectors"].map(|id| json!({ "id": id }));
            let list = json!({ "object": "list", "data": models });
            return reply(stream, "200 OK", json, &list.to_string());
        }
        if body.contains("busy") {
            let error = json!({ "error": { "message": "slow down", "type": "rate_limit_error" } });
            let headers = format!("{json}retry-after: 37\r\n");
            return reply(
                stream,
                "429 Too Many Requests",
                &headers,
                &error.to_string(),
            );
        }
        if first.contains("/embeddings") {
            let vector = |index, embedding| json!({ "index": index, "embedding": embedding });
            let data = [vector(1, [0.0, 1.0]), vector(0, [1.0, 0.0])];
            let list = json!({ "object": "list", "data": data, "model": "vectors" });
            return reply(stream, "200 OK", json, &list.to_string());
        }
        let chunk = json!({
            "id": "1", "object": "chat.completion.chunk", "created": 0, "model": "dying",
            "choices": [{ "index": 0, "delta": { "content": "hello" }, "finish_reason": null }],
        });
        let event = format!("data: {chunk}\n\n");
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 100000\r\n\r\n";
        let _ = stream.write_all(format!("{head}{event}").as_bytes());
    })
}

fn serve(answer: impl Fn(&mut TcpStream, &str, &str) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (first, body) = request(&stream);
            answer(&mut stream, &first, &body);
        }
    });
    address
}

/// A server with one model, and what ends it.
fn for_a_while(listener: TcpListener) -> impl FnOnce() {
    let address = listener.local_addr().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let ends = over.clone();
    let serving = std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            if ends.load(Ordering::Relaxed) {
                return;
            }
            // Whoever only knocks says nothing.
            if !request(&stream).0.is_empty() {
                let list = json!({ "object": "list", "data": [{ "id": "near" }] });
                let json = "content-type: application/json\r\n";
                reply(&mut stream, "200 OK", json, &list.to_string());
            }
        }
    });
    move || {
        over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(address));
        serving.join().unwrap();
    }
}

fn reply(stream: &mut TcpStream, status: &str, headers: &str, text: &str) {
    let length = text.len();
    let whole = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{text}"
    );
    let _ = stream.write_all(whole.as_bytes());
}
