//! What the driver reports of one device by itself, between samples: Xid errors and memory errors.
//!
//! Decides how reports are collected and how long an Xid is kept; refuses to know what one means
//! ([`crate::telemetry::verdict`] does). Nothing is waited for: each sample takes what has come.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device as NvmlDevice, EventSet, Nvml};

use crate::telemetry::Xid;

/// The reports of one device.
#[derive(Default)]
pub(super) struct Events {
    state: State,
    xids: Vec<Xid>,
}

#[derive(Default)]
enum State {
    /// Not asked for yet, or not again since the device was gone.
    #[default]
    Deaf,
    /// Reports come here.
    Listening(EventSet<'static>),
    /// The driver does not report this device's.
    Refused,
}

impl Events {
    /// Takes in what was reported since the last time, also of a device that answers no more.
    /// Tells whether memory may have failed.
    pub(super) fn take(
        &mut self,
        nvml: &'static Nvml,
        device: Option<&NvmlDevice<'static>>,
    ) -> bool {
        if let (State::Deaf, Some(device)) = (&self.state, device) {
            self.state = listen(nvml, device);
        }
        let State::Listening(set) = &self.state else {
            return false;
        };
        let mut memory = false;
        for _ in 0..REPORTS_PER_SAMPLE {
            match set.wait(0) {
                Ok(event) => {
                    memory |= event.event_type.intersects(MEMORY);
                    if let Some(error) = event.event_data {
                        memory = true;
                        keep(&mut self.xids, number(&error), unix_now_s());
                    }
                }
                Err(NvmlError::Timeout) => break,
                Err(_) => {
                    self.state = State::Deaf;
                    break;
                }
            }
        }
        memory
    }

    /// The device was gone and is back, or its driver was loaded anew: what was reported before
    /// says nothing of it now.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// What was reported, oldest first.
    pub(super) fn xids(&self) -> &[Xid] {
        &self.xids
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("xids", &self.xids)
            .finish_non_exhaustive()
    }
}

fn listen(nvml: &'static Nvml, device: &NvmlDevice<'static>) -> State {
    let wanted = EventTypes::CRITICAL_XID_ERROR | MEMORY;
    let registered = |types| {
        let set = nvml.create_event_set().ok()?;
        device.register_events(types, set).ok()
    };
    // Cards without ECC refuse the one kind and report the other.
    registered(wanted)
        .or_else(|| registered(EventTypes::CRITICAL_XID_ERROR))
        .map_or(State::Refused, State::Listening)
}

fn keep(xids: &mut Vec<Xid>, number: u32, at_unix_s: u64) {
    if let Some(known) = xids.iter_mut().find(|known| known.number == number) {
        known.count = known.count.saturating_add(1);
        known.at_unix_s = at_unix_s;
        return;
    }
    if xids.len() >= XIDS_MAX {
        xids.remove(0);
    }
    xids.push(Xid {
        number,
        at_unix_s,
        count: 1,
    });
}

fn number(error: &XidError) -> u32 {
    match error {
        XidError::Value(number) => u32::try_from(*number).unwrap_or(u32::MAX),
        XidError::Unknown => UNKNOWN_XID,
    }
}

fn unix_now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

const MEMORY: EventTypes = EventTypes::DOUBLE_BIT_ECC_ERROR;

/// NVML's number for "an Xid that it cannot name".
const UNKNOWN_XID: u32 = 999;

/// A failing device reports in bursts; what is left comes with the next sample.
const REPORTS_PER_SAMPLE: usize = 32;

/// Kinds of Xid kept for one device; a device that shows so many is beyond doubt.
const XIDS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xids_are_counted_and_bounded() {
        let mut xids = Vec::new();
        for number in [31, 48, 31] {
            keep(&mut xids, number, u64::from(number));
        }
        let told: Vec<_> = xids.iter().map(|xid| (xid.number, xid.count)).collect();
        assert_eq!(told, [(31, 2), (48, 1)]);
        for number in 100..200 {
            keep(&mut xids, number, 0);
        }
        assert_eq!(xids.len(), XIDS_MAX);
        assert_eq!(xids.last().unwrap().number, 199);
    }
}
