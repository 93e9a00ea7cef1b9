//! How plugins are shown to people: the list, and everything that is known of one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::consent::one_line;
use crate::cli::figures;
use crate::cli::table::{Cell, Hue, Table};
use crate::cli::terminal::{Paint, printable};
use crate::wire::{PluginDetails, PluginStates, PluginWish, SignatureView};

/// Below each heading.
type Lines = Vec<String>;

pub(in crate::cli) fn list(plugins: &PluginStates, paint: Paint) -> String {
    if plugins.plugins.is_empty() {
        return "there are no plugins; `skep plugin add` adds one, and `cargo xtask build` makes a binary that carries some".to_owned();
    }
    let mut table = Table::new([
        "NAME",
        "VERSION",
        "WORLD",
        ">SIZE",
        "STATE",
        "SIGNED BY",
        "DIGEST",
        "MAY TOUCH",
    ]);
    for plugin in &plugins.plugins {
        let state = match plugin.state.as_str() {
            "ready" => Hue::Good,
            _ => Hue::Doubtful,
        };
        let signed = &plugin.signature;
        let (signer, hue) = match signed.state.as_str() {
            "carried" => ("skep".to_owned(), Hue::Plain),
            "trusted" => (signed.name.clone().unwrap_or_default(), Hue::Good),
            "unknown" => ("an unknown key".to_owned(), Hue::Doubtful),
            _ => ("nobody".to_owned(), Hue::Faint),
        };
        let grants = match plugin.grants.as_slice() {
            [] => "nothing".to_owned(),
            grants => grants.join(", "),
        };
        table.row([
            Cell::new(plugin.plugin.name.as_str(), Hue::Strong),
            plugin.version.as_str().into(),
            plugin.plugin.world.as_str().into(),
            figures::size(plugin.plugin.bytes).into(),
            Cell::new(plugin.state.as_str(), state),
            Cell::new(signer, hue),
            Cell::new(short(&plugin.plugin.digest), Hue::Faint),
            grants.into(),
        ]);
    }
    table.render(paint)
}

pub(in crate::cli) fn details(
    found: &PluginDetails,
    paint: Paint,
    ago: impl Fn(u64) -> String,
) -> String {
    let state = &found.state;
    let head = format!("{} {}", state.plugin.name, state.version);
    let mut text = format!(
        "{}, for the world `{}`, {}\n",
        paint.bold(printable(&head)),
        printable(&state.plugin.world),
        printable(&state.state)
    );
    let mut part = |heading: &str, lines: Lines| {
        if !lines.is_empty() {
            let _ = writeln!(text, "\n{}", paint.bold(heading));
            for line in lines {
                let _ = writeln!(text, "  {}", printable(&line));
            }
        }
    };
    part("about it", about(found));
    part("may touch, because somebody agreed", granted(found, &ago));
    part("asks for, and may not", refused(found));
    let taken = found.revoked.iter().map(|taken| {
        let (by, when) = (&taken.revoked_by, ago(taken.revoked_unix_s));
        format!("{}: by {by}, {when}", taken.capability)
    });
    part("was taken away", taken.collect());
    part("may, as everything of its world", found.gives.clone());
    part("may not touch", found.may_not.clone());
    part("imports", imports(&state.plugin.imports));
    part("is used by", state.used_by.clone());
    part("takes on this node", usage(found));
    part("versions", versions(found, &ago));
    for (of, heading) in [
        ("plugin", "its limits"),
        ("cluster", "limits of all plugins of the cluster"),
    ] {
        let limits = found.limits.iter().filter(|limit| limit.of == of);
        let limits =
            limits.map(|limit| format!("{}: {} ({})", limit.name, limit.value, limit.constant));
        part(heading, limits.collect());
    }
    text.truncate(text.trim_end().len());
    text
}

fn about(found: &PluginDetails) -> Lines {
    let state = &found.state;
    let mut lines = Vec::new();
    if let Some(manifest) = &found.manifest {
        let texts = [&manifest.title, &manifest.description];
        let said = texts.into_iter().filter(|text| !text.is_empty());
        lines.extend(said.map(|text| format!("“{}”", one_line(text))));
        if !manifest.authors.is_empty() {
            lines.push(format!("by {}", one_line(&manifest.authors.join(", "))));
        }
        if !manifest.licence.is_empty() {
            lines.push(format!("licence: {}", one_line(&manifest.licence)));
        }
        lines.extend(manifest.homepage.as_deref().map(one_line));
    }
    lines.push(format!(
        "{}, {}",
        state.plugin.digest,
        figures::size(state.plugin.bytes)
    ));
    lines.push(signature(&state.signature));
    lines.push(format!(
        "runs in {}",
        match state.plugin.runs_in.as_str() {
            "agent" => "the agent's process",
            _ => "a process of its own",
        }
    ));
    lines
}

