//! An answer of a model on one node: of one that is loaded there, or of the usual one, which is loaded for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use skep_core::{NodeId, Replica, ReplicaState};
use tokio::time::timeout;

use super::Outcome;
use crate::agent::Agent;
use crate::cluster::{NodeState, NodeStatus};
use crate::limits::{SETUP_ANSWER_TIMEOUT, SETUP_LOAD_TIMEOUT};
use crate::protocol::{Event, Generation, Message, Prompt, Sampling, Work};

pub(super) async fn answer(agent: &Arc<Agent>, node: &NodeStatus) -> Outcome {
    let not_up = !matches!(node.state, NodeState::Up | NodeState::Draining);
    let Ok(id) = node.id.parse::<NodeId>() else {
        return Outcome::Skipped("it has no identity yet".to_owned());
    };
    if not_up {
        let seen = vec![format!("`{}` is not up: {}", node.name, node.why)];
        return Outcome::Failed(seen, format!("`skep node` on `{}` tells more", node.name));
    }
    let model = agent.settings.models.default.as_deref().unwrap_or("tiny");
    let replica = match ready(agent, id, node.here, model).await {
        Ok(replica) => replica,
        Err(why) => {
            let seen = vec![format!("no model is loaded on `{}`: {why}", node.name)];
            let remedy =
                "`skep models` lists what could be loaded, `skep logs` tells why it was not";
            return Outcome::Failed(seen, remedy.to_owned());
        }
    };
    let started = Instant::now();
    let asked = timeout(SETUP_ANSWER_TIMEOUT, ask(agent, &replica)).await;
    let asked = asked.unwrap_or_else(|_| {
        let seconds = SETUP_ANSWER_TIMEOUT.as_secs();
        Err(format!("nothing came within {seconds} s"))
    });
    match asked {
        Ok((text, tokens)) => {
            let took = started.elapsed();
            let speed = f64::from(tokens) / took.as_secs_f64().max(0.001);
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let shown: String = text.chars().take(80).collect();
            Outcome::Passed(vec![
                format!(
                    "`{}` said “{}”",
                    replica.model,
                    crate::host::printable(&shown)
                ),
                format!(
                    "{tokens} tokens in {} ms, {speed:.1} tokens/s",
                    took.as_millis()
                ),
            ])
        }
        Err(why) => Outcome::Failed(
            vec![format!("`{}`: {why}", replica.model)],
            format!("`skep ps` and `skep logs` on `{}` tell more", node.name),
        ),
    }
}

/// A replica of that node that takes requests.
async fn ready(agent: &Agent, node: NodeId, here: bool, model: &str) -> Result<Replica, String> {
    let find = || {
        let mut replicas = agent.router.replicas_anywhere().into_iter();
        replicas.find(|replica| replica.node == node && replica.state == ReplicaState::Ready)
    };
    if let Some(replica) = find() {
        return Ok(replica);
    }
    if here {
        agent.router.load_here(model, SETUP_LOAD_TIMEOUT).await?;
    } else {
        agent.router.load_elsewhere(node, model);
    }
    let deadline = Instant::now() + SETUP_LOAD_TIMEOUT;
    while Instant::now() < deadline {
        if let Some(replica) = find() {
            return Ok(replica);
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(format!("`{model}` is still loading"))
}

/// The text, and how many tokens it has.
async fn ask(agent: &Agent, replica: &Replica) -> Result<(String, u32), String> {
    let question = Message {
        role: "user".to_owned(),
        content: "Say hello.".to_owned(),
        name: None,
    };
    let work = Work::Generate(Generation {
        prompt: Prompt::Chat(vec![question]),
        sampling: Sampling {
            temperature: 0.0,
            ..Sampling::default()
        },
        max_tokens: Some(TOKENS),
        stop: Vec::new(),
        ignore_end: false,
        choices: 1,
        logprobs: None,
        echo: false,
        continued: Vec::new(),
    });
    let exchange = agent.router.try_replica(replica, work);
    let mut exchange = exchange.map_err(|error| error.to_string())?;
    let (mut text, mut tokens) = (String::new(), 0);
    while let Some(event) = exchange.recv().await {
        match event {
            Event::Gained(gain) => {
                text.push_str(&String::from_utf8_lossy(gain.text.as_ref()));
                tokens += u32::try_from(gain.tokens.len()).unwrap_or(0);
            }
            Event::Done(_) if tokens > 0 => return Ok((text, tokens)),
            Event::Done(_) => return Err("it ended without a word".to_owned()),
            Event::Failed(error) => return Err(error.to_string()),
            Event::Started(_) | Event::Embedded(_) => {}
        }
    }
    Err("the answer broke off".to_owned())
}

/// As short as shows that it speaks.
const TOKENS: u32 = 16;

/// How often it is looked whether another node has loaded a model.
const LOOK: Duration = Duration::from_millis(200);
