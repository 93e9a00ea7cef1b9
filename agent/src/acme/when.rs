//! When the authority is asked next.
//!
//! Decides from times alone: it reads no clock, and chance is given to it.

use crate::limits::{
    ACME_REFUSED_PAUSE, ACME_REFUSED_PAUSE_MAX, ACME_UNREACHED_PAUSE, ACME_UNREACHED_PAUSE_MAX,
};
use crate::pki::Validity;

/// When a certificate is to be renewed: two thirds of its life are over, or a little less, so that machines which began
/// together do not ask together. `chance` is any number.
pub(super) fn renewal(validity: &Validity, chance: u32) -> u64 {
    let life = validity.until_unix_s.saturating_sub(validity.from_unix_s);
    let early = share(life / SPREAD, chance);
    validity.from_unix_s + life / 3 * 2 - early.min(life / 3)
}

/// How long to wait after so many failures in a row, in seconds. `refused`: the authority had to do something for each.
pub(super) fn pause(failures: u32, refused: bool, chance: u32) -> u64 {
    let (first, most) = match refused {
        true => (ACME_REFUSED_PAUSE, ACME_REFUSED_PAUSE_MAX),
        false => (ACME_UNREACHED_PAUSE, ACME_UNREACHED_PAUSE_MAX),
    };
    let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(0);
    let long = match first.as_secs().checked_mul(doubled) {
        Some(long) if doubled > 0 => long.min(most.as_secs()),
        _ => most.as_secs(),
    };
    long + share(long / SPREAD, chance)
}

/// Part of a whole, by chance.
fn share(whole: u64, chance: u32) -> u64 {
    let part = (u128::from(whole) * u128::from(chance)) >> 32;
    u64::try_from(part).unwrap_or(whole)
}

/// By one part in so many times differ.
const SPREAD: u64 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
        let validity = |from, until| Validity {
            from_unix_s: from,
            until_unix_s: until,
        };
        let day = 86_400;
        let ninety = validity(1_000, 1_000 + 90 * day);
        assert_eq!(renewal(&ninety, 0), 1_000 + 60 * day);
        let early = renewal(&ninety, u32::MAX);
        assert!((1_000 + 55 * day..1_000 + 56 * day).contains(&early));
        assert_eq!(renewal(&validity(100, 130), 0), 120);
        // What makes no sense is due at once.
        assert_eq!(renewal(&validity(100, 100), 7), 100);
        assert_eq!(renewal(&validity(100, 50), 7), 100);
    }

    #[test]
    fn pauses_double_and_end() {
        let pauses: Vec<u64> = (1..=10).map(|n| pause(n, true, 0)).collect();
        assert_eq!(pauses[..4], [300, 600, 1_200, 2_400]);
        assert_eq!(pauses[9], 43_200);
        // In the first hour no more than what Let's Encrypt bears.
        let mut at = 0;
        let in_an_hour = pauses.iter().filter(|pause| {
            at += **pause;
            at < 3_600
        });
        assert!(in_an_hour.count() < 5);
        for failures in [40, 63, 64, 65, u32::MAX] {
            assert_eq!(pause(failures, true, 0), 43_200);
            assert_eq!(pause(failures, false, 0), 3_600);
        }
        assert_eq!(pause(1, false, 0), 60);
        let spread = pause(1, true, u32::MAX);
        assert!(spread > 300 && spread <= 315, "{spread}");
    }
}
