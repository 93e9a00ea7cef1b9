//! What stands in one place of a table of `skep top`: a text, a colour, and what it is sorted by.
//!
//! Decides how a figure is written and when it is worth a colour; refuses to know its column.

use std::borrow::Cow;

use crate::cli::figures;
use crate::cli::table::Hue;
use crate::cli::terminal::printable;
use crate::wire::{Cause, Device};

/// A cell.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) hue: Hue,
    pub(super) key: f64,
}

impl Cell {
    pub(super) fn new(text: &str, hue: Hue) -> Self {
        let text = printable(text).replace(['\n', '\t'], " ");
        Self {
            text,
            hue,
            key: 0.0,
        }
    }

    /// What it is sorted by.
    pub(super) fn by(self, key: f64) -> Self {
        Self { key, ..self }
    }
}

pub(super) fn number(count: usize) -> Cell {
    #[expect(clippy::cast_precision_loss, reason = "it is only compared")]
    Cell::new(&count.to_string(), Hue::Plain).by(count as f64)
}

pub(super) fn share(percent: Option<f32>) -> Cell {
    let hue = match percent {
        Some(percent) if percent >= 90.0 => Hue::Doubtful,
        _ => Hue::Plain,
    };
    let text = percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.0} %"));
    Cell::new(&text, hue).by(percent.map_or(-1.0, f64::from))
}

pub(super) fn memory(device: Option<&Device>) -> Cell {
    let used = device.and_then(|device| device.memory_used_bytes);
    let total = device.and_then(|device| device.memory_total_bytes);
    let (Some(used), Some(total)) = (used, total) else {
        return Cell::new("-", Hue::Plain).by(-1.0);
    };
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let text = format!("{:.1}/{:.1} GiB", gib(used), gib(total));
    Cell::new(&text, Hue::Plain).by(gib(used))
}

pub(super) fn optional(text: Option<String>) -> Cell {
    Cell::new(&text.unwrap_or_else(|| "-".to_owned()), Hue::Plain)
}

pub(super) fn micros(us: u64) -> String {
    figures::duration(std::time::Duration::from_micros(us)).replace(' ', "")
}

#[expect(clippy::cast_precision_loss, reason = "it is only compared")]
pub(super) fn seconds(count: u64) -> f64 {
    count as f64
}

pub(super) fn health(health: &str) -> Hue {
    match health {
        "healthy" => Hue::Good,
        "lost" => Hue::Bad,
        _ => Hue::Doubtful,
    }
}

pub(super) fn badness(health: &str) -> f64 {
    match health {
        "healthy" => 0.0,
        "lost" => 2.0,
        _ => 1.0,
    }
}

pub(super) fn short(causes: &[Cause]) -> String {
    let texts: Vec<Cow<'_, str>> = causes.iter().map(|cause| printable(&cause.text)).collect();
    texts.join(", ")
}

pub(super) fn full(causes: &[Cause]) -> Option<String> {
    let all: Vec<String> = causes
        .iter()
        .map(|cause| format!("{} ({})", cause.text, cause.evidence))
        .collect();
    (!all.is_empty()).then(|| all.join("; "))
}
