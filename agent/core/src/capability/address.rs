//! Which addresses are whose. Decides by IANA's registries of special-purpose addresses (RFC 6890 and what updates it).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whose an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Anybody's, on the internet.
    Public,
    /// This machine's or the local network's.
    Local,
    /// Nobody's that a plugin has business with: the services by which clouds tell a machine its credentials, link-local
    /// addresses among which those are, groups, and addresses that are none.
    Never,
}

impl Reach {
    /// Whose this address is. Addresses of version 4 inside of such of version 6 count as what they stand for.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        // "This network" and the unspecified address, which connects to this machine on Linux; link-local; multicast;
        // reserved, with broadcast at its end.
        (0 | 224..=255, ..) | (169, 254, _) => Reach::Never,
        // Private, loopback, shared among a provider's customers, protocol assignments, examples, benchmarks.
        (10 | 127, ..)
        | (172, 16..=31, _)
        | (192, 168, _)
        | (100, 64..=127, _)
        | (192, 0, 0 | 2)
        | (198, 18..=19, _)
        | (198, 51, 100)
        | (203, 0, 113) => Reach::Local,
        _ => Reach::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Reach {
    if address == Ipv6Addr::LOCALHOST {
        return Reach::Local;
    }
    // Where Amazon's machines are told their credentials: a unique local address like any other.
    if address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254) {
        return Reach::Never;
    }
    let [first, second, third, _, _, _, seventh, eighth] = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        of_v4(Ipv4Addr::new(a, b, c, d))
    };
    match first {
        // Translated by NAT64 (RFC 6052); the prefix for a provider's own use (RFC 8215) cannot be read.
        0x64 if second == 0xff9b && third == 0 => v4(seventh, eighth),
        // 6to4 (RFC 3056).
        0x2002 => v4(second, third),
        // Teredo hides the address behind it.
        0x2001 if second == 0 => Reach::Never,
        // Protocol assignments and examples.
        0x2001 if second < 0x200 || second == 0xdb8 => Reach::Local,
        0x3fff if second < 0x1000 => Reach::Local,
        // Global unicast is all that was ever given out of 2000::/3.
        0x2000..=0x3fff => Reach::Public,
        // Unique local.
        0xfc00..=0xfdff => Reach::Local,
        _ => Reach::Never,
    }
}
