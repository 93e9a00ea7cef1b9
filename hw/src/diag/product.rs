//! A large product again and again.
//!
//! Decides that the first is of whole numbers, whose sums a float holds exactly, so that it is right or wrong; and that the
//! others are of any numbers, for which the processor would need too long: there each must have the bits of the first, since
//! every sum is taken in the same order. It is the same product on all cards of a kind, and so is its checksum.

use std::time::{Duration, Instant};

use super::bench::{Bench, TILE};
use super::memory::{bits, out_of_memory};
use super::patterns::{mixed, whole};
use super::report::TestResult;
use super::session::Session;
use crate::gpu::{GpuError, Memory};

/// The squares, and how wide they are.
struct Squares {
    a: Memory,
    b: Memory,
    first: Memory,
    next: Memory,
    edge: usize,
}

pub(super) fn test(session: &mut Session<'_>, result: &mut TestResult) -> Result<(), GpuError> {
    let bench = Bench::new(session.card)?;
    let Some(squares) = Squares::fit(&bench, session.settings.memory_percent)? else {
        result.skip("too little of its memory is free");
        return Ok(());
    };
    if !session.go_on(0.0) {
        result.stop();
        return Ok(());
    }
    exact(&bench, &squares, session.settings.seed, result)?;
    load(&bench, &squares, session, result)
}

impl Squares {
    /// As wide as fits a share of the free memory, or none.
    fn fit(bench: &Bench, percent: u8) -> Result<Option<Self>, GpuError> {
        let free = bench.free_bytes()? * u64::from(percent.min(100)) / 100;
        let numbers = usize::try_from(free / 16).unwrap_or(usize::MAX);
        let edge = numbers.isqrt().min(EDGE_MAX) / TILE * TILE;
        if edge == 0 {
            return Ok(None);
        }
        let square = || bench.allocate(edge * edge * 4);
        let all = || -> Result<Self, GpuError> {
            Ok(Self {
                a: square()?,
                b: square()?,
                first: square()?,
                next: square()?,
                edge,
            })
        };
        match all() {
            Err(error) if out_of_memory(&error) => Ok(None),
            made => made.map(Some),
        }
    }
}

/// A product of whole numbers, checked on the processor.
fn exact(
    bench: &Bench,
    squares: &Squares,
    seed: u64,
    result: &mut TestResult,
) -> Result<(), GpuError> {
    let edge = squares.edge;
    bench.fill_factor(&squares.a, seed, true)?;
    bench.fill_factor(&squares.b, !seed, true)?;
    bench.multiply([&squares.first, &squares.a, &squares.b], edge)?;
    let product = bench.floats(&squares.first, edge * edge)?;
    if let Some(wrong) = freivalds(&product, edge, seed) {
        result.fail(wrong);
    }
    result.note(format!("checksum {:016x}", checksum(&product)));
    Ok(())
}

/// Freivalds' check ("Probabilistic Machines Can Use Less Running Time", 1977): `out * x` must be `a * (b * x)`. With whole
/// numbers there is no rounding, and with `x` from 65,536 of them a wrong row is missed once in as many times.
fn freivalds(product: &[f32], edge: usize, seed: u64) -> Option<String> {
    let number = |seed: u64, row: usize, column: usize| whole(seed, (row * edge + column) as u64);
    let x: Vec<i64> = (0..edge as u64)
        .map(|index| (mixed(index.wrapping_mul(3).wrapping_add(seed)) & 0xffff) as i64)
        .collect();
    let times = |row: &dyn Fn(usize) -> i64, by: &[i64]| -> i64 {
        by.iter().enumerate().map(|(at, by)| row(at) * by).sum()
    };
    let bx: Vec<i64> = (0..edge)
        .map(|row| times(&|column| number(!seed, row, column), &x))
        .collect();
    let rows = product.chunks_exact(edge).enumerate();
    let wrong: Vec<usize> = rows
        .filter(|(row, found)| {
            let sound = found.iter().all(|x| x.fract() == 0.0 && x.abs() < 1e9);
            let ours = times(&|column| number(seed, *row, column), &bx);
            let theirs: i64 = found.iter().zip(&x).map(|(c, x)| *c as i64 * x).sum();
            !sound || ours != theirs
        })
        .map(|(row, _)| row)
        .collect();
    let row = *wrong.first()?;
    // What is right in the first such row, to say which number is not.
    let found = product.chunks_exact(edge).nth(row).unwrap_or_default();
    let mut right = vec![0_i64; edge];
    for k in 0..edge {
        let factor = number(seed, row, k);
        for (column, sum) in right.iter_mut().enumerate() {
            *sum += factor * number(!seed, k, column);
        }
    }
    let differs = found
        .iter()
        .zip(&right)
        .position(|(found, right)| *found != *right as f32);
    let place = differs.map_or_else(String::new, |column| {
        let (found, right) = (found.get(column), right.get(column));
        format!(
            ": in row {row}, column {column} it has {} where {} is right",
            found.copied().unwrap_or_default(),
            right.copied().unwrap_or_default()
        )
    });
    Some(format!(
        "a product of whole numbers is wrong in {} of {edge} rows{place}",
        wrong.len()
    ))
}

