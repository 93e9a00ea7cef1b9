//! Who else is on the local network, or where somebody listed it, and what stands in the way of working with them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skep_core::state::Standing;

use super::life::Life;
use super::places::Place;
use super::{ClusterError, local_addresses};
use crate::limits::PLACES_MAX;
use crate::net::{
    Beacon, Card, Heard, PROTOCOL, PROTOCOL_OLDEST, Said, Socket, answers, hear, who,
};

/// Somebody who was heard. Until they have joined, all of it is only what they say.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Neighbour {
    pub name: String,
    /// Its identity.
    pub node: Option<String>,
    /// The identity of its cluster.
    pub cluster: Option<String>,
    pub version: Option<String>,
    pub addresses: Vec<SocketAddr>,
    /// Whether it is a member of this cluster, and answers.
    pub usable: bool,
    /// Why, or why not, and what to do about it.
    pub why: String,
    /// Whether it says that it waits to be adopted.
    #[serde(default)]
    pub adoptable: bool,
}

impl Life {
    /// Says on the local network that this node is there, if it may. That it cannot is no reason not to listen.
    pub(super) fn announce(&self, port: u16) -> Option<Beacon> {
        let card = self.card(port)?;
        Beacon::light(&card)
            .inspect_err(|error| tracing::info!(%error, "cannot tell neighbours of this node"))
            .ok()
    }

    /// Says anew what this node is, if it says anything.
    pub(super) fn announce_again(&self) {
        let Some(net) = self.net() else {
            return;
        };
        let card = self.card(net.socket.address().port());
        if let (Some(beacon), Some(card)) = (net.beacon.as_ref(), card)
            && let Err(error) = beacon.say(&card)
        {
            tracing::info!(%error, "cannot tell neighbours what has changed");
        }
    }

    fn card(&self, port: u16) -> Option<Card> {
        let addresses = announced();
        if !self.parts.settings.announce || addresses.is_empty() {
            return None;
        }
        Some(Card {
            node: self.me(),
            cluster: self.cluster()?,
            name: self.parts.name.clone(),
            port,
            addresses,
            adoptable: self.adoptions.is_offered() && self.is_alone(),
        })
    }

    /// What this node says of itself to whoever asks it; none before it has a cluster.
    pub(super) fn said(&self) -> Option<Said> {
        let adoptable = self.adoptions.is_offered() && self.is_alone();
        let name = self.parts.name.clone();
        Some(Said::of(self.me(), self.cluster()?, name, adoptable))
    }

    /// Listens for a while to who is there, and asks where somebody listed it.
    pub(super) async fn neighbours(self: &Arc<Self>) -> Result<Vec<Neighbour>, ClusterError> {
        let (heard, mut neighbours) = self.heard().await?;
        let mut looks = tokio::task::JoinSet::new();
        for one in heard {
            let life = Arc::clone(self);
            looks.spawn(async move { life.judge(one).await });
        }
        neighbours.extend(looks.join_all().await);
        neighbours.sort_by(|one, other| (&one.name, &one.node).cmp(&(&other.name, &other.node)));
        Ok(neighbours)
    }

    /// Everybody who says something, and the listed places where nobody does.
    pub(super) async fn heard(&self) -> Result<(Vec<Heard>, Vec<Neighbour>), ClusterError> {
        let near = async {
            if announced().is_empty() {
                return Err("this machine is on no network but loopback".to_owned());
            }
            hear(PATIENCE).await.map_err(|error| error.to_string())
        };
        let places = &self.parts.settings.look;
        let (near, (far, silent)) = tokio::join!(near, self.ask_listed(places));
        let mut heard = match near {
            Ok(heard) => heard,
            Err(why) if places.is_empty() => return Err(ClusterError::Neighbours(why)),
            Err(why) => {
                tracing::debug!(why, "the local network is not listened to");
                Vec::new()
            }
        };
        for one in far {
            match heard.iter_mut().find(|known| known.node == one.node) {
                Some(known) => {
                    let new = |at: &SocketAddr| !known.addresses.contains(at);
                    let new: Vec<_> = one.addresses.into_iter().filter(new).collect();
                    known.addresses.extend(new);
                }
                None => heard.push(one),
            }
        }
        Ok((heard, silent))
    }

