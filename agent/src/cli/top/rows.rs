//! What the tables of `skep top` say.
//!
//! Decides columns, words and what is worth a colour; refuses to know how much room there is.

use std::cmp::Ordering;

use super::cells::{
    Cell, badness, full, health, memory, micros, number, optional, seconds, share, short,
};
use super::state::Section;
use crate::cli::figures;
use crate::cli::table::Hue;
use crate::wire::{Device, Node, Replica, Top};

/// A table.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) heads: Vec<Head>,
    pub(super) rows: Vec<Line>,
    /// Said where there are no rows.
    pub(super) empty: &'static str,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) text: &'static str,
    /// How wide; 0: what is left.
    pub(super) width: u16,
    pub(super) right: bool,
    /// Left out where the terminal is narrower.
    pub(super) from_columns: u16,
}

/// A row.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) cells: Vec<Cell>,
    /// Shown in full when the row is chosen.
    pub(super) detail: Option<String>,
}

impl Sheet {
    /// Sorts by a column: figures with the greatest first, then texts.
    pub(super) fn sort(&mut self, column: usize) {
        self.rows.sort_by(|a, b| {
            let (Some(a), Some(b)) = (a.cells.get(column), b.cells.get(column)) else {
                return Ordering::Equal;
            };
            b.key.total_cmp(&a.key).then_with(|| a.text.cmp(&b.text))
        });
    }
}

pub(super) fn sheet(section: Section, top: &Top, now_unix_s: u64) -> Sheet {
    match section {
        Section::Nodes => nodes(top, now_unix_s),
        Section::Devices => devices(top),
        Section::Models => models(top),
        Section::Requests => requests(top, now_unix_s),
    }
}

fn nodes(top: &Top, now_unix_s: u64) -> Sheet {
    let row = |node: &Node| {
        let processor = node.devices.iter().find(|device| device.kind == "cpu");
        let accelerators = node.devices.iter().filter(|device| device.kind != "cpu");
        let (mut all, mut well) = (0, 0);
        for device in accelerators {
            all += 1;
            well += i32::from(device.health == "healthy");
        }
        let gpus = match (all, well) {
            (0, _) => "none".to_owned(),
            (all, well) if all == well => format!("{all}"),
            (all, well) => format!("{well} of {all} well"),
        };
        let models = top.replicas.iter().filter(|r| r.node == node.name).count();
        let up = now_unix_s.saturating_sub(node.started_unix_s);
        Line {
            cells: vec![
                Cell::new(&node.name, Hue::Strong),
                Cell::new(&node.health, health(&node.health)),
                share(processor.and_then(|device| device.utilisation_percent)),
                memory(processor),
                Cell::new(
                    &gpus,
                    if all == well {
                        Hue::Plain
                    } else {
                        Hue::Doubtful
                    },
                )
                .by(f64::from(all)),
                number(models),
                Cell::new(&figures::span(up), Hue::Plain).by(seconds(up)),
                optional(node.resident_bytes.map(figures::memory)),
                Cell::new(&node.version, Hue::Faint),
                Cell::new(&node.url, Hue::Faint),
            ],
            detail: node.why.clone(),
        }
    };
    Sheet {
        heads: vec![
            head("NODE", 14),
            head("STATE", 9),
            head(">CPU", 5),
            head(">MEMORY", 13),
            head("GPUS", 11),
            head(">MODELS", 6),
            head(">UP", 7),
            head(">AGENT", 8).from(100),
            head("VERSION", 8).from(100),
            head("ADDRESS", 0).from(100),
        ],
        rows: top.nodes.iter().map(row).collect(),
        empty: "no node is known",
    }
}

fn devices(top: &Top) -> Sheet {
    let row = |node: &Node, device: &Device| {
        let label = match device.index {
            Some(index) => format!("{} {index}", device.kind),
            None => device.kind.clone(),
        };
        let stale = device.read_ms_ago.is_some_and(|ms| ms > STALE_MS);
        let power = device
            .power_watts
            .map(|watts| match device.power_limit_watts {
                Some(limit) => format!("{watts:.0}/{limit:.0} W"),
                None => format!("{watts:.0} W"),
            });
        let mut power = optional(power).by(device.power_watts.map_or(-1.0, f64::from));
        let mut busy = share(device.utilisation_percent);
        let mut heat = optional(
            device
                .temperature_celsius
                .map(|celsius| format!("{celsius:.0} °C")),
        )
        .by(device.temperature_celsius.map_or(-1.0, f64::from));
        let mut memory = memory(Some(device));
        if stale {
            for cell in [&mut power, &mut busy, &mut heat, &mut memory] {
                cell.hue = Hue::Faint;
            }
        }
        let verdict = match device.causes.as_slice() {
            [] => device.health.clone(),
            causes => format!("{}: {}", device.health, short(causes)),
        };
        Line {
            cells: vec![
                Cell::new(&label, Hue::Strong),
                Cell::new(device.name.as_deref().unwrap_or("-"), Hue::Plain),
                busy,
                memory,
                heat,
                power,
                Cell::new(&verdict, health(&device.health)).by(badness(&device.health)),
                optional(device.processes.map(|count| count.to_string())),
                Cell::new(&node.name, Hue::Faint),
                Cell::new(&device.id, Hue::Faint),
            ],
            detail: full(&device.causes),
        }
    };
    let rows = top.nodes.iter();
    Sheet {
        heads: vec![
            head("DEVICE", 9),
            head("NAME", 16),
            head(">BUSY", 5),
            head(">MEMORY", 13),
            head(">HEAT", 6),
            head(">POWER", 9),
            head("VERDICT", 0),
            head(">PROCESSES", 9).from(110),
            head("NODE", 12).from(90),
            head("ID", 40).from(180),
        ],
        rows: rows
            .flat_map(|node| node.devices.iter().map(move |device| row(node, device)))
            .collect(),
        empty: "nothing has been looked at yet",
    }
}

