//! What each core was told, to be told again.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use skep_core::membership::{Membership, Peer, Rejected};
use skep_core::{NodeId, Time};

/// One thing that a core was told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// When, after the start of the run.
    pub at: Duration,
    /// Which core, by its place.
    pub place: usize,
    /// What.
    pub told: Told,
}

/// Everything that the world does to a core.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Told {
    /// It begins a life.
    Start { me: Peer, seed: u64 },
    /// It ends without a word.
    Stop,
    /// The cluster has this member.
    Admit(Peer),
    /// The cluster has it no more.
    Dismiss(NodeId),
    /// A datagram came.
    Datagram { from: NodeId, bytes: Vec<u8> },
    /// Time passed.
    Timeout,
    /// It is to say good-bye.
    Leave,
    /// It is reached elsewhere now.
    Move(SocketAddr),
}

/// All entries of a run, in order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Log {
    entries: Vec<Entry>,
}

impl Log {
    pub(crate) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// The log as a file holds it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// Reads what [`Log::to_bytes`] gave.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        postcard::from_bytes(bytes).context("this is no log of a simulation")
    }

    /// Tells fresh cores the same again and hands each step with what came of it to `see`.
    ///
    /// # Errors
    /// When the log tells a core something that was never started.
    pub fn replay(&self, mut see: impl FnMut(&Entry, &mut Membership)) -> Result<()> {
        let mut cores: Vec<Option<Membership>> = Vec::new();
        for entry in &self.entries {
            if entry.place >= PLACES_MAX {
                bail!("a core has the place {}; the log is damaged", entry.place);
            }
            if cores.len() <= entry.place {
                cores.resize_with(entry.place + 1, || None);
            }
            let Some(core) = cores.get_mut(entry.place) else {
                continue;
            };
            // What was refused then is refused again.
            let _ = tell(core, Time(entry.at), &entry.told);
            match core {
                Some(core) => see(entry, core),
                None if matches!(entry.told, Told::Stop) => {}
                None => bail!(
                    "the core {} is told something before its start",
                    entry.place
                ),
            }
        }
        Ok(())
    }
}

/// Does to a core what an entry says; fails when it would not hear a datagram.
pub(crate) fn tell(core: &mut Option<Membership>, now: Time, told: &Told) -> Result<(), Rejected> {
    match (told, core) {
        (Told::Start { me, seed }, core) => *core = Some(Membership::new(me.clone(), *seed)),
        (Told::Stop, core) => *core = None,
        (_, None) => {}
        (Told::Admit(peer), Some(core)) => core.admit(now, peer.clone()),
        (Told::Dismiss(node), Some(core)) => core.dismiss(now, *node),
        (Told::Datagram { from, bytes }, Some(core)) => {
            return core.handle_datagram(now, *from, bytes);
        }
        (Told::Timeout, Some(core)) => core.handle_timeout(now),
        (Told::Leave, Some(core)) => core.leave(now),
        (Told::Move(address), Some(core)) => core.move_to(now, *address),
    }
    Ok(())
}

/// More than any run has.
const PLACES_MAX: usize = 4_096;
