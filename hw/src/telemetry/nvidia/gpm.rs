//! What the units of an NVIDIA device did between two samples: its GPM metrics.
//!
//! Decides which metrics are asked for, and that a card that has none is left in peace; refuses to
//! know how often. The two samples belong to the driver: they are made once for a card, filled in
//! turns and given back in the end.

#![allow(
    unsafe_code,
    reason = "calls into a C library that is loaded at run time"
)]

use std::ffi::c_uint;
use std::mem;
use std::ptr;
use std::time::{Duration, Instant};

use nvml_wrapper::error::{NvmlError, nvml_sym, nvml_try};
use nvml_wrapper::{Device as NvmlDevice, Nvml};
use nvml_wrapper_sys::bindings as sys;

use super::ask::{Answers, Field};
use super::raw::handle;
use crate::telemetry::Activity;

/// The metrics of one card.
#[derive(Debug, Default)]
pub(super) struct Gpm {
    samples: Option<Samples>,
    /// When the newest sample was taken.
    taken_at: Option<Instant>,
    last: Option<Activity>,
}

impl Gpm {
    /// What was done since the last time; the same as before when that was a moment ago.
    pub(super) fn read(
        &mut self,
        answers: &mut Answers,
        device: &NvmlDevice<'static>,
        now: Instant,
    ) -> Option<Activity> {
        let since = self.taken_at.map(|at| now.saturating_duration_since(at));
        if since.is_some_and(|since| since < EVERY) {
            return self.last.clone();
        }
        if self.samples.is_none() {
            self.samples = answers.ask(Field::Gpm, || Samples::new(device));
        }
        self.last = self.measure(answers, device, since);
        if self.last.is_none() && since.is_some() {
            self.forget();
        } else if self.samples.is_some() {
            self.taken_at = Some(now);
        }
        self.last.clone()
    }

    fn measure(
        &mut self,
        answers: &mut Answers,
        device: &NvmlDevice<'_>,
        since: Option<Duration>,
    ) -> Option<Activity> {
        let samples = self.samples.as_mut()?;
        let taken = answers.ask(Field::Gpm, || samples.take(device));
        if taken.is_none() {
            self.forget();
            return None;
        }
        let interval = since?;
        let mut wanted = METRICS.to_vec();
        wanted.retain(|metric| answers.may_ask(Field::Gpm, metric.id));
        let values = answers.ask(Field::Gpm, || samples.compare(&wanted))?;
        let mut activity = Activity {
            interval_ms: u64::try_from(interval.as_millis()).ok(),
            ..Activity::default()
        };
        for (metric, value) in wanted.iter().zip(values) {
            if let Some(value) = answers.heard(Field::Gpm, metric.id, value) {
                (metric.put)(&mut activity, value);
            }
        }
        Some(activity)
    }

    /// Gives the samples back: those of before say nothing of a device that was reset.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Two samples of the driver's.
struct Samples {
    nvml: &'static Nvml,
    older: sys::nvmlGpmSample_t,
    newer: sys::nvmlGpmSample_t,
}

// SAFETY: the handles name memory of the library, which asks only that one sample is not used by
// two threads at once; `&mut self` sees to that.
unsafe impl Send for Samples {}

impl Samples {
    fn new(device: &NvmlDevice<'static>) -> Result<Self, NvmlError> {
        let nvml = device.nvml();
        let lib = nvml.lib();
        // Without the last there would be no way to give back what the first gave.
        let allocate = nvml_sym(lib.nvmlGpmSampleAlloc.as_ref())?;
        nvml_sym(lib.nvmlGpmSampleFree.as_ref())?;
        if !device.gpm_support()? {
            return Err(NvmlError::NotSupported);
        }
        let mut samples = Self {
            nvml,
            older: ptr::null_mut(),
            newer: ptr::null_mut(),
        };
        for sample in [&mut samples.older, &mut samples.newer] {
            // SAFETY: the signature is the header's; the place for the handle outlives the call.
            nvml_try(unsafe { allocate(sample) })?;
        }
        Ok(samples)
    }

    /// Fills the older of the two, which thereby becomes the newer.
    fn take(&mut self, device: &NvmlDevice<'_>) -> Result<(), NvmlError> {
        let call = nvml_sym(self.nvml.lib().nvmlGpmSampleGet.as_ref())?;
        // SAFETY: the signature is the header's; the sample is one that the library gave.
        nvml_try(unsafe { call(handle(device), self.older) })?;
        mem::swap(&mut self.older, &mut self.newer);
        Ok(())
    }

