//! Several machines as one: joining, asking anywhere, losing one in mid-answer. Each in a namespace of its own.
#![allow(
    clippy::disallowed_methods,
    reason = "what other processes do has to be looked at again and again"
)]

use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use skep_tests::lab::{self, Lab, Machine};

/// Longer than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// Whether there can be a lab; says so where not.
pub(super) fn possible() -> bool {
    match lab::missing() {
        None => true,
        Some(why) => {
            eprintln!("not tried: {why}");
            false
        }
    }
}

/// Asks for a greedy completion and gives its text; rings `heard` at each piece that arrives.
fn ask(machine: &Machine, model: &str, prompt: &str, heard: &Sender<()>) -> Result<String> {
    let mut stream = machine.connect()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let body = json!({
        "model": model, "prompt": prompt, "temperature": 0, "max_tokens": 300, "ignore_eos": true, "stream": true,
    })
    .to_string();
    let request = format!(
        "POST /v1/completions HTTP/1.0\r\nhost: 127.0.0.1:7420\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 << 10]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
                let _ = heard.send(());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let text = String::from_utf8(bytes)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no head")?;
    ensure!(head.starts_with("HTTP/1.0 200"), "{text}");
    let mut answer = String::new();
    for event in body.split_terminator("\n\n") {
        if event.starts_with(": ") {
            continue;
        }
        let data = event.strip_prefix("data: ").context("not an event")?;
        if data == "[DONE]" {
            return Ok(answer);
        }
        let part: Value = serde_json::from_str(data)?;
        ensure!(part.get("error").is_none(), "{part}");
        let piece = part.pointer("/choices/0/text").and_then(Value::as_str);
        answer.push_str(piece.unwrap_or_default());
    }
    bail!("no end: {text}")
}

/// Asks everything at once; `disturb` does what it wants once so many pieces have arrived.
fn ask_all(
    machine: &Machine,
    model: &str,
    prompts: &[String],
    after: usize,
    disturb: impl FnOnce() -> Result<()>,
) -> Result<Vec<String>> {
    let (heard, hearing) = channel();
    std::thread::scope(|scope| {
        let asked: Vec<_> = prompts
            .iter()
            .map(|prompt| {
                let heard = heard.clone();
                scope.spawn(move || ask(machine, model, prompt, &heard))
            })
            .collect();
        drop(heard);
        let pieces = hearing.iter().take(after).count();
        let disturbed = disturb();
        let answers = asked.into_iter().map(|one| match one.join() {
            Ok(answer) => answer,
            Err(_) => bail!("a client panicked"),
        });
        let answers = answers.collect::<Result<Vec<_>>>();
        ensure!(
            pieces == after,
            "the answers were over before anything happened"
        );
        disturbed?;
        answers
    })
}

/// The nodes on which a model is ready, as a machine sees them.
pub(super) fn homes(machine: &Machine, model: &str) -> Result<Vec<String>> {
    let top = machine.json(&["top"])?;
    let replicas = top.get("replicas").and_then(Value::as_array);
    let of = |replica: &Value| {
        let ready = replica.get("state") == Some(&json!("ready"));
        let named = replica.get("model") == Some(&json!(model));
        let node = replica.get("node").and_then(Value::as_str)?;
        (ready && named).then(|| node.to_owned())
    };
    Ok(replicas
        .context("no replicas")?
        .iter()
        .filter_map(of)
        .collect())
}

pub(super) fn wait_until(what: &str, mut met: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !met()? {
        ensure!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn any_node_serves_what_any_has_and_the_death_of_one_is_not_noticed() {
    if !possible() {
        return;
    }
    let mut lab = Lab::new(3).unwrap();
    for machine in &mut lab.machines {
        // Nothing is loaded by itself, so that what is loaded is known.
        machine
            .settings
            .push(("SKEP_MODELS_DEFAULT".into(), String::new()));
        machine
            .settings
            .push(("SKEP_NODE_THREADS".into(), "1".into()));
    }
    lab.form().unwrap();
    let formed = lab.wait_for(3, PATIENCE).unwrap();
    println!("three nodes see each other {formed:?} after the last has joined");

    // A model that only the first and the second have, asked of the third.
    lab.machines[0].give("shared").unwrap();
    let (heard, _hearing) = channel();
    let started = Instant::now();
    wait_until("the third node hears of the model", || {
        let (_, text) = lab.machines[2].request("GET", "/v1/models", "")?;
        Ok(text.contains("shared"))
    })
    .unwrap();
    let text = ask(&lab.machines[2], "shared", "The hive", &heard).unwrap();
    assert!(!text.is_empty());
    println!(
        "the first answer from elsewhere after {:?}",
        started.elapsed()
    );
    assert_eq!(homes(&lab.machines[2], "shared").unwrap(), ["n1"]);
    let trace = lab.machines[2].json(&["explain", "last"]).unwrap();
    assert_eq!(trace["node"], json!("n1"), "{trace}");
    assert!(!trace["why"].as_str().unwrap().is_empty());

    // The same answer from the node that has it, and from one that has not.
    let local = ask(&lab.machines[0], "shared", "The hive", &heard).unwrap();
    assert_eq!(local, text);

    // Two have it now. Twenty streams through the third; the one that serves them dies.
    lab.machines[1].give("shared").unwrap();
    lab.machines[1].skep(&["load", "shared"]).unwrap();
    wait_until("two replicas are ready", || {
        Ok(homes(&lab.machines[2], "shared")?.len() == 2)
    })
    .unwrap();
    let prompts: Vec<String> = (0..20)
        .map(|number| format!("{number} bees in {} hives, é 日本:", number * 7))
        .collect();
    let expected = ask_all(&lab.machines[2], "shared", &prompts, 0, || Ok(())).unwrap();
    // Who believes the first node full sends nothing there.
    wait_until("the third node hears that these are over", || {
        ask(&lab.machines[2], "shared", "Quiet", &heard)?;
        let trace = lab.machines[2].json(&["explain", "last"])?;
        let ranked = trace["ranked"].as_array().context("no ranking")?;
        let idle = |seat: &Value| {
            let why = seat["why"].as_str();
            why.is_some_and(|why| why.starts_with("0 of "))
        };
        Ok(ranked.len() == 2 && ranked.iter().all(idle))
    })
    .unwrap();
    let (first, rest) = lab.machines.split_at_mut(1);
    let found = ask_all(&rest[1], "shared", &prompts, 8, || first[0].kill()).unwrap();
    for (prompt, (expected, found)) in prompts.iter().zip(expected.iter().zip(&found)) {
        assert_eq!(expected, found, "{prompt}");
    }
    let traces = rest[1].json(&["explain", "last"]).unwrap();
    assert_eq!(traces["node"], json!("n2"), "{traces}");
    let (_, metrics) = rest[1].request("GET", "/metrics", "").unwrap();
    let moved = metrics
        .lines()
        .find_map(|line| line.strip_prefix("skep_requests_moved_total "))
        .unwrap();
    println!("20 of 20 finished as without the kill; {moved} were moved");
    assert!(moved.parse::<u64>().unwrap() > 0);
    assert!(
        metrics.contains("skep_requests_stranded_total 0"),
        "{metrics}"
    );

    // The cluster's leader is gone; what runs goes on, and what needs it says so.
    let error = rest[1].skep(&["token", "new"]).unwrap_err().to_string();
    assert!(
        error.contains("n1") && error.contains("not reached"),
        "{error}"
    );
    assert_eq!(ask(&rest[1], "shared", "The hive", &heard).unwrap(), text);
    // It comes back, with everything that it knew.
    first[0].start().unwrap();
    lab.wait_for(3, PATIENCE).unwrap();
    lab.machines[2].skep(&["nodes"]).unwrap();
}

#[test]
fn a_death_is_known_at_once_and_a_silence_soon() {
    if !possible() {
        return;
    }
    let mut lab = Lab::new(3).unwrap();
    for machine in &mut lab.machines {
        machine
            .settings
            .push(("SKEP_MODELS_DEFAULT".into(), String::new()));
    }
    lab.form().unwrap();
    lab.wait_for(3, PATIENCE).unwrap();
    // A process dies and its machine lives.
    std::thread::park_timeout(Duration::from_secs(1));
    lab.machines[1].kill().unwrap();
    let died = lab.wait_for(2, PATIENCE).unwrap();
    println!("a dead process is known by all after {died:?}");
    lab.machines[1].start().unwrap();
    lab.wait_for(3, PATIENCE).unwrap();
    // A machine falls silent.
    std::thread::park_timeout(Duration::from_secs(1));
    lab.plug(2, false).unwrap();
    let started = Instant::now();
    wait_until("the silent node is known", || {
        let sees = |machine: &Machine| Ok::<_, anyhow::Error>(machine.up()?.len() == 2);
        Ok(sees(&lab.machines[0])? && sees(&lab.machines[1])?)
    })
    .unwrap();
    let silent = started.elapsed();
    println!("a silent node is known by all after {silent:?}");
    // Bounds that hold on a busy machine too; `cargo xtask bench cluster` measures.
    assert!(died < Duration::from_secs(5), "{died:?}");
    assert!(silent < Duration::from_secs(15), "{silent:?}");
    lab.plug(2, true).unwrap();
    lab.wait_for(3, PATIENCE).unwrap();
}

#[test]
fn nodes_are_tended_from_the_command_line() {
    if !possible() {
        return;
    }
    let mut lab = Lab::new(3).unwrap();
    for machine in &mut lab.machines {
        machine
            .settings
            .push(("SKEP_MODELS_DEFAULT".into(), String::new()));
        machine.start().unwrap();
    }
    let [first, second, third] = lab.machines.as_mut_slice() else {
        panic!("three machines");
    };
    // A token is bound to a name and good once.
    let token = first
        .skep(&["token", "new", "--name", "attic", "--ttl", "2m"])
        .unwrap();
    let refused = second
        .skep(&["join", token.trim()])
        .unwrap_err()
        .to_string();
    assert!(refused.contains("another name"), "{refused}");
    second
        .skep(&["join", token.trim(), "--name", "attic"])
        .unwrap();
    let refused = third
        .skep(&["join", token.trim(), "--name", "attic"])
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("used") || refused.contains("not valid"),
        "{refused}"
    );
    let listed = first.json(&["token", "ls"]).unwrap();
    assert_eq!(listed["tokens"][0]["state"], json!("used"));
    assert_eq!(listed["tokens"][0]["used_by"], json!("attic"));
    // A voter waits for approval, and is a member once it has it.
    let token = first.skep(&["token", "new", "--role", "voter"]).unwrap();
    let joined = third.json(&["join", token.trim()]).unwrap();
    assert_eq!(joined["pending"], json!(true));
    let state = |machine: &Machine, name: &str| -> Result<Value> {
        let nodes = machine.json(&["nodes"])?;
        let found = nodes["nodes"].as_array().context("no nodes")?.iter();
        let mut named = found.filter(|node| node["name"] == json!(name));
        Ok(named
            .next()
            .map_or(Value::Null, |node| node["state"].clone()))
    };
    assert_eq!(state(first, "n3").unwrap(), json!("pending"));
    first.skep(&["node", "approve", "n3"]).unwrap();
    wait_until("the voter is up", || Ok(state(first, "n3")? == json!("up"))).unwrap();
    wait_until("it sees the others", || Ok(third.up()?.len() == 3)).unwrap();
    // A voter decides for the cluster; a worker does not.
    third.skep(&["node", "drain", "attic"]).unwrap();
    wait_until("it drains", || {
        Ok(state(first, "attic")? == json!("draining"))
    })
    .unwrap();
    let refused = second
        .skep(&["node", "resume", "attic"])
        .unwrap_err()
        .to_string();
    assert!(refused.contains("does not decide"), "{refused}");
    third.skep(&["node", "resume", "attic"]).unwrap();
    third.skep(&["node", "rename", "attic", "loft"]).unwrap();
    third
        .skep(&["node", "label", "loft", "gpu=none", "floor=3"])
        .unwrap();
    let nodes = first.json(&["nodes"]).unwrap();
    assert!(
        nodes
            .to_string()
            .contains(r#""labels":{"floor":"3","gpu":"none"}"#),
        "{nodes}"
    );
    // Another authority takes over, and everybody stays.
    let before = first.json(&["ca"]).unwrap();
    first.skep(&["ca", "rotate"]).unwrap();
    let after = first.json(&["ca"]).unwrap();
    assert_eq!(before["authorities"].as_array().unwrap().len(), 1);
    assert_eq!(after["authorities"].as_array().unwrap().len(), 2);
    std::thread::park_timeout(Duration::from_secs(2));
    for machine in [&*first, &*second, &*third] {
        assert_eq!(machine.up().unwrap().len(), 3);
    }
    // Who was removed is shut out, and comes back by a new token alone.
    first.skep(&["node", "remove", "loft"]).unwrap();
    wait_until("it is gone", || Ok(first.up()?.len() == 2)).unwrap();
    let token = first.skep(&["token", "new"]).unwrap();
    let refused = second
        .skep(&["join", token.trim()])
        .unwrap_err()
        .to_string();
    assert!(refused.contains("--leave"), "{refused}");
    second.skep(&["join", token.trim(), "--leave"]).unwrap();
    lab.wait_for(3, PATIENCE).unwrap();
}
