//! Tokens from the side that gives them and the side that uses them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use skep_core::state::{Action, Issue, Role};
use skep_core::{ClusterId, NodeId};

use super::life::Life;
use super::{ClusterError, Parts, authorities, local_addresses};
use crate::identity::Identity;
use crate::keys::unix_now_s;
use crate::net::{JoinAnswer, JoinAsk, JoinError, Socket, Welcome, knock};
use crate::pki::{Badge, Pin, Token, pin};

/// A token that was made, to be shown once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invitation {
    /// What the other machine needs. Whoever has it can join.
    pub token: String,
    /// What names it here.
    pub id: String,
    /// What to type on the other machine.
    pub command: String,
    pub role: String,
    pub name: Option<String>,
    pub expires_unix_s: u64,
    /// Where the other machine will look for this one.
    pub addresses: Vec<SocketAddr>,
}

/// A cluster that was joined.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Joined {
    pub cluster: String,
    /// Where it was reached.
    pub at: SocketAddr,
    /// An operator must approve this node first.
    pub pending: bool,
    /// Where what this node kept before was put.
    pub set_aside: Option<PathBuf>,
}

/// A welcome that has not been taken up.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) welcome: Welcome,
    pub(super) report: Joined,
}

impl Life {
    pub(super) async fn invite(
        self: &Arc<Self>,
        role: Role,
        name: Option<String>,
        valid: Duration,
    ) -> Result<Invitation, ClusterError> {
        let net = self.listen().await?;
        let view = self.keeper.view();
        let cluster = self.cluster().ok_or(ClusterError::NoAddress)?;
        let pin = authorities::active(&view)
            .and_then(|active| pin(&active))
            .ok_or_else(|| ClusterError::Damaged(self.files.log()))?;
        let addresses = self.addresses(net.socket.address());
        let (token, stored_key) = Token::new(cluster, pin, addresses.clone())?;
        let expires_at = unix_now_s().saturating_add(valid.as_secs());
        let issue = Issue {
            token: token.id,
            stored_key,
            role,
            name: name.clone(),
            expires_at,
        };
        self.decide(Action::IssueToken(issue)).await?;
        tracing::info!(token = %token.id, %role, ?name, "made a join token");
        let text = token.to_string();
        Ok(Invitation {
            command: format!("skep join {text}"),
            token: text,
            id: token.id.to_string(),
            role: role.to_string(),
            name,
            expires_unix_s: expires_at,
            addresses,
        })
    }

    /// Where a joiner may find the leader: as it is known to others first.
    fn addresses(&self, bound: SocketAddr) -> Vec<SocketAddr> {
        let view = self.keeper.view();
        let mut found = Vec::new();
        if !self.leads() {
            let known = self.leader().and_then(|node| view.member(node)?.address);
            let told = self.welcome.as_ref().map(|welcome| welcome.leader_address);
            found.extend(known.or(told));
        }
        found.extend(super::advertised(&self.parts.settings, bound));
        if bound.ip().is_unspecified() {
            let local = local_addresses().into_iter();
            found.extend(local.map(|ip| SocketAddr::new(ip, bound.port())));
        }
        let mut seen = std::collections::BTreeSet::new();
        found.retain(|address| seen.insert(*address));
        // Loopback leads somewhere only where nothing else does.
        if found.iter().any(|address| !address.ip().is_loopback())
            && self.parts.settings.advertise.is_none()
        {
            found.retain(|address| !address.ip().is_loopback());
        }
        found.truncate(ADDRESSES_SHOWN);
        found
    }
}

/// Puts places that an operator names before those that the token does.
pub(super) async fn look_there_first(token: &mut Token, at: &[String]) -> Result<(), ClusterError> {
    let mut first = Vec::new();
    for place in at.iter().take(ADDRESSES_SHOWN) {
        let found = tokio::net::lookup_host(place).await;
        let found = found.map_err(|error| {
            let place = place.escape_debug();
            ClusterError::Denied(format!(
                "`{place}` is no place to look: {error}; give `--at HOST:PORT`"
            ))
        })?;
        first.extend(found.take(ADDRESSES_SHOWN));
    }
    first.append(&mut token.addresses);
    token.addresses = first;
    Ok(())
}

/// Asks the token's cluster to be let in, at each of its addresses until one lets us.
pub(super) async fn join(
    parts: &Parts,
    token: &Token,
    name: Option<String>,
) -> Result<Accepted, ClusterError> {
    let request = request(&parts.identity)?;
    let name = name.unwrap_or_else(|| parts.name.clone());
    let ask = |badge: &Badge| {
        Ok(JoinAsk::Join {
            token: token.id,
            proof: token.prove(badge),
            request: request.clone(),
            name: name.clone(),
            software: env!("CARGO_PKG_VERSION").into(),
        })
    };
    if token.addresses.is_empty() {
        return Err(ClusterError::Denied(
            "the token names no address; add one with `--at HOST:PORT`".into(),
        ));
    }
    let socket = Socket::bind_soon(parts.settings.listen, &parts.identity, &parts.net).await?;
    let answered = seek(&socket, &token.addresses, token.pin, token.cluster, ask).await;
    socket.close();
    socket.closed().await;
    let (welcome, at) = answered?;
    Ok(Accepted {
        report: Joined {
            cluster: welcome.cluster.to_string(),
            at,
            pending: welcome.pending,
            set_aside: None,
        },
        welcome,
    })
}

