//! The loop: messages in, steps, events out.
//!
//! Decides when a step is made, when what it yielded leaves, and when a plugin counts as stuck. A fault or an error of `step` ends it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::link::{Link, Lost};
use crate::host::{Fault, Model};
use crate::limits::{
    EMPTY_STEPS_MAX, EVENT_BYTES_HELD_MAX, EVENTS_HELD_MAX, HEARTBEAT, MESSAGES_BETWEEN_STEPS,
};
use crate::protocol::{Ending, Event, FromWorker, Tagged, ToWorker, WorkerStats};

/// Serves the model until it has to end. `Err` when the agent cannot be reached any more.
pub(super) fn drive(model: &mut Model, link: &mut Link) -> Result<Ending, Lost> {
    let mut driver = Driver {
        living: HashSet::new(),
        events: Vec::new(),
        draining: false,
        stats: WorkerStats::default(),
        empty_steps: 0,
        last_frame: Instant::now(),
        step_took: Duration::ZERO,
    };
    loop {
        match driver.turn(model, link)? {
            Turn::On => {}
            Turn::Over(ending) => return Ok(ending),
        }
    }
}

enum Turn {
    On,
    Over(Ending),
}

struct Driver {
    /// The requests that the plugin has.
    living: HashSet<u64>,
    /// What is not sent yet.
    events: Vec<Tagged>,
    draining: bool,
    stats: WorkerStats,
    /// Steps in a row that yielded nothing.
    empty_steps: u32,
    last_frame: Instant,
    step_took: Duration,
}

impl Driver {
    fn turn(&mut self, model: &mut Model, link: &mut Link) -> Result<Turn, Lost> {
        match self.listen(model, link)? {
            Ok(()) => {}
            Err(fault) => return self.end(link, fault.into()),
        }
        if !self.living.is_empty() {
            match self.step(model) {
                Ok(()) => {}
                Err(ending) => return self.end(link, ending),
            }
        }
        for line in model.take_lines() {
            link.send(&FromWorker::Log(line))?;
        }
        if let Err(fault) = self.report(model, link)? {
            return self.end(link, fault.into());
        }
        link.flush()?;
        if self.draining && self.living.is_empty() {
            return Ok(Turn::Over(Ending::Drained));
        }
        Ok(Turn::On)
    }

    /// Takes messages: the first one waits while there is nothing else to do.
    fn listen(&mut self, model: &mut Model, link: &mut Link) -> Result<Result<(), Fault>, Lost> {
        let mut taken = 0;
        if self.living.is_empty() && !self.draining {
            let message = link.wait()?;
            taken += 1;
            if let Err(fault) = self.handle(message, model, link)? {
                return Ok(Err(fault));
            }
        }
        while taken < MESSAGES_BETWEEN_STEPS
            && let Some(message) = link.poll()?
        {
            taken += 1;
            if let Err(fault) = self.handle(message, model, link)? {
                return Ok(Err(fault));
            }
        }
        if taken > 0 && !self.events.is_empty() {
            // What came may make the next step a long one.
            if let Err(fault) = self.tell(model, link)? {
                return Ok(Err(fault));
            }
            link.flush()?;
        }
        Ok(Ok(()))
    }

