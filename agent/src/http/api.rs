//! `/api/v1`: what the page and the command line need of this node, as JSON.
//!
//! Decides paths and statuses; the fields are `wire`'s. Refuses to decide who may ask: that was
//! checked before a request comes here, and whoever changes anything has shown a key.

mod adoptions;
mod alerts;
mod backup;
mod body;
mod burn_in;
mod certificate;
mod cluster;
mod keys;
mod lines;
mod logs;
mod models;
mod node;
mod offers;
mod plugins;
mod pull;
mod refusal;
mod replicas;
mod scheduler;
mod secrets;
mod services;
mod session;
mod setup;
mod sign_in;
mod top;
mod upstreams;
mod users;

pub use self::top::readings;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post, put};

use crate::agent::Agent;
use crate::services::Kind;

/// The endpoints, below `/api/v1`.
pub(super) fn routes() -> Router<Arc<Agent>> {
    Router::new()
        .route(
            "/session",
            get(session::show).post(session::begin).delete(session::end),
        )
        .route("/session/password", post(session::set_password))
        .nest("/users", users::routes())
        .nest("/sign-in", sign_in::routes())
        .route("/node", get(node::node))
        .route("/node/burn-in", get(burn_in::list).post(burn_in::begin))
        .route("/node/burn-in/{device}", delete(burn_in::forget))
        .route("/version", get(node::version))
        .route("/plugins", get(plugins::list))
        .route("/plugins/-/inspect", post(plugins::inspect))
        .route("/plugins/-/install", post(plugins::install))
        .route(
            "/plugins/-/signers",
            get(plugins::signers).post(plugins::trust),
        )
        .route("/plugins/-/signers/{name}", delete(plugins::distrust))
        .route(
            "/plugins/{name}",
            get(plugins::show).delete(plugins::remove),
        )
        .route("/plugins/{name}/{verb}", post(plugins::change))
        .route("/models", get(models::list))
        .route("/models/pull", post(pull::pull))
        .route("/models/-/offers", get(offers::list))
        .route("/models/{name}", delete(models::remove))
        .route("/models/{name}/load", post(models::load))
        .route("/models/{name}/unload", post(models::unload))
        .route("/top", get(top::top))
        .route("/ps", get(replicas::list))
        .route("/requests", get(replicas::requests))
        .route("/requests/{request}", get(scheduler::explain))
        .route("/scheduler", get(scheduler::list))
        .route("/scheduler/use", post(scheduler::put_in_charge))
        .route("/scheduler/shadow", post(scheduler::put_in_shadow))
        .route("/scheduler/differences", get(scheduler::differences))
        .route("/cluster/nodes", get(cluster::nodes))
        .route(
            "/cluster/nodes/{node}",
            get(cluster::node).delete(cluster::remove),
        )
        .route("/cluster/nodes/{node}/{verb}", post(cluster::change))
        .route(
            "/cluster/tokens",
            get(cluster::tokens).post(cluster::invite),
        )
        .route("/cluster/tokens/{token}", delete(cluster::revoke))
        .route("/cluster/ca", get(cluster::authorities))
        .route("/cluster/ca/rotate", post(cluster::rotate))
        .route("/cluster/join", post(cluster::join))
        .route(
            "/cluster/adoptions",
            get(adoptions::list).post(adoptions::begin),
        )
        .route(
            "/cluster/adoptions/{id}",
            get(adoptions::show).delete(adoptions::refuse),
        )
        .route("/cluster/adoptions/{id}/confirm", post(adoptions::confirm))
        .route(
            "/cluster/offer",
            put(adoptions::offer).delete(adoptions::withdraw),
        )
        .route("/cluster/neighbours", get(cluster::neighbours))
        .route("/keys", get(keys::list).post(keys::make))
        .route("/keys/{key}", delete(keys::revoke))
        .route("/secrets", get(secrets::list))
        .route("/secrets/{name}", put(secrets::set).delete(secrets::remove))
        .route("/backup", post(backup::create))
        .route("/certificate", get(certificate::show))
        .route("/certificate/renew", post(certificate::renew))
        .route("/alerts", get(alerts::list))
        .route("/upstreams/-/find", post(upstreams::find))
        .route("/upstreams/{name}/models", get(upstreams::models))
        .route("/upstreams/{name}/test", post(upstreams::test))
        .route("/upstreams/{name}/pull", post(upstreams::pull))
        .route("/notifiers/{name}/test", post(alerts::test))
        .nest("/upstreams", services::routes(Kind::Upstream))
        .nest("/notifiers", services::routes(Kind::Notifier))
        .nest("/setup", setup::routes())
        .route("/logs", get(logs::logs))
}
