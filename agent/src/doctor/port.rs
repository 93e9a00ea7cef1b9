//! Who listens on a port of this machine, as far as this user may see, and whether an agent could have its ports.
//!
//! Reads `/proc/net/tcp` and `/proc/<pid>/fd` (proc(5)), and binds for a moment what an agent would.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use super::{Report, Severity};
use crate::config::Settings;

/// Whether an agent that does not run could listen where it is told to.
pub(super) fn look(report: &mut Report, settings: &Settings) {
    let http = settings.http.listen;
    if let Err(error) = TcpListener::bind(http) {
        cannot(
            report,
            "http.listen",
            http,
            "TCP",
            &error,
            listener(http.port()),
        );
    }
    let cluster = settings.cluster.listen;
    if cluster.port() != 0
        && let Err(error) = UdpSocket::bind(cluster)
    {
        cannot(report, "cluster.listen", cluster, "UDP", &error, None);
    }
}

fn cannot(
    report: &mut Report,
    key: &str,
    address: SocketAddr,
    protocol: &str,
    error: &io::Error,
    owner: Option<Owner>,
) {
    // Told already by whoever asked there.
    if report.findings.iter().any(|one| one.code == "port_taken") {
        return;
    }
    let port = address.port();
    let (code, title, mend) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            "port_taken",
            format!("another program has the port that `{key}` names"),
            format!(
                "sudo ss -lnp | grep {port}   (end that program, or choose another port with `{key}`)"
            ),
        ),
        io::ErrorKind::AddrNotAvailable => (
            "address_absent",
            format!("this machine does not have the address that `{key}` names"),
            format!("ip address   (then set `{key}` to one of these, or to 0.0.0.0)"),
        ),
        io::ErrorKind::PermissionDenied => (
            "port_forbidden",
            format!("this user may not listen on the port that `{key}` names"),
            format!("set `{key}` to a port above 1023"),
        ),
        _ => (
            "port_unusable",
            format!("the port that `{key}` names cannot be had"),
            format!("set `{key}` to another"),
        ),
    };
    let finding = report.find(Severity::Error, code, title);
    finding.seen(format!("{address} ({protocol}): {error}"));
    finding
        .evidence
        .extend(owner.map(|owner| format!("{owner} listens there")));
    finding.mend(mend);
}

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
    fn a_port_that_an_agent_cannot_have_is_told() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut settings = Settings::try_from(crate::config::Config::default()).unwrap();
        settings.http.listen = taken.local_addr().unwrap();
        settings.cluster.listen = "127.0.0.1:0".parse().unwrap();
        let mut report = Report::default();
        look(&mut report, &settings);
        let finding = report.findings.first().unwrap();
        assert_eq!(finding.code, "port_taken");
        let own = format!("(process {})", std::process::id());
        assert!(
            finding.evidence.iter().any(|seen| seen.contains(&own)),
            "{finding:?}"
        );
        drop(taken);
        // An address that is nobody's (RFC 5737).
        settings.http.listen = "192.0.2.1:1".parse().unwrap();
        let mut report = Report::default();
        look(&mut report, &settings);
        assert_eq!(report.findings.first().unwrap().code, "address_absent");
    }

    #[test]
    fn the_listener_of_a_port_is_found() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let owner = listener(port).unwrap();
        assert_eq!(owner.pid, std::process::id());
        drop(socket);
        assert_eq!(listener(port), None);
        assert_eq!(of_url("http://127.0.0.1:7420"), Some(7420));
    }
}
