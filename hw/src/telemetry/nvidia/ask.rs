//! Asking one device one thing, and remembering what it cannot tell.
//!
//! Decides what each error of the library means for the questions that follow; refuses to know
//! what is asked.

use std::time::{Duration, Instant};

use nvml_wrapper::error::NvmlError;

/// What may be asked. A field that a device refuses is not asked again for a while.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Field {
    Utilisation,
    Encoder,
    Decoder,
    Memory,
    Window,
    Power,
    PowerLimit,
    PowerLimitMax,
    Energy,
    ChipTemperature,
    MemoryTemperature,
    Fan,
    FanRpm,
    CoreClock,
    MemoryClock,
    PerformanceState,
    Throttles,
    LinkGeneration,
    LinkWidth,
    Replays,
    ReceivedRate,
    SentRate,
    EccMode,
    EccCorrected,
    EccUncorrected,
    EccCorrectedLifetime,
    EccUncorrectedLifetime,
    RetiredSingle,
    RetiredDouble,
    RetirementPending,
    RemappedRows,
    ComputeProcesses,
    GraphicsProcesses,
}

/// What one device has refused, and whether it still answers.
#[derive(Debug, Default)]
pub(super) struct Answers {
    refused: u64,
    refused_since: Option<Instant>,
    lost: Option<String>,
}

impl Answers {
    /// Starts a new sample. A lost device gets another chance: some come back after a reset.
    pub(super) fn begin(&mut self, now: Instant) {
        self.lost = None;
        let since = *self.refused_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= FORGET_REFUSALS_AFTER {
            self.refused = 0;
            self.refused_since = Some(now);
        }
    }

    /// Asks, unless the device is known not to answer this.
    pub(super) fn ask<T>(
        &mut self,
        field: Field,
        call: impl FnOnce() -> Result<T, NvmlError>,
    ) -> Option<T> {
        let bit = 1_u64 << field as u8;
        if self.lost.is_some() || self.refused & bit != 0 {
            return None;
        }
        match call() {
            Ok(value) => Some(value),
            Err(error) => {
                match Meaning::of(&error) {
                    Meaning::Refused => self.refused |= bit,
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
