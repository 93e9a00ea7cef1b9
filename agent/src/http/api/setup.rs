//! The setup: who may see it and change it, its steps and parts, links into it, its end.
//!
//! Decides that whoever came in by the setup's link has no right to it once it is finished, and that from then on only the command
//! line of this machine changes more of it than the agent's own settings. Refuses to know what a part does.

mod events;
mod picture;
mod runs;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};

use super::body;
use super::plugins::person;
use super::refusal::{Refusal, chain};
use crate::agent::Agent;
use crate::http::Caller;
use crate::setup::{Leave, SetupError, flow, overview};
use crate::wire;

/// The endpoints, below `/api/v1/setup`.
pub(super) fn routes() -> Router<Arc<Agent>> {
    Router::new()
        .route("/", get(show))
        .route("/link", post(link))
        .route("/parts/{part}", get(part))
        .route("/parts/{part}/ask", post(ask))
        .route("/parts/{part}/answers", put(answer))
        .route("/parts/{part}/plan", post(plan))
        .route("/parts/{part}/apply", post(apply))
        .route("/parts/{part}/skip", post(skip))
        .route("/runs", get(runs::list))
        .route("/runs/{run}", get(runs::show))
        .route("/runs/{run}/events", get(runs::follow))
        .route("/runs/{run}/resume", post(runs::resume))
        .route("/runs/{run}/undo", post(runs::undo))
        .route("/drift", get(runs::drift))
        .route("/tests", post(runs::test))
        .route("/qr", get(picture::show))
        .route("/finish", post(finish))
}

