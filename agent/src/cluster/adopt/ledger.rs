//! What this node knows of adoptions: whether it waits for one, which are under way, and which were.
//!
//! Decides who may begin, and what a person's word changes. It outlives the membership in which an adoption
//! began: whoever asks afterwards is told how it ended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::tries::{TooMany, Tries};
use super::{Adoption, AdoptionError, AdoptionRole, AdoptionState, Offer};
use crate::cluster::Inner;
use crate::keys::unix_now_s;
use crate::limits::{ADOPT_AT_ONCE, ADOPT_REMEMBERED};
use crate::net::Stranger;
use crate::pki::Code;

/// Everything about adoptions on this node.
#[derive(Debug)]
pub(in crate::cluster) struct Adoptions {
    ledger: Mutex<Ledger>,
    cluster: Arc<OnceLock<Weak<Inner>>>,
}

#[derive(Debug, Default)]
struct Ledger {
    /// The newest first: no more than `ADOPT_REMEMBERED`.
    records: VecDeque<Kept>,
    until: Option<(Instant, u64)>,
    closed_because: Option<String>,
    /// Somebody is exchanging numbers with this node; people have no digits yet.
    meeting: bool,
    /// Connections over which this node is being adopted, or was a moment ago: the last word of it is under way.
    talking: usize,
    answering: Tries,
    calling: Tries,
}

#[derive(Debug)]
struct Kept {
    shown: Adoption,
    decision: watch::Sender<Decision>,
}

/// What the person here has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    None,
    Yes,
    No,
}

/// An adoption, for whoever carries it out.
#[derive(Debug)]
pub(super) struct Record {
    adoptions: Arc<Adoptions>,
    id: String,
    pub(super) decision: watch::Receiver<Decision>,
}

/// Somebody exchanges numbers with this node. Nobody else does meanwhile.
#[derive(Debug)]
pub(super) struct Meeting(Arc<Adoptions>);

/// A connection over which this node is being adopted is open.
#[derive(Debug)]
pub(super) struct Talking(Arc<Adoptions>);

impl Adoptions {
    pub(in crate::cluster) fn new(cluster: Arc<OnceLock<Weak<Inner>>>) -> Arc<Self> {
        Arc::new(Self {
            ledger: Mutex::default(),
            cluster,
        })
    }

    /// Whether this node waits to be adopted.
    pub(in crate::cluster) fn is_offered(&self) -> bool {
        self.lock().is_open()
    }

    /// Whether a connection is needed on which this node is being adopted.
    pub(in crate::cluster) fn is_busy(&self) -> bool {
        let ledger = self.lock();
        ledger.is_open() || ledger.meeting || ledger.talking > 0
    }

    /// Until the guard is dropped, the connection of an adoption is needed.
    pub(super) fn talk(self: &Arc<Self>) -> Talking {
        self.lock().talking += 1;
        Talking(self.clone())
    }

    pub(super) fn cluster(&self) -> Option<Arc<Inner>> {
        self.cluster.get().and_then(Weak::upgrade)
    }

    pub(super) fn open(&self, until: Instant, time: Duration) {
        let mut ledger = self.lock();
        ledger.until = Some((until, unix_now_s().saturating_add(time.as_secs())));
        ledger.closed_because = None;
        ledger.answering.renew();
    }

    pub(in crate::cluster) fn close(&self, because: Option<&str>) {
        let mut ledger = self.lock();
        ledger.until = None;
        ledger.closed_because = because.map(str::to_owned);
    }

    pub(super) fn offer(&self) -> Offer {
        let ledger = self.lock();
        let open = ledger.is_open();
        Offer {
            open,
            until_unix_s: ledger.until.filter(|_| open).map(|(_, unix_s)| unix_s),
            tries_left: ledger.answering.left(),
            why: ledger.closed_because.clone(),
        }
    }

    /// Lets somebody begin to exchange numbers with this node; why not, in words for them.
    pub(super) fn meet(self: &Arc<Self>, alone: bool, now: Instant) -> Result<Meeting, String> {
        let mut ledger = self.lock();
        if !ledger.is_open() || !alone {
            return Err("it does not wait to be adopted; `skep join --wait` there lets it".into());
        }
        if ledger.meeting || ledger.live(AdoptionRole::Adopted) > 0 {
            return Err(
                "digits are being compared with somebody else; refuse that there first".into(),
            );
        }
        match ledger.answering.begin(now) {
            Ok(()) => {}
            Err(TooMany::Wait(time)) => {
                let seconds = time.as_secs() + 1;
                return Err(format!("it was tried too often; again in {seconds} s"));
            }
            Err(TooMany::Spent) => {
                ledger.until = None;
                ledger.closed_because = Some(SPENT.to_owned());
                return Err(SPENT.to_owned());
            }
        }
        ledger.meeting = true;
        Ok(Meeting(self.clone()))
    }

