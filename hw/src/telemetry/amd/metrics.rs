//! The binary table that amdgpu shows as `gpu_metrics`: what slows the device, and what no other
//! file tells.
//!
//! Decides which versions of the table are understood; refuses to guess at others. The kernel
//! numbers its layouts (`drivers/gpu/drm/amd/include/kgd_pp_interface.h`) and the header of the
//! table tells which one it is. A number that the chip does not fill in has all bits set. Throttle
//! bits are read where they mean the same on every chip (`SMU_THROTTLER_*_BIT` in `amdgpu_smu.h`).

use crate::telemetry::{Link, Links, Throttle};

/// What the table told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Metrics {
    pub(super) throttles: Option<Vec<Throttle>>,
    /// The busiest of the units for video.
    pub(super) video_percent: Option<f32>,
    /// The busiest of the units for JPEG.
    pub(super) jpeg_percent: Option<f32>,
    pub(super) voltage_volts: Option<f32>,
    pub(super) links: Option<Links>,
    residency: Option<Residency>,
}

/// For how many cycles of its controller a chip was slowed, by reason, since it was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Residency {
    cycles: u32,
    /// As in [`REASONS`].
    slowed: [u32; 5],
}

impl Metrics {
    /// What is in `table`; nothing when it has another layout or is cut off. `before` is what the
    /// table told the last time.
    pub(super) fn read(table: &[u8], before: &Self) -> Self {
        Self::of(table, before).unwrap_or_default()
    }

    fn of(table: &[u8], before: &Self) -> Option<Self> {
        let size = usize::from(u16::from_le_bytes(field(table, 0)?));
        let [format, content] = field(table, 2)?;
        let table = table.get(..size)?;
        match (format, content) {
            (1, 3) => Some(Self {
                throttles: throttles(table, 112),
                video_percent: busiest(table, 20, 1),
                voltage_volts: number(table, 106)
                    .filter(|&millivolts| millivolts > 0 && millivolts < 10_000)
                    .map(|millivolts| f32::from(millivolts) / 1000.0),
                ..Self::default()
            }),
            (1, 4) => Some(Self {
                video_percent: busiest(table, 16, VIDEO_UNITS),
                links: links(table, 52, 104),
                ..Self::default()
            }),
            (1, 5) => Some(Self {
                video_percent: busiest(table, 16, VIDEO_UNITS),
                jpeg_percent: busiest(table, 24, JPEG_UNITS),
                links: links(table, 116, 176),
                ..Self::default()
            }),
            (1, 6) => {
                let residency = Residency::of(table);
                let slowed = residency.zip(before.residency);
                Some(Self {
                    throttles: slowed.and_then(|(now, before)| now.throttles_since(before)),
                    video_percent: busiest(table, 16, VIDEO_UNITS),
                    jpeg_percent: busiest(table, 24, JPEG_UNITS),
                    links: links(table, 140, 200),
                    residency,
                    ..Self::default()
                })
            }
            // Of processors with graphics.
            (2, 2..=4) => Some(Self {
                throttles: throttles(table, 120),
                ..Self::default()
            }),
            _ => None,
        }
    }
}

impl Residency {
    fn of(table: &[u8]) -> Option<Self> {
        let at = |at| field(table, at).map(u32::from_le_bytes);
        let residency = Self {
            cycles: at(104)?,
            slowed: [at(108)?, at(112)?, at(116)?, at(120)?, at(124)?],
        };
        (residency.cycles != u32::MAX).then_some(residency)
    }

    /// What slowed the chip for a good part of the cycles since `before`; `None` when there was no
    /// cycle, or the chip started anew.
    fn throttles_since(self, before: Self) -> Option<Vec<Throttle>> {
        let cycles = self.cycles.checked_sub(before.cycles).filter(|&n| n > 0)?;
        let mut found = Vec::new();
        for ((now, before), throttle) in self.slowed.iter().zip(before.slowed).zip(REASONS) {
            let slowed = now.saturating_sub(before);
            if slowed >= cycles.div_ceil(SLOWED_PART) && !found.contains(&throttle) {
                found.push(throttle);
            }
        }
        Some(found)
    }
}

