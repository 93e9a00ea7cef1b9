//! One piece of a request's work: where it runs, and where it goes when that place is lost.
//!
//! Decides when work is given up: a request that gains nothing on replica after replica may be what ends them. Refuses
//! to know how a place is found (`replay` does) and what is still to be done (`progress` does).

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use skep_core::{Input, ReplicaId};
use tokio::sync::OwnedSemaphorePermit;

use super::progress::{Progress, Rest};
use super::replay::{Moving, Search};
use super::{FIRST_ELSEWHERE, RouteError, Shape, Slot};
use crate::fleet::Exchange;
use crate::host::scheduler::Choice;
use crate::limits::{MOVES_FRUITLESS_MAX, MOVES_MAX, REPLAY_TOKENS_MAX};
use crate::protocol::{Error, Event, Work};
use crate::scheduling::Decision;

/// A piece of work under way. Dropping it cancels it.
#[derive(Debug)]
pub(super) struct Task {
    progress: Progress,
    place: Place,
    /// Where it last ran; none before the first place.
    replica: Option<u64>,
    /// Why it is not there any more.
    lost: String,
    /// How often it was moved.
    moves: u32,
    /// How often since it last gained anything.
    fruitless: u32,
    /// Held by a suspect until it gains something: the others wait for that.
    turn: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
enum Place {
    Running(Exchange),
    Moving(Moving),
    Over,
}

impl Task {
    /// Work that a replica has taken.
    pub(super) fn running(work: Arc<Work>, exchange: Exchange, replica: u64) -> Self {
        Self::new(work, Place::Running(exchange), Some(replica), String::new())
    }

    /// Work that no replica has taken yet, for a reason that passes.
    pub(super) fn waiting(work: Arc<Work>, slot: &Slot, shape: Shape, why: &RouteError) -> Self {
        let lost = why.to_string();
        let moving = slot.router().seek(Search {
            model: slot.model().clone(),
            work: work.clone(),
            shape,
            lost: lost.clone(),
            suspect: false,
            reload: true,
        });
        Self::new(work, Place::Moving(moving), None, lost)
    }

    fn new(work: Arc<Work>, place: Place, replica: Option<u64>, lost: String) -> Self {
        Self {
            progress: Progress::new(work),
            place,
            replica,
            lost,
            moves: 0,
            fruitless: 0,
            turn: None,
        }
    }

    /// Whether everything of it is said.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.place, Place::Over)
    }

    /// Whether it waits for a place.
    pub(super) fn is_moving(&self) -> bool {
        matches!(self.place, Place::Moving(_))
    }

    /// What happens next; the last event is `Done` or `Failed`. Must not be called once it is over.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        slot: &mut Slot,
        shape: Shape,
    ) -> Poll<Event> {
        loop {
            let event = match &mut self.place {
                Place::Running(exchange) => match ready!(exchange.poll_recv(context)) {
                    Some(Event::Failed(Error::Lost(why))) => match self.leave(why, slot, shape) {
                        None => continue,
                        Some(last) => last,
                    },
                    Some(event) => event,
                    // An exchange ends with an event; without one the answer is not whole.
                    None => silence(),
                },
                Place::Moving(moving) => match ready!(moving.poll(context)) {
                    Ok(found) => {
                        self.turn = found.turn;
                        self.place = Place::Running(found.exchange);
                        self.arrive(found.replica, &found.decision, slot);
                        continue;
                    }
                    Err(why) => Event::Failed(Error::Lost(why)),
                },
                Place::Over => silence(),
            };
            return Poll::Ready(self.take_in(event));
        }
    }

    /// Its replica is lost. Returns the last event if it does not go on.
    fn leave(&mut self, why: String, slot: &Slot, shape: Shape) -> Option<Event> {
        self.turn = None;
        let model = slot.model();
        let give_up = |what: String| Some(Event::Failed(Error::Lost(format!("{why}; {what}"))));
        let work = match self.progress.rest() {
            Rest::Work(work) => work,
            Rest::Nothing(usage) => return Some(Event::Done(usage)),
            Rest::TooLong => {
                return give_up(format!(
                    "more than {REPLAY_TOKENS_MAX} tokens were generated, and such an answer cannot be continued: \
                     send the request again with a smaller `max_tokens`"
                ));
            }
        };
        if self.fruitless >= MOVES_FRUITLESS_MAX {
            return give_up(format!(
                "the request was taken up again {} times and gained nothing, so it may itself be what ends the \
                 workers of `{model}`: see `skep logs`, and send it again with another prompt or settings",
                self.fruitless
            ));
        }
        if self.moves >= MOVES_MAX {
            return give_up(format!(
                "the request was moved {MOVES_MAX} times already: see in `skep logs` why the workers of `{model}` end, \
                 then send it again"
            ));
        }
        let moving = slot.router().seek(Search {
            model: model.clone(),
            work,
            shape,
            lost: why.clone(),
            suspect: self.fruitless > 0,
            reload: self
                .replica
                .is_some_and(|replica| replica >= FIRST_ELSEWHERE),
        });
        self.place = Place::Moving(moving);
        self.lost = why;
        None
    }

    /// A replica has taken it.
    fn arrive(&mut self, replica: u64, decision: &Decision<Choice>, slot: &mut Slot) {
        match self.replica.replace(replica) {
            None => {
                let policies = slot.router().shared.policies.clone();
                slot.decided(decision, &policies);
                slot.routed(replica);
            }
            Some(from) => {
                self.moves += 1;
                self.fruitless += 1;
                slot.router().count_moved();
                tracing::info!(
                    request = %slot.id(), model = %slot.model(), from, to = replica, lost = self.lost, policy = %decision.by,
                    "a request goes on elsewhere"
                );
                slot.moved(from, replica, std::mem::take(&mut self.lost));
            }
        }
        slot.router().tell(Input::Started {
            request: slot.id(),
            replica: ReplicaId(replica),
        });
    }

    fn take_in(&mut self, event: Event) -> Event {
        if self.progress.note(&event) {
            self.fruitless = 0;
            self.turn = None;
        }
        if !event.is_last() {
            return event;
        }
        self.place = Place::Over;
        self.turn = None;
        match event {
            Event::Done(usage) => Event::Done(self.progress.used(usage)),
            event => event,
        }
    }
}

fn silence() -> Event {
    let why = "the replica ended the answer without a word";
    Event::Failed(Error::Other(why.to_owned()))
}
