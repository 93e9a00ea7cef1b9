//! Upstreams and notifiers, as an operator and a client see them: one real agent that uses the models of another, and small
//! servers that hold still where a real one would be too quick.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skep_tests::agent::Agent;
use skep_tests::raw;

/// An agent that needs no model of its own starts sooner.
pub(super) const NO_MODEL: (&str, &str) = ("SKEP_MODELS_DEFAULT", "");

pub(super) const PATIENCE: Duration = Duration::from_secs(180);

/// A model of another agent is used as one's own, with a key that nobody sees; when the other agent goes, clients are told
/// so, and when it comes back they are served again; a restart forgets nothing.
#[test]
fn the_models_of_another_agent_are_used_through_an_upstream() {
    let mut far = Agent::start(&[]).unwrap();
    let mut near = Agent::start(&[NO_MODEL]).unwrap();
    let key = well(&far, &["keys", "new", "near"], "");
    let key = key.trim();
    let base = format!("base-url=http://{}/v1", far.address());
    let grant = format!("http-local:{}", far.address());
    let add = [
        "upstream", "add", "lab", "--plugin", "openai", "--prefix", "--set", &base, "--set",
        "key=far",
    ];

    // Nothing is granted by itself, and what is said names the next step.
    let (done, _, said) = near.skep(&add, "").unwrap();
    assert!(
        !done && said.contains(&format!("--grant {grant}")),
        "{said}"
    );
    let with_grant: Vec<&str> = add
        .iter()
        .copied()
        .chain(["--grant", &grant, "--grant", "secret:far"])
        .collect();
    let (done, _, said) = near.skep(&with_grant, "").unwrap();
    assert!(!done && said.contains("skep secret set far"), "{said}");
    well(&near, &["secret", "set", "far"], &format!("{key}\n"));
    well(&near, &with_grant, "");

    let models = well(&near, &["upstream", "models", "lab", "--json"], "");
    assert!(models.contains("lab/tiny"), "{models}");
    let models = well(&near, &["models"], "");
    assert!(models.contains("lab/tiny"), "{models}");
    // Who agreed is kept by the cluster, for everybody to see.
    let plugin = get(&near, "/api/v1/plugins/openai");
    let agreed = plugin["granted"].as_array().unwrap();
    assert_eq!(agreed.len(), 2, "{plugin}");
    for one in agreed {
        assert!(one["granted_by"].as_str().unwrap().starts_with("user "));
        assert!(!one["reason"].as_str().unwrap().is_empty(), "{one}");
    }
    let listed = get(&near, "/v1/models");
    let found = listed["data"].as_array().unwrap();
    let offered = found.iter().find(|model| model["id"] == "lab/tiny");
    assert_eq!(offered.unwrap()["owned_by"], "lab", "{listed}");

    // The same words as the other agent says itself.
    let (status, answer) = chat(&near, "lab/tiny", false);
    assert_eq!(status, 200, "{answer}");
    let (_, own) = chat(&far, "tiny", false);
    let text = |answer: &str| parse(answer)["choices"][0]["message"]["content"].clone();
    assert!(!text(&answer).as_str().unwrap().is_empty());
    assert_eq!(text(&answer), text(&own));
    let (status, stream) = chat(&near, "lab/tiny", true);
    assert_eq!(status, 200, "{stream}");
    assert!(stream.contains("data: [DONE]"), "{stream}");
    assert_eq!(json!(streamed(&stream)), text(&own));

    let vectors = |agent: &Agent, model: &str| {
        let ask = json!({ "model": model, "input": ["fn main", "let"] }).to_string();
        let mut connection = raw::connect(agent.address()).unwrap();
        send(agent, &mut connection, "/v1/embeddings", "", &ask);
        let heard = raw::listen(&mut connection, PATIENCE).unwrap();
        assert_eq!(heard.statuses(), [400], "{}", heard.text);
        parse(&body(&heard.text))["error"]["message"].to_string()
    };
    // What the other agent refuses is refused in its words.
    let refused = vectors(&far, "tiny");
    let passed_on = vectors(&near, "lab/tiny");
    assert!(passed_on.contains(refused.trim_matches('"')), "{passed_on}");

    // A restart of this agent keeps all of it.
    near.restart(&[NO_MODEL]).unwrap();
    wait_until("the model is back", || {
        chat(&near, "lab/tiny", false).0 == 200
    });

    // The other agent goes, and comes back.
    let at = far.address().to_string();
    let home_of_far = ("SKEP_HTTP_LISTEN", at.as_str());
    far.signal("KILL").unwrap();
    far.wait().unwrap();
    let (status, said) = chat(&near, "lab/tiny", false);
    assert!(matches!(status, 502 | 503), "{status}: {said}");
    assert!(said.contains("upstream `lab`"), "{said}");
    far.restart(&[home_of_far]).unwrap();
    wait_until("the upstream answers again", || {
        chat(&near, "lab/tiny", false).0 == 200
    });

    for told in [
        &["upstream", "ls", "--json"][..],
        &["upstream", "show", "lab", "--json"],
        &["secret", "ls", "--json"],
        &["alerts", "--json"],
        &["logs", "-n", "10000", "--json"],
    ] {
        let told = well(&near, told, "");
        assert!(!told.contains(key), "{told}");
    }
    let (done, _, said) = near.skep(&["secret", "rm", "far"], "").unwrap();
    assert!(!done && said.contains("upstream lab"), "{said}");
    well(&near, &["upstream", "rm", "lab"], "");
    well(&near, &["secret", "rm", "far"], "");
    let (status, said) = chat(&near, "lab/tiny", false);
    assert_eq!(status, 404, "{said}");
}

