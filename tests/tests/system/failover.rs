//! Workers that are killed in mid-stream: their clients see nothing of it.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use skep_tests::agent::Agent;
use skep_tests::raw;

/// Longer than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// One request, and what is asked of its answer.
#[derive(Clone, Debug)]
struct Case {
    path: &'static str,
    body: Value,
}

/// What a client makes of an answer: all of it that must not depend on a death.
#[derive(Clone, Debug, Default, PartialEq)]
struct Answer {
    choices: BTreeMap<u64, Choice>,
    prompt_tokens: u64,
    completion_tokens: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Choice {
    text: String,
    finish: String,
    /// By list; how its entries are spread over chunks is the model's own business.
    logprobs: BTreeMap<&'static str, Vec<Value>>,
    /// Chunks that name a role, in a stream.
    roles: usize,
}

/// Twenty requests, no two alike: chats and completions, short and long prompts, stop texts that come and that nearly
/// come, characters that are split between tokens, several choices, seeds, log probabilities, streams and whole answers.
fn cases() -> Vec<Case> {
    (0..20_u64)
        .map(|number| {
            let prompt = format!(
                "{}Here is é 日本 number {number}",
                "A hive has many bees. ".repeat(number as usize % 6)
            );
            let mut body = json!({
                "model": "tiny", "temperature": 0, "max_tokens": 400, "ignore_eos": true,
                "stream": number % 5 != 4,
            });
            let chat = number % 2 == 0;
            if chat {
                body["messages"] = json!([{"role": "user", "content": prompt}]);
            } else {
                body["prompt"] = json!(prompt);
            }
            if number % 3 == 0 {
                body["stop"] = json!(["zqzq", "\n\n\n\n\n\n\n\n"]);
            }
            if number % 4 == 1 {
                // Single bytes of characters, so that many are cut in two.
                let bias = (128..256).map(|token| (token.to_string(), json!(7)));
                body["logit_bias"] = Value::Object(bias.collect());
                body["frequency_penalty"] = json!(0.5);
            }
            if number % 5 == 2 {
                body["n"] = json!(2);
            }
            if number % 7 == 3 {
                body["temperature"] = json!(0.9);
                body["seed"] = json!(number);
            }
            if number % 6 == 5 {
                body["logprobs"] = if chat { json!(true) } else { json!(2) };
                body["echo"] = json!(!chat);
            }
            if body["stream"] == json!(true) {
                body["stream_options"] = json!({"include_usage": true});
            }
            let path = if chat {
                "/v1/chat/completions"
            } else {
                "/v1/completions"
            };
            Case { path, body }
        })
        .collect()
}

/// Asks, and rings `heard` at each piece of the answer that arrives.
fn ask(to: SocketAddr, case: &Case, heard: &Sender<()>) -> Result<Answer> {
    let mut stream = raw::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let body = case.body.to_string();
    // In HTTP/1.0 an answer ends with its connection, and nothing is in chunks.
    let request = format!(
        "POST {} HTTP/1.0\r\nhost: {to}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        case.path,
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 << 10]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
                // Nobody listens once the kill is done.
                let _ = heard.send(());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let text = String::from_utf8(bytes)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no head")?;
    ensure!(head.starts_with("HTTP/1.0 200"), "{text}");
    if case.body["stream"] == json!(true) {
        streamed(body)
    } else {
        let mut answer = Answer::default();
        take_in(&mut answer, &serde_json::from_str(body)?)?;
        Ok(answer)
    }
}

/// Reads a stream of events; anything that is not as it should be is an error.
fn streamed(body: &str) -> Result<Answer> {
    let mut answer = Answer::default();
    let mut events = body.split_terminator("\n\n").peekable();
    while let Some(event) = events.next() {
        if event.starts_with(": ") {
            continue;
        }
        let data = event.strip_prefix("data: ").context("not an event")?;
        ensure!(!data.contains('\n'), "a line too many: {event}");
        if data == "[DONE]" {
            ensure!(events.peek().is_none(), "something after the end");
            return Ok(answer);
        }
        take_in(&mut answer, &serde_json::from_str(data)?)?;
    }
    bail!("no end: {body}")
}

/// One chunk, or a whole answer.
fn take_in(answer: &mut Answer, part: &Value) -> Result<()> {
    ensure!(part.get("error").is_none(), "{part}");
    if let Some(usage) = part.get("usage").filter(|usage| !usage.is_null()) {
        let count = |name: &str| usage.get(name).and_then(Value::as_u64).context("no count");
        answer.prompt_tokens += count("prompt_tokens")?;
        answer.completion_tokens += count("completion_tokens")?;
    }
    let choices = part.get("choices").and_then(Value::as_array);
    for found in choices.context("no choices")? {
        let index = found.get("index").and_then(Value::as_u64);
        let choice = answer
            .choices
            .entry(index.context("no index")?)
            .or_default();
        ensure!(choice.finish.is_empty(), "a choice goes on after its end");
        let delta = found.get("delta").or_else(|| found.get("message"));
        let content = delta.map_or_else(|| found.get("text"), |delta| delta.get("content"));
        choice
            .text
            .push_str(content.and_then(Value::as_str).unwrap_or_default());
        let role = delta.and_then(|delta| delta.get("role"));
        choice.roles += usize::from(role.is_some());
        if let Some(finish) = found.get("finish_reason").and_then(Value::as_str) {
            choice.finish = finish.to_owned();
        }
        for list in ["content", "token_logprobs", "token_ids", "top_values"] {
            let entries = found
                .pointer(&format!("/logprobs/{list}"))
                .and_then(Value::as_array);
            let listed = choice.logprobs.entry(list).or_default();
            listed.extend(entries.into_iter().flatten().cloned());
        }
    }
    Ok(())
}

/// Asks everything at once, and meanwhile lets `disturb` do what it wants.
fn ask_all(
    to: SocketAddr,
    cases: &[Case],
    disturb: impl FnOnce(&Receiver<()>) -> Result<()>,
) -> Result<Vec<Answer>> {
    let (heard, hearing) = channel();
    std::thread::scope(|scope| {
        let asked: Vec<_> = cases
            .iter()
            .map(|case| {
                let heard = heard.clone();
                scope.spawn(move || ask(to, case, &heard).with_context(|| format!("{case:?}")))
            })
            .collect();
        drop(heard);
        let disturbed = disturb(&hearing);
        let answers = asked.into_iter().map(|one| match one.join() {
            Ok(answer) => answer,
            Err(_) => bail!("a client panicked"),
        });
        let answers = answers.collect::<Result<Vec<_>>>();
        disturbed?;
        answers
    })
}

/// The worker's process, once the model is ready.
fn worker(to: SocketAddr) -> Result<u32> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let (_, text) = raw::request(to, "GET", "/api/v1/ps", "", "")?;
        let found: Value = serde_json::from_str(&text)?;
        let ready = found.pointer("/replicas/0/state") == Some(&json!("ready"));
        let pid = found.pointer("/replicas/0/pid").and_then(Value::as_u64);
        if let (true, Some(pid)) = (ready, pid) {
            return Ok(u32::try_from(pid)?);
        }
    }
    bail!("no worker became ready")
}

