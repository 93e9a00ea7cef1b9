//! How fast a card's memory is.
//!
//! Decides what is timed, and that a card which reaches less than half of what its memory's clock and bus make possible is
//! odd. Kernels do it, not the driver's copies, so that it is what plans get.

use std::time::{Duration, Instant};

use super::bench::Bench;
use super::memory::out_of_memory;
use super::report::TestResult;
use super::session::Session;
use crate::gpu::{GpuError, Memory};
use crate::telemetry;

pub(super) fn test(session: &mut Session<'_>, result: &mut TestResult) -> Result<(), GpuError> {
    let bench = Bench::new(session.card)?;
    let share = u64::from(session.settings.memory_percent.min(100));
    // Two halves, and as much as one of them for sums at the most.
    let half =
        (bench.free_bytes()? * share / 100 / 3).min(HALF_BYTES_MAX) / UNIT_BYTES * UNIT_BYTES;
    let halves = [(); 2].map(|()| bench.allocate(half as usize));
    let [Ok(from), Ok(to)] = halves else {
        return halves
            .into_iter()
            .find_map(Result::err)
            .filter(|error| !out_of_memory(error))
            .map_or_else(
                || {
                    result.skip("too little of its memory is free");
                    Ok(())
                },
                Err,
            );
    };
    if half == 0 {
        result.skip("too little of its memory is free");
        return Ok(());
    }
    let sums = bench.allocate(Bench::sums_bytes(&from))?;
    bench.flood(&from, WORD)?;
    bench.flood(&to, !WORD)?;
    let bytes = half as f64;
    let kinds: [(&str, f64, &Once<'_>); 3] = [
        ("copy", 2.0 * bytes, &|| bench.copy(&to, &from)),
        ("read", bytes, &|| bench.read_through(&from, &sums)),
        ("write", bytes, &|| bench.flood(&to, WORD)),
    ];
    for (name, moved, once) in kinds {
        let Some(rate) = timed(session, &bench, moved, once)? else {
            result.stop();
            return Ok(());
        };
        result.figure(name, rate, "GB/s");
        if name == "copy" {
            verify(&bench, &to, &from, result)?;
        }
    }
    judge(session.newest(), result);
    Ok(())
}

/// What is timed.
type Once<'a> = dyn Fn() -> Result<(), GpuError> + 'a;

/// GB/s of what moves `moved` bytes each time; none if it was stopped.
fn timed(
    session: &mut Session<'_>,
    bench: &Bench,
    moved: f64,
    once: &Once<'_>,
) -> Result<Option<f64>, GpuError> {
    // What is first has the clocks to raise.
    once()?;
    bench.wait()?;
    let begun = Instant::now();
    let mut times = 0_u32;
    while times == 0 || begun.elapsed() < EACH {
        if !session.go_on(1.0) {
            return Ok(None);
        }
        for _ in 0..TOGETHER {
            once()?;
        }
        bench.wait()?;
        times += TOGETHER;
    }
    Ok(Some(
        moved * f64::from(times) / begun.elapsed().as_secs_f64() / 1e9,
    ))
}

fn verify(
    bench: &Bench,
    to: &Memory,
    from: &Memory,
    result: &mut TestResult,
) -> Result<(), GpuError> {
    let wrong = bench.compare(to, from)?;
    if wrong.count > 0 {
        result.fail(format!(
            "{} words of a copy are not what was copied; the first at address {:#x}: {:#018x} instead of {:#018x}",
            wrong.count, wrong.address, wrong.found, wrong.expected
        ));
    }
    Ok(())
}

/// What the memory's clock and bus make possible: two transfers a clock.
fn possible(device: &telemetry::Device) -> Option<f64> {
    let clock = f64::from(device.reading.clocks.memory_max_mhz?);
    let bits = f64::from(device.identity.memory_bus_bits?);
    Some(clock * 1e6 * 2.0 * bits / 8.0 / 1e9).filter(|rate| *rate > 0.0)
}

fn judge(device: Option<&telemetry::Device>, result: &mut TestResult) {
    let Some(possible) = device.and_then(possible) else {
        return;
    };
    let slow: Vec<String> = result
        .figures
        .iter()
        .filter(|figure| figure.value < possible / 2.0)
        .map(|figure| format!("{} at {:.1} GB/s", figure.name, figure.value))
        .collect();
    result.figure("possible", possible, "GB/s");
    if !slow.is_empty() {
        result.doubt(format!(
            "{}: less than half of the {possible:.0} GB/s that its memory's clock and bus make possible",
            slow.join(", ")
        ));
    }
}

/// How long each kind is timed.
const EACH: Duration = Duration::from_millis(300);

/// Launches between two waits, so that starting them counts for little.
const TOGETHER: u32 = 4;

/// More than any cache holds; larger pieces are no faster.
const HALF_BYTES_MAX: u64 = 1 << 30;

/// What halves are a multiple of.
const UNIT_BYTES: u64 = 4 << 10;

/// What is written.
const WORD: u64 = 0x0123_4567_89ab_cdef;

#[cfg(test)]
mod tests {
    use super::super::Test;
    use super::*;

    #[test]
    fn memory_at_less_than_half_of_its_bus_is_odd() {
        let check = |rate: f64, expect: bool| {
            let mut device: telemetry::Device = serde_json::from_str(H100).unwrap();
            device.identity.memory_bus_bits = Some(5120);
            device.reading.clocks.memory_max_mhz = Some(2619);
            let mut result = TestResult::new(Test::Bandwidth);
            result.figure("copy", rate, "GB/s");
            judge(Some(&device), &mut result);
            assert_eq!(!result.doubts.is_empty(), expect, "{rate}");
            // 3.35 TB/s, as the data sheet of an H100 SXM says.
            let possible = result.figures.last().unwrap().value;
            assert!((possible - 3352.0).abs() < 1.0, "{possible}");
        };
        check(2800.0, false);
        check(1600.0, true);
    }

    const H100: &str = r#"{"identity":{"id":"GPU-1","vendor":"nvidia","index":0},"reading":{"memory":{},"power":{},"thermal":{},"clocks":{},"pcie":{},"faults":{}},"verdict":"healthy"}"#;
}