/// A client that leaves ends the request elsewhere, and so does a right that is taken away.
#[test]
fn requests_elsewhere_end_with_their_clients_and_their_rights() {
    let (server, news) = endless();
    let agent = Agent::start(&[NO_MODEL]).unwrap();
    let base = format!("base-url=http://{server}/v1");
    let grant = format!("http-local:{server}");
    let add = [
        "upstream", "add", "slow", "--plugin", "openai", "--set", &base, "--grant", &grant,
    ];
    well(&agent, &add, "");
    well(&agent, &["upstream", "models", "slow"], "");

    let client = begin(&agent);
    assert_eq!(news.recv_timeout(PATIENCE), Ok(News::Begun));
    let left = Instant::now();
    drop(client);
    assert_eq!(news.recv_timeout(PATIENCE), Ok(News::Gone));
    assert!(
        left.elapsed() < Duration::from_secs(5),
        "{:?}",
        left.elapsed()
    );

    let mut client = begin(&agent);
    assert_eq!(news.recv_timeout(PATIENCE), Ok(News::Begun));
    let revoked = Instant::now();
    well(&agent, &["plugin", "revoke", "openai", &grant], "");
    assert_eq!(news.recv_timeout(PATIENCE), Ok(News::Gone));
    assert!(
        revoked.elapsed() < Duration::from_secs(1),
        "{:?}",
        revoked.elapsed()
    );
    let heard = raw::listen(&mut client, PATIENCE).unwrap();
    assert!(heard.text.contains("error"), "{}", heard.text);
    let (status, said) = chat(&agent, "held", false);
    assert!(matches!(status, 502 | 503), "{status}: {said}");
    let shown = well(&agent, &["upstream", "show", "slow", "--json"], "");
    assert_eq!(parse(&shown)["process"], "not_granted", "{shown}");

    // Granted again, it works again by itself.
    well(&agent, &["plugin", "grant", "openai", &grant], "");
    wait_until("it may again", || {
        let shown = well(&agent, &["upstream", "show", "slow", "--json"], "");
        parse(&shown)["state"] == "up"
    });
}

/// A notifier's trial arrives where its settings say.
#[test]
fn a_notifier_delivers_its_trial() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (_, body) = request(stream.as_ref().unwrap());
            let _ = stream.unwrap().write_all(
                b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            );
            if tell.send(body).is_err() {
                return;
            }
        }
    });
    let agent = Agent::start(&[NO_MODEL]).unwrap();
    let url = format!("url=http://{server}/alerts");
    let grant = format!("http-local:{server}");
    let add = [
        "notifier", "add", "desk", "--plugin", "webhook", "--set", &url, "--grant", &grant,
    ];
    well(&agent, &add, "");
    well(&agent, &["notifier", "test", "desk"], "");
    let alert = parse(&told.recv_timeout(PATIENCE).unwrap());
    assert_eq!(alert["resolved"], false, "{alert}");
    assert!(
        alert["title"].is_string() && alert["cluster"].is_string(),
        "{alert}"
    );
    let listed = well(&agent, &["notifier", "ls", "--json"], "");
    assert_eq!(parse(&listed)["services"][0]["state"], "up", "{listed}");
    well(&agent, &["notifier", "rm", "desk"], "");
    let (done, _, said) = agent.skep(&["notifier", "test", "desk"], "").unwrap();
    assert!(!done && said.contains("skep notifier ls"), "{said}");
}

