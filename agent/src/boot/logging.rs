//! Where log lines go: standard error, for the supervisor or the terminal, or the journal where that is one, and the ring
//! that `skep logs` reads.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::config::{LogFormat, LogSettings};
use crate::logs::LogRing;
use crate::systemd;

/// Begins logging. A second agent in one process (in tests) logs with the first.
pub(super) fn begin(settings: &LogSettings, ring: &LogRing) {
    // The filter was tried when the settings were read.
    let filter = EnvFilter::new(&settings.filter);
    let journal = match settings.format {
        // Whoever asks for lines of JSON gets them.
        LogFormat::Json => None,
        LogFormat::Text => systemd::journal(|name| std::env::var(name).ok()),
    };
    let stderr = match (journal, settings.format) {
        (Some(journal), _) => journal.boxed(),
        (None, LogFormat::Json) => fmt::layer().json().with_writer(std::io::stderr).boxed(),
        (None, LogFormat::Text) => fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .boxed(),
    };
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(stderr)
        .with(ring.layer())
        .try_init();
}
