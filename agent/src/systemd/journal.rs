//! The journal: log lines go there with their fields and priorities, where standard error is the journal anyway.
//!
//! Decides when that is so. Refuses to know the protocol, which is `tracing-journald`'s.

use std::os::fd::AsFd;

use tracing_journald::{Layer, Priority, PriorityMappings};

/// A layer that writes to the journal; none where standard error leads elsewhere, or the journal cannot be reached.
pub(crate) fn layer(variable: impl Fn(&str) -> Option<String>) -> Option<Layer> {
    if !is_journal(&variable("JOURNAL_STREAM")?, std::io::stderr()) {
        return None;
    }
    let layer = Layer::new().ok()?;
    Some(
        layer
            .with_syslog_identifier("skep".to_owned())
            .with_field_prefix(Some("SKEP".to_owned()))
            .with_priority_mappings(PRIORITIES),
    )
}

/// Whether this is the stream that systemd says it connected: device and inode, in decimal (systemd.exec(5)).
fn is_journal(stream: &str, file: impl AsFd) -> bool {
    let numbers = stream
        .split_once(':')
        .and_then(|(device, inode)| Some((device.parse().ok()?, inode.parse().ok()?)));
    let Some((device, inode)): Option<(u64, u64)> = numbers else {
        return false;
    };
    rustix::fs::fstat(file).is_ok_and(|about| (about.st_dev, about.st_ino) == (device, inode))
}

/// What an agent says in the course of its work is no more than information, and less than that is for who looks for faults.
const PRIORITIES: PriorityMappings = PriorityMappings {
    error: Priority::Error,
    warn: Priority::Warning,
    info: Priority::Informational,
    debug: Priority::Debug,
    trace: Priority::Debug,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_stream_that_was_named_is_the_journal() {
        let file = tempfile::tempfile().unwrap();
        let about = rustix::fs::fstat(&file).unwrap();
        let named = format!("{}:{}", about.st_dev, about.st_ino);
        assert!(is_journal(&named, &file));
        assert!(!is_journal(&named, tempfile::tempfile().unwrap()));
        for nonsense in ["", ":", "1", "a:b", &format!("{named}:1")] {
            assert!(!is_journal(nonsense, &file), "{nonsense}");
        }
        assert!(layer(|_| None).is_none());
    }
}
