//! Adopting nodes, and being adopted.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};

use super::body;
use super::refusal::{Refusal, chain};
use crate::agent::Agent;
use crate::cluster::AdoptionError;
use crate::http::Caller;
use crate::limits::{ADOPT_OFFER, ADOPT_OFFER_MAX, ADOPT_OFFER_MIN};
use crate::net::AdoptError;
use crate::wire;

pub(super) async fn list(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<wire::Adoptions>, Refusal> {
    known(caller)?;
    Ok(Json(wire::Adoptions {
        adoptions: agent.cluster.adoptions(),
        offer: agent.cluster.offered(),
    }))
}

pub(super) async fn show(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<wire::Adoption>, Refusal> {
    known(caller)?;
    Ok(Json(agent.cluster.adoption(&id)?))
}

pub(super) async fn begin(
    State(agent): State<Arc<Agent>>,
    body: Body,
) -> Result<(StatusCode, Json<wire::Adoption>), Refusal> {
    let wish: wire::AdoptWish = body::read(body).await?;
    let begun = agent.cluster.adopt(&wish.neighbour).await?;
    Ok((StatusCode::CREATED, Json(begun)))
}

pub(super) async fn confirm(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
) -> Result<Json<wire::Adoption>, Refusal> {
    Ok(Json(agent.cluster.confirm_adoption(&id)?))
}

pub(super) async fn refuse(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
) -> Result<Json<wire::Adoption>, Refusal> {
    Ok(Json(agent.cluster.refuse_adoption(&id)?))
}

pub(super) async fn offer(
    State(agent): State<Arc<Agent>>,
    body: Body,
) -> Result<Json<wire::Offer>, Refusal> {
    let wish: wire::OfferWish = body::read(body).await?;
    let time = wish.for_s.map_or(ADOPT_OFFER, Duration::from_secs);
    if !(ADOPT_OFFER_MIN..=ADOPT_OFFER_MAX).contains(&time) {
        let message = format!(
            "a node waits to be adopted for {} to {} seconds",
            ADOPT_OFFER_MIN.as_secs(),
            ADOPT_OFFER_MAX.as_secs()
        );
        return Err(Refusal::invalid("invalid_time", message));
    }
    Ok(Json(agent.cluster.offer(time).await?))
}

pub(super) async fn withdraw(State(agent): State<Arc<Agent>>) -> Json<wire::Offer> {
    Json(agent.cluster.withdraw_offer().await)
}

/// Digits are no secret, but who is about to join is nobody else's business.
fn known(caller: Caller) -> Result<(), Refusal> {
    match caller {
        Caller::Anonymous => Err(Refusal::unknown_caller()),
        _ => Ok(()),
    }
}

impl From<&AdoptionError> for Refusal {
    fn from(error: &AdoptionError) -> Self {
        let (status, code) = match error {
            AdoptionError::Unknown(_) => (StatusCode::NOT_FOUND, "adoption_not_found"),
            AdoptionError::NobodyWaits(_) => (StatusCode::NOT_FOUND, "neighbour_not_found"),
            AdoptionError::Over(_) => (StatusCode::CONFLICT, "adoption_over"),
            AdoptionError::NotAlone => (StatusCode::CONFLICT, "has_others"),
            AdoptionError::Several { .. } => (StatusCode::CONFLICT, "several_neighbours"),
            AdoptionError::Member(_) => (StatusCode::CONFLICT, "member_already"),
            AdoptionError::Busy => (StatusCode::CONFLICT, "adoptions_under_way"),
            AdoptionError::Deaf(_) => (StatusCode::CONFLICT, "no_multicast"),
            AdoptionError::NoPlace { .. } => (StatusCode::BAD_REQUEST, "invalid_neighbour"),
            AdoptionError::Worker(_) => (StatusCode::FORBIDDEN, "denied"),
            AdoptionError::TooSoon(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many_adoptions"),
            AdoptionError::Exchange(AdoptError::Refused(_)) => (StatusCode::CONFLICT, "refused"),
            AdoptionError::Exchange(AdoptError::Cheated(_)) => (StatusCode::BAD_GATEWAY, "cheated"),
            AdoptionError::Exchange(_) => (StatusCode::BAD_GATEWAY, "not_reached"),
        };
        Self::new(status, code, chain(error))
    }
}
