//! The loops that an agent cannot do without, and how each shows that it turns; for a service manager's watchdog.
//!
//! Decides which they are: those that a restart would mend. The log's disk, devices and other nodes may hang without this
//! process being at fault, and what runs here goes on meanwhile.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::agent::Agent;
use crate::systemd::Turn;

/// One question for each of them.
pub(super) fn turns(
    agent: &Arc<Agent>,
    net: Handle,
    listener: mpsc::Sender<oneshot::Sender<()>>,
) -> Vec<Turn> {
    let router = agent.router.clone();
    let fleet = agent.fleet.clone();
    vec![
        Turn::new("net", move || ended(net.spawn(async {}))),
        // On another thread than whoever waits: where the lock is never let go of, it stays there.
        Turn::new("router", move || {
            let router = router.clone();
            ended(tokio::spawn(async move {
                let _ = router.running_and_waiting();
            }))
        }),
        Turn::new("spawner", move || {
            let fleet = fleet.clone();
            async move { fleet.answer().await }
        }),
        Turn::new("listener", move || {
            let listener = listener.clone();
            async move {
                let (reply, answer) = oneshot::channel();
                if listener.send(reply).await.is_err() || answer.await.is_err() {
                    std::future::pending().await
                }
            }
        }),
    ]
}

/// How the agent is, in a line for people.
pub(super) fn status(agent: &Agent) -> String {
    let (running, waiting) = agent.router.running_and_waiting();
    let models = agent.fleet.replicas();
    format!(
        "serving at {}, {} loaded, {running} requests running, {waiting} waiting",
        agent.url,
        match models.len() {
            1 => "1 model".to_owned(),
            count => format!("{count} models"),
        }
    )
}

/// Waits for a task; for ever for one that panicked.
async fn ended(task: tokio::task::JoinHandle<()>) {
    if task.await.is_err() {
        std::future::pending().await
    }
}
