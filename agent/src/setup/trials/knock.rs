//! Knocking at the agent's own port, as people do and as those who mean no good.
//!
//! Decides which answers are right. It goes through a socket, TLS and HTTP as anybody's request does.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::Outcome;
use crate::agent::Agent;
use crate::cluster::{NodeState, NodeStatus};
use crate::limits::{SETUP_KNOCK_BYTES, SETUP_KNOCK_TIMEOUT};

/// One request.
#[derive(Clone, Copy, Debug, Default)]
struct Knock<'a> {
    method: &'a str,
    path: &'a str,
    /// None: the agent's own name.
    host: Option<&'a str>,
    /// With their line ends.
    fields: &'a str,
    body: &'a str,
}

/// The page and the health of the agent, by the address that people use.
pub(super) async fn reached(agent: &Arc<Agent>) -> Outcome {
    let url = agent.public_url();
    let mut seen = Vec::new();
    for path in ["/healthz", "/", "/api/v1/session"] {
        let knock = Knock {
            method: "GET",
            path,
            ..Knock::default()
        };
        match ask(agent, knock).await {
            Ok(200) => seen.push(format!("{url}{path}: 200")),
            Ok(status) => seen.push(format!("{url}{path}: {status} and not 200")),
            Err(error) => seen.push(format!("{url}{path}: {error}")),
        }
    }
    if seen.iter().all(|line| line.ends_with(": 200")) {
        return Outcome::Passed(seen);
    }
    let remedy = "is the address right (`http.listen`), and does the firewall let it through? `skep doctor` looks around";
    Outcome::Failed(seen, remedy.to_owned())
}

/// Another node of the cluster.
pub(super) fn connected(node: &NodeStatus) -> Outcome {
    let address = node
        .address
        .map_or_else(|| "no address".to_owned(), |at| at.to_string());
    let trip = node
        .round_trip_us
        .map(|us| format!(", {us} µs there and back"));
    let seen = format!("{address}{}", trip.unwrap_or_default());
    match node.state {
        NodeState::Up | NodeState::Draining => Outcome::Passed(vec![seen]),
        NodeState::Pending => Outcome::Failed(
            vec!["it awaits approval".to_owned()],
            format!("`skep node approve {}`", node.name),
        ),
        NodeState::Joining | NodeState::Down => Outcome::Failed(
            vec![seen, node.why.clone()],
            format!(
                "does the agent of `{}` run, and does the firewall let UDP through?",
                node.name
            ),
        ),
    }
}

/// A page elsewhere whose name was pointed at this machine (DNS rebinding).
pub(super) async fn rebinding(agent: &Arc<Agent>) -> Outcome {
    let knock = Knock {
        method: "GET",
        path: "/api/v1/node",
        host: Some("rebinding.invalid"),
        ..Knock::default()
    };
    // Beyond loopback every request needs a key, which such a page does not have.
    refused(agent, &[knock], &[421, 401]).await
}

/// A page of another origin that has somebody's browser ask.
pub(super) async fn foreign_origin(agent: &Arc<Agent>) -> Outcome {
    let fields = "origin: https://elsewhere.invalid\r\nsec-fetch-site: cross-site\r\n";
    let knocks = ["/api/v1/keys", "/api/v1/session", "/v1/chat/completions"].map(|path| Knock {
        method: "POST",
        path,
        fields,
        body: "{}",
        ..Knock::default()
    });
    refused(agent, &knocks, &[403]).await
}

/// Somebody without a key, and with a wrong one.
pub(super) async fn no_key(agent: &Arc<Agent>) -> Outcome {
    let wrong = "authorization: Bearer sk-skep-wrong\r\n";
    let cookie = "cookie: skep_session=wrong\r\nx-skep-csrf: 1\r\n";
    let mut knocks: Vec<Knock<'_>> = ["", wrong, cookie]
        .into_iter()
        .map(|fields| Knock {
            method: "POST",
            path: "/api/v1/keys",
            fields,
            body: "{}",
            ..Knock::default()
        })
        .collect();
    knocks.push(Knock {
        method: "GET",
        path: "/api/v1/keys",
        ..Knock::default()
    });
    if agent.settings.http.require_key {
        knocks.push(Knock {
            method: "GET",
            path: "/v1/models",
            ..Knock::default()
        });
    }
    refused(agent, &knocks, &[401]).await
}

/// Somebody without the link.
pub(super) async fn no_link(agent: &Arc<Agent>) -> Outcome {
    let guess = Knock {
        method: "POST",
        path: "/api/v1/session",
        body: "{\"secret\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        ..Knock::default()
    };
    let peek = Knock {
        method: "GET",
        path: "/api/v1/setup",
        ..Knock::default()
    };
    let outcome = refused(agent, &[guess, peek], &[401, 409, 429]).await;
    match outcome {
        Outcome::Passed(mut seen) => {
            let open = agent.setup.is_open();
            let state = if open {
                "the setup is open until it is finished"
            } else {
                "the setup is closed"
            };
            seen.push(state.to_owned());
            Outcome::Passed(seen)
        }
        outcome => outcome,
    }
}

