//! What is worth knowing of a device without being a fault of it.
//!
//! Decides what an operator would want to be told; refuses to move work for any of it.

use std::fmt;

use crate::telemetry::Reading;

/// Something that an operator may want to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Under load the link to the host has fewer lanes than device and slot can do.
    NarrowLink {
        /// In use.
        lanes: u32,
        /// The most that there could be.
        lanes_max: u32,
    },
    /// Under load the link to the host is of an older generation than device and slot can do.
    SlowLink {
        /// In use.
        generation: u32,
        /// The best that there could be.
        generation_max: u32,
    },
    /// Correcting memory errors is switched on or off by the next restart.
    EccChange {
        /// Whether it will be on.
        enabled: bool,
    },
    /// Cutting the device into partitions is switched on or off by the next reset.
    PartitionChange {
        /// Whether it will be cut.
        enabled: bool,
    },
}

impl Reading {
    /// What speaks neither for nor against work on the device. Like a verdict, of this reading
    /// alone.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        // An idle link sleeps: fewer lanes and an older generation then save power.
        if self.utilisation_percent.is_some_and(|p| p >= BUSY_PERCENT) {
            let pcie = &self.pcie;
            if let Some((lanes, lanes_max)) = less(pcie.lanes, pcie.lanes_max) {
                notes.push(Note::NarrowLink { lanes, lanes_max });
            }
            if let Some((generation, generation_max)) = less(pcie.generation, pcie.generation_max) {
                notes.push(Note::SlowLink {
                    generation,
                    generation_max,
                });
            }
        }
        let faults = &self.faults;
        if let Some(enabled) = change(faults.ecc_enabled, faults.ecc_enabled_pending) {
            notes.push(Note::EccChange { enabled });
        }
        let modes = &self.modes;
        if let Some(enabled) = change(modes.partitioned, modes.partitioned_pending) {
            notes.push(Note::PartitionChange { enabled });
        }
        notes
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |enabled| if enabled { "on" } else { "off" };
        match *self {
            Self::NarrowLink { lanes, lanes_max } => write!(
                f,
                "its PCIe link runs {lanes} of {lanes_max} lanes under load"
            ),
            Self::SlowLink {
                generation,
                generation_max,
            } => write!(
                f,
                "its PCIe link runs generation {generation} of {generation_max} under load"
            ),
            Self::EccChange { enabled } => {
                write!(f, "ECC is switched {} by the next restart", on(enabled))
            }
            Self::PartitionChange { enabled } => write!(
                f,
                "partitioning (MIG) is switched {} by the next reset",
                on(enabled)
            ),
        }
    }
}

fn less(now: Option<u32>, most: Option<u32>) -> Option<(u32, u32)> {
    now.zip(most).filter(|&(now, most)| now > 0 && now < most)
}

fn change(now: Option<bool>, pending: Option<bool>) -> Option<bool> {
    let (now, pending) = now.zip(pending)?;
    (now != pending).then_some(pending)
}

/// Less than this leaves the link time to sleep between two transfers.
const BUSY_PERCENT: f32 = 50.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_of_load_and_of_changes_to_come() {
        fn check(change: impl FnOnce(&mut Reading), expect: &[&str]) {
            let mut reading = Reading::default();
            change(&mut reading);
            let told: Vec<String> = reading.notes().iter().map(ToString::to_string).collect();
            assert_eq!(told, expect);
        }
        let narrow = |busy| {
            move |r: &mut Reading| {
                r.utilisation_percent = Some(busy);
                (r.pcie.lanes, r.pcie.lanes_max) = (Some(8), Some(16));
                (r.pcie.generation, r.pcie.generation_max) = (Some(3), Some(5));
            }
        };
        check(|_| (), &[]);
        check(narrow(49.0), &[]);
        check(
            narrow(97.0),
            &[
                "its PCIe link runs 8 of 16 lanes under load",
                "its PCIe link runs generation 3 of 5 under load",
            ],
        );
        check(
            |r| {
                r.faults.ecc_enabled = Some(true);
                r.faults.ecc_enabled_pending = Some(true);
                r.modes.partitioned_pending = Some(true);
            },
            &[],
        );
        check(
            |r| {
                r.faults.ecc_enabled = Some(true);
                r.faults.ecc_enabled_pending = Some(false);
                r.modes.partitioned = Some(false);
                r.modes.partitioned_pending = Some(true);
            },
            &[
                "ECC is switched off by the next restart",
                "partitioning (MIG) is switched on by the next reset",
            ],
        );
    }
}