fn kill(pid: u32) -> Result<()> {
    let status = Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .output()?
        .status;
    ensure!(status.success(), "could not kill the worker");
    Ok(())
}

fn metric(to: SocketAddr, name: &str) -> Result<u64> {
    let (_, text) = raw::request(to, "GET", "/metrics", "", "")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.context("no such metric")?.parse()?)
}

/// Kills the worker once `pieces` pieces of answers have arrived.
fn kill_after(to: SocketAddr, pieces: usize, hearing: &Receiver<()>) -> Result<()> {
    let mut pid = worker(to)?;
    for _ in 0..pieces {
        hearing
            .recv_timeout(PATIENCE)
            .context("the answers were over before the kill")?;
    }
    // One that was killed a moment ago may still be told of.
    let deadline = Instant::now() + PATIENCE;
    while kill(pid).is_err() {
        ensure!(Instant::now() < deadline, "no worker could be killed");
        pid = worker(to)?;
    }
    Ok(())
}

/// Where kills fall, other in each run; printed, so that a failure can be had again.
fn draw(seed: &mut u64, below: usize) -> usize {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as usize % below.max(1)
}

#[test]
fn twenty_streams_survive_their_worker() {
    let agent = Agent::start(&[("SKEP_NODE_THREADS", "1")]).unwrap();
    let to = agent.address();
    worker(to).unwrap();
    let mut cases = cases();
    let free = ask_all(to, &cases, |_| Ok(())).unwrap();
    for (case, answer) in cases.iter_mut().zip(&free) {
        // A stop text that comes, somewhat after the middle unless it came before.
        let Some(stops) = case.body.get_mut("stop").and_then(Value::as_array_mut) else {
            continue;
        };
        let text: Vec<char> = answer.choices[&0].text.chars().collect();
        let stop: String = text.iter().skip(text.len() * 3 / 5).take(7).collect();
        stops.push(json!(stop));
    }
    let mut pieces = 0;
    let started = Instant::now();
    let expected = ask_all(to, &cases, |hearing| {
        pieces = hearing.iter().count();
        Ok(())
    })
    .unwrap();
    println!("{pieces} pieces in {:?} without a kill", started.elapsed());
    for (case, answer) in cases.iter().zip(&expected) {
        let choices = case.body["n"].as_u64().unwrap_or(1);
        assert_eq!(answer.choices.len() as u64, choices, "{case:?}");
        let streamed = case.body["stream"] == json!(true);
        for choice in answer.choices.values() {
            assert!(!choice.text.is_empty() && !choice.finish.is_empty());
            let chat = case.path.contains("chat");
            assert_eq!(choice.roles, usize::from(chat), "{case:?}");
            assert!(streamed || choice.text.len() > 10);
        }
    }
    let holds = |text: &str| {
        let any = |choice: &Choice| choice.text.contains(text) || choice.finish == text;
        expected
            .iter()
            .filter(|answer| answer.choices.values().any(any))
            .count()
    };
    assert!(holds("length") >= 10, "long answers: {}", holds("length"));
    assert!(holds("stop") >= 4, "stop texts: {}", holds("stop"));
    assert!(holds("\u{FFFD}") >= 2, "split characters");

    let mut seed = std::env::var("SKEP_TEST_SEED").map_or_else(
        |_| u64::from(std::process::id()),
        |seed| seed.parse().unwrap(),
    );
    println!("SKEP_TEST_SEED={seed}");
    let mut moved = 0;
    for (round, kills) in [1, 1, 1, 2].into_iter().enumerate() {
        let found = ask_all(to, &cases, |hearing| {
            for _ in 0..kills {
                // Anywhere in the first two thirds; a fast machine sends few and large pieces.
                kill_after(to, draw(&mut seed, pieces * 2 / 3 / kills), hearing)?;
            }
            Ok(())
        })
        .unwrap();
        for ((case, expected), found) in cases.iter().zip(&expected).zip(&found) {
            for (index, choice) in &expected.choices {
                let found = found.choices.get(index).map(|choice| &choice.text);
                assert_eq!(
                    found,
                    Some(&choice.text),
                    "round {round}: {}",
                    case.body["prompt"]
                );
            }
            // Log probabilities to the last digit; too many to be shown.
            assert!(found == expected, "round {round}: {}", case.body["prompt"]);
        }
        let now = metric(to, "skep_requests_moved_total").unwrap();
        println!("round {round}: {} moved", now - moved);
        assert!(now > moved, "round {round}: nothing was under way");
        moved = now;
    }
    assert_eq!(metric(to, "skep_requests_stranded_total").unwrap(), 0);
    let (_, traces) = raw::request(to, "GET", "/api/v1/requests", "", "").unwrap();
    let traces: Value = serde_json::from_str(&traces).unwrap();
    let first = &traces["requests"].as_array().unwrap()[..];
    let told = first
        .iter()
        .filter_map(|trace| trace["moves"].as_array()?.first().cloned())
        .collect::<Vec<_>>();
    assert!(told.len() >= 10, "{}", told.len());
    assert!(told[0]["why"].as_str().unwrap().contains("SIGKILL"));
}

