//! The largest numbers of a row, and the weight of all of them.
//!
//! Decides order among equals. Refuses to draw: sampling is the plugin's.
//!
//! What bounds it: one thread's arithmetic, some twenty instructions of exponentials for sixteen numbers, at a quarter of the
//! rate of moving them; of the 256 largest of 32,768 random numbers, sorting out those that come near, 0.1 ms (`hw/examples/bench
//! --only ops`, AVX-512).

use std::cmp::Ordering;

use super::level::Level;
use super::math;
use super::vector::{LANES, Vector, kernel};

/// The `count` largest of `row` with their columns, largest first, equal ones by lower column.
pub(crate) fn largest(level: Level, row: &[f32], count: usize, into: &mut Vec<(u32, f32)>) {
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
    let mut at = 0;
    while at < row.len() {
        if full {
            at += passed_over(level, &row[at..], least);
        }
        let end = (at + PASS).min(row.len());
        for (column, value) in (at as u32..).zip(&row[at..end]) {
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
        at = end;
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

/// Numbers that are compared at once.
const PASS: usize = 4 * LANES;

kernel!(
    /// How many of the first numbers, by whole passes, are not above `limit`.
    passed_over = passed_over_generic(row: &[f32], limit: f32) -> usize
);

#[inline(always)]
fn passed_over_generic<V: Vector>(row: &[f32], limit: f32) -> usize {
    let mut passed = 0;
    for pass in row.as_chunks::<PASS>().0 {
        let mut most = V::splat(limit);
        for x in pass.as_chunks::<LANES>().0 {
            most = V::load(x).max(most);
        }
        if most.largest() > limit {
            break;
        }
        passed += PASS;
    }
    passed
}

kernel!(
    /// log(sum(exp(x / temperature))), around the largest number so that nothing overflows.
    /// Infinite when there is an infinity, otherwise NaN when there is a NaN.
    log_sum_exp = log_sum_exp_generic(row: &[f32], temperature: f32) -> f32
);

#[inline(always)]
fn log_sum_exp_generic<V: Vector>(row: &[f32], temperature: f32) -> f32 {
    let (whole, rest) = row.as_chunks::<LANES>();
    let mut most = V::splat(f32::NEG_INFINITY);
    for x in whole {
        most = V::load(x).max(most);
    }
    let mut most = most.largest();
    for x in rest {
        most = most.max(*x);
    }
    if most == f32::NEG_INFINITY {
        let nan = row.iter().any(|v| v.is_nan());
        return if nan { f32::NAN } else { most };
    }
    if most == f32::INFINITY {
        return most;
    }
    let inverse = 1.0 / temperature;
    let (shift, factor) = (V::splat(most), V::splat(inverse));
    // Lanes add up few numbers each before they go into the larger type.
    let mut sum = 0.0_f64;
    for part in whole.chunks(64) {
        let mut lanes = V::zero();
        for x in part {
            lanes = lanes.add(math::exp(V::load(x).sub(shift).mul(factor)));
        }
        sum += f64::from(lanes.sum());
    }
    for x in rest {
        sum += f64::from(((x - most) * inverse).exp());
    }
    (f64::from(most) / f64::from(temperature) + sum.ln()) as f32
}

#[cfg(test)]
mod tests {
    use super::{largest, log_sum_exp};
    use crate::cpu::level::{Isa, Level};

    fn levels() -> impl Iterator<Item = Level> {
        Isa::available().into_iter().filter_map(Level::of)
    }

    fn check(row: &[f32], count: usize, expect: &[u32]) {
        for level in levels() {
            let mut into = Vec::new();
            largest(level, row, count, &mut into);
            let columns: Vec<u32> = into.iter().map(|(c, _)| *c).collect();
            assert_eq!(columns, expect, "{count} of {row:?}, {level:?}");
        }
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
        let close = |a: f32, b: f32| (a - b).abs() <= 2e-6 * b.abs();
        for level in levels() {
            let sum = |row: &[f32], temperature| log_sum_exp(level, row, temperature);
            let row = [1000.0, 1000.0];
            assert!(close(sum(&row, 1.0), 1_000.693_1));
            assert!(close(sum(&row, 2.0), 500.693_15));
            let mut long: Vec<f32> = (0..40).map(|i| i as f32 / 7.0).collect();
            let expect: f64 = long.iter().map(|x| f64::from(*x).exp()).sum();
            assert!(close(sum(&long, 1.0), expect.ln() as f32), "{level:?}");
            for at in [0, 17, 39] {
                let before = std::mem::replace(&mut long[at], f32::NAN);
                assert!(sum(&long, 1.0).is_nan(), "{level:?}, {at}");
                long[at] = f32::INFINITY;
                assert_eq!(sum(&long, 1.0), f32::INFINITY);
                long[at] = f32::NEG_INFINITY;
                assert!(sum(&long, 1.0) < expect.ln() as f32);
                long[at] = before;
            }
            assert_eq!(sum(&[f32::NEG_INFINITY; 33], 1.0), f32::NEG_INFINITY);
            assert!(sum(&[f32::NAN; 33], 1.0).is_nan());
        }
    }
}
