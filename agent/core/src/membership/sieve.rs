//! What of a datagram is let in.
//!
//! Decides that a node speaks for itself alone, that only admitted nodes are spoken of and their lives
//! only so far ahead as they may have come meanwhile, and that what does not parse to its end is
//! refused whole. Refuses to know what SWIM makes of the rest.
//!
//! The layout is foca's: a header; where the message carries updates, a big-endian count of two
//! bytes and as many members; all of it `postcard`. We attach nothing of our own behind it.

use foca::{Header, Member, Message, State};

use super::Rejected;
use super::peer::Peer;
use crate::ids::NodeId;
use crate::limits::{CLAIM_MAX, GENERATION_MAX, LIVES_AHEAD_MAX};

/// A datagram as it may go to foca.
#[derive(Debug)]
pub(super) struct Sifted {
    pub(super) bytes: Vec<u8>,
    /// The sender, as it says of itself.
    pub(super) from: Peer,
    /// It answers a probe of ours.
    pub(super) answer: bool,
    /// The latest life of ours that the sender believes to be over, or to be ours.
    pub(super) ourselves: Option<Peer>,
}

/// Lets through what `from` may say to `me`. `lives` gives the generation in which an admitted node
/// last spoke itself, 0 if it did not yet.
pub(super) fn sift(
    bytes: &[u8],
    from: NodeId,
    me: &Peer,
    lives: impl Fn(NodeId) -> Option<u64>,
) -> Result<Sifted, Rejected> {
    let (header, rest): (Header<Peer>, &[u8]) =
        postcard::take_from_bytes(bytes).map_err(|_| Rejected::Malformed)?;
    if header.src.node != from || from == me.node {
        return Err(Rejected::Impostor);
    }
    if header.dst.node != me.node {
        return Err(Rejected::Astray);
    }
    let spoken_of = match &header.message {
        Message::PingReq { target, .. } | Message::IndirectAck { target, .. } => Some(target),
        Message::IndirectPing { origin, .. } | Message::ForwardedAck { origin, .. } => Some(origin),
        Message::Ping(_)
        | Message::Ack(_)
        | Message::Announce
        | Message::Feed
        | Message::Gossip
        | Message::Broadcast
        | Message::TurnUndead => None,
    };
    let known = |peer: &Peer| {
        lives(peer.node).is_some_and(|spoke| near(peer, spoke)) && peer.is_reachable()
    };
    let speaks = lives(header.src.node).is_some()
        && header.src.is_reachable()
        && header.src.generation <= GENERATION_MAX;
    if !speaks || spoken_of.is_some_and(|peer| !known(peer)) {
        return Err(Rejected::Stranger);
    }
    let head = bytes.len() - rest.len();
    let mut sifted = Sifted {
        bytes: bytes.get(..head).unwrap_or_default().to_vec(),
        answer: matches!(
            header.message,
            Message::Ack(_) | Message::ForwardedAck { .. }
        ),
        from: header.src,
        ourselves: None,
    };
    if let Some((count, members)) = rest.split_first_chunk::<2>() {
        sifted.updates(u16::from_be_bytes(*count), members, me, known)?;
    } else if !rest.is_empty() {
        return Err(Rejected::Malformed);
    }
    Ok(sifted)
}

impl Sifted {
    /// Copies the updates that may be heard.
    fn updates(
        &mut self,
        count: u16,
        mut rest: &[u8],
        me: &Peer,
        known: impl Fn(&Peer) -> bool,
    ) -> Result<(), Rejected> {
        let tally = self.bytes.len();
        self.bytes.extend([0; 2]);
        let mut kept = 0_u16;
        for _ in 0..count {
            let before = rest;
            let (member, after): (Member<Peer>, &[u8]) =
                postcard::take_from_bytes(rest).map_err(|_| Rejected::Malformed)?;
            rest = after;
            let peer = member.id();
            let ours = peer.node == me.node;
            let over = peer == me && member.state() == State::Down;
            if over || ours && peer.is_later_than(me) {
                let latest = self.ourselves.as_ref();
                if peer.generation <= CLAIM_MAX && latest.is_none_or(|o| peer.is_later_than(o)) {
                    self.ourselves = Some(peer.clone());
                }
            } else if ours || known(peer) {
                let taken = before.len() - after.len();
                self.bytes.extend(before.get(..taken).unwrap_or_default());
                kept += 1;
            }
        }
        if !rest.is_empty() {
            return Err(Rejected::Malformed);
        }
        if let Some(place) = self.bytes.get_mut(tally..tally + 2) {
            place.copy_from_slice(&kept.to_be_bytes());
        }
        Ok(())
    }
}

/// Whether a node that last spoke in one generation may be in this one by now.
fn near(peer: &Peer, spoke: u64) -> bool {
    peer.generation <= spoke.saturating_add(LIVES_AHEAD_MAX)
}

/// A probe outside of the usual order that tells `to` what is held of it, so that its answer may set
/// that right.
pub(super) fn confront(me: Peer, to: Peer, held: &Member<Peer>) -> Option<Vec<u8>> {
    let header = Header {
        src: me,
        src_incarnation: 0,
        dst: to,
        message: Message::Ping(0),
    };
    let mut bytes = postcard::to_stdvec(&header).ok()?;
    bytes.extend(1_u16.to_be_bytes());
    postcard::to_extend(held, bytes).ok()
}
