//! Signing a browser in and out, by the setup's link or by a key.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use skep_core::state::{Arrival, Door, Member, Role, UserAction, UserSource};
use zeroize::Zeroizing;

use super::body;
use super::refusal::Refusal;
use crate::agent::Agent;
use crate::http::Caller;
use crate::http::error::ApiError;
use crate::http::session::{By, SessionError};
use crate::users::Settings;
use crate::{version, wire};

/// Whether the sender is signed in, and what it takes. Told to everybody.
pub(super) async fn show(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
) -> Json<wire::SessionView> {
    let state = agent.cluster.view();
    let user = caller
        .person()
        .and_then(|person| state.users().numbered(person.number));
    Json(wire::SessionView {
        user: user.map(|(name, user)| wire::SessionUser {
            name: name.to_owned(),
            display: user.display.clone(),
            role: user.role.word().to_owned(),
            source: super::users::source(user).to_owned(),
        }),
        users: state.users().all().len() > 0 || state.users().door(Door::Ldap).is_some(),
        provider: match Settings::set(&state, Door::Oidc) {
            Ok(Some(Settings::Oidc(settings))) => Some(settings.name),
            _ => None,
        },
        signed_in: caller != Caller::Anonymous,
        setup: if agent.setup.is_open() {
            "open"
        } else {
            "closed"
        }
        .to_owned(),
        node: agent.cluster.name(),
        version: version::VERSION.to_owned(),
        needs_key: agent.settings.http.require_key,
    })
}

/// Signs in.
pub(super) async fn begin(
    State(agent): State<Arc<Agent>>,
    Extension(peer): Extension<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let wish: wire::SignIn = body::read(body).await?;
    if let Err(left) = agent.sessions.try_one(peer.ip()) {
        return Ok(too_many(left));
    }
    let by = by(&agent, wish).await?;
    agent.sessions.was_right(peer.ip());
    enter(&agent, peer, headers, by).await
}

/// Gives the browser a cookie.
pub(super) async fn enter(
    agent: &Arc<Agent>,
    peer: SocketAddr,
    headers: HeaderMap,
    by: By,
) -> Result<Response, Refusal> {
    let agent = agent.clone();
    let told = tokio::task::spawn_blocking(move || {
        // A browser has one session.
        agent.sessions.end(&headers)?;
        let cookie = agent.sessions.begin(by)?;
        tracing::info!(?by, %peer, "a browser signed in");
        let tls = agent.settings.http.tls.is_some();
        Ok::<_, Refusal>(agent.sessions.field(Some(&cookie), tls))
    });
    Ok(answer(told.await.map_err(Refusal::lost)??))
}

/// Gives whoever is signed in another password, and this browser another session: all that they had end.
pub(super) async fn set_password(
    State(agent): State<Arc<Agent>>,
    Extension(peer): Extension<SocketAddr>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let wish: wire::OwnPassword = body::read(body).await?;
    let (old, new) = (Zeroizing::new(wish.password), Zeroizing::new(wish.new));
    let state = agent.cluster.view();
    // A key is given to programs; none of them changes who may sign in.
    let person = caller.person().filter(|person| person.key.is_none());
    let user = person.and_then(|person| state.users().numbered(person.number));
    let Some((name, user)) = user else {
        let message = "only a user who is signed in with a browser has a password to change here";
        return Err(Refusal::invalid("no_user", message));
    };
    if let Err(left) = agent.sessions.try_one(peer.ip()) {
        return Ok(too_many(left));
    }
    let UserSource::Local(hash) = &user.source else {
        let message = "your password is not kept here; change it where it is";
        return Err(Refusal::new(
            StatusCode::CONFLICT,
            "kept_elsewhere",
            message,
        ));
    };
    if !agent.passwords.matches(Some(hash.clone()), old).await? {
        return Err(wrong_password());
    }
    agent.sessions.was_right(peer.ip());
    let hash = agent.passwords.hash(name, new).await?;
    let name = name.to_owned();
    let action = UserAction::SetPassword {
        name: name.clone(),
        hash,
    };
    super::users::decide(&agent, action).await?;
    tracing::info!(name, "a user chose another password");
    let state = agent.cluster.view();
    let Some((_, user)) = state.users().named(&name) else {
        return Err(wrong_password());
    };
    let by = By::User {
        number: user.number,
        epoch: user.epoch,
    };
    enter(&agent, peer, headers, by).await
}

/// Signs out.
pub(super) async fn end(
    State(agent): State<Arc<Agent>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let told = tokio::task::spawn_blocking(move || {
        agent.sessions.end(&headers)?;
        let tls = agent.settings.http.tls.is_some();
        Ok::<_, Refusal>(agent.sessions.field(None, tls))
    });
    Ok(answer(told.await.map_err(Refusal::lost)??))
}

