//! Connections to granted hosts. Decides which of a name's addresses are connected to, and that who answers is who was meant.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use skep_core::capability::{Capability, Host, Place, Reach};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::rights::{Scope, Use, Way, covering, reaches};
use super::tally::{Counted, Tally};
use super::{Egress, EgressError, TlsError};
use crate::limits::ADDRESS_TIMEOUT;

/// A connection, and whether its other end is anybody on the internet.
pub(super) struct Reached {
    pub(super) stream: Counted<TcpStream>,
    pub(super) public: bool,
}

impl Egress {
    /// Connects to a host that is granted. The caller limits the time.
    pub(super) async fn reach(
        &self,
        way: Way,
        host: &Host,
        port: u16,
        scope: &Scope,
    ) -> Result<Reached, EgressError> {
        self.check_name(way, host, port)?;
        let found = match host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.resolver.addresses(name).await?,
            Host::Below(_) => return Err(EgressError::Malformed("a wildcard is no host")),
        };
        let mut allowed = Vec::with_capacity(found.len());
        // Now, and not before the name was looked up: rights may have gone meanwhile.
        let rights = self.rights();
        for address in &found {
            if reaches(&rights, way, host, port, *address)
                && !self.is_own(SocketAddr::new(*address, port))
            {
                allowed.push(*address);
            }
        }
        if allowed.is_empty() {
            return Err(self.prohibited(way, host, port, &found));
        }
        let several = allowed.len() > 1;
        let mut last = EgressError::ConnectTimeout;
        for address in allowed {
            // It counts as used before it is: nothing can take the right away in between unseen.
            let rights = self.rights();
            if !reaches(&rights, way, host, port, address) {
                return Err(self.not_granted(way, host, port));
            }
            scope.uses(Use::of(way, host.clone(), port, address));
            match self.one(SocketAddr::new(address, port), several).await {
                Ok(stream) => {
                    return Ok(Reached {
                        stream: Counted::new(stream, Arc::clone(&self.tally)),
                        public: Reach::of(address) == Reach::Public,
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn one(&self, address: SocketAddr, several: bool) -> Result<TcpStream, EgressError> {
        let time = if several {
            ADDRESS_TIMEOUT
        } else {
            Duration::MAX
        };
        let stream = timeout(time, TcpStream::connect(address))
            .await
            .map_err(|_| EgressError::ConnectTimeout)?
            .map_err(EgressError::Connect)?;
        let peer = stream.peer_addr().map_err(EgressError::Connect)?;
        if peer.ip().to_canonical() != address.ip() || peer.port() != address.port() {
            let other = io::Error::other("somebody else answered");
            return Err(EgressError::Connect(other));
        }
        // Requests are short and wait for answers.
        stream.set_nodelay(true).map_err(EgressError::Connect)?;
        Ok(stream)
    }

    /// Whether the agent itself may listen there: on one of its ports, at any address of this machine.
    fn is_own(&self, address: SocketAddr) -> bool {
        if self.own_addresses.contains(&address) {
            return true;
        }
        let on_its_port = |own: &SocketAddr| own.port() == address.port();
        self.own_addresses.iter().any(on_its_port) && is_this_machine(address.ip())
    }

    pub(super) fn check_name(&self, way: Way, host: &Host, port: u16) -> Result<(), EgressError> {
        let rights = self.rights();
        if covering(&rights, way, host, port).next().is_some() {
            return Ok(());
        }
        Err(self.not_granted(way, host, port))
    }

    fn not_granted(&self, way: Way, host: &Host, port: u16) -> EgressError {
        let local = matches!(host, Host::Address(address) if Reach::of(*address) == Reach::Local);
        if let Host::Address(address) = host
            && Reach::of(*address) == Reach::Never
        {
            return self.prohibited(way, host, port, &[*address]);
        }
        let next = self.command(way, host, port, local);
        let shown = format!("`{host}` on port {port}");
        Tally::add(&self.tally.refused_out, 1);
        self.teller.refused(
            &shown,
            &format!("it was kept from {shown}, which is not granted; `{next}` would allow it"),
        );
        EgressError::NotGranted { host: shown, next }
    }

    /// The name is granted and none of its addresses may be reached.
    fn prohibited(&self, way: Way, host: &Host, port: u16, found: &[IpAddr]) -> EgressError {
        let local = |address: &&IpAddr| Reach::of(**address) == Reach::Local;
        let next = match found.iter().find(local) {
            Some(address) if covering(&self.rights(), way, host, port).any(|p| p.local) => {
                format!("`{address}` on port {port} is the agent itself")
            }
            Some(_) => {
                let command = self.command(way, host, port, true);
                format!("that is in the local network; `{command}` would allow it")
            }
            None => "no grant reaches it".to_owned(),
        };
        let addresses: Vec<_> = found.iter().map(IpAddr::to_string).collect();
        let text = format!("`{host}` is {}: {next}", addresses.join(", "));
        Tally::add(&self.tally.refused_out, 1);
        self.teller.refused(
            &format!("{host}:{port}!"),
            &format!("it was kept from {text}"),
        );
        EgressError::Prohibited(text)
    }

    /// Plugins hear only that it failed.
    pub(super) fn tell_of_tls(&self, host: &Host, error: &TlsError) {
        self.teller.refused(
            &format!("{host}!tls"),
            &format!("it could not talk with `{host}`: {error}"),
        );
    }

    /// What an operator types to allow it.
    fn command(&self, way: Way, host: &Host, port: u16, local: bool) -> String {
        let usual = way == Way::Http && Capability::HTTP_PORTS.contains(&port);
        let place = Place {
            host: host.clone(),
            port: (!usual).then_some(port),
            local,
        };
        let grant = match way {
            Way::Http => Capability::Http(place),
            Way::Mail => Capability::Mail(place),
        };
        format!("skep plugin grant {} {grant}", self.plugin)
    }
}

/// Whether an address is one of this machine's. A datagram's socket that is connected there, over which nothing is sent, has
/// the same address at this end. What cannot be looked at counts as such.
fn is_this_machine(address: IpAddr) -> bool {
    if address.is_loopback() || address.is_unspecified() {
        return true;
    }
    // Never the agent's port, whatever that is: it is only asked which way it would go.
    let there = SocketAddr::new(address, 9);
    let own = Socket::new(Domain::for_address(there), Type::DGRAM, None).and_then(|socket| {
        socket.connect(&there.into())?;
        socket.local_addr()
    });
    match own {
        Ok(own) => own.as_socket().is_none_or(|own| own.ip() == address),
        Err(error) => !matches!(
            error.kind(),
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_are_known() {
        let addresses = if_addrs::get_if_addrs().unwrap();
        for own in addresses.iter().filter(|own| !own.ip().is_ipv6()) {
            assert!(is_this_machine(own.ip()), "{}", own.ip());
        }
        assert!(is_this_machine("127.9.9.9".parse().unwrap()));
        assert!(!is_this_machine("192.0.2.1".parse().unwrap()));
    }
}
