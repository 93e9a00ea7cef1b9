//! What workers said against the devices that they compute on.
//!
//! Decides how long a fault is remembered. Refuses to judge a device by it (`telemetry::judge` does).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::limits::{DEVICE_FAULTS_MAX, DEVICE_FAULTS_WINDOW, DEVICES_FAULTY_MAX};

/// How a device failed its workers lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFaults {
    /// The device's id.
    pub device: String,
    /// How many faults are remembered; what is over `DEVICE_FAULTS_MAX` changes nothing.
    pub count: usize,
    /// When the last one was.
    pub last: Instant,
    /// What the last worker said, and which model it ran.
    pub why: String,
}

/// The faults of all devices.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<BTreeMap<String, Record>>);

#[derive(Debug, Default)]
struct Record {
    /// Oldest first.
    at: VecDeque<Instant>,
    why: String,
}

impl Faults {
    /// A worker ended by a fault of a device.
    pub(super) fn note(&self, now: Instant, device: &str, why: &str) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        forget(&mut records, now);
        if records.len() >= DEVICES_FAULTY_MAX && !records.contains_key(device) {
            return;
        }
        let record = records.entry(device.to_owned()).or_default();
        if record.at.len() >= DEVICE_FAULTS_MAX {
            record.at.pop_front();
        }
        record.at.push_back(now);
        why.clone_into(&mut record.why);
    }

    /// What is remembered now.
    pub(super) fn list(&self, now: Instant) -> Vec<DeviceFaults> {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        forget(&mut records, now);
        let told = |(device, record): (&String, &Record)| {
            Some(DeviceFaults {
                device: device.clone(),
                count: record.at.len(),
                last: *record.at.back()?,
                why: record.why.clone(),
            })
        };
        records.iter().filter_map(told).collect()
    }
}

/// A device is remembered until it was quiet for as long as its faults are counted.
fn forget(records: &mut BTreeMap<String, Record>, now: Instant) {
    for record in records.values_mut() {
        let quiet = |at: &Instant| now.saturating_duration_since(*at) >= DEVICE_FAULTS_WINDOW;
        // Of one that counts as lost the last fault is what counts.
        let lost = record.at.len() >= DEVICE_FAULTS_MAX;
        if lost && !record.at.back().is_some_and(quiet) {
            continue;
        }
        record.at.retain(|at| !quiet(at));
    }
    records.retain(|_, record| !record.at.is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_counted_within_their_window_and_a_lost_device_stays_until_it_is_quiet() {
        let (faults, start) = (Faults::default(), Instant::now());
        let at = |part: f64| start + DEVICE_FAULTS_WINDOW.mul_f64(part);
        let count = |part: f64| faults.list(at(part)).first().map(|fault| fault.count);
        faults.note(at(0.0), "GPU-1", "first");
        faults.note(at(0.5), "GPU-1", "second");
        assert_eq!(count(0.5), Some(2));
        // The first is forgotten.
        assert_eq!(count(1.0), Some(1));
        faults.note(at(1.1), "GPU-1", "third");
        faults.note(at(1.2), "GPU-1", "fourth");
        assert_eq!(count(1.3), Some(DEVICE_FAULTS_MAX));
        assert_eq!(count(2.1), Some(DEVICE_FAULTS_MAX));
        assert_eq!(faults.list(at(2.1))[0].why, "fourth");
        assert_eq!(count(2.3), None);
    }

    #[test]
    fn devices_are_bounded() {
        let (faults, now) = (Faults::default(), Instant::now());
        for number in 0..1_000 {
            for _ in 0..10 {
                faults.note(now, &format!("GPU-{number}"), "x");
            }
        }
        let list = faults.list(now);
        assert_eq!(list.len(), DEVICES_FAULTY_MAX);
        assert!(list.iter().all(|fault| fault.count == DEVICE_FAULTS_MAX));
    }
}