pub(super) fn too_many(left: u64) -> Response {
    let message = format!("too many wrong attempts: try again in {left} s");
    let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", message);
    let mut response = refusal.into_response();
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, left.into());
    response
}

/// What the sender has shown.
async fn by(agent: &Arc<Agent>, wish: wire::SignIn) -> Result<By, Refusal> {
    match (
        wish.secret.map(Zeroizing::new),
        wish.key.map(Zeroizing::new),
        wish.name.zip(wish.password.map(Zeroizing::new)),
    ) {
        (Some(secret), None, None) => {
            let agent = agent.clone();
            let entered = tokio::task::spawn_blocking(move || agent.setup.enter(&secret));
            entered.await.map_err(Refusal::lost)??;
            Ok(By::Setup)
        }
        (None, None, Some((name, password))) => user(agent, &name, password).await,
        (None, Some(key), None) => match agent.keys.verify(&key) {
            Some(holder) => Ok(By::Key(holder.key.0)),
            None => {
                let message = "the API key is not valid";
                let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message);
                Err(refusal.with_hint("`skep keys new NAME` makes one"))
            }
        },
        _ => {
            let message =
                "give either `secret`, of the setup's link, or `key`, or `name` and `password`";
            Err(Refusal::invalid("invalid_request", message))
        }
    }
}

/// Somebody by name and password. That there is no such user, that they are disabled and that the password is wrong is one answer.
async fn user(agent: &Agent, name: &str, password: Zeroizing<String>) -> Result<By, Refusal> {
    let name = name.trim();
    let state = agent.cluster.view();
    let known = state.users().named(name).map(|(_, user)| user.clone());
    let hash = match known.as_ref().map(|user| &user.source) {
        Some(UserSource::Local(hash)) => Some(hash.clone()),
        _ => None,
    };
    let ours = known
        .as_ref()
        .is_some_and(|user| user.source.door().is_none());
    if !ours && let Some(Settings::Ldap(settings)) = Settings::set(&state, Door::Ldap)? {
        let secret = super::sign_in::kept(agent, Door::Ldap);
        let doors = &agent.doors;
        let arrival = doors.enter(&settings, secret, name, &password).await?;
        return arrived(agent, arrival).await;
    }
    let right = agent.passwords.matches(hash, password).await?;
    // As it is now: it took a while.
    let state = agent.cluster.view();
    match known {
        Some(user) if right => {
            let now = state.users().numbered(user.number);
            let now = now.filter(|(_, now)| now.epoch == user.epoch && state.users().admits(now));
            let (_, now) = now.ok_or_else(wrong_password)?;
            Ok(By::User {
                number: now.number,
                epoch: now.epoch,
            })
        }
        _ => Err(wrong_password()),
    }
}

/// Somebody whom others know is somebody here; what they may is what the others say.
pub(super) async fn arrived(agent: &Agent, arrival: Arrival) -> Result<By, Refusal> {
    let state = agent.cluster.view();
    let known = state.users().known_as(&arrival.source);
    let same = known
        .is_some_and(|(_, user)| (user.role, &user.display) == (arrival.role, &arrival.display));
    let source = arrival.source.clone();
    if !same {
        decides(agent)?;
        super::users::decide(agent, UserAction::Arrive(arrival)).await?;
    }
    let state = agent.cluster.view();
    let found = state.users().known_as(&source);
    let found = found.filter(|(_, user)| state.users().admits(user));
    let (_, user) = found.ok_or_else(wrong_password)?;
    Ok(By::User {
        number: user.number,
        epoch: user.epoch,
    })
}

/// A node that does not vote cannot tell the cluster of somebody: whoever held it could make themselves an administrator.
fn decides(agent: &Agent) -> Result<(), Refusal> {
    let state = agent.cluster.view();
    let decide = |member: &Member| member.role == Role::Voter;
    if state.member(agent.cluster.me()).is_none_or(|me| decide(me)) {
        return Ok(());
    }
    let voters = state.members().filter(|(_, member)| decide(member));
    let voters: Vec<String> = voters
        .map(|(_, member)| format!("`{}`", member.name))
        .collect();
    let message = "the cluster does not know you yet, or knows another role of you, and this node may not tell it";
    let refusal = Refusal::new(StatusCode::FORBIDDEN, "known_elsewhere", message);
    Err(refusal.with_hint(format!(
        "sign in once on {}, then here",
        voters.join(" or ")
    )))
}

fn wrong_password() -> Refusal {
    let message = "the name or the password is wrong, or the user is disabled";
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "wrong_password", message);
    refusal.with_hint("an administrator can set another: `skep user passwd NAME`")
}

fn answer(cookie: Option<axum::http::HeaderValue>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

impl From<SessionError> for Refusal {
    fn from(error: SessionError) -> Self {
        Self::from(ApiError::internal(super::refusal::chain(&error)))
    }
}
