//! Which addresses a name has. Asks the resolver that was given, or the system's. Decides nothing about them.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

use super::SetupError;
use crate::limits::{ADDRESSES_OF_NAME, RESOLVE_TIMEOUT, RESOLVED_KEPT, RESOLVED_NAMES};

/// Why a name has no addresses now.
#[derive(Debug, thiserror::Error)]
#[error("could not find out the address of `{name}`: {why}")]
pub struct ResolveError {
    pub name: String,
    pub why: String,
}

pub(super) enum Resolver {
    /// The C library's, with all that is configured on this machine.
    System,
    Given(Box<TokioResolver>),
}

impl Resolver {
    pub(super) fn new(server: Option<SocketAddr>) -> Result<Self, SetupError> {
        let Some(server) = server else {
            return Ok(Self::System);
        };
        asking(&[server])
            .map(|resolver| Self::Given(Box::new(resolver)))
            .map_err(SetupError::Resolver)
    }

    /// The first addresses of a name, each of version 4 written as such.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let found: Result<Vec<IpAddr>, String> = match self {
            Self::System => tokio::net::lookup_host((name, 0))
                .await
                .map(|found| found.map(|address| address.ip()).collect())
                .map_err(|error| error.to_string()),
            Self::Given(resolver) => resolver
                // The dot says that the name is whole.
                .lookup_ip(format!("{name}."))
                .await
                .map(|found| found.iter().collect())
                .map_err(|error| error.to_string()),
        };
        let mut addresses: Vec<IpAddr> = Vec::new();
        let wrong = |why: String| ResolveError {
            name: name.to_owned(),
            why: crate::host::printable(&why),
        };
        for address in found.map_err(wrong)? {
            let address = address.to_canonical();
            if addresses.len() < ADDRESSES_OF_NAME && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return Err(wrong("it has none".to_owned()));
        }
        Ok(addresses)
    }
}

/// Where a domain says that a service is (RFC 2782), as names and ports, the most preferred first. Asks these servers.
///
/// # Errors
/// When they do not answer, or the domain says nothing of it.
pub(crate) async fn services(
    service: &str,
    domain: &str,
    servers: &[SocketAddr],
) -> Result<Vec<(String, u16)>, ResolveError> {
    let name = format!("{service}.{domain}");
    let wrong = |why: String| ResolveError {
        name: name.clone(),
        why: crate::host::printable(&why),
    };
    let resolver = asking(servers).map_err(wrong)?;
    let found = resolver.srv_lookup(format!("{name}."));
    let found = found.await.map_err(|error| {
        wrong(if error.is_no_records_found() {
            "the domain has no such records".to_owned()
        } else {
            error.to_string()
        })
    })?;
    let mut services = Vec::new();
    for record in found.answers() {
        if let RData::SRV(place) = &record.data
            && !place.target.is_root()
        {
            let target = place.target.to_utf8().trim_end_matches('.').to_owned();
            services.push((place.priority, target, place.port));
        }
    }
    services.sort();
    services.truncate(ADDRESSES_OF_NAME);
    Ok(services
        .into_iter()
        .map(|(_, target, port)| (target, port))
        .collect())
}

fn asking(servers: &[SocketAddr]) -> Result<TokioResolver, String> {
    let servers = servers.iter().map(|server| {
        let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for connection in &mut connections {
            connection.port = server.port();
        }
        NameServerConfig::new(server.ip(), true, connections.into())
    });
    let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
    let mut options = ResolverOpts::default();
    options.timeout = RESOLVE_TIMEOUT;
    options.attempts = 1;
    options.cache_size = RESOLVED_NAMES;
    options.positive_max_ttl = Some(RESOLVED_KEPT);
    options.negative_max_ttl = Some(RESOLVED_KEPT);
    // Whoever names a resolver means it.
    options.use_hosts_file = ResolveHosts::Never;
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
        .map_err(|error| error.to_string())
}
