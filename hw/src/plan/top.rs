//! The largest numbers of a row, and the weight of all of them.
//!
//! Decides order among equals. Refuses to draw: sampling is the plugin's.

use std::cmp::Ordering;

/// The `count` largest of `row` with their columns, largest first, equal ones by lower column.
pub(super) fn largest(row: &[f32], count: usize, into: &mut Vec<(u32, f32)>) {
    let count = count.min(row.len());
    if count == 0 {
        return;
    }
    // Candidates pile up to twice the count; then the lesser half goes, and what is not above the
    // least that stayed is not looked at again.
    let room = count.saturating_mul(2).max(64);
    into.reserve(room);
    let mut least = f32::NEG_INFINITY;
    let mut full = false;
    for (column, value) in (0_u32..).zip(row) {
        if full && (value.is_nan() || *value <= least) {
            continue;
        }
        into.push((column, *value));
        if into.len() == room {
            let _ = into.select_nth_unstable_by(count - 1, order);
            into.truncate(count);
            least = into.last().map_or(f32::NEG_INFINITY, |(_, v)| *v);
            full = !least.is_nan();
        }
    }
    into.sort_unstable_by(order);
    into.truncate(count);
}

/// Larger first, then lower column; NaN last.
fn order(a: &(u32, f32), b: &(u32, f32)) -> Ordering {
    let values = match (a.1.is_nan(), b.1.is_nan()) {
        (false, false) => b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal),
        (a, b) => a.cmp(&b),
    };
    values.then(a.0.cmp(&b.0))
}

/// log(sum(exp(x / temperature))), around the largest number so that nothing overflows.
pub(super) fn log_sum_exp(row: &[f32], temperature: f32) -> f32 {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if most == f32::NEG_INFINITY {
        let nan = row.iter().any(|v| v.is_nan());
        return if nan { f32::NAN } else { most };
    }
    if most == f32::INFINITY {
        return most;
    }
    let inverse = 1.0 / temperature;
    // Sixteen sums side by side keep the order fixed and the processor busy.
    let mut sums = [0.0_f64; 16];
    for chunk in row.chunks(16) {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(((x - most) * inverse).exp());
        }
    }
    let sum: f64 = sums.iter().sum();
    (f64::from(most) / f64::from(temperature) + sum.ln()) as f32
}

#[cfg(test)]
mod tests {
    use super::{largest, log_sum_exp};

    fn check(row: &[f32], count: usize, expect: &[u32]) {
        let mut into = Vec::new();
        largest(row, count, &mut into);
        let columns: Vec<u32> = into.iter().map(|(c, _)| *c).collect();
        assert_eq!(columns, expect, "{count} of {row:?}");
    }

    #[test]
    fn picks_the_largest_in_order() {
        check(&[1.0, 3.0, 2.0], 2, &[1, 2]);
        check(&[1.0, 3.0, 3.0, 3.0], 2, &[1, 2]);
        check(&[f32::NAN, 1.0, f32::NEG_INFINITY], 3, &[1, 2, 0]);
        check(&[0.0, -0.0, 0.0], 3, &[0, 1, 2]);
        check(&[1.0], 5, &[0]);
        check(&[1.0], 0, &[]);
        check(&[], 3, &[]);
    }

    #[test]
    fn agrees_with_a_full_sort_on_long_rows() {
        let mut state = 1_u32;
        let row: Vec<f32> = (0..5000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as f32
            })
            .collect();
        let mut expect: Vec<u32> = (0..5000).collect();
        expect.sort_by(|a, b| row[*b as usize].total_cmp(&row[*a as usize]).then(a.cmp(b)));
        for count in [1, 2, 31, 32, 33, 100, 4999, 5000] {
            check(&row, count, &expect[..count]);
        }
    }

    #[test]
    fn sums_without_overflow() {
        let row = [1000.0, 1000.0];
        assert!((log_sum_exp(&row, 1.0) - 1_000.693_1).abs() < 1e-3);
        assert!((log_sum_exp(&row, 2.0) - 500.693_15).abs() < 1e-3);
        assert!(log_sum_exp(&[f32::NAN, 1.0], 1.0).is_nan());
        assert_eq!(log_sum_exp(&[f32::NEG_INFINITY], 1.0), f32::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[f32::INFINITY, 0.0], 1.0), f32::INFINITY);
    }
}
