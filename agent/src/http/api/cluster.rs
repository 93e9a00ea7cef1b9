//! The cluster: nodes, join tokens, authorities, joining.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use skep_core::state::{Action, Role};

use super::body;
use super::refusal::{Refusal, chain};
use crate::agent::Agent;
use crate::cluster::ClusterError;
use crate::http::Caller;
use crate::limits::{TOKEN_LIFE, TOKEN_LIFE_MAX, TOKEN_LIFE_MIN};
use crate::wire;

pub(super) async fn nodes(State(agent): State<Arc<Agent>>) -> Json<wire::ClusterNodes> {
    let view = agent.cluster.view();
    Json(wire::ClusterNodes {
        cluster: view
            .cluster()
            .map(|cluster| cluster.id.to_string())
            .unwrap_or_default(),
        nodes: agent.cluster.nodes(),
    })
}

/// Everything that a node says of itself.
pub(super) async fn node(
    State(agent): State<Arc<Agent>>,
    Path(node): Path<String>,
) -> Result<impl IntoResponse, Refusal> {
    let node = agent.cluster.find(&node)?;
    let readings = agent.cluster.readings(node).await?;
    Ok(([(CONTENT_TYPE, "application/json")], readings))
}

pub(super) async fn change(
    State(agent): State<Arc<Agent>>,
    Path((node, verb)): Path<(String, String)>,
    body: Body,
) -> Result<Json<wire::ClusterNode>, Refusal> {
    let node = agent.cluster.find(&node)?;
    let action = match verb.as_str() {
        "approve" => Action::Approve(node),
        "drain" => Action::Drain(node),
        "resume" => Action::Resume(node),
        "rename" => {
            let wish: wire::NewName = body::read(body).await?;
            let name = wish.name;
            Action::Rename { node, name }
        }
        "label" => {
            let wish: wire::NewLabels = body::read(body).await?;
            let labels = wish.labels;
            Action::Label { node, labels }
        }
        _ => {
            let message = format!("a node cannot be told to `{}`", verb.escape_debug());
            let refusal = Refusal::new(StatusCode::NOT_FOUND, "unknown_verb", message);
            return Err(refusal.with_hint("approve, drain, resume, rename, label"));
        }
    };
    agent.cluster.decide(action).await?;
    tracing::info!(%node, %verb, "a node was changed");
    let nodes = agent.cluster.nodes();
    let changed = nodes
        .into_iter()
        .find(|status| status.id == node.to_string());
    let gone = || ClusterError::UnknownNode(node.to_string());
    Ok(Json(changed.ok_or_else(gone)?))
}

pub(super) async fn remove(
    State(agent): State<Arc<Agent>>,
    Path(node): Path<String>,
) -> Result<Json<wire::ClusterNode>, Refusal> {
    let node = agent.cluster.find(&node)?;
    let nodes = agent.cluster.nodes();
    let removed = nodes
        .into_iter()
        .find(|status| status.id == node.to_string());
    let gone = || ClusterError::UnknownNode(node.to_string());
    let removed = removed.ok_or_else(gone)?;
    agent.cluster.decide(Action::Remove(node)).await?;
    tracing::info!(%node, "a node was removed");
    Ok(Json(removed))
}

