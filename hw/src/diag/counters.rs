//! What a card and its driver count by themselves, before, during and after.
//!
//! Decides which changes speak against a card. Refuses to read anything by itself.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::report::Level;
use crate::telemetry::{Device, DeviceId, Fault, Reading, Throttle, Verdict};

/// What was read; nothing of a card that telemetry does not know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Before the first test.
    pub before: Option<Device>,
    /// After the last.
    pub after: Option<Device>,
    /// What held the clocks back at any look.
    pub throttles: BTreeSet<Throttle>,
    /// The hottest that the chip was.
    pub chip_max_celsius: Option<f32>,
    /// The hottest that the memory was.
    pub memory_max_celsius: Option<f32>,
    /// The most power that it drew.
    pub power_max_watts: Option<f32>,
    /// The best PCIe generation in use at any look.
    pub pcie_generation: Option<u32>,
    /// The most lanes in use at any look.
    pub pcie_lanes: Option<u32>,
    /// How often it was looked at.
    pub looks: u32,
}

impl Counters {
    pub(super) fn before(device: Option<Device>) -> Self {
        let mut counters = Self::default();
        counters.take(device.as_ref());
        counters.before = device;
        counters
    }

    pub(super) fn during(&mut self, device: Option<Device>) {
        self.take(device.as_ref());
        if device.is_some() {
            self.after = device;
        }
    }

    pub(super) fn after(&mut self, device: Option<Device>) {
        self.during(device);
    }

    pub(super) fn newest(&self) -> Option<&Device> {
        self.after.as_ref().or(self.before.as_ref())
    }

    /// The card's name that stays the same over restarts.
    pub(super) fn id(&self) -> Option<DeviceId> {
        self.newest().map(|device| device.identity.id.clone())
    }

    fn take(&mut self, device: Option<&Device>) {
        let Some(reading) = device.map(|device| &device.reading) else {
            return;
        };
        self.looks += 1;
        self.throttles
            .extend(reading.clocks.throttles.iter().flatten());
        let larger = |most: &mut Option<f32>, now: Option<f32>| {
            *most = most.map_or(now, |most| Some(now.map_or(most, |now| most.max(now))));
        };
        larger(&mut self.chip_max_celsius, reading.thermal.chip_celsius);
        larger(&mut self.memory_max_celsius, reading.thermal.memory_celsius);
        larger(&mut self.power_max_watts, reading.power.power_watts);
        self.pcie_generation = self.pcie_generation.max(reading.pcie.generation);
        self.pcie_lanes = self.pcie_lanes.max(reading.pcie.lanes);
    }
}

/// What speaks against the card.
pub(super) fn judge(counters: &Counters) -> Vec<(Level, String)> {
    let mut found = Vec::new();
    for throttle in &counters.throttles {
        let what = match throttle {
            Throttle::HardwareHeat => "its hardware slowed it because it was too hot",
            Throttle::Hardware => "its hardware slowed it",
            Throttle::PowerBrake => "the power supply's brake signal slowed it",
            Throttle::Heat => "its driver slowed it because it was hot",
            _ => continue,
        };
        let heat = counters
            .chip_max_celsius
            .map_or_else(String::new, |heat| format!(", at up to {heat:.0} °C"));
        found.push((Level::Suspect, format!("{what} during the test{heat}")));
    }
    let (Some(before), Some(after)) = (&counters.before, &counters.after) else {
        return found;
    };
    errors(&before.reading, &after.reading, &mut found);
    verdicts(before, after, &mut found);
    link(counters, &before.reading, &after.reading, &mut found);
    found
}

fn errors(before: &Reading, after: &Reading, found: &mut Vec<(Level, String)>) {
    let (before, after) = (&before.faults, &after.faults);
    let more = |before: Option<u64>, after: Option<u64>| {
        after?.checked_sub(before?).filter(|more| *more > 0)
    };
    let uncorrected = more(before.uncorrected, after.uncorrected)
        .or_else(|| more(before.uncorrected_lifetime, after.uncorrected_lifetime));
    if let Some(count) = uncorrected {
        let text = format!("{count} memory errors past mending during the test");
        found.push((Level::Bad, text));
    }
    if let Some(count) = more(before.corrected, after.corrected) {
        // Mending them is what ECC is for; many of them in minutes foretell those past mending.
        if count >= CORRECTED_SUSPECT {
            let text = format!("{count} mended memory errors during the test");
            found.push((Level::Suspect, text));
        }
    }
    if let Some(count) = more(before.retired, after.retired) {
        let text = format!("{count} pages or rows of memory were replaced during the test");
        found.push((Level::Suspect, text));
    }
}

