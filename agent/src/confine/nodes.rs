//! Devices' nodes that are made when they are first asked for. Decides that this is done before the walls are up.

use std::path::Path;
use std::process::{Command, Stdio};

/// NVIDIA's library makes one of its nodes only when a first program asks for it, by a helper of the vendor that nobody can
/// start behind walls.
pub(super) fn make() {
    let there = |node: &str| Path::new(node).exists();
    if there("/dev/nvidiactl") && !there("/dev/nvidia-uvm") {
        // Where it cannot, opening the card says what is not there.
        let _ = Command::new("/usr/bin/nvidia-modprobe")
            .args(["-u", "-c", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}