fn models(top: &Top) -> Sheet {
    let row = |replica: &Replica| {
        let placed = match replica.devices.as_slice() {
            [] => "-".to_owned(),
            devices => devices.join(", "),
        };
        let mut detail = full(&replica.causes);
        if let Some(why) = &replica.why {
            detail = Some(match detail {
                Some(causes) => format!("{why}; {causes}"),
                None => why.clone(),
            });
        }
        let state = match replica.causes.as_slice() {
            [] => replica.state.clone(),
            causes => format!("{}, {}", replica.state, short(causes)),
        };
        let hue = match replica.health.as_str() {
            "degraded" | "lost" => health(&replica.health),
            _ => Hue::of_state(&replica.state),
        };
        let (used, pages) = (replica.cache_pages_used, replica.cache_pages);
        let cache = (u64::from(used) * 100).checked_div(pages.into());
        Line {
            cells: vec![
                Cell::new(&replica.model, Hue::Strong),
                Cell::new(&state, hue),
                number(replica.running as usize),
                number(replica.waiting as usize),
                optional(cache.map(|percent| format!("{percent} %")))
                    .by(cache.map_or(-1.0, seconds)),
                optional(replica.tokens_per_s.map(|rate| format!("{rate:.0}")))
                    .by(replica.tokens_per_s.unwrap_or(-1.0)),
                optional(replica.resident_bytes.map(figures::memory))
                    .by(replica.resident_bytes.map_or(-1.0, seconds)),
                Cell::new(&placed, Hue::Plain),
                optional(replica.pid.map(|pid| pid.to_string())),
                number(replica.restarts as usize),
                Cell::new(&replica.node, Hue::Faint),
            ],
            detail,
        }
    };
    Sheet {
        heads: vec![
            head("MODEL", 14),
            head("STATE", 0),
            head(">RUNS", 4),
            head(">WAITS", 5),
            head(">CACHE", 5),
            head(">TOKENS/S", 8),
            head(">MEMORY", 8),
            head("PLACED ON", 9),
            head(">PID", 7).from(100),
            head(">RESTARTS", 8).from(100),
            head("NODE", 12).from(90),
        ],
        rows: top.replicas.iter().map(row).collect(),
        empty: "no model is loaded; the first request for one loads it",
    }
}

fn requests(top: &Top, now_unix_s: u64) -> Sheet {
    let row = |trace: &crate::router::Trace| {
        let outcome = match trace.outcome {
            crate::router::TracedOutcome::Answered => ("answered", Hue::Good),
            crate::router::TracedOutcome::Failed => ("failed", Hue::Bad),
            crate::router::TracedOutcome::Cut => ("cut", Hue::Doubtful),
        };
        let ago = now_unix_s.saturating_sub(trace.at_unix_s);
        Line {
            cells: vec![
                number(usize::try_from(trace.request).unwrap_or(usize::MAX)),
                Cell::new(&trace.model, Hue::Strong),
                Cell::new(trace.node.as_deref().unwrap_or("-"), Hue::Plain),
                Cell::new(outcome.0, outcome.1),
                Cell::new(
                    &format!("{}+{}", trace.prompt_tokens, trace.completion_tokens),
                    Hue::Plain,
                )
                .by(seconds(trace.completion_tokens)),
                optional(trace.first_after_us.map(micros))
                    .by(trace.first_after_us.map_or(-1.0, seconds)),
                Cell::new(&micros(trace.took_us), Hue::Plain).by(seconds(trace.took_us)),
                Cell::new(&figures::span(ago), Hue::Plain).by(-seconds(ago)),
                Cell::new(&trace.why, Hue::Faint),
            ],
            detail: Some(trace.why.clone()),
        }
    };
    Sheet {
        heads: vec![
            head(">REQUEST", 7),
            head("MODEL", 14),
            head("NODE", 12),
            head("END", 8),
            head(">TOKENS", 9),
            head(">FIRST", 7),
            head(">TOOK", 7),
            head(">AGO", 6),
            head("WHY THERE", 0).from(90),
        ],
        rows: top.requests.latest.iter().map(row).collect(),
        empty: "nothing has been asked yet",
    }
}

impl Head {
    fn from(self, from_columns: u16) -> Self {
        Self {
            from_columns,
            ..self
        }
    }
}

/// A head that begins with `>` stands to the right.
fn head(text: &'static str, width: u16) -> Head {
    Head {
        text: text.trim_start_matches('>'),
        width,
        right: text.starts_with('>'),
        from_columns: 0,
    }
}

/// A look is made each second.
const STALE_MS: u64 = 2_500;