/// A worker that dies while it reads prompts, with most of them still waiting in it.
#[test]
fn prompts_that_were_being_read_are_read_again() {
    let agent = Agent::start(&[("SKEP_NODE_THREADS", "1")]).unwrap();
    let to = agent.address();
    worker(to).unwrap();
    let prompts: Vec<_> = (0..100)
        .map(|number| format!("{number} {}", "A hive has many bees. ".repeat(16)))
        .collect();
    let case = Case {
        path: "/v1/completions",
        body: json!({"model": "tiny", "prompt": prompts, "temperature": 0, "max_tokens": 3}),
    };
    let cases = [case];
    let expected = ask_all(to, &cases, |_| Ok(())).unwrap();
    assert_eq!(expected[0].choices.len(), 100);
    let mut moved = 0;
    for _ in 0..3 {
        // A fresh worker knows none of the prompts. It is killed as soon as it is seen to work.
        let found = ask_all(to, &cases, |_| {
            let pid = worker(to)?;
            loop {
                let (_, text) = raw::request(to, "GET", "/api/v1/ps", "", "")?;
                let found: Value = serde_json::from_str(&text)?;
                if found.pointer("/replicas/0/waiting").and_then(Value::as_u64) > Some(0) {
                    return kill(pid);
                }
            }
        })
        .unwrap();
        assert!(found == expected);
        moved = metric(to, "skep_requests_moved_total").unwrap();
    }
    assert!(moved > 100, "{moved}");
}
