//! Where the agent listens and how much of strangers it bears.
//!
//! Decides that beyond loopback there is TLS and a key; refuses to know what is served.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::acme::{self, AcmeSettings};
use super::{ranged, seconds};
use crate::config::{ConfigError, HttpConfig};

#[derive(Clone, Debug)]
pub struct HttpSettings {
    pub listen: SocketAddr,
    pub tls: Option<TlsFiles>,
    /// Certificates that are had and renewed without anybody.
    pub acme: Option<AcmeSettings>,
    /// True wherever anybody but this machine's users can reach us.
    pub require_key: bool,
    pub allowed_hosts: Vec<String>,
    pub allowed_origins: Vec<String>,
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    pub body_max_bytes: usize,
    pub header_timeout: Duration,
    pub drain: Duration,
}

#[derive(Clone, Debug)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

pub(super) fn settings(config: HttpConfig) -> Result<HttpSettings, ConfigError> {
    let acme = acme::settings(&config)?;
    let listen = match config.listen {
        None => SocketAddr::from((Ipv4Addr::LOCALHOST, 7420)),
        Some(text) => text.parse().map_err(|_| ConfigError::Value {
            key: "http.listen",
            found: format!("`{}`", text.escape_debug()),
            expect: "give an IP address and a port, as `127.0.0.1:7420` or `[::1]:7420`".into(),
        })?,
    };
    let exposed = !listen.ip().is_loopback();
    let tls = match (config.tls_certificate, config.tls_key) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
        (None, None) => None,
        (Some(_), None) if exposed => {
            return Err(half_tls("http.tls_certificate", "http.tls_key"));
        }
        (None, Some(_)) if exposed => {
            return Err(half_tls("http.tls_key", "http.tls_certificate"));
        }
        // A setup sets them one after the other, and may be cut off between.
        (Some(_), None) | (None, Some(_)) => {
            tracing::warn!(
                "only one of `http.tls_certificate` and `http.tls_key` is set: without TLS on this machine alone"
            );
            None
        }
    };
    // Until the authority has given one, the agent shows one that it made.
    if exposed && tls.is_none() && acme.is_none() {
        return Err(ConfigError::Exposed(format!(
            "will not listen on `{listen}` without TLS: set `http.tls_certificate` and \
             `http.tls_key` to PEM files, or listen on `127.0.0.1:{}`",
            listen.port()
        )));
    }
    if exposed && config.require_key == Some(false) {
        return Err(ConfigError::Exposed(format!(
            "will not listen on `{listen}` without API keys: remove `http.require_key = false`, \
             or listen on `127.0.0.1:{}`",
            listen.port()
        )));
    }
    Ok(HttpSettings {
        listen,
        tls,
        acme: acme.clone(),
        require_key: config.require_key.unwrap_or(exposed),
        allowed_hosts: {
            let set = config.allowed_hosts.unwrap_or_default();
            let certified = acme.into_iter().flat_map(|acme| acme.names);
            lower(set.into_iter().chain(certified).collect())
        },
        allowed_origins: lower(config.allowed_origins.unwrap_or_default()),
        // About 20 KiB each in kernel and agent: 80 MiB at the worst.
        connections_max: ranged(
            "http.connections_max",
            config.connections_max,
            4_096,
            1,
            100_000,
        )? as usize,
        // A browser opens 6; a busy service shares a pool of some dozens.
        connections_per_address_max: ranged(
            "http.connections_per_address_max",
            config.connections_per_address_max,
            256,
            1,
            100_000,
        )? as usize,
        // A context of a million tokens is about 4 MiB of text.
        body_max_bytes: ranged(
            "http.body_max_bytes",
            config.body_max_bytes,
            16 << 20,
            1_024,
            1 << 30,
        )? as usize,
        // A slow head is closed within 15 s in all, so that it cannot be used to hold sockets.
        header_timeout: seconds(
            "http.header_timeout_s",
            config.header_timeout_s,
            12,
            1,
            3_600,
        )?,
        drain: seconds("http.drain_s", config.drain_s, 30, 0, 86_400)?,
    })
}

fn half_tls(given: &str, missing: &str) -> ConfigError {
    ConfigError::Exposed(format!(
        "`{given}` is set and `{missing}` is not: TLS needs both"
    ))
}

fn lower(mut names: Vec<String>) -> Vec<String> {
    names
        .iter_mut()
        .for_each(|name| name.make_ascii_lowercase());
    names
}