pub(super) async fn tokens(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<wire::JoinTokens>, Refusal> {
    if caller == Caller::Anonymous {
        return Err(Refusal::unknown_caller());
    }
    let tokens = agent.cluster.tokens();
    Ok(Json(wire::JoinTokens { tokens }))
}

pub(super) async fn invite(
    State(agent): State<Arc<Agent>>,
    body: Body,
) -> Result<Json<wire::Invitation>, Refusal> {
    let wish: wire::NewToken = body::read(body).await?;
    let role = match wish.role.as_deref() {
        None | Some("worker") => Role::Worker,
        Some("voter") => Role::Voter,
        Some(other) => {
            let message = format!("`{}` is no role", other.escape_debug());
            let refusal = Refusal::invalid("invalid_role", message);
            return Err(refusal.with_hint("`worker` or `voter`"));
        }
    };
    let life = wish
        .ttl_s
        .map_or(TOKEN_LIFE, std::time::Duration::from_secs);
    if !(TOKEN_LIFE_MIN..=TOKEN_LIFE_MAX).contains(&life) {
        let message = format!(
            "a token is good for {} to {} seconds",
            TOKEN_LIFE_MIN.as_secs(),
            TOKEN_LIFE_MAX.as_secs()
        );
        return Err(Refusal::invalid("invalid_ttl", message));
    }
    Ok(Json(agent.cluster.invite(role, wish.name, life).await?))
}

pub(super) async fn revoke(
    State(agent): State<Arc<Agent>>,
    Path(token): Path<String>,
) -> Result<Json<wire::JoinToken>, Refusal> {
    let unknown = || {
        let message = format!("there is no join token `{}`", token.escape_debug());
        let refusal = Refusal::new(StatusCode::NOT_FOUND, "token_not_found", message);
        refusal.with_hint("`skep token ls` lists them")
    };
    let known = agent.cluster.tokens();
    let known = known.into_iter().find(|known| known.id == token);
    let known = known.ok_or_else(unknown)?;
    let id = token.parse().map_err(|_| unknown())?;
    agent.cluster.decide(Action::RevokeToken(id)).await?;
    tracing::info!(%token, "a join token was revoked");
    Ok(Json(known))
}

pub(super) async fn authorities(State(agent): State<Arc<Agent>>) -> Json<wire::Authorities> {
    let here = agent.cluster.nodes().into_iter().find(|node| node.here);
    Json(wire::Authorities {
        authorities: agent.cluster.authorities(),
        certificate_until_unix_s: here.and_then(|node| node.certificate_until_unix_s),
    })
}

pub(super) async fn rotate(
    State(agent): State<Arc<Agent>>,
) -> Result<Json<wire::Authority>, Refusal> {
    Ok(Json(agent.cluster.rotate_authority().await?))
}

pub(super) async fn join(
    State(agent): State<Arc<Agent>>,
    body: Body,
) -> Result<Json<wire::Joined>, Refusal> {
    let wish: wire::JoinWish = body::read(body).await?;
    let token = wish
        .token
        .parse()
        .map_err(|error: crate::pki::TokenError| {
            Refusal::invalid("invalid_token", error.to_string())
        })?;
    let cluster = &agent.cluster;
    Ok(Json(
        cluster.join(token, &wish.at, wish.name, wish.leave).await?,
    ))
}

pub(super) async fn neighbours(
    State(agent): State<Arc<Agent>>,
) -> Result<Json<wire::Neighbours>, Refusal> {
    let neighbours = agent.cluster.neighbours().await?;
    Ok(Json(wire::Neighbours { neighbours }))
}

impl From<ClusterError> for Refusal {
    fn from(error: ClusterError) -> Self {
        if let ClusterError::Adoption(error) = &error {
            return error.into();
        }
        let (status, code) = match &error {
            ClusterError::UnknownNode(_) => (StatusCode::NOT_FOUND, "node_not_found"),
            ClusterError::Refused(_) => (StatusCode::CONFLICT, "refused"),
            ClusterError::Denied(_) => (StatusCode::FORBIDDEN, "denied"),
            ClusterError::HasOthers | ClusterError::Leads => (StatusCode::CONFLICT, "has_others"),
            ClusterError::Itself => (StatusCode::CONFLICT, "own_token"),
            ClusterError::Join(_) => (StatusCode::BAD_GATEWAY, "not_let_in"),
            ClusterError::Leaderless { .. } => (StatusCode::SERVICE_UNAVAILABLE, "leaderless"),
            ClusterError::NoAddress | ClusterError::Socket(_) => {
                (StatusCode::CONFLICT, "not_reachable")
            }
            ClusterError::Neighbours(_) => (StatusCode::CONFLICT, "no_multicast"),
            ClusterError::File { .. }
            | ClusterError::Damaged(_)
            | ClusterError::Log(_)
            | ClusterError::Authority(_)
            | ClusterError::Tls(_)
            | ClusterError::Adoption(_)
            | ClusterError::Random => (StatusCode::INTERNAL_SERVER_ERROR, "cluster_failed"),
        };
        Self::new(status, code, chain(&error))
    }
}
