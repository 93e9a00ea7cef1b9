//! What the system says of its memory and its processor.
//!
//! Decides what counts as free. Absent files are no error: they leave the question open.

use std::fs::read_to_string;

/// The smaller of the system's available memory and what the control group has left.
pub(super) fn free_bytes() -> u64 {
    let system = read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| kilobytes(&text, "MemAvailable:"));
    let group = read_to_string("/proc/self/cgroup")
        .ok()
        .and_then(|text| group_free_bytes(&text));
    match (system, group) {
        (Some(a), Some(b)) => a.min(b),
        (Some(a), None) | (None, Some(a)) => a,
        (None, None) => u64::MAX,
    }
}

/// `Intel(R) Xeon(R) Processor`, as the system spells it.
pub(super) fn processor_name() -> Option<String> {
    let text = read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    let (_, name) = line.split_once(':')?;
    Some(name.trim().to_owned())
}

fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    number.checked_mul(1024)
}

/// Walks from the process's group up: the tightest limit counts. Pages of files that the group
/// holds can be dropped and count as free.
fn group_free_bytes(groups: &str) -> Option<u64> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mut left: Option<u64> = None;
    let mut folder = std::path::PathBuf::from("/sys/fs/cgroup");
    folder.push(path.trim_start_matches('/'));
    while folder.starts_with("/sys/fs/cgroup") {
        let number = |name: &str| -> Option<u64> {
            let text = read_to_string(folder.join(name)).ok()?;
            text.trim().parse().ok()
        };
        if let (Some(most), Some(used)) = (number("memory.max"), number("memory.current")) {
            let file = read_to_string(folder.join("memory.stat"))
                .ok()
                .and_then(|text| {
                    let line = text.lines().find_map(|l| l.strip_prefix("file "))?;
                    line.trim().parse::<u64>().ok()
                })
                .unwrap_or(0);
            let here = most.saturating_sub(used.saturating_sub(file));
            left = Some(left.map_or(here, |l| l.min(here)));
        }
        if !folder.pop() {
            break;
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::{free_bytes, kilobytes};

    #[test]
    fn reads_kilobytes() {
        let text = "MemTotal:  10 kB\nMemAvailable:    7 kB\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), Some(7 * 1024));
        assert_eq!(kilobytes(text, "MemFree:"), None);
        assert_eq!(kilobytes("MemAvailable: x kB", "MemAvailable:"), None);
    }

    #[test]
    fn a_machine_that_runs_this_has_memory() {
        assert!(free_bytes() > 1 << 20);
    }
}