    /// What lies between the two, for each of the metrics.
    fn compare(&mut self, wanted: &[Metric]) -> Result<Vec<Result<f64, NvmlError>>, NvmlError> {
        let call = nvml_sym(self.nvml.lib().nvmlGpmMetricsGet.as_ref())?;
        // SAFETY: the structure is plain numbers and pointers that may be null.
        let mut asked: sys::nvmlGpmMetricsGet_t = unsafe { mem::zeroed() };
        asked.version = sys::NVML_GPM_METRICS_GET_VERSION;
        asked.numMetrics = wanted.len() as c_uint;
        (asked.sample1, asked.sample2) = (self.older, self.newer);
        for (place, metric) in asked.metrics.iter_mut().zip(wanted) {
            place.metricId = metric.id;
        }
        // SAFETY: the signature is the header's; the structure has room for all metrics that there
        // are, and none of the texts that it points to is read.
        nvml_try(unsafe { call(&raw mut asked) })?;
        let answers = asked.metrics.iter().take(wanted.len());
        Ok(answers
            .map(|metric| nvml_try(metric.nvmlReturn).map(|()| metric.value))
            .collect())
    }
}

impl Drop for Samples {
    fn drop(&mut self) {
        let Ok(free) = &self.nvml.lib().nvmlGpmSampleFree else {
            return;
        };
        for sample in [self.older, self.newer] {
            if !sample.is_null() {
                // SAFETY: the library gave it, and it is given back once.
                let _ = unsafe { free(sample) };
            }
        }
    }
}

impl std::fmt::Debug for Samples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Samples").finish_non_exhaustive()
    }
}

/// One metric: NVML's number for it, and where it goes.
#[derive(Clone, Copy)]
struct Metric {
    id: c_uint,
    put: fn(&mut Activity, f64),
}

/// Samples that lie closer say more of the sampling than of the work.
const EVERY: Duration = Duration::from_secs(1);

/// `nvmlGpmMetricId_t` of the header.
const METRICS: [Metric; 16] = {
    const fn metric(id: c_uint, put: fn(&mut Activity, f64)) -> Metric {
        Metric { id, put }
    }
    [
        metric(1, |to, value| to.graphics_percent = percent(value)),
        metric(2, |to, value| to.sm_percent = percent(value)),
        metric(3, |to, value| to.sm_occupancy_percent = percent(value)),
        metric(4, |to, value| to.integer_percent = percent(value)),
        metric(5, |to, value| to.tensor_percent = percent(value)),
        metric(6, |to, value| to.tensor_fp64_percent = percent(value)),
        metric(7, |to, value| to.tensor_half_percent = percent(value)),
        metric(9, |to, value| to.tensor_integer_percent = percent(value)),
        metric(10, |to, value| to.memory_bandwidth_percent = percent(value)),
        metric(11, |to, value| to.fp64_percent = percent(value)),
        metric(12, |to, value| to.fp32_percent = percent(value)),
        metric(13, |to, value| to.fp16_percent = percent(value)),
        metric(20, |to, value| to.pcie_sent_bytes_per_s = rate(value)),
        metric(21, |to, value| to.pcie_received_bytes_per_s = rate(value)),
        metric(60, |to, value| to.links_received_bytes_per_s = rate(value)),
        metric(61, |to, value| to.links_sent_bytes_per_s = rate(value)),
    ]
};

/// A share; a little more than all of it is a matter of rounding, much more is nonsense.
fn percent(value: f64) -> Option<f32> {
    (0.0..=101.0)
        .contains(&value)
        .then_some(value.min(100.0) as f32)
}

/// NVML counts in MiB for each second.
fn rate(value: f64) -> Option<u64> {
    (0.0..=RATE_MAX_MIB)
        .contains(&value)
        .then_some((value * 1_048_576.0) as u64)
}

/// A thousand times what the fastest links of 2025 carry together.
const RATE_MAX_MIB: f64 = 2e9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_not_told() {
        for (value, expect) in [
            (0.0, Some(0.0)),
            (99.5, Some(99.5)),
            (100.4, Some(100.0)),
            (102.0, None),
            (-0.1, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(percent(value), expect, "{value}");
        }
        assert_eq!(rate(1.5), Some(1_572_864));
        assert_eq!(rate(-1.0), None);
        assert_eq!(rate(f64::NAN), None);
        assert_eq!(rate(1e300), None);
    }
}
