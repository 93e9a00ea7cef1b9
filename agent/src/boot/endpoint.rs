//! How commands on this machine find the running agent: a file that only its user reads.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

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
    /// `certificate` is the one to believe, where no authority vouches for it.
    pub(super) fn write(
        paths: &Paths,
        url: &str,
        token: &Secret,
        certificate: Option<&Path>,
    ) -> Result<Self, StartError> {
        #[derive(Serialize)]
        struct Shape<'a> {
            url: &'a str,
            pid: u32,
            token: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            certificate: Option<&'a Path>,
        }
        let shape = Shape {
            url,
            pid: std::process::id(),
            token: token.reveal(),
            certificate,
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
        // The certificate is for a name, where the operator gave one. By ACME, addresses have one that was made here.
        Some(name) if port.is_tls() && settings.acme.is_none() => {
            format!("{scheme}://{name}:{}", listen.port())
        }
        _ => format!("{scheme}://{}", SocketAddr::new(ip, listen.port())),
    }
}

/// Every address at which this agent is reached.
pub(super) fn own_addresses(http: SocketAddr, cluster: SocketAddr) -> Vec<SocketAddr> {
    let mut own = Vec::new();
    for address in [http, cluster] {
        if !address.ip().is_unspecified() {
            own.push(address);
            continue;
        }
        let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let all = crate::cluster::local_addresses()
            .into_iter()
            .chain(loopback);
        own.extend(all.map(|ip| SocketAddr::new(ip, address.port())));
    }
    own
}
