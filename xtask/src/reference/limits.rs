//! Limits of the host, read from the source that has them: `pub const NAME: TYPE = VALUE;` below the lines that say why.
//!
//! Decides which of them an author of a plugin meets, in which world.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::step::root;

pub(super) struct Limit {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) reason: String,
}

/// What a plugin of a world meets.
pub(super) fn of_world(world: &str) -> Result<Vec<Limit>> {
    let own: &[&str] = match world {
        "scheduler" => &SCHEDULER,
        "engine" => &ENGINE,
        "upstream" => &SERVICE,
        "notifier" => &NOTIFIER,
        "installer" => &INSTALLER,
        other => bail!("there are no limits of a world `{other}`"),
    };
    let more = if world == "notifier" {
        &SERVICE[..]
    } else {
        &[]
    };
    let all = own.iter().chain(more).chain(&COMPONENT);
    let sources = sources()?;
    all.map(|name| find(&sources, name)).collect()
}

/// The interfaces of WASI that are linked empty.
pub(super) fn wasi() -> Result<Vec<String>> {
    let path = root().join("agent/src/host/wasi/interfaces.rs");
    let text = fs::read_to_string(&path)?;
    let (_, list) = text
        .split_once("INTERFACES: &[&str] = &[")
        .context("`INTERFACES` is not where it was")?;
    let (list, _) = list.split_once("];").context("`INTERFACES` has no end")?;
    let names = list.split('"').filter(|part| part.starts_with("wasi:"));
    Ok(names.map(str::to_owned).collect())
}

/// All files of limits, one after the other.
fn sources() -> Result<String> {
    let limits = root().join("agent/src/limits");
    let mut paths = vec![limits.with_extension("rs")];
    for entry in fs::read_dir(&limits)? {
        paths.push(entry?.path());
    }
    paths.sort();
    let texts = paths.iter().map(fs::read_to_string);
    Ok(texts.collect::<std::io::Result<Vec<_>>>()?.join("\n"))
}

fn find(sources: &str, name: &str) -> Result<Limit> {
    let declared = format!("pub const {name}: ");
    let lines: Vec<&str> = sources.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.starts_with(&declared))
        .with_context(|| format!("there is no limit `{name}`"))?;
    let (above, from) = lines.split_at(at);
    let reason: Vec<_> = above
        .iter()
        .rev()
        // `MEMORIES` and `TABLES` share one.
        .skip_while(|line| line.starts_with("pub const "))
        .map_while(|line| line.strip_prefix("///"))
        .map(str::trim)
        .collect();
    let reason: Vec<_> = reason.into_iter().rev().collect();
    let value = from.first().and_then(|line| line.split_once(" = "));
    let value = value
        .context("a limit without a value")?
        .1
        .trim_end_matches(';');
    Ok(Limit {
        name: name.to_owned(),
        value: shown(value).with_context(|| format!("`{name}`: `{value}` is not understood"))?,
        reason: reason.join(" "),
    })
}

/// A value for people: `512 MiB`, `30 s`, `16,384`.
fn shown(value: &str) -> Option<String> {
    let value = value.split(" as ").next()?.trim();
    if let Some(rest) = value.strip_prefix("Duration::from_") {
        let (unit, rest) = rest.split_once('(')?;
        let number = rest.strip_suffix(')')?;
        let unit = match unit {
            "millis" => "ms",
            "secs" => "s",
            "mins" => "min",
            "hours" => "h",
            _ => return None,
        };
        return Some(format!("{number} {unit}"));
    }
    let number = evaluated(value)?;
    let unit = [(1 << 20, "MiB"), (1 << 10, "KiB")];
    // Sizes are written as such.
    let is_size = ["KIB", "MIB", "<<"].iter().any(|word| value.contains(word));
    let fitting = unit.iter().find(|(size, _)| is_size && number % size == 0);
    Some(match fitting {
        Some((size, unit)) => format!("{} {unit}", grouped(number / size)),
        None => grouped(number),
    })
}

