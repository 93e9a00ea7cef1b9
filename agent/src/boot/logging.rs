//! Where log lines go: standard error, for the supervisor or the terminal, and the ring that
//! `skep logs` reads.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::config::{LogFormat, LogSettings};
use crate::logs::LogRing;

/// Begins logging. A second agent in one process (in tests) logs with the first.
pub(super) fn begin(settings: &LogSettings, ring: &LogRing) {
    // The filter was tried when the settings were read.
    let filter = EnvFilter::new(&settings.filter);
    let stderr = match settings.format {
        LogFormat::Json => fmt::layer().json().with_writer(std::io::stderr).boxed(),
        LogFormat::Text => fmt::layer()
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
