//! Asking one device one thing, and remembering what it cannot tell.
//!
//! Decides what each error of the library means for the questions that follow; refuses to know
//! what is asked.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nvml_wrapper::error::NvmlError;

/// What may be asked. A field that a device refuses is not asked again for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Utilisation,
    Encoder,
    Decoder,
    Jpeg,
    OpticalFlow,
    /// All of GPM; its parts are the metrics.
    Gpm,
    Memory,
    Window,
    Power,
    PowerLimit,
    PowerLimitSet,
    PowerLimitDefault,
    PowerLimitRange,
    Energy,
    ChipTemperature,
    MemoryTemperature,
    Fan,
    FanRpm,
    CoreClock,
    GraphicsClock,
    VideoClock,
    MemoryClock,
    PerformanceState,
    Throttles,
    /// Its parts are the reasons.
    HeldBack,
    LinkGeneration,
    LinkWidth,
    Replays,
    ReceivedRate,
    SentRate,
    /// Of NVLink; the parts of all that follow are the links.
    NvLinkCount,
    NvLinkState,
    NvLinkVersion,
    NvLinkReceived,
    NvLinkSent,
    NvLinkReplays,
    NvLinkRecoveries,
    NvLinkCrcFlit,
    NvLinkCrcData,
    EccMode,
    EccCorrected,
    EccUncorrected,
    EccCorrectedLifetime,
    EccUncorrectedLifetime,
    RetiredSingle,
    RetiredDouble,
    RetirementPending,
    RemappedRows,
    ComputeMode,
    Persistence,
    Confidential,
    MigMode,
    MigCount,
    /// Its parts are the partitions, as are those of all that follow.
    MigDevice,
    MigUuid,
    MigGpuInstance,
    MigComputeInstance,
    MigAttributes,
    MigMemory,
    Accounting,
    AccountingStats,
    ComputeProcesses,
    GraphicsProcesses,
    ProcessUtilisation,
}

/// What one device has refused, and whether it still answers.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// No more than there are fields, times the links, partitions or metrics of one.
    refused: BTreeSet<(Field, u32)>,
    refused_since: Option<Instant>,
    lost: Option<String>,
}

impl Answers {
    /// Starts a new sample. A lost device gets another chance: some come back after a reset.
    pub(super) fn begin(&mut self, now: Instant) {
        self.lost = None;
        let since = *self.refused_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= FORGET_REFUSALS_AFTER {
            self.refused.clear();
            self.refused_since = Some(now);
        }
    }

    /// Asks, unless the device is known not to answer this.
    pub(super) fn ask<T>(
        &mut self,
        field: Field,
        call: impl FnOnce() -> Result<T, NvmlError>,
    ) -> Option<T> {
        self.ask_part(field, WHOLE, call)
    }

    /// The same of one link, partition or metric among those of the device.
    pub(super) fn ask_part<T>(
        &mut self,
        field: Field,
        part: u32,
        call: impl FnOnce() -> Result<T, NvmlError>,
    ) -> Option<T> {
        if !self.may_ask(field, part) {
            return None;
        }
        self.heard(field, part, call())
    }

    /// Whether there is sense in asking.
    pub(super) fn may_ask(&self, field: Field, part: u32) -> bool {
        self.lost.is_none() && !self.refused.contains(&(field, part))
    }

    /// Takes an answer in, also one of several to a single call.
    pub(super) fn heard<T>(
        &mut self,
        field: Field,
        part: u32,
        answer: Result<T, NvmlError>,
    ) -> Option<T> {
        match answer {
            Ok(value) => Some(value),
            Err(error) => {
                match Meaning::of(&error) {
                    Meaning::Refused => {
                        self.refused.insert((field, part));
                    }
                    Meaning::Lost => self.lost = Some(error.to_string()),
                    Meaning::NotNow => {}
                }
                None
            }
        }
    }

    /// Why the device does not answer, when it does not.
    pub(super) fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }
}

/// Long enough to cost nothing, short enough to notice that somebody changed a mode (partitions,
/// ECC) that decides what a device can tell.
const FORGET_REFUSALS_AFTER: Duration = Duration::from_secs(600);

/// The part that stands for the field itself.
const WHOLE: u32 = u32::MAX;

enum Meaning {
    /// This device will not tell this.
    Refused,
    /// The device, or the driver under it, is gone.
    Lost,
    /// It did not work this time.
    NotNow,
}

impl Meaning {
    fn of(error: &NvmlError) -> Self {
        match error {
            NvmlError::NotSupported
            // Of a link or a partition that there is not.
            | NvmlError::InvalidArg
            | NvmlError::FunctionNotFound
            | NvmlError::FailedToLoadSymbol(_)
            | NvmlError::NoPermission => Self::Refused,
            NvmlError::GpuLost
            | NvmlError::ResetRequired
            | NvmlError::DriverNotLoaded
            | NvmlError::Uninitialized => Self::Lost,
            _ => Self::NotNow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_remembered_and_forgotten_in_the_end() {
        let start = Instant::now();
        let mut answers = Answers::default();
        let mut asked = 0;
        let mut fan_at = |answers: &mut Answers, s| {
            answers.begin(start + Duration::from_secs(s));
            answers.ask(Field::Fan, || -> Result<(), _> {
                asked += 1;
                Err(NvmlError::NotSupported)
            });
            asked
        };
        assert_eq!(fan_at(&mut answers, 0), 1);
        assert_eq!(fan_at(&mut answers, 1), 1);
        assert_eq!(fan_at(&mut answers, 599), 1);
        assert_eq!(fan_at(&mut answers, 600), 2);
        assert_eq!(answers.ask(Field::GraphicsProcesses, || Ok(7)), Some(7));
    }

    #[test]
    fn a_lost_device_is_asked_nothing_more_in_that_sample() {
        let mut answers = Answers::default();
        answers.begin(Instant::now());
        assert_eq!(
            answers.ask(Field::Power, || -> Result<(), _> {
                Err(NvmlError::GpuLost)
            }),
            None
        );
        assert_eq!(answers.ask(Field::Energy, || Ok(1)), None);
        assert!(answers.lost().is_some());
        answers.begin(Instant::now());
        assert_eq!(answers.ask(Field::Energy, || Ok(1)), Some(1));
        assert_eq!(
            answers.ask(Field::Power, || -> Result<(), _> {
                Err(NvmlError::Timeout)
            }),
            None
        );
        assert_eq!(answers.ask(Field::Power, || Ok(1)), Some(1));
    }
}