/// Runs a command that must go well; what it wrote.
pub(super) fn well(agent: &Agent, arguments: &[&str], input: &str) -> String {
    let (done, wrote, said) = agent.skep(arguments, input).unwrap();
    assert!(done, "{arguments:?}: {said}");
    wrote
}

pub(super) fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub(super) fn get(agent: &Agent, path: &str) -> Value {
    let to = agent.address();
    let ask = format!("GET {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\r\n");
    let heard = raw::say(to, ask.as_bytes(), PATIENCE).unwrap();
    parse(&body(&heard.text))
}

pub(super) fn chat(agent: &Agent, model: &str, stream: bool) -> (u16, String) {
    let ask = json!({
        "model": model,
        "messages": [{ "role": "user", "content": "The borrow checker" }],
        "temperature": 0,
        "max_tokens": 12,
        "stream": stream,
    });
    let mut connection = raw::connect(agent.address()).unwrap();
    send(
        agent,
        &mut connection,
        "/v1/chat/completions",
        "",
        &ask.to_string(),
    );
    let heard = raw::listen(&mut connection, PATIENCE).unwrap();
    (heard.statuses()[0], body(&heard.text))
}

/// Asks for a stream and waits for its first words.
fn begin(agent: &Agent) -> TcpStream {
    let ask = json!({
        "model": "held",
        "messages": [{ "role": "user", "content": "x" }],
        "stream": true,
    });
    let mut connection = raw::connect(agent.address()).unwrap();
    send(
        agent,
        &mut connection,
        "/v1/chat/completions",
        "",
        &ask.to_string(),
    );
    let mut heard = String::new();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = [0; 1024];
    while !heard.contains("hello") {
        let count = connection.read(&mut bytes).unwrap();
        assert!(count > 0, "{heard}");
        heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    connection
}

pub(super) fn send(agent: &Agent, stream: &mut TcpStream, path: &str, header: &str, json: &str) {
    let (to, length) = (agent.address(), json.len());
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/json\r\n{header}content-length: {length}\r\n\
         connection: close\r\n\r\n{json}"
    );
    stream.write_all(head.as_bytes()).unwrap();
}

/// What follows the head, without the lengths of chunks.
pub(super) fn body(text: &str) -> String {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    if !head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        return body.to_owned();
    }
    let (mut whole, mut rest) = (String::new(), body);
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        if length == 0 || length > after.len() {
            break;
        }
        whole.push_str(&after[..length]);
        rest = after[length..].trim_start_matches("\r\n");
    }
    whole
}

pub(super) fn streamed(stream: &str) -> String {
    let events = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    let events = events.filter(|event| *event != "[DONE]").map(parse);
    let words = events.filter_map(|event| {
        let content = &event["choices"][0]["delta"]["content"];
        content.as_str().map(str::to_owned)
    });
    words.collect()
}

pub(super) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    let (_hold, never) = channel::<()>();
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        let _ = never.recv_timeout(Duration::from_millis(100));
    }
}

/// What becomes of a stream at the server's end.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Begun,
    Gone,
}

/// A server with one model, `held`, which says `hello` and then nothing until its client is gone.
fn endless() -> (std::net::SocketAddr, Receiver<News>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, news) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            std::thread::spawn(move || serve(stream, &tell));
        }
    });
    (address, news)
}

fn serve(mut stream: TcpStream, tell: &Sender<News>) {
    let (line, _) = request(&stream);
    if line.starts_with("GET ") {
        let list =
            json!({ "object": "list", "data": [{ "id": "held", "object": "model" }] }).to_string();
        let length = list.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        let _ = stream.write_all((head + &list).as_bytes());
        return;
    }
    let chunk = json!({
        "id": "1", "object": "chat.completion.chunk", "created": 0, "model": "held",
        "choices": [{ "index": 0, "delta": { "role": "assistant", "content": "hello" }, "finish_reason": null }],
    });
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let _ = stream.write_all(format!("{head}data: {chunk}\n\n").as_bytes());
    let _ = tell.send(News::Begun);
    // Nothing more comes from a client but its end.
    let _ = stream.read(&mut [0]);
    let _ = tell.send(News::Gone);
}

/// A request's first line and its body.
pub(super) fn request(stream: &TcpStream) -> (String, String) {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    let _ = reader.read_line(&mut first);
    loop {
        let mut line = String::new();
        let _ = reader.read_line(&mut line);
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(text) = line.strip_prefix("content-length:") {
            length = text.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    (first, String::from_utf8_lossy(&body).into_owned())
}