    /// Whether a person here may begin to adopt somebody.
    pub(super) fn may_call(&self, now: Instant) -> Result<(), AdoptionError> {
        let mut ledger = self.lock();
        if ledger.live(AdoptionRole::Adopter) >= ADOPT_AT_ONCE {
            return Err(AdoptionError::Busy);
        }
        ledger
            .calling
            .begin_by_person(now)
            .map_err(|why| match why {
                TooMany::Wait(time) => AdoptionError::TooSoon(time.as_secs() + 1),
                TooMany::Spent => AdoptionError::Busy,
            })
    }

    /// Digits are there to be compared. None when too many are under way.
    pub(super) fn take_up(
        self: &Arc<Self>,
        role: AdoptionRole,
        stranger: &Stranger,
        code: &Code,
    ) -> Option<(Adoption, Record)> {
        let mut ledger = self.lock();
        if ledger.live(role) >= ADOPT_AT_ONCE {
            return None;
        }
        let mut id = [0; 8];
        getrandom::fill(&mut id).ok()?;
        let shown = Adoption {
            id: id.iter().map(|byte| format!("{byte:02x}")).collect(),
            role,
            state: AdoptionState::Comparing,
            code: code.to_string(),
            name: stranger.name.clone(),
            node: stranger.node.to_string(),
            version: stranger.software.clone(),
            address: stranger.address,
            started_unix_s: unix_now_s(),
            confirmed_here: false,
            confirmed_there: false,
            why: None,
        };
        let (decision, decided) = watch::channel(Decision::None);
        ledger.records.push_front(Kept {
            shown: shown.clone(),
            decision,
        });
        while ledger.records.len() > ADOPT_REMEMBERED {
            let over = ledger
                .records
                .iter()
                .rposition(|kept| kept.shown.state.is_over());
            // Fewer than are remembered are ever under way.
            ledger.records.remove(over?);
        }
        let record = Record {
            adoptions: self.clone(),
            id: shown.id.clone(),
            decision: decided,
        };
        Some((shown, record))
    }

    pub(super) fn list(&self) -> Vec<Adoption> {
        let ledger = self.lock();
        ledger
            .records
            .iter()
            .map(|kept| kept.shown.clone())
            .collect()
    }

    pub(super) fn find(&self, id: &str) -> Result<Adoption, AdoptionError> {
        let ledger = self.lock();
        let found = ledger.records.iter().find(|kept| kept.shown.id == id);
        found
            .map(|kept| kept.shown.clone())
            .ok_or_else(|| unknown(id))
    }

    /// What a person says of it. One that is over is forgotten when they want it no more.
    pub(super) fn decide(&self, id: &str, yes: bool) -> Result<Adoption, AdoptionError> {
        let mut ledger = self.lock();
        let place = ledger.records.iter().position(|kept| kept.shown.id == id);
        let place = place.ok_or_else(|| unknown(id))?;
        let kept = ledger.records.get_mut(place).ok_or_else(|| unknown(id))?;
        let mut shown = kept.shown.clone();
        match (shown.state.is_over(), yes) {
            (true, true) => {
                let why = shown.why.unwrap_or_else(|| "it has joined".to_owned());
                return Err(AdoptionError::Over(why));
            }
            (true, false) => {
                ledger.records.remove(place);
            }
            (false, true) => {
                kept.decision.send_replace(Decision::Yes);
                kept.shown.state = AdoptionState::Confirmed;
                kept.shown.confirmed_here = true;
                shown = kept.shown.clone();
            }
            (false, false) => {
                kept.decision.send_replace(Decision::No);
            }
        }
        Ok(shown)
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    fn is_open(&self) -> bool {
        self.until.is_some_and(|(until, _)| Instant::now() < until)
    }

    fn live(&self, role: AdoptionRole) -> usize {
        let live = |kept: &&Kept| kept.shown.role == role && !kept.shown.state.is_over();
        self.records.iter().filter(live).count()
    }
}

impl Record {
    pub(super) fn adoptions(&self) -> &Arc<Adoptions> {
        &self.adoptions
    }

    pub(super) fn confirmed_there(&self) {
        self.change(|shown| shown.confirmed_there = true);
    }

    /// Nothing more comes of it.
    pub(super) fn end(&self, state: AdoptionState, why: Option<String>) {
        self.change(|shown| {
            shown.state = state;
            shown.why = why;
        });
    }

    fn change(&self, change: impl FnOnce(&mut Adoption)) {
        let mut ledger = self.adoptions.lock();
        let kept = ledger.records.iter_mut();
        if let Some(kept) = kept.into_iter().find(|kept| kept.shown.id == self.id) {
            change(&mut kept.shown);
        }
    }
}

impl Drop for Record {
    /// Whoever carried it out is gone without a word.
    fn drop(&mut self) {
        self.change(|shown| {
            if !shown.state.is_over() {
                shown.state = AdoptionState::Failed;
                shown.why = Some("it broke off".to_owned());
            }
        });
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        self.0.lock().meeting = false;
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        self.0.lock().talking -= 1;
    }
}

fn unknown(id: &str) -> AdoptionError {
    AdoptionError::Unknown(id.escape_debug().take(32).collect())
}

/// Said to whoever tries, and to the person here.
const SPENT: &str = "it was tried too often, by somebody else perhaps; `skep join --wait` lets it be tried anew, \
                     and a token (`skep token new`) needs no digits";
