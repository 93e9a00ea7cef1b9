//! Alerts: what is raised, what is over, what waits; and trying a notifier.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use super::refusal::Refusal;
use crate::agent::Agent;
use crate::alerts::{Alerts, Entry};
use crate::protocol::Severity;
use crate::services::{Kind, ServiceError};
use crate::wire;

pub(super) async fn list(State(agent): State<Arc<Agent>>) -> Json<wire::Alerts> {
    let waiting = agent.alerts.waiting().into_iter().map(|waiting| {
        let told = wire::Waiting {
            count: waiting.count,
            dropped: waiting.dropped,
            why: waiting.why,
        };
        (waiting.notifier, told)
    });
    Json(wire::Alerts {
        raised: agent
            .alerts
            .raised()
            .into_iter()
            .map(|e| alert(e, false))
            .collect(),
        past: agent
            .alerts
            .past()
            .into_iter()
            .map(|e| alert(e, true))
            .collect(),
        waiting: waiting.collect(),
    })
}

/// Sends one alert that says that alerts arrive.
pub(super) async fn test(
    State(agent): State<Arc<Agent>>,
    Path(name): Path<String>,
) -> Result<Json<serde_json::Value>, Refusal> {
    agent.services.find(Kind::Notifier, &name)?;
    let trial = Alerts::trial(&agent);
    let delivered = agent.services.notify(&name, trial).await;
    delivered.map_err(ServiceError::Refused)?;
    Ok(Json(serde_json::json!({ "name": name, "delivered": true })))
}

fn alert(entry: Entry, over: bool) -> wire::Alert {
    let condition = entry.condition;
    wire::Alert {
        id: condition.id,
        kind: condition.kind,
        severity: match condition.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
        .to_owned(),
        title: condition.title,
        text: condition.text,
        node: condition.node,
        raised_unix_s: entry.raised_unix_s,
        resolved_unix_s: entry.gone_unix_s.filter(|_| over),
        facts: condition.facts,
    }
}