/// The sixty-four bits at `at` in our words.
fn throttles(table: &[u8], at: usize) -> Option<Vec<Throttle>> {
    let status = u64::from_le_bytes(field(table, at)?);
    // A chip that fills no bits in leaves all of them set.
    if status == u64::MAX {
        return None;
    }
    let within =
        |bits: std::ops::RangeInclusive<u32>| bits.into_iter().any(|b| status >> b & 1 == 1);
    let mut found = Vec::new();
    for (bits, throttle) in [
        (0..=15, Throttle::PowerLimit),
        (16..=31, Throttle::Current),
        (32..=45, Throttle::Heat),
        (46..=47, Throttle::Hardware),
        (48..=63, Throttle::Other),
    ] {
        if within(bits) {
            found.push(throttle);
        }
    }
    Some(found)
}

/// The largest of `count` shares; what is more than all of it is no share.
fn busiest(table: &[u8], at: usize, count: usize) -> Option<f32> {
    let shares = (0..count).filter_map(|n| number(table, at + 2 * n));
    shares.filter(|&n| n <= 100).max().map(f32::from)
}

/// The links to other devices (xGMI): their width at `width_at`, and what was read and written over
/// each from `data_at` on, in KiB.
fn links(table: &[u8], width_at: usize, data_at: usize) -> Option<Links> {
    // A device without links has a width of 0.
    number(table, width_at).filter(|&width| width > 0)?;
    let bytes = |n: usize| {
        let told = field(table, data_at + 8 * n).map(u64::from_le_bytes);
        told.filter(|&n| n != u64::MAX)
            .map(|n| n.saturating_mul(1024))
    };
    let links: Vec<Link> = (0..XGMI_LINKS)
        .filter_map(|n| {
            let (received, sent) = (bytes(n), bytes(n + XGMI_LINKS));
            received.or(sent)?;
            Some(Link {
                number: n as u32,
                received_bytes: received,
                sent_bytes: sent,
                ..Link::default()
            })
        })
        .collect();
    let sum =
        |of: fn(&Link) -> Option<u64>| links.iter().filter_map(of).reduce(u64::saturating_add);
    (!links.is_empty()).then(|| Links {
        received_bytes: sum(|link| link.received_bytes),
        sent_bytes: sum(|link| link.sent_bytes),
        links: links.clone(),
    })
}

fn number(table: &[u8], at: usize) -> Option<u16> {
    let number = u16::from_le_bytes(field(table, at)?);
    (number != u16::MAX).then_some(number)
}

fn field<const N: usize>(table: &[u8], at: usize) -> Option<[u8; N]> {
    table.get(at..)?.first_chunk().copied()
}

/// `NUM_VCN`, `NUM_JPEG_ENG` and `NUM_XGMI_LINKS` of the header.
const VIDEO_UNITS: usize = 4;
const JPEG_UNITS: usize = 32;
const XGMI_LINKS: usize = 8;

/// Processor hot, package power, heat of the socket, of the voltage regulators, of the memory.
const REASONS: [Throttle; 5] = [
    Throttle::HardwareHeat,
    Throttle::PowerLimit,
    Throttle::Heat,
    Throttle::Heat,
    Throttle::Heat,
];

