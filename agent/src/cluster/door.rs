//! Machines that want to become members: whether they may.
//!
//! Whoever does not prove a token learns nothing, not even whether there is one; whoever does is told what
//! is wrong with it. Every step is logged.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ring::signature::{ED25519, UnparsedPublicKey};
use skep_core::state::{Action, Event, Joining, Member, Refusal, Standing};
use skep_core::{NodeId, TokenId};

use super::life::{Life, lock};
use super::{ClusterError, authorities};
use crate::limits::{JOIN_TRIES_EACH, JOIN_TRIES_KEPT, JOIN_TRIES_MAX};
use crate::net::{Door, JoinAnswer, JoinAsk, Welcome};
use crate::pki::{Authority, Badge, Proof, Token};

/// Failed attempts of the last minute, by address.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<BTreeMap<IpAddr, Tried>>);

#[derive(Debug)]
struct Tried {
    since: Instant,
    times: u32,
}

/// Answers one machine.
pub(super) async fn answer(life: Arc<Life>, door: Door) {
    let from = door.address();
    if !life.attempts.may_try(from.ip()) {
        tracing::warn!(%from, "refused to hear a joiner: too many failed attempts");
        return;
    }
    let opened = door.open().await;
    let (ask, mut answers, badge) = match opened {
        Ok(opened) => opened,
        Err(why) => {
            life.attempts.failed(from.ip());
            tracing::info!(%from, %why, "a joiner said nothing that makes sense");
            return;
        }
    };
    let decided = match ask {
        JoinAsk::Join {
            token,
            proof,
            request,
            name,
            software,
        } => {
            let proved = Proved {
                token,
                proof,
                badge,
                request,
                name,
            };
            tracing::info!(%from, %token, software = software.escape_debug().to_string(), "a machine wants to join");
            join(&life, proved, from).await
        }
        JoinAsk::Return { request, signature } => come_back(&life, &request, &signature, &badge),
    };
    let said = match decided {
        Ok(answer) => answer,
        Err(Denied::Guess) => {
            life.attempts.failed(from.ip());
            tracing::warn!(%from, "refused a joiner: its token was not proved");
            JoinAnswer::Refused(NOT_PROVED.into())
        }
        Err(Denied::Because(why)) => {
            tracing::warn!(%from, %why, "refused a joiner");
            JoinAnswer::Refused(why)
        }
    };
    if answers.send(&said).await.is_ok() {
        answers.end();
        door.close().await;
    }
}

/// What a joiner brings.
#[derive(Debug)]
struct Proved {
    token: TokenId,
    proof: Proof,
    badge: Badge,
    request: Vec<u8>,
    name: String,
}

enum Denied {
    /// It knows no token of ours.
    Guess,
    /// It does, but: one sentence for people.
    Because(String),
}

impl From<ClusterError> for Denied {
    fn from(error: ClusterError) -> Self {
        Self::Because(error.to_string())
    }
}