/// A member without a valid certificate asks for another, by its key.
pub(super) async fn come_back(life: &Life) -> Result<Welcome, ClusterError> {
    let failed = || ClusterError::leaderless(&life.leader_name(), "its address is not known");
    let view = life.keeper.view();
    let leader = life.leader().ok_or_else(failed)?;
    let known = view.member(leader).and_then(|member| member.address);
    let told = life.welcome.as_ref().map(|welcome| welcome.leader_address);
    let addresses: Vec<SocketAddr> = known.into_iter().chain(told).collect();
    let cluster = life.cluster().ok_or_else(failed)?;
    let roster = life.gate.roster();
    let pins: Vec<Pin> = roster.authorities.iter().filter_map(pin).collect();
    let request = life.request()?;
    let ask = |badge: &Badge| {
        let signature = life.parts.identity.sign(badge);
        Ok(JoinAsk::Return {
            request: request.clone(),
            signature: signature.map_err(|error| error.to_string())?,
        })
    };
    // Its own socket may not be open: nobody could believe this node yet.
    let socket = match life.net() {
        Some(net) => net.socket,
        None => Socket::bind(
            SocketAddr::new(life.parts.settings.listen.ip(), 0),
            &life.parts.identity,
            &life.parts.net,
        )?,
    };
    let mut last = failed();
    for pin in pins {
        match seek(&socket, &addresses, pin, cluster, ask).await {
            Ok((welcome, _)) => return Ok(welcome),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn seek(
    socket: &Socket,
    addresses: &[SocketAddr],
    pin: Pin,
    cluster: ClusterId,
    ask: impl Fn(&Badge) -> Result<JoinAsk, String> + Copy,
) -> Result<(Welcome, SocketAddr), ClusterError> {
    let mut last: Option<JoinError> = None;
    let mut next: Vec<SocketAddr> = addresses.iter().rev().copied().collect();
    let mut tried = 0;
    while let Some(address) = next.pop() {
        tried += 1;
        if tried > TRIES_MAX {
            break;
        }
        match knock(socket, address, pin, cluster, ask).await {
            Ok((JoinAnswer::Welcome(welcome), met, authority)) => {
                check(&welcome, met.node, cluster, &authority)?;
                return Ok((*welcome, address));
            }
            Ok((JoinAnswer::Elsewhere(leader), ..)) => next.push(leader),
            // Another address leads to the same cluster, which will not say otherwise.
            Ok((JoinAnswer::Refused(why), ..)) => {
                return Err(JoinError::Refused(why.chars().take(WHY_MAX).collect()).into());
            }
            Err(error) => {
                tracing::debug!(%address, %error, "not let in there");
                // That somebody lies is worth more to know than that somebody is silent.
                if !matches!(last, Some(JoinError::Impostor(_))) {
                    last = Some(error);
                }
            }
        }
    }
    let nowhere = || ClusterError::Denied("nobody let this machine in".into());
    Err(last.map_or_else(nowhere, Into::into))
}

/// Whether the welcome comes from whom it says, and can be used.
fn check(
    welcome: &Welcome,
    from: NodeId,
    cluster: ClusterId,
    authority: &CertificateDer<'_>,
) -> Result<(), JoinError> {
    let nonsense = |why: &str| Err(JoinError::Nonsense(why.into()));
    if welcome.cluster != cluster || welcome.leader != from {
        return nonsense("it speaks for another");
    }
    if !welcome
        .authorities
        .iter()
        .any(|der| der.as_slice() == authority.as_ref())
    {
        return nonsense("its own authority is not among those that it names");
    }
    if welcome.authorities.len() > AUTHORITIES_TAKEN {
        return nonsense("it names too many authorities");
    }
    Ok(())
}

fn request(identity: &Identity) -> Result<Vec<u8>, ClusterError> {
    let request = identity.request();
    request.map_err(|error| ClusterError::Denied(error.to_string()))
}

/// More would make the token too long to type.
const ADDRESSES_SHOWN: usize = 4;

/// Addresses of the token, and a few that lead on.
const TRIES_MAX: usize = 12;

/// How much of a reason from elsewhere is shown.
const WHY_MAX: usize = 512;

/// As many as a cluster trusts at once.
const AUTHORITIES_TAKEN: usize = skep_core::limits::AUTHORITIES_MAX;
