//! Machines that want to become members: whether they may.
//!
//! Whoever does not prove a token learns nothing, not even whether there is one; whoever does is told what
//! is wrong with it. Every step is logged.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ring::signature::{ED25519, UnparsedPublicKey};
use skep_core::state::{self, Action, Event, Joining, Member, Refusal, Standing};
use skep_core::{NodeId, TokenId};

use super::life::{Life, lock};
use super::{ClusterError, authorities};
use crate::limits::{JOIN_TRIES_EACH, JOIN_TRIES_MAX};
use crate::net::{Door, JoinAnswer, JoinAsk, Welcome};
use crate::pki::{Authority, Badge, Proof, Token};

/// Attempts of the last minute that did not succeed, by address: no more than `JOIN_TRIES_MAX`.
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
    // Counted before it is heard, so that many at once are no more than many in a row.
    if !life.attempts.begin(from.ip()) {
        tracing::warn!(%from, "refused to hear a joiner: too many failed attempts");
        return;
    }
    let opened = door.open().await;
    let (ask, mut answers, badge) = match opened {
        Ok(opened) => opened,
        Err(why) => {
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
        Ok(answer) => {
            life.attempts.succeeded(from.ip());
            answer
        }
        Err(Denied::Guess) => {
            tracing::warn!(%from, "refused a joiner: its token was not proved");
            JoinAnswer::Refused(NOT_PROVED.into())
        }
        Err(Denied::Because { why, said }) => {
            tracing::warn!(%from, %why, "refused a joiner");
            JoinAnswer::Refused(said)
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
    /// It does, but.
    Because {
        /// For our log.
        why: String,
        /// For whoever asked, who is no member yet: nothing about the others, or about this machine.
        said: String,
    },
}

impl Denied {
    fn because(why: impl Into<String>) -> Self {
        let why = why.into();
        Self::Because {
            said: why.clone(),
            why,
        }
    }
}

impl From<ClusterError> for Denied {
    fn from(error: ClusterError) -> Self {
        let said = match &error {
            ClusterError::Refused(Refusal::TokenUsed { .. }) => {
                "the token was used already; make a new one with `skep token new`".into()
            }
            ClusterError::Refused(Refusal::NameTaken { name, .. }) => {
                format!("the name `{name}` is taken; choose another with `--name`")
            }
            ClusterError::Refused(refusal) => refusal.to_string(),
            _ => "the cluster cannot let anybody in now; its log says why".into(),
        };
        Self::Because {
            why: error.to_string(),
            said,
        }
    }
}

async fn join(life: &Arc<Life>, asked: Proved, from: SocketAddr) -> Result<JoinAnswer, Denied> {
    let token = known(life, asked.token).await;
    // What is not there is checked as what is: it takes as long.
    let stored_key = token.as_ref().map_or([0; 32], |token| token.stored_key);
    let proved = Token::is_proof(&stored_key, asked.token, &asked.badge, &asked.proof);
    let token = token.filter(|_| proved).ok_or(Denied::Guess)?;
    if !life.leads() {
        return elsewhere(life);
    }
    let because = |error: crate::pki::AuthorityError| Denied::because(error.to_string());
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
    Err(Denied::because(format!(
        "too many nodes are called `{}`; give this one another name with `--name`",
        asked.name.escape_debug()
    )))
}

/// The token, if there is one. A node that follows may hear of it only now.
async fn known(life: &Life, token: TokenId) -> Option<state::Token> {
    let find = || life.keeper.view().token(token).cloned();
    if life.leads() {
        return find();
    }
    let mut changes = life.keeper.changes();
    let heard = async {
        loop {
            changes.borrow_and_update();
            let found = find();
            if found.is_some() || changes.changed().await.is_err() {
                return found;
            }
        }
    };
    tokio::time::timeout(FOLLOWER_LAG, heard).await.ok()?
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
    let (node, public_key) = Authority::requester(request).map_err(|_| Denied::Guess)?;
    let view = life.keeper.view();
    let member: &Member = view.member(node).ok_or(Denied::Guess)?;
    // The key itself stands at the end of an Ed25519 key in DER (RFC 8410, section 4).
    let raw = public_key.last_chunk::<32>().ok_or(Denied::Guess)?;
    let signed = UnparsedPublicKey::new(&ED25519, raw).verify(badge, signature);
    if signed.is_err() || member.public_key != public_key {
        return Err(Denied::Guess);
    }
    if !life.leads() {
        return elsewhere(life);
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
    let missing = || Denied::because("this node cannot let anybody in yet; try again");
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
        .ok_or_else(|| Denied::because("this node does not lead and cannot tell who does"))
}

impl Attempts {
    /// Whether an attempt from there is heard. It counts as failed until it succeeds.
    fn begin(&self, from: IpAddr) -> bool {
        let now = Instant::now();
        let mut tried = lock(&self.0);
        tried.retain(|_, tried| now.duration_since(tried.since) < MINUTE);
        let all: u32 = tried.values().map(|tried| tried.times).sum();
        let own = tried.get(&site(from)).map_or(0, |tried| tried.times);
        if own >= JOIN_TRIES_EACH || all >= JOIN_TRIES_MAX {
            return false;
        }
        let fresh = Tried {
            since: now,
            times: 0,
        };
        tried.entry(site(from)).or_insert(fresh).times += 1;
        true
    }

    fn succeeded(&self, from: IpAddr) {
        if let Some(tried) = lock(&self.0).get_mut(&site(from)) {
            tried.times = tried.times.saturating_sub(1);
        }
    }
}

/// Whoever has one address of IPv6 has the 2^64 beside it.
fn site(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

/// What one is told who proved nothing.
const NOT_PROVED: &str = "the token is not valid: it is unknown, used up, expired or revoked. Make a new one with `skep token new`";

/// How many names are tried for a machine whose name is taken.
const NAMES_TRIED: u32 = 99;

const MINUTE: Duration = Duration::from_secs(60);

/// How much later than the leader a follower knows of a token.
const FOLLOWER_LAG: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_are_few_for_each_and_for_all() {
        let attempts = Attempts::default();
        let one: IpAddr = "10.0.0.1".parse().unwrap();
        for _ in 0..JOIN_TRIES_EACH {
            assert!(attempts.begin(one));
        }
        assert!(!attempts.begin(one));
        attempts.succeeded(one);
        assert!(attempts.begin(one));
        assert!(!attempts.begin(one));
        let mut tries = JOIN_TRIES_EACH;
        for other in 2..=u8::MAX {
            if !attempts.begin(IpAddr::from([10, 0, 1, other])) {
                break;
            }
            tries += 1;
        }
        assert_eq!(tries, JOIN_TRIES_MAX);
    }

    #[test]
    fn whoever_has_one_address_of_ipv6_has_its_neighbours() {
        let attempts = Attempts::default();
        for last in 1..=JOIN_TRIES_EACH {
            let address: IpAddr = format!("2001:db8:1:2:{last:x}::{last:x}").parse().unwrap();
            assert!(attempts.begin(address));
        }
        assert!(!attempts.begin("2001:db8:1:2:ffff::1".parse().unwrap()));
        assert!(attempts.begin("2001:db8:1:3::1".parse().unwrap()));
    }
}
