//! Which servers this machine asks for names.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// Those of the system; empty where none is configured.
///
/// # Errors
/// When their list cannot be read.
pub(crate) fn name_servers() -> io::Result<Vec<SocketAddr>> {
    listed_in(Path::new("/etc/resolv.conf"))
}

/// Those in a file as resolv.conf(5).
///
/// # Errors
/// When it cannot be read.
pub(crate) fn listed_in(file: &Path) -> io::Result<Vec<SocketAddr>> {
    let text = fs::read_to_string(file)?;
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next())?
    });
    let parsed = named.filter_map(|address| {
        // Of an address of one link the interface is left out.
        let ip: IpAddr = address.split('%').next()?.parse().ok()?;
        Some(SocketAddr::new(ip, 53))
    });
    Ok(parsed.take(SERVERS_MAX).collect())
}

/// resolv.conf(5): more are not used.
const SERVERS_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("resolv.conf");
        fs::write(&file, "# nameserver 9.9.9.9\nsearch x\nnameserver 127.0.0.1\nnameserver fe80::1%eth0\nnameserver x\n").unwrap();
        let found = listed_in(&file).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], "127.0.0.1:53".parse().unwrap());
        assert!(listed_in(&folder.path().join("absent")).is_err());
    }
}