/// The same product until the time is over.
fn load(
    bench: &Bench,
    squares: &Squares,
    session: &mut Session<'_>,
    result: &mut TestResult,
) -> Result<(), GpuError> {
    let edge = squares.edge;
    let seed = session.settings.seed;
    bench.fill_factor(&squares.a, seed, false)?;
    bench.fill_factor(&squares.b, !seed, false)?;
    bench.multiply([&squares.first, &squares.a, &squares.b], edge)?;
    bench.wait()?;
    let mut busy = Duration::ZERO;
    let mut times = 0_u32;
    while times < TIMES_MIN || session.has_time() {
        if !session.go_on(1.0) {
            result.stop();
            break;
        }
        let begun = Instant::now();
        bench.multiply([&squares.next, &squares.a, &squares.b], edge)?;
        bench.wait()?;
        busy += begun.elapsed();
        times += 1;
        let wrong = bench.compare(&squares.next, &squares.first)?;
        if wrong.count > 0 {
            let at = wrong.address.saturating_sub(squares.next.at(0)) as usize / 4;
            // Two numbers are a word.
            let at = at + usize::from(wrong.found as u32 == wrong.expected as u32);
            result.fail(format!(
                "repetition {times} of the same product differs from the first in {} pairs of numbers, first in row {}, column {}; {} of the pair",
                wrong.count,
                at / edge,
                at % edge,
                bits(wrong.bits)
            ));
            if result.is_proved() {
                break;
            }
        }
    }
    if times > 0 {
        let operations = 2.0 * (edge as f64).powi(3) * f64::from(times);
        result.figure("repetitions", times.into(), "");
        result.figure("edge", edge as f64, "");
        result.figure(
            "single precision",
            operations / busy.as_secs_f64() / 1e12,
            "TFLOP/s",
        );
    }
    Ok(())
}

fn checksum(product: &[f32]) -> u64 {
    product
        .iter()
        .fold(0, |sum, number| mixed(sum ^ u64::from(number.to_bits())))
}

/// Wide enough that a large card is busy, and small enough that the processor can check the first in a second.
const EDGE_MAX: usize = 4096;

/// How often the product is repeated at least.
const TIMES_MIN: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn product(edge: usize, seed: u64) -> Vec<f32> {
        let number = |seed, row: usize, column: usize| whole(seed, (row * edge + column) as u64);
        (0..edge * edge)
            .map(|at| {
                let (row, column) = (at / edge, at % edge);
                let sum: i64 = (0..edge)
                    .map(|k| number(seed, row, k) * number(!seed, k, column))
                    .sum();
                sum as f32
            })
            .collect()
    }

    #[test]
    fn one_wrong_number_is_found_and_told() {
        let right = product(16, 5);
        assert_eq!(freivalds(&right, 16, 5), None);
        for at in 0..right.len() {
            let mut wrong = right.clone();
            wrong[at] += 1.0;
            let told = freivalds(&wrong, 16, 5).unwrap();
            let place = format!("in row {}, column {} ", at / 16, at % 16);
            assert!(told.contains("in 1 of 16 rows"), "{told}");
            assert!(told.contains(&place), "{told}");
        }
        let mut none = right.clone();
        none[17] = f32::NAN;
        assert!(freivalds(&none, 16, 5).unwrap().contains("row 1, column 1"));
        let mut half = right;
        half[3] += 0.5;
        assert!(freivalds(&half, 16, 5).is_some());
    }
}