/// What each reading is worth by itself.
fn verdicts(before: &Device, after: &Device, found: &mut Vec<(Level, String)>) {
    match &after.verdict {
        Verdict::Lost(why) => found.push((Level::Bad, format!("it was lost: {why}"))),
        Verdict::Degraded(faults) => {
            for fault in faults {
                use Fault::{
                    HardwareSlowdown, Heat, LinkDown, LinkErrors, PowerBrake, RetirementFailed,
                    RetirementPending, UncorrectedErrors, Xid,
                };
                let known = match &before.verdict {
                    Verdict::Degraded(known) => {
                        known.iter().any(|known| known.code() == fault.code())
                    }
                    Verdict::Healthy | Verdict::Lost(_) => false,
                };
                let level = match fault {
                    // The counters before and after tell these better.
                    Heat | PowerBrake | HardwareSlowdown | UncorrectedErrors { .. } => continue,
                    RetirementFailed => Level::Bad,
                    // Of what leads to another card, not of this one alone.
                    LinkDown { .. } | LinkErrors { .. } => Level::Suspect,
                    RetirementPending | Xid { .. } if known => Level::Suspect,
                    RetirementPending | Xid { .. } => Level::Bad,
                };
                let when = if known {
                    "already before"
                } else {
                    "during the test"
                };
                let seen = fault.evidence(&after.reading);
                found.push((level, format!("{fault}, {when} ({seen})")));
            }
        }
        Verdict::Healthy => {}
    }
    for xid in &after.reading.xids {
        let known = before
            .reading
            .xids
            .iter()
            .find(|known| known.number == xid.number);
        let grave = match &after.verdict {
            Verdict::Healthy => false,
            Verdict::Lost(_) => true,
            Verdict::Degraded(faults) => faults.contains(&Fault::Xid { number: xid.number }),
        };
        if known.is_none_or(|known| known.count < xid.count) && !grave {
            let text = format!("the driver reported Xid {} during the test", xid.number);
            found.push((Level::Suspect, text));
        }
    }
}

fn link(counters: &Counters, before: &Reading, after: &Reading, found: &mut Vec<(Level, String)>) {
    let more = before.pcie.replays.zip(after.pcie.replays);
    if let Some(count) = more.and_then(|(before, after)| after.checked_sub(before))
        && count >= REPLAYS_SUSPECT
    {
        let text = format!("{count} PCIe packets were sent again during the test");
        found.push((Level::Suspect, text));
    }
    let below =
        |now: Option<u32>, most: Option<u32>| now.zip(most).filter(|(now, most)| now < most);
    if let Some((now, most)) = below(counters.pcie_lanes, after.pcie.lanes_max) {
        let text = format!("its PCIe link has {now} lanes of {most}");
        found.push((Level::Suspect, text));
    }
    // When idle, a link is slower; one look may have met it idle.
    if counters.looks >= LOOKS_ENOUGH
        && let Some((now, most)) = below(counters.pcie_generation, after.pcie.generation_max)
    {
        let text = format!("its PCIe link never was faster than generation {now} of {most}");
        found.push((Level::Suspect, text));
    }
}

/// Mended errors in minutes that are more than chance: a sound card has a few in months.
const CORRECTED_SUSPECT: u64 = 10;

/// A link that is well sends nothing again; a few are noise.
const REPLAYS_SUSPECT: u64 = 10;

/// Looks of which one was surely under load.
const LOOKS_ENOUGH: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Xid;

    fn device() -> Device {
        serde_json::from_str(r#"{"identity":{"id":"GPU-1","vendor":"nvidia","index":0},"reading":{"memory":{},"power":{},"thermal":{},"clocks":{},"pcie":{},"faults":{}},"verdict":"healthy"}"#).unwrap()
    }

    fn check(
        before: impl FnOnce(&mut Reading),
        after: impl FnOnce(&mut Reading),
        expect: &[(Level, &str)],
    ) {
        let (mut first, mut last) = (device(), device());
        before(&mut first.reading);
        after(&mut last.reading);
        first.verdict = Verdict::of(&first.reading);
        last.verdict = Verdict::of(&last.reading);
        let mut counters = Counters::before(Some(first));
        counters.after(Some(last));
        let found = judge(&counters);
        let found: Vec<(Level, &str)> = found.iter().map(|(l, t)| (*l, t.as_str())).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn what_is_new_speaks_against_a_card() {
        use Level::{Bad, Suspect};
        let xid = |number, count| Xid {
            number,
            at_unix_s: 60,
            count,
        };
        check(|_| (), |_| (), &[]);
        check(
            |r| r.faults.uncorrected = Some(2),
            |r| r.faults.uncorrected = Some(2),
            &[],
        );
        check(
            |r| r.faults.uncorrected = Some(2),
            |r| r.faults.uncorrected = Some(5),
            &[(Bad, "3 memory errors past mending during the test")],
        );
        check(
            |r| r.faults.corrected = Some(0),
            |r| r.faults.corrected = Some(3),
            &[],
        );
        check(
            |r| r.clocks.throttles = Some(vec![Throttle::PowerLimit]),
            |r| {
                r.clocks.throttles = Some(vec![Throttle::HardwareHeat]);
                r.thermal.chip_celsius = Some(94.0);
            },
            &[(
                Suspect,
                "its hardware slowed it because it was too hot during the test, at up to 94 °C",
            )],
        );
        check(
            |_| (),
            |r| r.xids = vec![xid(31, 1)],
            &[(Suspect, "the driver reported Xid 31 during the test")],
        );
        check(
            |r| r.xids = vec![xid(31, 1)],
            |r| r.xids = vec![xid(31, 1)],
            &[],
        );
        check(
            |_| (),
            |r| r.xids = vec![xid(48, 1)],
            &[(
                Bad,
                "memory failed past mending (double-bit error) (Xid 48); needs a reset, during the test (Xid 48 at 00:01:00 UTC)",
            )],
        );
        check(
            |_| (),
            |r| r.lost = Some("GPU is lost".into()),
            &[(Bad, "it was lost: GPU is lost")],
        );
        check(
            |r| r.pcie.replays = Some(5),
            |r| {
                r.pcie.replays = Some(505);
                (r.pcie.lanes, r.pcie.lanes_max) = (Some(8), Some(16));
            },
            &[
                (Suspect, "500 PCIe packets were sent again during the test"),
                (Suspect, "its PCIe link has 8 lanes of 16"),
            ],
        );
    }
}
