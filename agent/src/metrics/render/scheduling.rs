//! How schedulers do: decisions, failures, rollbacks, and how the one in shadow agrees.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::scheduling::Policies;

/// As many values as policies are counted, which is bounded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabels {
    policy: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShadowLabels {
    result: &'static str,
}

pub(super) fn scheduling(registry: &mut Registry, policies: &Policies) {
    let overview = policies.overview();
    let decisions = Family::<PolicyLabels, Counter>::default();
    let failures = Family::<PolicyLabels, Counter>::default();
    for (name, _, _, tally) in &overview.policies {
        let labels = PolicyLabels {
            policy: name.to_string(),
        };
        decisions.get_or_create(&labels).inc_by(tally.decisions);
        failures.get_or_create(&labels).inc_by(tally.failures);
    }
    registry.register(
        "scheduler_decisions",
        "Times that a scheduler was asked",
        decisions,
    );
    registry.register(
        "scheduler_failures",
        "Times that a scheduler failed and the built-in rule decided",
        failures,
    );
    let rollbacks = Counter::<u64>::default();
    rollbacks.inc_by(overview.rollbacks);
    registry.register(
        "scheduler_rollbacks",
        "Times that a scheduler failed too often and was replaced",
        rollbacks,
    );
    let Some(shadow) = overview.shadow else {
        return;
    };
    let compared = Family::<ShadowLabels, Counter>::default();
    for (result, count) in [
        ("agreed", shadow.agreed),
        ("differed", shadow.differed),
        ("failed", shadow.failures),
        ("dropped", shadow.dropped),
    ] {
        compared
            .get_or_create(&ShadowLabels { result })
            .inc_by(count);
    }
    registry.register(
        "scheduler_shadow",
        "Decisions of the scheduler in shadow beside the active one's",
        compared,
    );
}
