//! `skep version`: what this binary is, and the agent if it is another.

use super::terminal::{Paint, complain, printable, say};
use super::{Failure, figures, print_json};
use crate::client::Client;
use crate::wire::Version;

pub(super) fn version(client: &Result<Client, Failure>, json: bool) -> Result<(), Failure> {
    let own = crate::version::version();
    if json {
        return print_json(&own);
    }
    say(render(&own, Paint::for_stdout()))?;
    // An agent that goes on with the old binary after an update is a classic.
    let agent = client
        .as_ref()
        .ok()
        .and_then(|c| c.get::<Version>("/api/v1/version").ok());
    if let Some(agent) = agent.filter(|agent| *agent != own) {
        let paint = Paint::for_stderr();
        let version = printable(&agent.version).into_owned();
        complain(&format!(
            "{} the running agent is another build ({version}); start it again to use this one",
            paint.yellow("note:")
        ));
    }
    Ok(())
}

pub(super) fn render(version: &Version, paint: Paint) -> String {
    let commit = version
        .commit
        .as_deref()
        .map_or_else(String::new, |commit| {
            let short: String = commit.chars().take(12).collect();
            format!(" ({short})")
        });
    let mut lines = vec![
        format!("{} {}{commit}", paint.bold("skep"), version.version),
        format!("target    {}", version.target),
        format!("wasmtime  {}", version.wasmtime),
    ];
    for (at, plugin) in version.plugins.iter().enumerate() {
        let head = if at == 0 { "plugins   " } else { "          " };
        let (name, world) = (&plugin.name, &plugin.world);
        lines.push(format!(
            "{head}{name} ({world}, {})",
            figures::size(plugin.bytes)
        ));
    }
    if version.plugins.is_empty() {
        lines.push("plugins   none: this binary runs no model".to_owned());
    }
    lines.join("\n")
}
