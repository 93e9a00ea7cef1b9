//! Whether anybody listens where an upstream's requests go: a connection that says nothing, which costs no process and no
//! request there.
//!
//! Decides when to knock; what a silence means is for [`refresh::ask`] to find out, in the plugin's own words. Knocks only
//! where the plugin may send requests.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use skep_core::capability::{Capability, Host, Place};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::shared::Shared;
use super::unit::{Standing, Unit};
use super::{Kind, Services, cover, refresh, source};
use crate::limits::{ADDRESSES_OF_NAME, KNOCK_FIRST, KNOCK_MAX, KNOCK_TIME, LOOK_AGAIN, LOOK_TIME};

impl Services {
    /// Has a look at upstreams before somebody is told of them: the one of a name, or all. Gives up waiting soon; what is
    /// found out after that is told the next time.
    pub async fn look(&self, kind: Kind, name: Option<&str>) {
        if kind != Kind::Upstream {
            return;
        }
        let mut looks = JoinSet::new();
        for ((of, known), unit) in &*self.0.units() {
            if *of == kind && name.is_none_or(|name| name == known) {
                let (shared, unit) = (Arc::clone(&self.0), Arc::clone(unit));
                looks.spawn(async move { look(&shared, &unit).await });
            }
        }
        let all = async { while looks.join_next().await.is_some() {} };
        let _ = timeout(LOOK_TIME, all).await;
        looks.detach_all();
    }
}

/// Returns once nobody listens at an upstream that was well; knocks less and less often.
pub(super) async fn until_silent(shared: &Shared, unit: &Unit) {
    let mut pause = KNOCK_FIRST;
    loop {
        tokio::time::sleep(pause).await;
        // Requests under way tell more.
        if unit.mailbox.running().is_empty() && knock(shared, unit).await == Some(false) {
            return;
        }
        pause = pause.saturating_mul(2).min(KNOCK_MAX);
    }
}

/// Asks an upstream again where a knock says something else than what is known of it.
async fn look(shared: &Arc<Shared>, unit: &Arc<Unit>) {
    // Whoever looks meanwhile is told what is known.
    let Ok(mut last) = unit.looked.try_lock() else {
        return;
    };
    let standing = unit.now().standing;
    if standing == Standing::Unknown || last.is_some_and(|last| last.elapsed() < LOOK_AGAIN) {
        return;
    }
    let known = standing == Standing::Up;
    if knock(shared, unit)
        .await
        .is_some_and(|answers| answers != known)
        && refresh::ask(shared, unit).await.is_err()
    {
        unit.refresh.notify_one();
    }
    *last = Some(Instant::now());
}

/// Whether anybody listens; none where there is no place to knock at.
async fn knock(shared: &Shared, unit: &Unit) -> Option<bool> {
    let (_, wanted) = shared.prepared(&unit.service).ok()?;
    let granted = source::grants(&shared.shelf, &unit.service.plugin);
    let needed = wanted.iter().filter(|wanted| !wanted.optional);
    let (host, port) = needed
        .filter(|wanted| cover::covers(&granted, &wanted.capability))
        .find_map(|wanted| match &wanted.capability {
            Capability::Http(Place { host, port, .. }) => Some((host, (*port)?)),
            Capability::Mail(_) | Capability::Secret(_) => None,
        })?;
    let may_reach = |address: &IpAddr| {
        granted.iter().any(|grant| match grant {
            Capability::Http(place) => {
                place.covers(host, port, &Capability::HTTP_PORTS) && place.reaches(*address)
            }
            Capability::Mail(_) | Capability::Secret(_) => false,
        })
    };
    let found = async {
        let addresses = addresses(host).await;
        let mut allowed = addresses.into_iter().filter(may_reach).peekable();
        // Its plugin says better why it may not.
        allowed.peek()?;
        for address in allowed {
            let there = SocketAddr::new(address, port);
            if !shared.own.contains(&there) && TcpStream::connect(there).await.is_ok() {
                return Some(true);
            }
        }
        Some(false)
    };
    timeout(KNOCK_TIME, found).await.unwrap_or(Some(false))
}

async fn addresses(host: &Host) -> Vec<IpAddr> {
    match host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found = found.into_iter().flatten();
            found
                .map(|found| found.ip().to_canonical())
                .take(ADDRESSES_OF_NAME)
                .collect()
        }
        Host::Below(_) => Vec::new(),
    }
}

// What is knocked at often is noticed before the next list is due.
const _: () = assert!(KNOCK_MAX.as_secs() < crate::limits::OFFERS_REFRESH.as_secs());
const _: () = assert!(KNOCK_TIME.as_millis() <= LOOK_TIME.as_millis());
