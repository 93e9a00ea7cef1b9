//! What every plugin of a world must do, tried on one in the real host and reported: what `skep plugin test` runs.
//!
//! Decides what is tried and what counts as wrong; refuses to judge which of two answers that keep the contract is better, and to
//! reach anybody but a server of its own on loopback. Schedulers, which need no server, are tried by `scheduling::conformance`.
//!
//! | file | decides |
//! |---|---|
//! | `server` | how the server at the other end behaves, and misbehaves |
//! | `service` | how a notifier or an upstream is set up to meet it |
//! | `notifier`, `upstream`, `engine` | what is tried of each world |
//! | `openai` | what a service that speaks as OpenAI's does would say |
//! | `listener` | whether an engine's events make sense together |

mod engine;
mod listener;
mod notifier;
mod openai;
mod server;
mod service;
mod upstream;

use serde::Serialize;

pub(crate) use self::engine::{EngineMost, EngineSubject, run as engine};
pub(crate) use self::service::{ServiceMost, ServiceSubject};

use crate::host::World;

/// What was tried, and what came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    /// What went wrong; none when nothing did.
    pub(crate) fault: Option<String>,
    /// Why it was not tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) left_out: Option<String>,
}

/// What came of one attempt.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Fine,
    /// It cannot be tried on this plugin.
    LeftOut(String),
}

/// Attempts in the order in which they were made.
#[derive(Debug, Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn note(&mut self, name: &'static str, outcome: Result<Outcome, String>) {
        let (fault, left_out) = match outcome {
            Ok(Outcome::Fine) => (None, None),
            Ok(Outcome::LeftOut(why)) => (None, Some(why)),
            Err(fault) => (Some(fault), None),
        };
        self.0.push(Check {
            name,
            fault,
            left_out,
        });
    }
}

/// Tries a notifier or an upstream.
///
/// # Errors
/// When it could not be tried at all; nothing of the plugin is to blame then.
pub(crate) fn service(
    world: World,
    subject: &ServiceSubject<'_>,
) -> Result<(Vec<Check>, ServiceMost), String> {
    // One thread, as in a service's own process: whoever computes takes turns with the server.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("could not start: {error}"))?;
    let tried = runtime.block_on(async {
        match world {
            World::Notifier => notifier::run(subject).await,
            World::Upstream => upstream::run(subject).await,
            other => Err(format!("no service has the world `{}`", other.name())),
        }
    });
    // The system's resolver may still wait for an answer that nobody needs.
    runtime.shutdown_background();
    tried
}