/// A chip under load touches its limits now and then; slowed is one that stands at a limit for a
/// tenth of the time.
const SLOWED_PART: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(table: &[u8]) -> Option<Vec<Throttle>> {
        Metrics::read(table, &Metrics::default()).throttles
    }

    /// A table of `size` bytes that the chip has not filled in.
    fn unfilled(size: u16, content: u8) -> Vec<u8> {
        let mut table = vec![0xff; size.into()];
        table[..2].copy_from_slice(&size.to_le_bytes());
        table[2..4].copy_from_slice(&[1, content]);
        table
    }

    fn put(table: &mut [u8], at: usize, bytes: &[u8]) {
        table[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn table(format: u8, content: u8, status: u64) -> Vec<u8> {
        let mut table = vec![0; 120];
        table[..4].copy_from_slice(&[120, 0, format, content]);
        table[112..].copy_from_slice(&status.to_le_bytes());
        table
    }

    #[test]
    fn groups_of_bits_become_words() {
        fn check(status: u64, expect: &[Throttle]) {
            assert_eq!(
                read(&table(1, 3, status)).as_deref(),
                Some(expect),
                "{status:#x}"
            );
        }
        check(0, &[]);
        check(1, &[Throttle::PowerLimit]);
        check(1 << 22, &[Throttle::Current]);
        check(1 << 36, &[Throttle::Heat]);
        check(1 << 45 | 1 << 47, &[Throttle::Heat, Throttle::Hardware]);
        check(1 << 57, &[Throttle::Other]);
    }

    #[test]
    fn other_layouts_and_cut_tables_tell_nothing() {
        assert_eq!(read(&table(1, 2, 1)), None);
        assert_eq!(read(&table(3, 3, 1)), None);
        assert_eq!(read(&table(1, 3, u64::MAX)), None);
        let whole = table(1, 3, 1);
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None, "{length}");
        }
        let mut short = table(1, 3, 1);
        short[0] = 100;
        assert_eq!(read(&short), None);
        for content in 3..=6 {
            let nothing = Metrics::read(&unfilled(400, content), &Metrics::default());
            assert_eq!(nothing, Metrics::default(), "{content}");
        }
    }

    #[test]
    fn graphics_in_processors_tell_throttles_elsewhere() {
        let mut table = vec![0; 152];
        table[..4].copy_from_slice(&[152, 0, 2, 3]);
        put(&mut table, 120, &(1_u64 << 36).to_le_bytes());
        assert_eq!(read(&table), Some(vec![Throttle::Heat]));
    }

    #[test]
    fn an_instinct_card_tells_video_links_and_what_slowed_it() {
        let mut table = unfilled(360, 6);
        put(&mut table, 18, &[63, 0, 200, 0]);
        put(&mut table, 26, &[41, 0]);
        put(&mut table, 104, &1_000_u32.to_le_bytes());
        for at in [108, 112, 116, 120, 124] {
            put(&mut table, at, &50_u32.to_le_bytes());
        }
        put(&mut table, 140, &[16, 0]);
        put(&mut table, 200, &7_u64.to_le_bytes());
        put(&mut table, 208, &8_u64.to_le_bytes());
        put(&mut table, 264, &9_u64.to_le_bytes());
        let first = Metrics::read(&table, &Metrics::default());
        assert_eq!(first.video_percent, Some(63.0));
        assert_eq!(first.jpeg_percent, Some(41.0));
        assert_eq!(first.throttles, None);
        let links = first.links.clone().unwrap();
        assert_eq!(
            (links.received_bytes, links.sent_bytes),
            (Some(15 * 1024), Some(9 * 1024))
        );
        let numbers: Vec<_> = links.links.iter().map(|link| link.number).collect();
        assert_eq!(numbers, [0, 1]);
        assert_eq!(links.links[1].received_bytes, Some(8 * 1024));
        assert_eq!(links.links[1].sent_bytes, None);

        // A hundred cycles later, power had held it for ten, heat for nine.
        put(&mut table, 104, &1_100_u32.to_le_bytes());
        put(&mut table, 112, &60_u32.to_le_bytes());
        put(&mut table, 116, &59_u32.to_le_bytes());
        let second = Metrics::read(&table, &first);
        assert_eq!(second.throttles, Some(vec![Throttle::PowerLimit]));
        put(&mut table, 104, &1_200_u32.to_le_bytes());
        put(&mut table, 124, &90_u32.to_le_bytes());
        let third = Metrics::read(&table, &second);
        assert_eq!(third.throttles, Some(vec![Throttle::Heat]));
        // Nothing happened since, or the chip started anew.
        assert_eq!(Metrics::read(&table, &third).throttles, None);
        put(&mut table, 104, &3_u32.to_le_bytes());
        assert_eq!(Metrics::read(&table, &third).throttles, None);
    }

    #[test]
    fn links_of_earlier_layouts_stand_elsewhere() {
        for (content, width_at, data_at) in [(4, 52, 104), (5, 116, 176)] {
            let mut table = unfilled(340, content);
            put(&mut table, width_at, &[16, 0]);
            put(&mut table, data_at, &3_u64.to_le_bytes());
            put(&mut table, data_at + 64, &5_u64.to_le_bytes());
            let links = Metrics::read(&table, &Metrics::default()).links.unwrap();
            assert_eq!(
                (links.received_bytes, links.sent_bytes),
                (Some(3 << 10), Some(5 << 10))
            );
            put(&mut table, width_at, &[0, 0]);
            assert_eq!(Metrics::read(&table, &Metrics::default()).links, None);
        }
    }
}
