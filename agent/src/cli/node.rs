//! `skep node`: this machine as the agent sees it.

use std::time::{SystemTime, UNIX_EPOCH};

use skep_hw::telemetry::{Device, Host, SourceKind, SourceState, Verdict};

use super::table::Hue;
use super::terminal::{Paint, printable, say};
use super::{Failure, figures, print_json};
use crate::client::Client;
use crate::wire::{self, Node};

mod reading;

pub(super) fn show(client: &Client, json: bool) -> Result<(), Failure> {
    let node: Node = client.get("/api/v1/node")?;
    if json {
        return print_json(&node);
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    Ok(say(render(&node, Paint::for_stdout(), now))?)
}

pub(super) fn render(node: &Node, paint: Paint, now_unix_s: u64) -> String {
    let mut sheet = Sheet {
        paint,
        lines: Vec::new(),
    };
    let up = figures::span(now_unix_s.saturating_sub(node.started_unix_s));
    sheet.line("node", &paint.bold(printable(&node.name)));
    sheet.line(
        "agent",
        &format!("skep {} at {}, up {up}", node.version, node.url),
    );
    if let Some(bytes) = node.resident_bytes {
        sheet.line(
            "",
            &format!("{} of memory, process {}", figures::memory(bytes), node.pid),
        );
    }
    let Some(hardware) = &node.hardware else {
        sheet.line("machine", "has not been looked at yet");
        return sheet.lines.join("\n");
    };
    host(&mut sheet, &hardware.host);
    if let Some(why) = &node.why {
        let text = format!("{}: {}", node.health, printable(why));
        sheet.line("", &paint.yellow(text));
    }
    for device in &hardware.devices {
        let id = &device.identity.id.0;
        let judged = node.devices.iter().find(|judged| judged.id == *id);
        sheet.device(device, judged);
    }
    if hardware.devices.is_empty() {
        sheet.line("accelerators", "none found");
    } else if node.computes_on == "cpu" {
        let note =
            "models compute on the processor here (`node.device`); accelerators are only watched";
        sheet.line("", &paint.yellow(note));
    }
    for source in &hardware.sources {
        if let SourceState::Absent(why) = &source.state {
            let name = match source.kind {
                SourceKind::Nvml => "NVIDIA",
                SourceKind::AmdgpuSysfs => "AMD",
                SourceKind::RocmSmi => "ROCm",
            };
            sheet.line("", &paint.dim(format!("{name}: {}", printable(why))));
        }
    }
    sheet.lines.join("\n")
}

fn host(sheet: &mut Sheet, host: &Host) {
    let system: Vec<&str> = [
        host.os.as_deref(),
        host.kernel.as_deref(),
        Some(&host.architecture),
    ]
    .into_iter()
    .flatten()
    .collect();
    sheet.line("system", &system.join(" · "));
    let cpu = &host.cpu;
    let brand = cpu.brand.as_deref().unwrap_or("unknown processor");
    let threads = cpu
        .cores_logical
        .map_or_else(String::new, |n| format!(", {n} threads"));
    sheet.line("processor", &format!("{brand}{threads}"));
    let mut now = Vec::new();
    now.extend(
        cpu.utilisation_percent
            .map(|busy| format!("{busy:.0} % busy")),
    );
    now.extend(cpu.cores_usable.map(|n| format!("{n} usable here")));
    now.extend(
        cpu.quota_cores
            .map(|quota| format!("limited to {quota:.1} cores")),
    );
    sheet.line("", &now.join(" · "));
    let memory = &host.memory;
    let of = |part: Option<u64>| part.map_or_else(|| "?".to_owned(), figures::memory);
    let free = format!(
        "{} of {} available",
        of(memory.available_bytes),
        of(memory.total_bytes)
    );
    sheet.line("memory", &free);
    if let Some(limit) = memory.limit_bytes {
        let used = of(memory.limit_used_bytes);
        sheet.line(
            "",
            &format!(
                "limited to {}, of which {used} used",
                figures::memory(limit)
            ),
        );
    }
    for disk in &host.disks {
        let free = disk
            .available_bytes
            .map_or_else(|| "?".to_owned(), figures::size);
        let total = disk
            .total_bytes
            .map_or_else(|| "?".to_owned(), figures::size);
        sheet.line("disk", &format!("{free} of {total} free at {}", disk.path));
    }
}

/// Lines of a label and a text.
struct Sheet {
    paint: Paint,
    lines: Vec<String>,
}

impl Sheet {
    fn line(&mut self, label: &str, text: &str) {
        if !text.is_empty() {
            self.lines
                .push(format!("{}{text}", self.paint.dim(format!("{label:<14}"))));
        }
    }

    fn device(&mut self, device: &Device, judged: Option<&wire::Device>) {
        let identity = &device.identity;
        let name = identity.name.as_deref().unwrap_or("unnamed device");
        // An agent of an earlier version judged nothing beyond the reading.
        let (hue, verdict) = match judged {
            Some(judged) => (
                match judged.health.as_str() {
                    "healthy" => Hue::Good,
                    "lost" => Hue::Bad,
                    _ => Hue::Doubtful,
                },
                judged.health.clone(),
            ),
            None => verdict(&device.verdict),
        };
        let verdict = hue.paint(&verdict, self.paint);
        self.line(
            "accelerator",
            &format!("{} {} · {verdict}", identity.index, printable(name)),
        );
        self.line("", &self.paint.dim(printable(&identity.id.0)));
        for cause in judged.iter().flat_map(|judged| &judged.causes) {
            let text = format!("{} ({})", cause.text, cause.evidence);
            self.line("", &hue.paint(&printable(&text), self.paint));
        }
        for note in device.reading.notes() {
            self.line("", &self.paint.yellow(note.to_string()));
        }
        for line in reading::lines(&device.reading) {
            self.line("", &line);
        }
    }
}

/// A verdict in words.
pub(super) fn verdict(verdict: &Verdict) -> (Hue, String) {
    let hue = match verdict {
        Verdict::Healthy => Hue::Good,
        Verdict::Degraded(_) => Hue::Doubtful,
        Verdict::Lost(_) => Hue::Bad,
    };
    (hue, printable(&verdict.to_string()).into_owned())
}
