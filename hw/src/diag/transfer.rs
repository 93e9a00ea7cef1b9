//! The way between the host's memory and a card's: how fast it is, and whether what arrives is what was sent.
//!
//! Decides how much is sent. The host's memory is pageable, as that of weights is which are loaded; with memory that the
//! driver may read by itself it can be faster, so a rate is told and not judged.

use std::time::{Duration, Instant};

use super::bench::Bench;
use super::patterns::mixed;
use super::report::TestResult;
use super::session::Session;
use crate::gpu::GpuError;

pub(super) fn test(session: &mut Session<'_>, result: &mut TestResult) -> Result<(), GpuError> {
    let bench = Bench::new(session.card)?;
    let bytes = (bench.free_bytes()? / 4).min(BYTES_MAX) / 8 * 8;
    if bytes == 0 {
        result.skip("too little of its memory is free");
        return Ok(());
    }
    let memory = bench.allocate(bytes as usize)?;
    let seed = session.settings.seed;
    let sent: Vec<u8> = (0..bytes / 8)
        .flat_map(|word| mixed(word.wrapping_add(seed)).to_ne_bytes())
        .collect();
    let (mut there, mut back) = (Duration::ZERO, Duration::ZERO);
    let mut times = 0_u32;
    let begun = Instant::now();
    while times < TIMES_MIN || begun.elapsed() < LONG_ENOUGH {
        if !session.go_on(1.0) {
            result.stop();
            break;
        }
        let start = Instant::now();
        memory.write(0, &sent)?;
        bench.wait()?;
        there += start.elapsed();
        let start = Instant::now();
        let found = bench.floats(&memory, (bytes / 4) as usize)?;
        back += start.elapsed();
        times += 1;
        let words = sent.chunks_exact(4).zip(&found).enumerate();
        let wrong = words
            .filter(|(_, (sent, found))| **sent != found.to_bits().to_ne_bytes())
            .map(|(at, _)| at * 4);
        let (first, count) = wrong.fold((None, 0_u64), |(first, count), at| {
            (first.or(Some(at)), count + 1)
        });
        if let Some(first) = first {
            result.fail(format!(
                "{count} words of 4 bytes came back from the card as others; the first at byte {first:#x} of {bytes:#x}"
            ));
            break;
        }
    }
    let moved = bytes as f64 * f64::from(times) / 1e9;
    if times > 0 {
        result.figure("to the card", moved / there.as_secs_f64(), "GB/s");
        result.figure("from the card", moved / back.as_secs_f64(), "GB/s");
    }
    Ok(())
}

/// What is sent at once.
const BYTES_MAX: u64 = 64 << 20;

/// How often, at least.
const TIMES_MIN: u32 = 3;

/// And how long.
const LONG_ENOUGH: Duration = Duration::from_millis(300);
