//! How commands on this machine find the running agent: a file that only its user reads.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use serde::Serialize;

use super::StartError;
use crate::config::HttpSettings;
use crate::http::Port;
use crate::keys::Secret;
use crate::paths::{Paths, replace_durably};

/// The file, which goes when the agent ends in order.
#[derive(Debug)]
pub(super) struct EndpointFile {
    path: PathBuf,
}

impl EndpointFile {
    pub(super) fn write(paths: &Paths, url: &str, token: &Secret) -> Result<Self, StartError> {
        #[derive(Serialize)]
        struct Shape<'a> {
            url: &'a str,
            pid: u32,
            token: &'a str,
        }
        let shape = Shape {
            url,
            pid: std::process::id(),
            token: token.reveal(),
        };
        let path = paths.endpoint_file();
        let text =
            serde_json::to_vec(&shape).map_err(|error| StartError::Endpoint(error.into()))?;
        replace_durably(&path, &text).map_err(StartError::Endpoint)?;
        Ok(Self { path })
    }
}

impl Drop for EndpointFile {
    fn drop(&mut self) {
        // One that is left over names a process that is gone, which its readers check.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Where people on this machine reach the port.
pub(super) fn url(port: &Port, settings: &HttpSettings) -> String {
    let listen = port.address();
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let scheme = if port.is_tls() { "https" } else { "http" };
    match settings.allowed_hosts.first() {
        // The certificate is for a name, where the operator gave one.
        Some(name) if port.is_tls() => format!("{scheme}://{name}:{}", listen.port()),
        _ => format!("{scheme}://{}", SocketAddr::new(ip, listen.port())),
    }
}
