//! Patterns in all memory that there is: written everywhere first, then looked at everywhere.
//!
//! Decides the patterns and their order, and how memory is taken in pieces. The patterns are those that memory testers have
//! long used: walking bits find lines that stick or touch, addresses find lines that select the wrong word, moving
//! inversions (van de Goor, "Testing Semiconductor Memories", 1991: march tests) find cells that follow their neighbours.

use super::Test;
use super::bench::{Bench, Look, Wrong};
use super::patterns::{Pattern, mixed};
use super::report::TestResult;
use super::session::Session;
use crate::gpu::{GpuError, Memory};

/// What is done with all memory, one after another.
#[derive(Clone, Copy, Debug)]
enum Step {
    Write(Look),
    Check(Look),
}

pub(super) fn test(session: &mut Session<'_>, result: &mut TestResult) -> Result<(), GpuError> {
    let bench = Bench::new(session.card)?;
    let pieces = take(&bench, session.settings.memory_percent)?;
    let bytes: u64 = pieces.iter().map(|piece| piece.bytes() as u64).sum();
    if bytes == 0 {
        let free = bench.free_bytes()?;
        result.skip(format!("only {free} bytes of its memory are free"));
        return Ok(());
    }
    session.tested(bytes);
    let mut moved = 0.0;
    let mut rounds = 0_u32;
    let begun = std::time::Instant::now();
    'rounds: while rounds == 0 || (session.has_time() && !result.is_proved()) {
        let steps = steps(result.test, session.settings.seed, rounds);
        for (at, step) in steps.iter().enumerate() {
            let mut wrong = Wrong::default();
            for piece in &pieces {
                let round = if rounds == 0 {
                    at as f32 / steps.len() as f32
                } else {
                    1.0
                };
                if !session.go_on(round) {
                    result.stop();
                    break 'rounds;
                }
                match step {
                    Step::Write(look) => {
                        bench.write(piece, *look)?;
                        bench.wait()?;
                    }
                    Step::Check(look) => wrong.add(bench.check(piece, *look)?),
                }
                moved += piece.bytes() as f64 * step.moves();
            }
            if let (Step::Check(look), 1..) = (step, wrong.count) {
                result.fail(told(&wrong, *look, &pieces));
            }
            if result.is_proved() {
                break 'rounds;
            }
        }
        rounds += 1;
    }
    result.figure("rounds", rounds.into(), "");
    result.figure("moved", moved / begun.elapsed().as_secs_f64() / 1e9, "GB/s");
    Ok(())
}

/// As much of the free memory as is asked for, in pieces; fewer where the driver gives less than it says is free.
fn take(bench: &Bench, percent: u8) -> Result<Vec<Memory>, GpuError> {
    let mut left = (u128::from(bench.free_bytes()?) * u128::from(percent.min(100)) / 100) as u64;
    let mut pieces = Vec::new();
    let mut most = PIECE_BYTES;
    while pieces.len() < PIECES_MAX {
        let bytes = left.min(most) / UNIT_BYTES * UNIT_BYTES;
        if bytes == 0 {
            break;
        }
        match bench.allocate(bytes as usize) {
            Ok(piece) => {
                left -= bytes;
                pieces.push(piece);
            }
            // What is free may lie apart.
            Err(error) if most > UNIT_BYTES && out_of_memory(&error) => most = bytes / 2,
            Err(error) if out_of_memory(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(pieces)
}

/// Whether a driver has no memory to give, which is no fault of the card's: CUDA and HIP have the same number for it.
pub(super) fn out_of_memory(error: &GpuError) -> bool {
    matches!(error, GpuError::Failed { code: 2, .. })
}

fn steps(test: Test, seed: u64, round: u32) -> Vec<Step> {
    let of = |pattern, flipped| Look {
        pattern,
        flipped,
        invert: false,
        backwards: false,
    };
    let there_and_back = |pattern| {
        let (plain, flipped) = (of(pattern, false), of(pattern, true));
        let invert = Look {
            invert: true,
            ..plain
        };
        let back = Look {
            invert: true,
            backwards: true,
            ..flipped
        };
        [
            Step::Write(plain),
            Step::Check(invert),
            Step::Check(back),
            Step::Check(plain),
        ]
    };
    match test {
        Test::Walking => [false, true]
            .into_iter()
            .flat_map(|flipped| (0..64).map(move |first| (first, flipped)))
            .flat_map(|(first, flipped)| {
                let look = of(Pattern::Walking(first), flipped);
                [Step::Write(look), Step::Check(look)]
            })
            .collect(),
        Test::Address => there_and_back(Pattern::Address).into(),
        Test::Inversions => [0, 0x5555_5555_5555_5555, 0x3333_3333_3333_3333]
            .into_iter()
            .chain([0x0f0f_0f0f_0f0f_0f0f, 0x00ff_00ff_00ff_00ff])
            .flat_map(|word| there_and_back(Pattern::Constant(word)))
            .collect(),
        _ => there_and_back(Pattern::Random(mixed(seed.wrapping_add(round.into())))).into(),
    }
}

impl Step {
    /// How often each byte of memory is read or written.
    fn moves(self) -> f64 {
        match self {
            Self::Write(_) => 1.0,
            Self::Check(look) => {
                if look.invert {
                    2.0
                } else {
                    1.0
                }
            }
        }
    }
}

/// Where and what, in words.
fn told(wrong: &Wrong, look: Look, pieces: &[Memory]) -> String {
    let mut before = 0_u64;
    let mut place = None;
    for piece in pieces {
        let start = piece.at(0);
        if (start..start + piece.bytes() as u64).contains(&wrong.address) {
            place = Some(before + wrong.address - start);
        }
        before += piece.bytes() as u64;
    }
    let place = place.map_or_else(String::new, |place| {
        format!("byte {place:#x} of {before:#x}, ")
    });
    let plural = if wrong.count == 1 { "word" } else { "words" };
    let opposite = if look.flipped { "the opposite of " } else { "" };
    format!(
        "{} {plural} wrong with {opposite}{}; the first at {place}address {:#x}: {:#018x} instead of {:#018x}; {}",
        wrong.count,
        look.pattern,
        wrong.address,
        wrong.found,
        wrong.expected,
        bits(wrong.bits)
    )
}

/// Which bits, while they are few.
pub(super) fn bits(mask: u64) -> String {
    if mask.count_ones() > 4 {
        return format!("wrong bits {mask:#018x}");
    }
    let all: Vec<String> = (0..64)
        .filter(|bit| mask >> bit & 1 == 1)
        .map(|bit: u32| bit.to_string())
        .collect();
    let plural = if all.len() == 1 { "bit" } else { "bits" };
    format!("wrong {plural} {}", all.join(", "))
}

/// A launch over a piece lasts a millisecond or so on a large card, after which it may be stopped.
const PIECE_BYTES: u64 = 1 << 30;

/// Pieces at once: more memory than cards have.
const PIECES_MAX: usize = 4096;

/// What pieces are a multiple of.
const UNIT_BYTES: u64 = 64 << 10;
