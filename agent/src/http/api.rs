//! `/api/v1`: what the page and the command line need of this node, as JSON.
//!
//! Decides paths and statuses; the fields are `wire`'s. Refuses to decide who may ask: that was
//! checked before a request comes here, and whoever changes anything has shown a key.

mod alerts;
mod body;
mod burn_in;
mod cluster;
mod keys;
mod lines;
mod logs;
mod models;
mod node;
mod plugins;
mod pull;
mod refusal;
mod replicas;
mod scheduler;
mod secrets;
mod services;
mod top;
mod upstreams;

pub use self::top::readings;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post, put};

use crate::agent::Agent;
use crate::services::Kind;

/// The endpoints, below `/api/v1`.
pub(super) fn routes() -> Router<Arc<Agent>> {
    Router::new()
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
        .route("/cluster/neighbours", get(cluster::neighbours))
        .route("/keys", get(keys::list).post(keys::make))
        .route("/keys/{key}", delete(keys::revoke))
        .route("/secrets", get(secrets::list))
        .route("/secrets/{name}", put(secrets::set).delete(secrets::remove))
        .route("/alerts", get(alerts::list))
        .route("/upstreams/-/find", post(upstreams::find))
        .route("/upstreams/{name}/models", get(upstreams::models))
        .route("/upstreams/{name}/test", post(upstreams::test))
        .route("/upstreams/{name}/pull", post(upstreams::pull))
        .route("/notifiers/{name}/test", post(alerts::test))
        .nest("/upstreams", services::routes(Kind::Upstream))
        .nest("/notifiers", services::routes(Kind::Notifier))
        .route("/logs", get(logs::logs))
}