async fn join(life: &Arc<Life>, asked: Proved, from: SocketAddr) -> Result<JoinAnswer, Denied> {
    if !life.leads() {
        return elsewhere(life);
    }
    let view = life.keeper.view();
    let token = view.token(asked.token).ok_or(Denied::Guess)?.clone();
    if !Token::is_proof(&token.stored_key, asked.token, &asked.badge, &asked.proof) {
        return Err(Denied::Guess);
    }
    let because = |error: crate::pki::AuthorityError| Denied::Because(error.to_string());
    let (node, public_key) = Authority::requester(&asked.request).map_err(because)?;
    let bound = token.name.is_some();
    let mut name = asked.name.clone();
    for attempt in 2..=NAMES_TRIED {
        let joining = Joining {
            token: asked.token,
            node,
            name: name.clone(),
            role: token.role,
            public_key: public_key.clone(),
            address: from,
        };
        match life.decide(Action::Join(joining)).await {
            Ok(events) => return welcome(life, node, &asked.request, from, &events),
            // Two machines may well be called the same before they meet.
            Err(ClusterError::Refused(Refusal::NameTaken { .. })) if !bound => {
                name = format!("{}-{attempt}", asked.name);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Denied::Because(format!(
        "too many nodes are called `{}`; give this one another name with `--name`",
        asked.name.escape_debug()
    )))
}

fn welcome(
    life: &Life,
    node: NodeId,
    request: &[u8],
    from: SocketAddr,
    events: &[Event],
) -> Result<JoinAnswer, Denied> {
    let pending = events.iter().any(
        |event| matches!(event, Event::Joined { standing, .. } if *standing == Standing::Pending),
    );
    tracing::info!(%node, %from, pending, "a node joined");
    greet(life, request, from, pending)
}

/// A member whose certificate is over, or one that was approved in the meantime.
fn come_back(
    life: &Life,
    request: &[u8],
    signature: &[u8],
    badge: &Badge,
) -> Result<JoinAnswer, Denied> {
    if !life.leads() {
        return elsewhere(life);
    }
    let (node, public_key) = Authority::requester(request).map_err(|_| Denied::Guess)?;
    let view = life.keeper.view();
    let member: &Member = view.member(node).ok_or(Denied::Guess)?;
    // The key itself stands at the end of an Ed25519 key in DER (RFC 8410, section 4).
    let raw = public_key.last_chunk::<32>().ok_or(Denied::Guess)?;
    let signed = UnparsedPublicKey::new(&ED25519, raw).verify(badge, signature);
    if signed.is_err() || member.public_key != public_key {
        return Err(Denied::Guess);
    }
    let pending = member.standing == Standing::Pending;
    let address = member
        .address
        .unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
    tracing::info!(%node, pending, "a node came back without a valid certificate");
    greet(life, request, address, pending)
}

fn greet(
    life: &Life,
    request: &[u8],
    seen_as: SocketAddr,
    pending: bool,
) -> Result<JoinAnswer, Denied> {
    let view = life.keeper.view();
    let missing = || Denied::Because("this node cannot let anybody in yet; try again".into());
    let active = authorities::active(&view).ok_or_else(missing)?.to_vec();
    let others = view
        .authorities()
        .map(|(_, authority)| authority.der.clone());
    let mut trusted = vec![active.clone()];
    trusted.extend(others.filter(|der| *der != active));
    let certificate = if pending {
        Vec::new()
    } else {
        life.sign(request)?.certificate
    };
    let net = life.net().ok_or_else(missing)?;
    let me = net.seen.borrow().me.clone().ok_or_else(missing)?;
    Ok(JoinAnswer::Welcome(Box::new(Welcome {
        cluster: life.cluster().ok_or_else(missing)?,
        certificate,
        authorities: trusted,
        leader: life.me(),
        leader_address: me.address,
        seen_as,
        pending,
    })))
}

fn elsewhere(life: &Life) -> Result<JoinAnswer, Denied> {
    let view = life.keeper.view();
    let known = life
        .leader()
        .and_then(|node| view.member(node).and_then(|member| member.address));
    let told = life.welcome.as_ref().map(|welcome| welcome.leader_address);
    known
        .or(told)
        .map(JoinAnswer::Elsewhere)
        .ok_or_else(|| Denied::Because("this node does not lead and cannot tell who does".into()))
}

impl Attempts {
    fn may_try(&self, from: IpAddr) -> bool {
        let now = Instant::now();
        let mut tried = lock(&self.0);
        tried.retain(|_, tried| now.duration_since(tried.since) < MINUTE);
        let all: u32 = tried.values().map(|tried| tried.times).sum();
        let own = tried.get(&from).map_or(0, |tried| tried.times);
        own < JOIN_TRIES_EACH && all < JOIN_TRIES_MAX
    }

    fn failed(&self, from: IpAddr) {
        let mut tried = lock(&self.0);
        if tried.len() < JOIN_TRIES_KEPT || tried.contains_key(&from) {
            let fresh = Tried {
                since: Instant::now(),
                times: 0,
            };
            tried.entry(from).or_insert(fresh).times += 1;
        }
    }
}

/// What one is told who proved nothing.
const NOT_PROVED: &str = "the token is not valid: it is unknown, used up, expired or revoked. Make a new one with `skep token new`";

/// How many names are tried for a machine whose name is taken.
const NAMES_TRIED: u32 = 99;

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_are_few_for_each_and_for_all() {
        let attempts = Attempts::default();
        let one: IpAddr = "10.0.0.1".parse().unwrap();
        for _ in 0..JOIN_TRIES_EACH {
            assert!(attempts.may_try(one));
            attempts.failed(one);
        }
        assert!(!attempts.may_try(one));
        let mut tries = JOIN_TRIES_EACH;
        for other in 2..=u8::MAX {
            let other = IpAddr::from([10, 0, 1, other]);
            if !attempts.may_try(other) {
                break;
            }
            attempts.failed(other);
            tries += 1;
        }
        assert_eq!(tries, JOIN_TRIES_MAX);
    }
}
