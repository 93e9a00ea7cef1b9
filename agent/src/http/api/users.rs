//! People: list, add, change, remove. Passwords come in and never go out, their hashes neither.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use skep_core::state::{self, Action, UserAction, UserRefusal, UserRole, UserSource};
use zeroize::Zeroizing;

use super::body;
use super::plugins::person;
use super::refusal::Refusal;
use crate::agent::Agent;
use crate::cluster::ClusterError;
use crate::http::Caller;
use crate::users::PasswordError;
use crate::wire;

/// The endpoints, below `/users`.
pub(super) fn routes() -> Router<Arc<Agent>> {
    Router::new()
        .route("/", get(list).post(add))
        .route("/{name}", get(show).delete(remove))
        .route("/{name}/password", post(set_password))
        .route("/{name}/role", post(set_role))
        .route("/{name}/disable", post(disable))
        .route("/{name}/enable", post(enable))
}

async fn list(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<wire::Users>, Refusal> {
    known(caller)?;
    let state = agent.cluster.view();
    let users = state.users().all();
    let users = users.map(|(name, user)| view(&agent, name, user)).collect();
    Ok(Json(wire::Users { users }))
}

async fn show(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<wire::User>, Refusal> {
    known(caller)?;
    found(&agent, &name)
}

async fn add(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<(StatusCode, Json<wire::User>), Refusal> {
    let wish: wire::NewUser = body::read(body).await?;
    let password = Zeroizing::new(wish.password);
    let role = parse_role(&wish.role)?;
    let name = wish.name.to_ascii_lowercase();
    // Before a hash is computed in vain.
    if agent.cluster.view().users().named(&name).is_some() {
        return Err(refused(&UserRefusal::Exists(name)));
    }
    let hash = agent.passwords.hash(&name, password).await?;
    let new = state::NewUser {
        name: name.clone(),
        display: wish.display.trim().to_owned(),
        role,
        hash,
        by: person(&agent, caller, wish.by),
    };
    decide(&agent, UserAction::Add(new)).await?;
    tracing::info!(name, role = role.word(), "a user was added");
    Ok((StatusCode::CREATED, found(&agent, &name)?))
}

async fn set_password(
    State(agent): State<Arc<Agent>>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<wire::User>, Refusal> {
    let wish: wire::NewPassword = body::read(body).await?;
    let password = Zeroizing::new(wish.password);
    let name = found(&agent, &name)?.0.name;
    let hash = agent.passwords.hash(&name, password).await?;
    let action = UserAction::SetPassword {
        name: name.clone(),
        hash,
    };
    decide(&agent, action).await?;
    tracing::info!(name, "a user has another password");
    found(&agent, &name)
}

async fn set_role(
    State(agent): State<Arc<Agent>>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<wire::User>, Refusal> {
    let wish: wire::NewRole = body::read(body).await?;
    let role = parse_role(&wish.role)?;
    let action = UserAction::SetRole {
        name: name.clone(),
        role,
        others: agent.keys.has_unowned(),
    };
    decide(&agent, action).await?;
    tracing::info!(name, role = role.word(), "a user has another role");
    found(&agent, &name)
}

async fn disable(
    State(agent): State<Arc<Agent>>,
    Path(name): Path<String>,
) -> Result<Json<wire::User>, Refusal> {
    set_disabled(&agent, name, true).await
}

async fn enable(
    State(agent): State<Arc<Agent>>,
    Path(name): Path<String>,
) -> Result<Json<wire::User>, Refusal> {
    set_disabled(&agent, name, false).await
}

async fn set_disabled(
    agent: &Agent,
    name: String,
    disabled: bool,
) -> Result<Json<wire::User>, Refusal> {
    let action = UserAction::SetDisabled {
        name: name.clone(),
        disabled,
        others: agent.keys.has_unowned(),
    };
    decide(agent, action).await?;
    tracing::info!(name, disabled, "a user was disabled or enabled");
    found(agent, &name)
}

async fn remove(
    State(agent): State<Arc<Agent>>,
    Path(name): Path<String>,
) -> Result<Json<wire::User>, Refusal> {
    let state = agent.cluster.view();
    let number = state.users().named(&name).map(|(_, user)| user.number);
    let gone = found(&agent, &name)?;
    let action = UserAction::Remove {
        name: name.clone(),
        others: agent.keys.has_unowned(),
    };
    decide(&agent, action).await?;
    tracing::info!(name, "a user was removed");
    if let Some(number) = number {
        let keys = tokio::task::spawn_blocking(move || agent.keys.forget_owner(number));
        keys.await.map_err(Refusal::lost)??;
    }
    Ok(gone)
}

pub(super) async fn decide(agent: &Agent, action: UserAction) -> Result<(), Refusal> {
    match agent.cluster.decide(Action::Users(action)).await {
        Ok(_) => Ok(()),
        Err(ClusterError::Refused(state::Refusal::Users(refusal))) => Err(refused(&refusal)),
        Err(error) => Err(error.into()),
    }
}

fn known(caller: Caller) -> Result<(), Refusal> {
    match caller {
        Caller::Anonymous => Err(Refusal::unknown_caller()),
        _ => Ok(()),
    }
}

fn found(agent: &Agent, name: &str) -> Result<Json<wire::User>, Refusal> {
    let state = agent.cluster.view();
    match state.users().named(name) {
        Some((name, user)) => Ok(Json(view(agent, name, user))),
        None => {
            let shown: String = name.chars().take(64).collect();
            Err(refused(&UserRefusal::Unknown(
                shown.escape_debug().to_string(),
            )))
        }
    }
}

fn view(agent: &Agent, name: &str, user: &state::User) -> wire::User {
    let known_as = match &user.source {
        UserSource::Local(_) => None,
        UserSource::Ldap(known) => Some(known.clone()),
        UserSource::Oidc { issuer, subject } => Some(format!("{subject} at {issuer}")),
    };
    let keys = agent.keys.list();
    let own = keys.iter().filter(|key| key.owner == Some(user.number));
    wire::User {
        name: name.to_owned(),
        display: user.display.clone(),
        role: user.role.word().to_owned(),
        source: source(user).to_owned(),
        known_as,
        disabled: user.disabled,
        created_unix_s: user.created_at,
        added_by: user.added_by.clone(),
        keys: own.count(),
    }
}

pub(super) fn source(user: &state::User) -> &'static str {
    user.source.door().map_or("local", state::Door::word)
}

fn parse_role(word: &str) -> Result<UserRole, Refusal> {
    match word {
        "member" => Ok(UserRole::Member),
        "admin" => Ok(UserRole::Admin),
        _ => Err(Refusal::invalid(
            "invalid_role",
            "a role is `admin` or `member`",
        )),
    }
}

fn refused(refusal: &UserRefusal) -> Refusal {
    let (status, code) = match refusal {
        UserRefusal::Name(_) => (StatusCode::BAD_REQUEST, "invalid_name"),
        UserRefusal::Text(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
        UserRefusal::Exists(_) => (StatusCode::CONFLICT, "name_taken"),
        UserRefusal::Unknown(_) => (StatusCode::NOT_FOUND, "user_not_found"),
        UserRefusal::NotOurs(_) | UserRefusal::RoleElsewhere(_) => {
            (StatusCode::CONFLICT, "kept_elsewhere")
        }
        UserRefusal::Last(_) => (StatusCode::CONFLICT, "last_admin"),
        UserRefusal::TooMany => (StatusCode::CONFLICT, "too_many_users"),
        UserRefusal::NoDoor(_) => (StatusCode::NOT_FOUND, "not_set"),
    };
    Refusal::new(status, code, refusal.to_string())
}

impl From<PasswordError> for Refusal {
    fn from(error: PasswordError) -> Self {
        let (status, code) = match &error {
            PasswordError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            PasswordError::Random(_) | PasswordError::Hash(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal")
            }
            _ => (StatusCode::BAD_REQUEST, "invalid_password"),
        };
        Self::new(status, code, error.to_string())
    }
}
