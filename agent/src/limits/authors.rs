//! Limits of what authors of plugins type.

use std::time::Duration;

/// Files of a project that `skep plugin dev` looks at. The SDK in one is some sixty.
pub const DEV_FILES: usize = 10_000;

/// How often it looks: soon after a file was saved, and seldom enough to cost nothing.
pub const DEV_LOOK: Duration = Duration::from_millis(300);

/// Folders of a project in which tools keep what they make.
pub const PLUGIN_BUILDS: [&str; 4] = ["build", "target", "node_modules", "__pycache__"];