    fn handle(
        &mut self,
        message: ToWorker,
        model: &mut Model,
        link: &mut Link,
    ) -> Result<Result<(), Fault>, Lost> {
        match message {
            ToWorker::Submit { request, work } => {
                match model.submit(request, Arc::unwrap_or_clone(work)) {
                    Ok(Ok(())) => {
                        self.living.insert(request);
                    }
                    Ok(Err(refusal)) => self.events.push(Tagged {
                        request,
                        event: Event::Failed(refusal),
                    }),
                    Err(fault) => return Ok(Err(fault)),
                }
            }
            ToWorker::Cancel { request } if self.living.contains(&request) => {
                if let Err(fault) = model.cancel(request) {
                    return Ok(Err(fault));
                }
            }
            ToWorker::Cancel { .. } => {}
            ToWorker::Tokenize { call, text } => match model.tokenize(&text) {
                Ok(result) => link.send(&FromWorker::Tokens { call, result })?,
                Err(fault) => return Ok(Err(fault)),
            },
            ToWorker::Detokenize { call, tokens } => match model.detokenize(&tokens) {
                Ok(result) => link.send(&FromWorker::Text { call, result })?,
                Err(fault) => return Ok(Err(fault)),
            },
            ToWorker::Stats { call } => {
                link.send(&FromWorker::Stats {
                    call,
                    stats: self.stats_of(model),
                })?;
            }
            ToWorker::Drain => self.draining = true,
            ToWorker::Hello { .. } | ToWorker::Open(_) => {
                return Err(Lost::Protocol("the agent opened a second time"));
            }
        }
        Ok(Ok(()))
    }

    fn step(&mut self, model: &mut Model) -> Result<(), Ending> {
        let started = Instant::now();
        let before = self.events.len();
        let result = model.step(&mut self.events)?;
        self.step_took = started.elapsed();
        self.stats.steps += 1;
        self.stats.step_us += u64::try_from(self.step_took.as_micros()).unwrap_or_default();
        if let Err(error) = result {
            return Err(Ending::Fault(format!("the plugin gave up: {error}")));
        }
        let new = self.events.get(before..).unwrap_or_default();
        self.empty_steps = if new.is_empty() {
            self.empty_steps + 1
        } else {
            0
        };
        for tagged in new {
            if tagged.event.is_last() {
                self.living.remove(&tagged.request);
            }
        }
        if self.empty_steps > EMPTY_STEPS_MAX {
            return Err(Ending::Fault(format!(
                "the plugin yielded nothing in {EMPTY_STEPS_MAX} steps while {} requests waited",
                self.living.len()
            )));
        }
        Ok(())
    }

    /// Whether what happened can wait for the next step's: another comes so soon that nobody sees the difference, while
    /// waking the agent costs a part of it.
    fn may_hold(&self) -> bool {
        let soon = self.last_frame.elapsed() + self.step_took < EVENTS_HELD_MAX;
        let events = || self.events.iter().map(|tagged| &tagged.event);
        soon && !self.living.is_empty()
            && !events().any(Event::is_last)
            && events().map(Event::size_bytes).sum::<usize>() < EVENT_BYTES_HELD_MAX
    }

    /// One frame for everything that happened, or a sign of life during a long prompt.
    fn report(&mut self, model: &mut Model, link: &mut Link) -> Result<Result<(), Fault>, Lost> {
        let quiet = self.events.is_empty();
        if quiet && (self.living.is_empty() || self.last_frame.elapsed() < HEARTBEAT) {
            return Ok(Ok(()));
        }
        if !quiet && self.may_hold() {
            return Ok(Ok(()));
        }
        self.tell(model, link)
    }

    fn tell(&mut self, model: &mut Model, link: &mut Link) -> Result<Result<(), Fault>, Lost> {
        let load = match model.load() {
            Ok(load) => load,
            Err(fault) => return Ok(Err(fault)),
        };
        self.last_frame = Instant::now();
        link.send(&FromWorker::Events {
            events: std::mem::take(&mut self.events),
            load,
        })?;
        Ok(Ok(()))
    }

    /// What was yielded before the end still reaches its requests.
    fn end(&mut self, link: &mut Link, ending: Ending) -> Result<Turn, Lost> {
        if !self.events.is_empty() {
            let events = std::mem::take(&mut self.events);
            link.send(&FromWorker::Events {
                events,
                load: crate::protocol::Load::default(),
            })?;
        }
        Ok(Turn::Over(ending))
    }

    fn stats_of(&self, model: &Model) -> WorkerStats {
        WorkerStats {
            steps: self.stats.steps,
            step_us: self.stats.step_us,
            ..model.memory()
        }
    }
}