async fn show(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<wire::SetupView>, Refusal> {
    admit(&agent, caller)?;
    Ok(Json(overview::view(&agent).await?))
}

/// Makes a link, for whoever is at the machine or has a key.
async fn link(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
) -> Result<(StatusCode, Json<wire::SetupLink>), Refusal> {
    if !matches!(caller, Caller::Local | Caller::Key(_) | Caller::User(_)) {
        return Err(Refusal::unknown_caller());
    }
    let asked = agent.clone();
    let link = tokio::task::spawn_blocking(move || asked.setup.link());
    let link = link.await.map_err(Refusal::lost)??;
    Ok((StatusCode::CREATED, Json(link.at(&agent.public_url()))))
}

async fn part(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    Path(part): Path<String>,
) -> Result<Json<wire::SetupPart>, Refusal> {
    admit(&agent, caller)?;
    Ok(Json(flow::part(&agent, &part).await?))
}

async fn ask(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    Path(part): Path<String>,
    body: Body,
) -> Result<Json<wire::SetupQuestions>, Refusal> {
    admit(&agent, caller)?;
    let wish: wire::SetupAnswers = body::read(body).await?;
    Ok(Json(flow::ask(&agent, &part, wish.answers).await?))
}

async fn answer(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    Path(part): Path<String>,
    body: Body,
) -> Result<Json<wire::SetupPart>, Refusal> {
    admit(&agent, caller)?;
    let wish: wire::SetupAnswers = body::read(body).await?;
    flow::answer(&agent, &part, wish.answers).await?;
    Ok(Json(flow::part(&agent, &part).await?))
}

async fn plan(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    Path(part): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<wire::SetupPlan>, Refusal> {
    admit(&agent, caller)?;
    // Nothing at all is no answers.
    let empty = headers.get(header::CONTENT_LENGTH).map_or_else(
        || !headers.contains_key(header::TRANSFER_ENCODING),
        |length| length == "0",
    );
    let wish = if empty {
        wire::SetupAnswers::default()
    } else {
        body::read(body).await?
    };
    Ok(Json(flow::plan(&agent, &part, wish.answers).await?))
}

async fn apply(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    Path(part): Path<String>,
    body: Body,
) -> Result<(StatusCode, Json<wire::SetupStarted>), Refusal> {
    admit(&agent, caller)?;
    let wish: wire::SetupApply = body::read(body).await?;
    let by = person(&agent, caller, None);
    let leave = leave(&agent, caller);
    // Whoever asked may go away in the middle: what was agreed to begins, and can be looked at again.
    let begun =
        tokio::spawn(async move { flow::apply(&agent, &part, &wish.digest, by, leave).await });
    let run = begun.await.map_err(Refusal::lost)??;
    Ok((StatusCode::ACCEPTED, Json(wire::SetupStarted { run })))
}

async fn skip(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    Path(part): Path<String>,
) -> Result<StatusCode, Refusal> {
    admit(&agent, caller)?;
    flow::skip(&agent, &part).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Closes the setup for good.
async fn finish(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
) -> Result<StatusCode, Refusal> {
    admit(&agent, caller)?;
    tokio::task::spawn_blocking(move || agent.setup.close())
        .await
        .map_err(Refusal::lost)??;
    tracing::info!("the setup is finished");
    Ok(StatusCode::NO_CONTENT)
}

/// Whether somebody may have to do with the setup.
fn admit(agent: &Agent, caller: Caller) -> Result<(), Refusal> {
    match caller {
        Caller::Anonymous => Err(Refusal::unknown_caller()),
        Caller::Session if !agent.setup.is_open() => {
            let error = Refusal::new(
                StatusCode::FORBIDDEN,
                "setup_closed",
                "the setup of this node is finished, and with it what its link gave a right to",
            );
            Err(error.with_hint("sign in with an API key, or use `skep setup` on that machine"))
        }
        // Members do not come here (`http/roles`).
        Caller::Session | Caller::Key(_) | Caller::User(_) | Caller::Local => Ok(()),
    }
}

/// A key is given to programs that ask models: once the machine is set up, no such program changes it.
fn leave(agent: &Agent, caller: Caller) -> Leave {
    if agent.setup.is_open() || caller == Caller::Local {
        Leave::Everything
    } else {
        Leave::OwnThingsOnly
    }
}

impl From<SetupError> for Refusal {
    fn from(error: SetupError) -> Self {
        let (status, code, hint) = match &error {
            SetupError::Closed => (
                StatusCode::CONFLICT,
                "setup_closed",
                Some("sign in with an API key"),
            ),
            SetupError::Link => (
                StatusCode::UNAUTHORIZED,
                "invalid_link",
                Some("`skep setup link`, on that machine, makes a new one"),
            ),
            SetupError::Damaged(_) => (
                StatusCode::CONFLICT,
                "setup_damaged",
                Some("move `setup.json` out of the state folder and start the agent again"),
            ),
            SetupError::NoPart(_) => (
                StatusCode::NOT_FOUND,
                "part_not_found",
                Some("`skep setup status` lists the parts"),
            ),
            SetupError::NoRun(_) => (
                StatusCode::NOT_FOUND,
                "run_not_found",
                Some("`skep setup status` lists the runs"),
            ),
            SetupError::Misfit(_) => (StatusCode::BAD_REQUEST, "invalid_answer", None),
            SetupError::Unasked { .. } => (
                StatusCode::BAD_REQUEST,
                "unknown_question",
                Some("`skep setup --example` lists the questions"),
            ),
            SetupError::Open(_) => (StatusCode::CONFLICT, "answers_needed", None),
            SetupError::Refused(_) => (StatusCode::CONFLICT, "plan_refused", None),
            SetupError::PlanChanged => (
                StatusCode::CONFLICT,
                "plan_changed",
                Some("look at the plan as it is now, and agree to that"),
            ),
            SetupError::InTheWay(_) => (StatusCode::CONFLICT, "in_the_way", None),
            SetupError::NoRoot(_) => (StatusCode::CONFLICT, "root_missing", None),
            SetupError::OnlyHere => (
                StatusCode::FORBIDDEN,
                "setup_closed",
                Some("use `skep setup` on that machine"),
            ),
            SetupError::Crowded => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_looks",
                Some("try again in a few seconds"),
            ),
            SetupError::Act(error) => return Self::from_act(error),
            SetupError::Random(_)
            | SetupError::File(_)
            | SetupError::Plugin(_)
            | SetupError::Fault(_)
            | SetupError::Nonsense(_)
            | SetupError::Broke(_)
            | SetupError::NoExecutor(_)
            | SetupError::Thread(_)
            | SetupError::BrokenOff => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "setup_failed",
                Some("`skep logs` tells more; `skep doctor` looks around"),
            ),
        };
        let refusal = Self::new(status, code, chain(&error));
        match hint {
            Some(hint) => refusal.with_hint(hint),
            None => refusal,
        }
    }
}
