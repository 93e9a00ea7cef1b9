//! The agent itself: whether it runs, what it says, and whether it is this binary.

use super::{Report, Severity, port};
use crate::client::{Client, ClientError};
use crate::config::{self, Settings, Source};
use crate::paths::Paths;
use crate::wire::{Models, Node, Replicas, Schedulers, Version};

/// What a running agent told.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) node: Option<Node>,
    pub(super) models: Option<Models>,
    pub(super) replicas: Option<Replicas>,
}

pub(super) fn look(report: &mut Report, paths: &Paths, client: &Client) -> Seen {
    configuration(report, paths);
    binary(report);
    let url = client.endpoint().url().to_owned();
    match client.get::<Node>("/api/v1/node") {
        Ok(node) => {
            report.well(format!("the agent answers at {url}"));
            same_version(report, client);
            scheduler(report, client);
            Seen {
                node: Some(node),
                models: client.get("/api/v1/models").ok(),
                replicas: client.get("/api/v1/ps").ok(),
            }
        }
        Err(error) => {
            unanswered(report, &error, &url);
            Seen::default()
        }
    }
}

fn unanswered(report: &mut Report, error: &ClientError, url: &str) {
    let owner = port::of_url(url).and_then(port::listener);
    let whose = owner.as_ref().map(|owner| format!("{owner} listens there"));
    match error {
        ClientError::Unreachable { .. } => {
            let finding = report.find(Severity::Error, "agent_down", "the agent is not running");
            finding.seen(error.to_string()).mend("skep up");
        }
        ClientError::Refused { status: 401, .. } => {
            let title = "the agent wants a key that it was not given";
            let finding = report.find(Severity::Error, "key_missing", title);
            finding
                .seen(error.to_string())
                .mend("SKEP_API_KEY=… skep doctor");
        }
        ClientError::Unreadable { .. } | ClientError::Broken { .. } => {
            let title = format!("something else than a skep agent answers at {url}");
            let finding = report.find(Severity::Error, "port_taken", title);
            finding.seen(error.to_string());
            finding.evidence.extend(whose);
            finding.mend("skep up --listen 127.0.0.1:7421   (or end the other program)");
        }
        ClientError::Refused { .. } | ClientError::Endpoint(_) => {
            let finding = report.find(
                Severity::Error,
                "agent_refuses",
                "the agent refuses to answer",
            );
            finding.seen(error.to_string());
            finding.mend = error.hint();
        }
    }
}

fn configuration(report: &mut Report, paths: &Paths) {
    let file = paths.config_file();
    let read = config::load(Source::Default(&file), std::env::vars(), &[]);
    let checked = read.and_then(Settings::try_from);
    match checked {
        Ok(_) => report.well("the configuration can be read"),
        Err(error) => {
            let title = "the configuration has a mistake; the agent will not start with it";
            let finding = report.find(Severity::Error, "config_wrong", title);
            finding
                .seen(error.to_string())
                .mend(format!("edit {}", file.display()));
        }
    }
}

fn binary(report: &mut Report) {
    let plugins = crate::version::plugins();
    for world in ["engine", "scheduler"] {
        if !plugins.iter().any(|plugin| plugin.world == world) {
            let title = format!("this binary carries no {world} plugin and can run no model");
            let finding = report.find(Severity::Error, "plugins_missing", title);
            let names: Vec<&str> = plugins.iter().map(|plugin| plugin.name.as_str()).collect();
            finding.seen(format!("plugins in it: {}", or_none(&names)));
            finding.mend("cargo xtask build");
        }
    }
}

fn same_version(report: &mut Report, client: &Client) {
    let own = crate::version::version();
    let Ok(agent) = client.get::<Version>("/api/v1/version") else {
        return;
    };
    if agent != own {
        let title = "the running agent is another build than this command";
        let finding = report.find(Severity::Warning, "version_differs", title);
        let commit = |version: &Version| {
            let commit = version
                .commit
                .clone()
                .unwrap_or_else(|| "no commit told".to_owned());
            format!("{} ({commit})", version.version)
        };
        finding.seen(format!(
            "agent: {}; command: {}",
            commit(&agent),
            commit(&own)
        ));
        finding.mend("stop the agent with Ctrl-C and start it again with `skep up`");
    }
}

fn scheduler(report: &mut Report, client: &Client) {
    let Ok(found) = client.get::<Schedulers>("/api/v1/scheduler") else {
        return;
    };
    if let Some(awaited) = found.awaited {
        let title = format!(
            "`scheduler.policy` names `{}`, and another scheduler decides in its place",
            awaited.name
        );
        let finding = report.find(Severity::Warning, "scheduler_absent", title);
        finding.seen(awaited.why).mend(format!(
            "skep plugin add FILE   (the plugin `{}`), or name another in the configuration",
            awaited.name
        ));
    }
}

fn or_none(names: &[&str]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
