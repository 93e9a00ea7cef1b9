//! Who listens on a port of this machine, as far as this user may see.
//!
//! Reads `/proc/net/tcp` and `/proc/<pid>/fd` (proc(5)); decides nothing.

use std::fmt;
use std::fs;

/// A process that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    name: String,
    pid: u32,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (process {})", self.name.escape_debug(), self.pid)
    }
}

/// The port that an address names.
pub(super) fn of_url(url: &str) -> Option<u16> {
    let uri: ureq::http::Uri = url.parse().ok()?;
    uri.port_u16()
}

/// Who listens on a TCP port; none when nobody does, or when it is another user's process.
pub(super) fn listener(port: u16) -> Option<Owner> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .collect();
    let processes = fs::read_dir("/proc").ok()?;
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.into_iter()
        .find(|pid| holds(*pid, &sockets))
        .map(|pid: u32| Owner {
            name: fs::read_to_string(format!("/proc/{pid}/comm"))
                .unwrap_or_default()
                .trim()
                .to_owned(),
            pid,
        })
}

/// The inodes of the sockets that listen on a port, out of a table of the kernel's.
fn listening(table: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let local = fields.nth(1)?;
            let state = fields.nth(1)?;
            let inode = fields.nth(5)?;
            // State 0A is TCP_LISTEN.
            (local.ends_with(&suffix) && state == "0A").then(|| format!("socket:[{inode}]"))
        })
        .collect()
}

fn holds(pid: u32, sockets: &[String]) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    files
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .any(|target| {
            sockets
                .iter()
                .any(|socket| target.as_os_str() == socket.as_str())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_of_a_port_is_found() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let owner = listener(port).unwrap();
        assert_eq!(owner.pid, std::process::id());
        drop(socket);
        assert_eq!(listener(port), None);
        assert_eq!(of_url("http://127.0.0.1:7420"), Some(7420));
    }
}
