//! The models: damaged, too large for this machine, failing.

use super::agent::Seen;
use super::{Report, Severity};

pub(super) fn look(report: &mut Report, seen: &Seen) {
    catalogue(report, seen);
    workers(report, seen);
}

fn catalogue(report: &mut Report, seen: &Seen) {
    let Some(models) = &seen.models else { return };
    for damaged in &models.damaged {
        let title = "a model's entry is damaged and cannot be used; it was left as it is";
        let finding = report.find(Severity::Warning, "model_damaged", title);
        finding.seen(format!("{}: {}", damaged.path, damaged.reason));
        finding.mend("pull the model again under another name, then delete that file");
    }
    let memory = seen.node.as_ref().and_then(|node| node.hardware.as_ref());
    let memory = memory.map(|hardware| &hardware.host.memory);
    let total = memory.and_then(|memory| memory.limit_bytes.or(memory.total_bytes));
    for model in &models.models {
        if total.is_some_and(|total| model.bytes > total) {
            let title = format!("`{}` is larger than this machine's memory", model.name);
            let finding = report.find(Severity::Warning, "model_too_large", title);
            let (model_mb, memory_mb) = (model.bytes / 1_000_000, total.unwrap_or(0) / 1_000_000);
            finding.seen(format!("{model_mb} MB of model, {memory_mb} MB of memory"));
            finding
                .mend("pull a smaller quantisation of it (`Q4_K_M` has about 0.6 bytes a weight)");
        }
    }
    if models.models.is_empty() {
        let finding = report.find(Severity::Note, "no_models", "there are no models here");
        finding.mend("skep pull https://…/model.gguf");
    } else {
        report.well(format!(
            "{} on the disk",
            count(models.models.len(), "model")
        ));
    }
}

fn workers(report: &mut Report, seen: &Seen) {
    let Some(replicas) = &seen.replicas else {
        return;
    };
    let mut ready = 0;
    for replica in &replicas.replicas {
        let severity = match replica.state.as_str() {
            "failed" => Severity::Error,
            "restarting" => Severity::Warning,
            _ if replica.restarts > 0 => Severity::Warning,
            _ => {
                ready += usize::from(replica.state == "ready");
                continue;
            }
        };
        let title = match replica.state.as_str() {
            "failed" => format!("`{}` cannot be loaded", replica.model),
            _ => format!(
                "the worker of `{}` died and was started again",
                replica.model
            ),
        };
        let finding = report.find(severity, "worker_unwell", title);
        if replica.restarts > 0 {
            finding.seen(format!(
                "started again {}",
                count(replica.restarts as usize, "time")
            ));
        }
        finding.evidence.extend(replica.why.clone());
        finding.mend("skep logs -n 200   (what it said before)");
    }
    if ready > 0 {
        report.well(format!("{} loaded and ready", count(ready, "model")));
    }
}

fn count(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
