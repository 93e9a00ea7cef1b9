//! The binary table that amdgpu shows as `gpu_metrics`: what slows the device.
//!
//! Decides which versions of the table are understood; refuses to guess at others. The kernel
//! numbers its layouts (`drivers/gpu/drm/amd/include/kgd_pp_interface.h`) and the header of the
//! table tells which one it is. Only layout 1.3 has the throttle bits that mean the same on every
//! chip (`SMU_THROTTLER_*_BIT` in `amdgpu_smu.h`), so only that one is read.

use crate::telemetry::Throttle;

/// What slows the device, or `None` when the table has another layout or is cut off.
pub(super) fn throttles(table: &[u8]) -> Option<Vec<Throttle>> {
    let size = u16::from_le_bytes(field(table, 0)?);
    let [format, content] = field(table, 2)?;
    if (format, content) != (1, 3) || usize::from(size) < STATUS_AT + 8 {
        return None;
    }
    let status = u64::from_le_bytes(field(table, STATUS_AT)?);
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

/// Offset of `indep_throttle_status` in layout 1.3.
const STATUS_AT: usize = 112;

fn field<const N: usize>(table: &[u8], at: usize) -> Option<[u8; N]> {
    table.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

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
                throttles(&table(1, 3, status)).as_deref(),
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
        assert_eq!(throttles(&table(1, 4, 1)), None);
        assert_eq!(throttles(&table(2, 3, 1)), None);
        assert_eq!(throttles(&table(1, 3, u64::MAX)), None);
        let whole = table(1, 3, 1);
        for length in 0..whole.len() {
            assert_eq!(throttles(&whole[..length]), None, "{length}");
        }
        let mut short = table(1, 3, 1);
        short[0] = 100;
        assert_eq!(throttles(&short), None);
    }
}