fn evaluated(value: &str) -> Option<u64> {
    if let Some((a, b)) = value.split_once(" * ") {
        return evaluated(a)?.checked_mul(evaluated(b)?);
    }
    if let Some((a, b)) = value.split_once(" << ") {
        return evaluated(a)?.checked_shl(b.parse().ok()?);
    }
    match value {
        "KIB" => Some(1 << 10),
        "MIB" => Some(1 << 20),
        digits => digits.replace('_', "").parse().ok(),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

const SCHEDULER: [&str; 11] = [
    "SCHEDULER_FUEL",
    "SCHEDULER_FUEL_PER_FACT",
    "SCHEDULER_FUEL_MAX",
    "SCHEDULER_MEMORY_BYTES",
    "SCHEDULER_START_TIMEOUT",
    "SCHEDULER_FAILURES_MAX",
    "RANKED_MAX",
    "SCHEDULER_FACTS",
    "WHY_BYTES",
    "CANDIDATE_WHY_BYTES",
    "WASM_STACK_BYTES",
];

const INSTALLER: [&str; 13] = [
    "INSTALLER_FUEL",
    "INSTALLER_MEMORY_BYTES",
    "INSTALLER_ANSWER_BYTES",
    "STEP_NEEDS_MAX",
    "STEP_QUESTIONS_MAX",
    "STEP_OPTIONS_MAX",
    "STEP_VALUE_BYTES",
    "STEP_LABEL_BYTES",
    "STEP_SENTENCE_BYTES",
    "PLAN_ACTIONS_MAX",
    "PLAN_NOTES_MAX",
    "STEP_FINDINGS_MAX",
    "WASM_STACK_BYTES",
];

const ENGINE: [&str; 17] = [
    "ENGINE_MEMORY_BYTES",
    "WASM_STACK_BYTES",
    "OPEN_TIMEOUT",
    "SUBMIT_TIMEOUT",
    "STEP_TIMEOUT",
    "CHEAP_TIMEOUT",
    "HANDLES",
    "HOSTCALL_BYTES",
    "WEIGHT_VALUES_BYTES",
    "FILE_READ_BYTES",
    "GRAPH_OPS",
    "RUN_ROWS_BYTES",
    "TOP_COUNT",
    "EMPTY_STEPS_MAX",
    "LOG_LINE_BYTES",
    "LOG_LINES_PER_SECOND",
    "RANDOM_BYTES",
];

const SERVICE: [&str; 20] = [
    "SERVICE_MEMORY_BYTES",
    "SERVICE_MEMORIES_BYTES",
    "SERVICE_HANDLES",
    "SERVICE_HOSTCALL_BYTES",
    "SERVICE_CALL_TIMEOUT",
    "SERVICE_COMPUTING",
    "SERVICE_CONNECT_TIMEOUT",
    "SERVICE_CALLS_MAX",
    "REQUESTS_OUT_OF_CALL",
    "REQUESTS_OUT_IN_CALL",
    "OUT_HEADERS_BYTES",
    "OUT_HEADERS_MAX",
    "OUT_BODY_BYTES",
    "IN_BODY_BYTES",
    "SECRET_BYTES",
    "SECRET_PREFIX_BYTES",
    "WASM_STACK_BYTES",
    "LOG_LINE_BYTES",
    "LOG_LINES_PER_SECOND",
    "RANDOM_BYTES",
];

const NOTIFIER: [&str; 4] = [
    "MAIL_RECIPIENTS",
    "MAIL_SUBJECT_BYTES",
    "MAIL_BODY_BYTES",
    "MAIL_REPLY_TIMEOUT",
];

/// Of every world.
const COMPONENT: [&str; 13] = [
    "COMPONENT_BYTES",
    "COMPONENT_FUNCTIONS",
    "COMPONENT_BODY_BYTES",
    "COMPONENT_TYPES",
    "COMPONENT_INSTANCES",
    "COMPONENT_TABLES",
    "COMPONENT_NESTING",
    "MODULE_MEMORIES",
    "MEMORIES",
    "TABLES",
    "TABLE_ELEMENTS",
    "INSTANCES",
    "MANIFEST_BYTES",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_source_says() {
        let source = "/// Why\n/// so.\npub const A_BYTES: usize = 24 * MIB;\n\n/// Both.\npub const B: usize = 4;\npub const C: Duration = Duration::from_secs(30);\npub const D: u64 = 256 << 20;\npub const E: u64 = 64 * KIB as u64;\npub const F: u64 = 20_000_000;\n";
        let limit = find(source, "A_BYTES").unwrap();
        assert_eq!(
            (limit.value.as_str(), limit.reason.as_str()),
            ("24 MiB", "Why so.")
        );
        for (name, value) in [
            ("B", "4"),
            ("C", "30 s"),
            ("D", "256 MiB"),
            ("E", "64 KiB"),
            ("F", "20,000,000"),
        ] {
            let limit = find(source, name).unwrap();
            assert_eq!(
                (limit.value.as_str(), limit.reason.as_str()),
                (value, "Both.")
            );
        }
        assert!(find(source, "G").is_err());
    }
}
