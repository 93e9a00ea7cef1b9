//! How many connections each address has.
//!
//! Loopback is not counted: everything behind a proxy on this machine looks like one address there.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The count of every address that has any.
#[derive(Debug)]
pub(super) struct Addresses {
    counts: Mutex<HashMap<IpAddr, usize>>,
    limit: usize,
}

/// One connection's place in the count.
#[derive(Debug)]
pub(super) struct Place {
    of: Option<(Arc<Addresses>, IpAddr)>,
}

impl Addresses {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            counts: Mutex::default(),
            limit,
        })
    }

    /// A place for one more connection, if the address has one left.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = household(address);
        if address.is_loopback() {
            return Some(Place { of: None });
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_insert(0);
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Place {
            of: Some((self.clone(), address)),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((addresses, address)) = &self.of else {
            return;
        };
        let mut counts = addresses
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(address);
            }
        }
    }
}

/// Who counts as one: an IPv4 address, or an IPv6 network of 64 bits, since one household has all
/// the addresses of at least one.
pub(super) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) if !six.is_loopback() => {
            IpAddr::V6((u128::from(six) & !u128::from(u64::MAX)).into())
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_household_has_its_places() {
        let addresses = Addresses::new(2);
        let take = |text: &str| addresses.take(text.parse().unwrap());
        let first = take("192.0.2.1").unwrap();
        let _second = take("::ffff:192.0.2.1").unwrap();
        assert!(take("192.0.2.1").is_none());
        assert!(take("192.0.2.2").is_some());
        drop(first);
        assert!(take("192.0.2.1").is_some());

        let _six = [
            take("2001:db8::1").unwrap(),
            take("2001:db8::2:0:0:1").unwrap(),
        ];
        assert!(take("2001:db8::3").is_none());
        assert!(take("2001:db8:0:1::3").is_some());

        let local: Vec<_> = (0..9).map(|_| take("127.0.0.1").unwrap()).collect();
        drop(local);
        assert_eq!(addresses.counts.lock().unwrap().len(), 2);
    }
}
