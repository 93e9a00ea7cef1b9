//! Messages to the service manager: lines in one datagram to the socket that `NOTIFY_SOCKET` names (sd_notify(3)).
//!
//! Decides how a message is written. One that cannot be sent is dropped: no service may wait for its manager.

use std::fmt::Write as _;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use crate::limits::STATUS_BYTES_MAX;

/// Where messages go; clones are one. Nowhere, unless a manager asked for them.
#[derive(Clone, Debug, Default)]
pub struct Notifier(Option<Arc<UnixDatagram>>);

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State<'a> {
    /// The start is over, and it serves.
    Ready,
    /// It ends.
    Stopping,
    /// It still turns.
    Watchdog,
    /// For people, as `systemctl status` shows it.
    Status(&'a str),
    /// What is under way, a start or an end, takes so long from now on.
    ExtendTimeout(Duration),
}

impl Notifier {
    /// As `NOTIFY_SOCKET` says.
    pub fn find(variable: impl Fn(&str) -> Option<String>) -> Self {
        let Some(name) = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        match connect(&name) {
            Ok(socket) => Self(Some(Arc::new(socket))),
            Err(error) => {
                tracing::warn!(socket = name, %error, "cannot tell the service manager anything");
                Self::default()
            }
        }
    }

    /// Whether anybody is told.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// Tells this, in one message.
    pub fn tell(&self, states: &[State<'_>]) {
        let Some(socket) = &self.0 else { return };
        if let Err(error) = socket.send(message(states).as_bytes()) {
            tracing::debug!(%error, "the service manager was not told");
        }
    }
}

fn connect(name: &str) -> io::Result<UnixDatagram> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None if name.starts_with('/') => SocketAddr::from_pathname(name)?,
        None => return Err(io::Error::from(io::ErrorKind::Unsupported)),
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn message(states: &[State<'_>]) -> String {
    let mut text = String::new();
    for state in states {
        // Writing to a `String` cannot fail.
        let _ = match state {
            State::Ready => writeln!(text, "READY=1"),
            State::Stopping => writeln!(text, "STOPPING=1"),
            State::Watchdog => writeln!(text, "WATCHDOG=1"),
            State::Status(status) => writeln!(text, "STATUS={}", one_line(status)),
            State::ExtendTimeout(time) => {
                writeln!(text, "EXTEND_TIMEOUT_USEC={}", time.as_micros())
            }
        };
    }
    text
}

/// A line of its own would be another message.
fn one_line(status: &str) -> String {
    let end = status.floor_char_boundary(STATUS_BYTES_MAX);
    let kept = status.get(..end).unwrap_or_default();
    kept.replace(|c: char| c.is_control(), " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_lines_of_one_datagram() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let named = |name: &str| (name == "NOTIFY_SOCKET").then(|| path.display().to_string());
        let notifier = Notifier::find(named);
        assert!(notifier.is_heard());
        let second = Duration::from_secs(1);
        notifier.tell(&[State::Ready, State::Status("one\nREADY=0\ttwo")]);
        notifier.tell(&[State::Stopping, State::ExtendTimeout(second)]);
        notifier.tell(&[State::Watchdog]);
        let mut heard = [0; 4096];
        let mut next = || {
            let length = manager.recv(&mut heard).unwrap();
            String::from_utf8(heard[..length].to_vec()).unwrap()
        };
        assert_eq!(next(), "READY=1\nSTATUS=one READY=0 two\n");
        assert_eq!(next(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=1000000\n");
        assert_eq!(next(), "WATCHDOG=1\n");
        notifier.tell(&[State::Status(&"ä".repeat(STATUS_BYTES_MAX))]);
        assert!(next().len() <= STATUS_BYTES_MAX + "STATUS=\n".len());
        // Nobody reads any more, and nobody waits for that.
        drop(manager);
        notifier.tell(&[State::Ready]);
    }

    #[test]
    fn abstract_sockets_are_reached_and_nonsense_is_nobody() {
        let name = format!("skep-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let set =
            |value: String| move |name: &str| (name == "NOTIFY_SOCKET").then(|| value.clone());
        Notifier::find(set(format!("@{name}"))).tell(&[State::Ready]);
        let mut heard = [0; 64];
        assert_eq!(manager.recv(&mut heard).unwrap(), "READY=1\n".len());
        for nobody in ["", "vsock:2:1", "relative", "/nonexistent/socket"] {
            assert!(
                !Notifier::find(set(nobody.to_owned())).is_heard(),
                "{nobody}"
            );
        }
        assert!(!Notifier::find(|_| None).is_heard());
    }
}