    async fn ask_listed(&self, places: &[Place]) -> (Vec<Heard>, Vec<Neighbour>) {
        let (mut heard, mut silent) = (Vec::new(), Vec::new());
        let any = SocketAddr::new(self.parts.settings.listen.ip(), 0);
        if places.is_empty() {
            return (heard, silent);
        }
        let socket = match Socket::bind(any, &self.parts.identity, &self.parts.net) {
            Ok(socket) => socket,
            Err(error) => {
                let why = error.to_string();
                silent.extend(places.iter().map(|place| absent(place, None, &why)));
                return (heard, silent);
            }
        };
        let mut names = tokio::task::JoinSet::new();
        for place in places.iter().cloned() {
            names.spawn(async move { (place.addresses().await, place) });
        }
        let mut asked = tokio::task::JoinSet::new();
        while let Some(Ok((found, place))) = names.join_next().await {
            match found {
                Ok(addresses) => {
                    let left = PLACES_MAX.saturating_sub(asked.len());
                    for address in addresses.into_iter().take(left) {
                        let (socket, place) = (socket.clone(), place.clone());
                        asked.spawn(async move { (who(&socket, address).await, place, address) });
                    }
                }
                Err(error) => silent.push(absent(&place, None, &error.to_string())),
            }
        }
        while let Some(Ok((said, place, address))) = asked.join_next().await {
            match said {
                Ok(one) => heard.push(one),
                Err(error) => silent.push(absent(&place, Some(address), &error.to_string())),
            }
        }
        socket.close();
        (heard, silent)
    }

    async fn judge(&self, heard: Heard) -> Neighbour {
        let (usable, why) = self.verdict(&heard).await;
        Neighbour {
            name: heard.name,
            node: heard.node.map(|node| node.to_string()),
            cluster: heard.cluster.map(|cluster| cluster.to_string()),
            version: heard.software,
            addresses: heard.addresses,
            usable,
            why,
            adoptable: heard.adoptable,
        }
    }

    async fn verdict(&self, heard: &Heard) -> (bool, String) {
        let (Some(node), Some(cluster), Some((oldest, newest))) =
            (heard.node, heard.cluster, heard.protocol)
        else {
            return (false, "it does not say what it is; not a skep?".into());
        };
        if node == self.me() {
            return (true, "this node".into());
        }
        if newest < PROTOCOL_OLDEST || oldest > PROTOCOL {
            return (
                false,
                format!(
                    "it speaks versions {oldest} to {newest} of the protocol, this node {PROTOCOL_OLDEST} to {PROTOCOL}: \
                     `skep update` on the older one"
                ),
            );
        }
        let mut reached = false;
        for address in &heard.addresses {
            reached = reached || answers(*address).await;
        }
        if !reached {
            let at = heard
                .addresses
                .first()
                .map_or_else(|| "any address".to_owned(), ToString::to_string);
            return (
                false,
                format!("it does not answer on UDP {at}: does a firewall stand between?"),
            );
        }
        let view = self.keeper.view();
        let member = view.member(node);
        match member.map(|member| member.standing) {
            Some(Standing::Pending) => (
                false,
                format!("it awaits approval: `skep node approve {}`", heard.name),
            ),
            Some(_) => (true, "a member of this cluster".into()),
            None if self.cluster() == Some(cluster) => (
                false,
                "it was removed from this cluster; `skep token new` makes a token for its return"
                    .into(),
            ),
            None if heard.adoptable => (
                false,
                format!("it waits to be adopted: `skep node adopt {}`", heard.name),
            ),
            None => (
                false,
                "it is of another cluster: `skep token new` there, then `skep join TOKEN` here (or the other way round)"
                    .into(),
            ),
        }
    }
}

/// A listed place where nobody says anything.
fn absent(place: &Place, address: Option<SocketAddr>, why: &str) -> Neighbour {
    Neighbour {
        name: place.to_string(),
        node: None,
        cluster: None,
        version: None,
        addresses: address.into_iter().collect(),
        usable: false,
        why: why.to_owned(),
        adoptable: false,
    }
}

/// What neighbours may be told.
fn announced() -> Vec<IpAddr> {
    let mut addresses = local_addresses();
    addresses.retain(|ip| !ip.is_loopback());
    addresses
}

/// Everybody answers within a second or so (RFC 6762, section 6).
const PATIENCE: Duration = Duration::from_secs(2);
