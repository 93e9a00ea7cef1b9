//! What speaks against a device now.
//!
//! Decides what is added to the verdict of a reading: that there was none for a while, that a
//! model which was placed on the device computes elsewhere, and that workers ended by its faults.
//! Refuses to remember anything.

use std::time::{Duration, Instant};

use skep_hw::telemetry::{Device, Verdict};

use super::{Cause, Level};
use crate::fleet::{DeviceFaults, ReplicaStatus};
use crate::limits::{DEVICE_FAULT_SHOWN, DEVICE_FAULTS_MAX};

/// What its last reading shows.
pub(super) fn reading(device: &Device) -> Vec<Cause> {
    match &device.verdict {
        Verdict::Healthy => Vec::new(),
        Verdict::Lost(reason) => {
            let seen = device.verdict.evidence(&device.reading);
            let said = format!("the driver says: {reason}");
            vec![Cause {
                code: "lost".into(),
                level: Level::Lost,
                text: "it does not answer any more".into(),
                evidence: [Some(said), seen]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join("; "),
                hold: HOLD,
            }]
        }
        Verdict::Degraded(faults) => faults
            .iter()
            .map(|fault| Cause {
                code: fault.code(),
                level: Level::Degraded,
                text: fault.to_string(),
                evidence: fault.evidence(&device.reading),
                hold: HOLD,
            })
            .collect(),
    }
}

/// What follows from the age of that reading.
pub(super) fn silence(age: Duration, interval: Duration) -> Vec<Cause> {
    let of = |code: &str, level, text: &str| Cause {
        code: code.into(),
        level,
        text: text.into(),
        evidence: format!("the readings are {} s old", age.as_secs()),
        hold: HOLD,
    };
    let mut causes = Vec::new();
    if age >= interval + SILENT_AFTER {
        let text = "its driver does not answer, so what is shown is old";
        causes.push(of("silent", Level::Degraded, text));
    }
    if age >= interval + LOST_AFTER {
        let text = "its driver has not answered for so long that it counts as lost";
        causes.push(of("silent_long", Level::Lost, text));
    }
    causes
}

/// What a replica says against the device that it was placed on: that it computes on the processor
/// instead. A worker that has not opened its model yet says nothing.
pub(crate) fn fallback(replica: &ReplicaStatus) -> Option<Cause> {
    let fell = !replica.devices.is_empty()
        && !replica.devices.iter().any(|device| device == PROCESSOR)
        && replica.computes_on == PROCESSOR;
    fell.then(|| Cause {
        code: "fallback".into(),
        level: Level::Degraded,
        text: "a model that was placed on it computes on the processor".into(),
        evidence: format!(
            "`{}` (replica {}) was placed on `{}`, and its worker computes on {}",
            replica.model,
            replica.id,
            replica.devices.join("`, `"),
            replica.device
        ),
        hold: FALLBACK_HOLD,
    })
}

/// What the faults that ended workers on it say: one is believed for a while, and so many at once that the device is not to
/// be relied on.
pub(super) fn faults(now: Instant, faults: &DeviceFaults) -> Option<Cause> {
    let ago = now.saturating_duration_since(faults.last);
    let (code, level, text) = if faults.count >= DEVICE_FAULTS_MAX {
        let text = "it failed its workers time and again, so nothing runs on it until it was quiet";
        ("worker_faults", Level::Lost, text)
    } else if ago < DEVICE_FAULT_SHOWN {
        ("worker_fault", Level::Degraded, "it failed a worker")
    } else {
        return None;
    };
    let count = match faults.count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    };
    Some(Cause {
        code: code.into(),
        level,
        text: text.into(),
        evidence: format!("{count} lately; {}", faults.why),
        hold: HOLD,
    })
}

/// How long a cause is believed after it was last seen: some looks, so that one good one proves
/// nothing.
const HOLD: Duration = Duration::from_secs(5);

/// A device that a worker could not use will not be better by the model's leaving it; without this
/// a model would wander from device to device for ever.
const FALLBACK_HOLD: Duration = Duration::from_secs(600);

/// The processor, among devices.
pub(super) const PROCESSOR: &str = "cpu";

/// A sample takes milliseconds; one that is so late is held up by the driver. With a look each
/// second, who is told of it is told within three.
const SILENT_AFTER: Duration = Duration::from_millis(1_500);

/// Waking a card may take seconds, but not so many.
const LOST_AFTER: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::fleet::{ReplicaId, ReplicaState};

    #[test]
    fn an_old_reading_speaks_against_its_device() {
        let second = Duration::from_secs(1);
        let level = |s: f64| {
            let causes = silence(Duration::from_secs_f64(s), second);
            causes.iter().map(|cause| cause.level).max()
        };
        assert_eq!(level(1.9), None);
        assert_eq!(level(2.6), Some(Level::Degraded));
        assert_eq!(level(16.1), Some(Level::Lost));
        let causes = silence(Duration::from_secs(4), second);
        assert_eq!(causes[0].evidence, "the readings are 4 s old");
    }

    #[test]
    fn a_fault_is_told_and_three_are_too_many() {
        let now = Instant::now();
        let check = |count: usize, ago_s: u64, expect: Option<Level>| {
            let known = DeviceFaults {
                device: "GPU-1".into(),
                count,
                last: now,
                why: "`m`: it failed".into(),
            };
            let cause = faults(now + Duration::from_secs(ago_s), &known);
            assert_eq!(
                cause.map(|cause| cause.level),
                expect,
                "{count} after {ago_s} s"
            );
        };
        check(1, 0, Some(Level::Degraded));
        check(2, 59, Some(Level::Degraded));
        check(2, 61, None);
        check(3, 0, Some(Level::Lost));
        check(3, 500, Some(Level::Lost));
    }

    #[test]
    fn a_model_that_fell_back_to_the_processor_is_told() {
        let check = |placed: &[&str], computes_on: &str, expect: bool| {
            let status = ReplicaStatus {
                id: ReplicaId(3),
                model: "m".into(),
                plugin: "llama".into(),
                state: ReplicaState::Ready,
                info: None,
                device: "Some Processor, 2 threads".into(),
                devices: placed.iter().map(|id| (*id).to_owned()).collect(),
                computes_on: computes_on.into(),
                load: Default::default(),
                living: 0,
                pid: None,
                restarts: 0,
                since: SystemTime::UNIX_EPOCH,
                opened_in: None,
                card_bytes: None,
            };
            assert_eq!(
                fallback(&status).is_some(),
                expect,
                "{placed:?} {computes_on}"
            );
        };
        check(&["GPU-1"], "cpu", true);
        check(&["GPU-1", "GPU-2"], "cpu", true);
        check(&["GPU-1"], "nvidia", false);
        check(&["GPU-1"], "", false);
        check(&["cpu"], "cpu", false);
        check(&[], "cpu", false);
    }
}
