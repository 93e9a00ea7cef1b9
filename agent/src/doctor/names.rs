//! Names of machines: whether the servers that are to tell addresses answer.
//!
//! Decides by asking each for the root's own servers, which every one knows: no name of anybody is told to it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::{Report, Severity};

pub(super) fn look(report: &mut Report, servers: &io::Result<Vec<SocketAddr>>) {
    let servers = match servers {
        Ok(servers) if !servers.is_empty() => servers,
        Ok(_) => return none(report, "`/etc/resolv.conf` names no server"),
        Err(error) => return none(report, &format!("`/etc/resolv.conf`: {error}")),
    };
    let (mut answering, mut silent) = (0, Vec::new());
    for server in servers {
        match ask(*server) {
            Ok(()) => answering += 1,
            Err(error) => silent.push(format!("{}: {error}", server.ip())),
        }
    }
    if silent.is_empty() {
        return report.well("names can be looked up");
    }
    let (severity, title) = if answering == 0 {
        (
            Severity::Warning,
            "no server for names answers: models can be fetched and services reached by address alone",
        )
    } else {
        (
            Severity::Note,
            "a server for names does not answer; looking names up is slower",
        )
    };
    let finding = report.find(severity, "dns_silent", title);
    finding.evidence.extend(silent);
    finding.mend(
        "resolvectl status   (or look at `/etc/resolv.conf`; the network may be down: `ip route`)",
    );
}

fn none(report: &mut Report, why: &str) {
    let title = "no server for names is configured: models can be fetched and services reached by address alone";
    let finding = report.find(Severity::Note, "dns_absent", title);
    finding
        .seen(why)
        .mend("give a line `nameserver ADDRESS` to `/etc/resolv.conf`");
}

/// Asks for the name servers of the root (RFC 1035); any answer to the question will do.
fn ask(server: SocketAddr) -> io::Result<()> {
    let own: IpAddr = match server.ip() {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((own, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for _ in 0..TRIES {
        let number = u16::try_from(std::process::id() & 0xffff).unwrap_or_default();
        let [high, low] = number.to_be_bytes();
        // One question, recursion wanted; the empty name, NS, IN.
        let question = [high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
        socket.send(&question)?;
        let mut answer = [0; 512];
        match socket.recv(&mut answer) {
            Ok(length) if length >= 12 && answer.starts_with(&[high, low]) => return Ok(()),
            Ok(_) => last = io::Error::other("it answers something else"),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                last = io::Error::other("no answer in time");
            }
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// A server in the same network answers in milliseconds, one across the world in half a second.
const PATIENCE: Duration = Duration::from_millis(700);

/// A datagram may be lost.
const TRIES: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_asked() {
        let mut report = Report::default();
        look(&mut report, &Err(io::ErrorKind::NotFound.into()));
        assert_eq!(report.findings[0].code, "dns_absent");

        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let answering = std::thread::spawn(move || {
            let mut question = [0; 512];
            let (length, from) = server.recv_from(&mut question).unwrap();
            question[2] |= 0x80;
            server.send_to(&question[..length], from).unwrap();
        });
        let mut report = Report::default();
        look(&mut report, &Ok(vec![address]));
        answering.join().unwrap();
        assert_eq!(report.well, ["names can be looked up"]);
        // Nobody is there any more.
        let mut report = Report::default();
        look(&mut report, &Ok(vec![address]));
        assert_eq!(report.findings[0].code, "dns_silent");
        assert_eq!(report.findings[0].severity, Severity::Warning);
    }
}
