//! Following a run: an event for each change, and what became of each action.
//!
//! Decides what is told of it meanwhile. Refuses to know why it runs.

use ureq::http::Method;

use super::show;
use crate::act::{ActionState, RunView};
use crate::cli::terminal::{Paint, complain, printable};
use crate::cli::waiting::Waiting;
use crate::cli::{Failure, segment};
use crate::client::Client;

/// Follows a run to its end, and tells of each action once it has come to something.
///
/// `before` is how far it was already, of which nothing is told.
pub(super) fn follow(
    client: &Client,
    run: &str,
    before: Option<&RunView>,
    paint: Option<Paint>,
) -> Result<RunView, Failure> {
    let path = format!("/api/v1/setup/runs/{}/events", segment(run));
    let lines = client.lines(Method::GET, &path, None::<&()>)?;
    let waiting = Waiting::begin("beginning");
    let mut last: Option<RunView> = None;
    let mut told: Vec<ActionState> = before.map_or_else(Vec::new, |run| {
        run.actions.iter().map(|action| action.state).collect()
    });
    for line in lines {
        let line = line.map_err(|error| Failure::new(format!("the agent is gone: {error}")))?;
        let Some(view) = event::<RunView>(&line)? else {
            continue;
        };
        told.resize(view.actions.len(), ActionState::Waiting);
        for (action, told) in view.actions.iter().zip(&mut told) {
            if action.state == ActionState::Running {
                waiting.now(printable(&action.words));
            }
            if action.state != *told
                && let Some(paint) = paint
                && let Some(text) = show::progress(action, paint)
            {
                waiting.aside(|| complain(&text));
            }
            *told = action.state;
        }
        last = Some(view);
    }
    drop(waiting);
    last.ok_or_else(|| {
        Failure::new("the agent told nothing of the run").with_hint(Some("skep logs"))
    })
}

/// The value of an event; none for what is no event's.
pub(super) fn event<T: serde::de::DeserializeOwned>(line: &str) -> Result<Option<T>, Failure> {
    let Some(data) = line.strip_prefix("data:") else {
        return Ok(None);
    };
    let value = serde_json::from_str(data.trim_start());
    value.map(Some).map_err(|error| {
        Failure::new(format!(
            "the agent said what this skep does not understand: {error}"
        ))
        .with_hint(Some(
            "is the agent of the same version? compare `skep version` there and here",
        ))
    })
}
