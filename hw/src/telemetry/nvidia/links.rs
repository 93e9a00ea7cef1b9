//! The links of an NVIDIA device to others: NVLink.
//!
//! Decides which links a device has and how fast their errors grow; refuses to know how fast is
//! too fast. What a link was before is kept, since a link that leads nowhere is no fault and one
//! that went down is.

use std::time::{Duration, Instant};

use nvml_wrapper::Device as NvmlDevice;
use nvml_wrapper::enum_wrappers::nv_link::ErrorCounter;
use nvml_wrapper::sys_exports::field_id;

use super::ask::{Answers, Field};
use super::raw;
use crate::telemetry::{Link, Links};

/// What is remembered of the links of one card.
#[derive(Debug, Default)]
pub(super) struct NvLinks {
    /// By the link's number: whether it ever worked.
    worked: Vec<bool>,
    /// The errors at the last look, by the link's number.
    errors: Vec<Option<u64>>,
    looked_at: Option<Instant>,
}

impl NvLinks {
    /// All links that the device knows of; `None` when it has none.
    pub(super) fn read(
        &mut self,
        answers: &mut Answers,
        device: &NvmlDevice<'_>,
        now: Instant,
    ) -> Option<Links> {
        let count = answers.ask(Field::NvLinkCount, || count(device));
        let count = count.map_or(LINKS_UNTOLD, |count| count.min(LINKS_MAX));
        let since = self.looked_at.map(|at| now.saturating_duration_since(at));
        self.looked_at = Some(now);
        self.worked.resize(count as usize, false);
        self.errors.resize(count as usize, None);
        let remembered = self.worked.iter_mut().zip(&mut self.errors);
        let links: Vec<Link> = (0..count)
            .zip(remembered)
            .filter_map(|(number, (worked, errors))| {
                let mut link = link(answers, device, number)?;
                link.went_down = link.active == Some(false) && *worked;
                *worked |= link.active == Some(true);
                let now = crc_errors(&link);
                link.crc_errors_per_s = per_second(*errors, now, since);
                *errors = now;
                Some(link)
            })
            .collect();
        if links.is_empty() {
            return None;
        }
        Some(Links {
            received_bytes: sum(links.iter().map(|link| link.received_bytes)),
            sent_bytes: sum(links.iter().map(|link| link.sent_bytes)),
            links,
        })
    }
}

/// `None` when the device has no such link, or the link is switched off.
fn link(answers: &mut Answers, device: &NvmlDevice<'_>, number: u32) -> Option<Link> {
    let wrapper = device.link_wrapper_for(number);
    let active = answers.ask_part(Field::NvLinkState, number, || wrapper.is_active())?;
    let mut counter =
        |field, which| answers.ask_part(field, number, || wrapper.error_counter(which));
    let mut link = Link {
        number,
        active: Some(active),
        replays: counter(Field::NvLinkReplays, ErrorCounter::DlReplay),
        recoveries: counter(Field::NvLinkRecoveries, ErrorCounter::DlRecovery),
        crc_flit_errors: counter(Field::NvLinkCrcFlit, ErrorCounter::DlCrcFlit),
        crc_data_errors: counter(Field::NvLinkCrcData, ErrorCounter::DlCrcData),
        ..Link::default()
    };
    if active {
        link.generation = answers.ask_part(Field::NvLinkVersion, number, || wrapper.version());
        let counted = answers.ask_part(Field::NvLinkReceived, number, || {
            raw::fields(
                device,
                [
                    (field_id::NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, number),
                    (field_id::NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, number),
                ],
            )
        });
        if let Some([received, sent]) = counted {
            let bytes = |kibibytes: u64| kibibytes.saturating_mul(1024);
            let received = answers.heard(Field::NvLinkReceived, number, received);
            link.received_bytes = received.map(bytes);
            link.sent_bytes = answers.heard(Field::NvLinkSent, number, sent).map(bytes);
        }
    }
    Some(link)
}

fn count(device: &NvmlDevice<'_>) -> Result<u32, nvml_wrapper::error::NvmlError> {
    let [count] = raw::fields(device, [(field_id::NVML_FI_DEV_NVLINK_LINK_COUNT, 0)])?;
    Ok(u32::try_from(count?).unwrap_or(u32::MAX))
}

fn crc_errors(link: &Link) -> Option<u64> {
    sum([link.crc_flit_errors, link.crc_data_errors].into_iter())
}

/// The sum of what is known; `None` when nothing is.
fn sum(figures: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    figures.flatten().reduce(u64::saturating_add)
}

/// A counter that fell was reset, and says nothing.
fn per_second(before: Option<u64>, now: Option<u64>, since: Option<Duration>) -> Option<f32> {
    let grown = now?.checked_sub(before?)?;
    let seconds = since?.as_secs_f32();
    (seconds > 0.0).then(|| grown as f32 / seconds)
}

/// How many links are tried when the device does not tell (`NVML_NVLINK_MAX_LINKS`).
const LINKS_UNTOLD: u32 = 18;

/// More than any device has; the count comes from outside.
const LINKS_MAX: u32 = 36;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_grow_by_the_second() {
        let ten = Some(Duration::from_secs(10));
        assert_eq!(per_second(Some(5), Some(2_005), ten), Some(200.0));
        assert_eq!(per_second(Some(5), Some(5), ten), Some(0.0));
        assert_eq!(per_second(Some(6), Some(5), ten), None);
        assert_eq!(per_second(None, Some(5), ten), None);
        assert_eq!(per_second(Some(5), Some(6), Some(Duration::ZERO)), None);
    }
}