async fn refused(agent: &Arc<Agent>, knocks: &[Knock<'_>], statuses: &[u16]) -> Outcome {
    let mut seen = Vec::new();
    let mut let_in = false;
    for knock in knocks {
        let what = format!("{} {}", knock.method, knock.path);
        match ask(agent, *knock).await {
            Ok(status) if statuses.contains(&status) => {
                seen.push(format!("{what}: refused with {status}"));
            }
            Ok(status) => {
                let_in = true;
                seen.push(format!("{what}: {status}"));
            }
            Err(error) => {
                let_in = true;
                seen.push(format!("{what}: {error}"));
            }
        }
    }
    if let_in {
        let remedy = "is something between here and the agent that changes requests, such as a proxy? \
                      check `http.allowed_hosts` and `http.allowed_origins`";
        return Outcome::Failed(seen, remedy.to_owned());
    }
    Outcome::Passed(seen)
}

/// The status of the answer.
async fn ask(agent: &Arc<Agent>, knock: Knock<'_>) -> io::Result<u16> {
    let url = agent.public_url();
    let (scheme, authority) = url.split_once("://").unwrap_or(("http", &url));
    let Knock {
        method,
        path,
        host,
        fields,
        body,
    } = knock;
    let host = host.unwrap_or(authority);
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{fields}\r\n{body}"
    );
    let certificate = agent
        .settings
        .http
        .tls
        .as_ref()
        .filter(|_| scheme == "https");
    let certificate = certificate.map(|files| files.certificate.clone());
    let (name, port) = parts(authority);
    let to = address(agent.settings.http.listen.ip(), &name, port);
    let answered = tokio::task::spawn_blocking(move || {
        let stream = TcpStream::connect_timeout(&to, SETUP_KNOCK_TIMEOUT)?;
        stream.set_read_timeout(Some(SETUP_KNOCK_TIMEOUT))?;
        stream.set_write_timeout(Some(SETUP_KNOCK_TIMEOUT))?;
        match certificate {
            None => talk(stream, &request),
            Some(path) => talk(secured(stream, &name, &path)?, &request),
        }
    });
    answered.await.map_err(io::Error::other)?
}

fn talk(mut stream: impl Read + Write, request: &str) -> io::Result<u16> {
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut head = [0; 1_024];
    // The first line is enough; the rest is left unread.
    while answer.len() < SETUP_KNOCK_BYTES && !answer.contains(&b'\n') {
        let read = stream.read(&mut head)?;
        if read == 0 {
            break;
        }
        answer.extend_from_slice(head.get(..read).unwrap_or_default());
    }
    let text = String::from_utf8_lossy(&answer);
    let status = text
        .split_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::other("what answers there does not speak HTTP"))
}

/// The certificate has to be the one that was configured, for the name that people use.
fn secured(
    stream: TcpStream,
    name: &str,
    certificate: &Path,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    for one in CertificateDer::pem_file_iter(certificate).map_err(io::Error::other)? {
        roots
            .add(one.map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
    }
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

/// Name and port of `NAME:PORT`, where a name may be an address in brackets.
fn parts(authority: &str) -> (String, u16) {
    let (name, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    let name = name.trim_start_matches('[').trim_end_matches(']');
    (name.to_owned(), port.parse().unwrap_or(0))
}

/// Where to knock: at the address that people use, or, where they use a name, at the one that is listened on.
fn address(listen: IpAddr, name: &str, port: u16) -> SocketAddr {
    let own = match listen {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(name.parse().unwrap_or(own), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knocks_where_people_do() {
        let check = |listen: &str, authority: &str, expect: &str| {
            let (name, port) = parts(authority);
            let found = address(listen.parse().unwrap(), &name, port);
            assert_eq!(found.to_string(), expect);
        };
        check("127.0.0.1", "127.0.0.1:7420", "127.0.0.1:7420");
        check("0.0.0.0", "192.168.1.7:7420", "192.168.1.7:7420");
        check("::", "[2001:db8::7]:1", "[2001:db8::7]:1");
        check("::", "hive.example:443", "[::1]:443");
        check("10.0.0.7", "hive.example:443", "10.0.0.7:443");
    }

    #[test]
    fn only_http_has_a_status() {
        struct Said(&'static [u8]);
        impl Read for Said {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.0.read(into)
            }
        }
        impl Write for Said {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert_eq!(
            talk(Said(b"HTTP/1.1 421 Misdirected\r\n"), "").unwrap(),
            421
        );
        assert!(talk(Said(b"SSH-2.0-x\r\n"), "").is_err());
        assert!(talk(Said(b""), "").is_err());
        assert!(talk(Said(&[b'x'; 9_999]), "").is_err());
    }
}