fn granted(found: &PluginDetails, ago: &impl Fn(u64) -> String) -> Lines {
    let mut lines = Vec::new();
    for grant in &found.granted {
        let idle = if grant.asked_for {
            ""
        } else {
            "; this version does not ask for it and does not have it"
        };
        lines.push(format!("{}: {}{idle}", grant.capability, grant.words));
        lines.push(format!("    “{}”", one_line(&grant.reason)));
        let when = ago(grant.granted_unix_s);
        lines.push(format!("    {} agreed, {when}", grant.granted_by));
    }
    if lines.is_empty() {
        lines.push("nothing".to_owned());
    }
    lines
}

fn refused(found: &PluginDetails) -> Lines {
    let mut lines = Vec::new();
    for wish in found.wishes.iter().filter(|wish| !wish.granted) {
        let optional = if wish.optional {
            " (works without)"
        } else {
            ""
        };
        lines.push(format!("{}: {}{optional}", wish.written, wish.words));
        lines.push(format!("    “{}”", one_line(&wish.reason)));
    }
    lines
}

fn usage(found: &PluginDetails) -> Lines {
    let mut lines = Vec::new();
    for usage in &found.usage {
        let figures = [
            usage
                .resident_bytes
                .map(|bytes| format!("{} of memory", figures::memory(bytes))),
            usage.calls.map(|calls| figures::many(calls, "call")),
            usage
                .failures
                .map(|failures| figures::many(failures, "failure")),
            usage
                .fuel
                .map(|fuel| format!("{} of fuel for the last call", figures::many(fuel, "unit"))),
            usage
                .call_bytes_max
                .map(|bytes| format!("{} for its largest call", figures::memory(bytes))),
            usage
                .computing_us
                .map(|us| format!("{} ms of computing", figures::grouped(us / 1_000))),
            usage.requests_out.map(|requests| {
                let refused = usage.refused_out.unwrap_or_default();
                let sent = figures::many(requests, "request");
                format!(
                    "{sent} sent out, {} of them refused",
                    figures::grouped(refused)
                )
            }),
        ];
        let figures: Vec<String> = figures.into_iter().flatten().collect();
        lines.push(format!("{}: {}", usage.what, figures.join(", ")));
        lines.extend(
            usage
                .last_failure
                .as_ref()
                .map(|why| format!("    failed at last so: {why}")),
        );
    }
    lines
}

fn versions(found: &PluginDetails, ago: &impl Fn(u64) -> String) -> Lines {
    let mut lines = Vec::new();
    for version in &found.versions {
        let now = if version.current { " (runs)" } else { "" };
        lines.push(format!(
            "{}{now}: {}, {}",
            version.version,
            short(&version.digest),
            signature(&version.signature)
        ));
        let from = version
            .source
            .as_ref()
            .map_or_else(String::new, |from| format!(", from {from}"));
        let when = ago(version.added_unix_s);
        lines.push(format!("    {} agreed, {when}{from}", version.added_by));
        lines.extend(
            version
                .left
                .as_ref()
                .map(|why| format!("    was left: {why}")),
        );
    }
    lines
}

/// What it imports, a line for each package.
fn imports(imports: &[String]) -> Lines {
    let mut packages: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for import in imports {
        let (path, version) = import.split_once('@').unwrap_or((import, ""));
        let (package, name) = path.split_once('/').unwrap_or((path, ""));
        let package = match version {
            "" => package.to_owned(),
            version => format!("{package}@{version}"),
        };
        packages.entry(package).or_default().push(name);
    }
    let line = |(package, names): (String, Vec<&str>)| format!("{package}: {}", names.join(", "));
    packages.into_iter().map(line).collect()
}

/// Whose signature it is, in words.
pub(super) fn signature(signature: &SignatureView) -> String {
    let key = signature.key.as_deref().unwrap_or_default();
    match (signature.state.as_str(), &signature.name) {
        ("carried", _) => "came with this binary".to_owned(),
        ("trusted", Some(name)) => format!("signed by `{name}`, who is trusted (key {key})"),
        ("unknown", Some(name)) => {
            format!("signed by `{name}`, who is trusted no more (key {key})")
        }
        ("unknown", None) => {
            format!(
                "signed by a key that nobody here trusts ({key}); the signature was not checked"
            )
        }
        _ => "not signed".to_owned(),
    }
}

/// Something that it asks for, with how it is granted.
pub(super) fn wish(wish: &PluginWish, paint: Paint) -> String {
    let optional = if wish.optional {
        " (works without)"
    } else {
        ""
    };
    let already = if wish.granted {
        " (it may already)"
    } else {
        ""
    };
    let written = paint.dim(format!("[{}]", printable(&wish.written)));
    format!("{}{optional}{already} {written}", printable(&wish.words))
}

fn short(digest: &str) -> String {
    let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
    digits.chars().take(12).collect()
}
