//! How many multiplications the vector units can make at most.

use std::thread;
use std::time::Duration;

use crate::Clock;

/// GFLOP/s (a multiplication and an addition are two) of all threads together; none where this program knows no
/// instruction for it.
pub(crate) struct Peak {
    /// Fused products of `f32`.
    pub(crate) floats: Option<f64>,
    /// Products of bytes summed by fours.
    pub(crate) bytes: Option<f64>,
}

/// Rounds of a kernel in one measured call: some milliseconds.
const ROUNDS: u64 = 1 << 20;

/// A kernel runs that many rounds of multiplications that do not wait for each other.
#[derive(Clone, Copy)]
struct Kernel {
    run: fn(u64) -> u64,
    /// Multiplications and additions of a round.
    flop: u64,
}

pub(crate) fn measure(threads: usize, clock: Clock, quick: bool) -> Peak {
    let budget = Duration::from_millis(if quick { 100 } else { 500 });
    let rate = |kernel: Kernel| {
        let time = clock.time(budget, || {
            if threads == 1 {
                std::hint::black_box((kernel.run)(ROUNDS));
                return;
            }
            thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(move || std::hint::black_box((kernel.run)(ROUNDS)));
                }
            });
        });
        let work = kernel.flop * ROUNDS * threads as u64;
        work as f64 / time.as_nanos() as f64
    };
    Peak {
        floats: kernels::floats().map(rate),
        bytes: kernels::bytes().map(rate),
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "a compiler would not leave work whose result nobody needs"
)]
mod kernels {
    use std::arch::asm;

    use super::Kernel;

    /// Twelve sums: what either of two multipliers with a delay of five cycles and less needs, and fewer than there are
    /// registers.
    const SUMS: u64 = 12;

    pub(super) fn floats() -> Option<Kernel> {
        if is_x86_feature_detected!("avx512f") {
            return Some(Kernel {
                run: avx512_floats,
                flop: SUMS * 16 * 2,
            });
        }
        is_x86_feature_detected!("fma").then_some(Kernel {
            run: avx2_floats,
            flop: SUMS * 8 * 2,
        })
    }

    pub(super) fn bytes() -> Option<Kernel> {
        is_x86_feature_detected!("avx512vnni").then_some(Kernel {
            run: avx512_bytes,
            flop: SUMS * 64 * 2,
        })
    }

    /// A loop of one instruction on each of twelve registers, which are zero and stay so.
    macro_rules! kernel {
        ($name:ident, $register:literal, $instruction:literal) => {
            fn $name(rounds: u64) -> u64 {
                let left: u64;
                // SAFETY: only registers are touched, all named as lost; the caller saw the processor to have the
                // instructions.
                unsafe {
                    asm!(
                        "vzeroall",
                        "2:",
                        concat!($instruction, " ", $register, "0, ", $register, "12, ", $register, "13"),
                        concat!($instruction, " ", $register, "1, ", $register, "12, ", $register, "13"),
                        concat!($instruction, " ", $register, "2, ", $register, "12, ", $register, "13"),
                        concat!($instruction, " ", $register, "3, ", $register, "12, ", $register, "13"),
                        concat!($instruction, " ", $register, "4, ", $register, "12, ", $register, "13"),
                        concat!($instruction, " ", $register, "5, ", $register, "12, ", $register, "13"),
                        concat!($instruction, " ", $register, "6, ", $register, "12, ", $register, "13"),
                        concat!($instruction, " ", $register, "7, ", $register, "12, ", $register, "13"),
                        concat!($instruction, " ", $register, "8, ", $register, "12, ", $register, "13"),
                        concat!($instruction, " ", $register, "9, ", $register, "12, ", $register, "13"),
                        concat!($instruction, " ", $register, "10, ", $register, "12, ", $register, "13"),
                        concat!($instruction, " ", $register, "11, ", $register, "12, ", $register, "13"),
                        "dec {rounds}",
                        "jnz 2b",
                        "vzeroupper",
                        rounds = inout(reg) rounds.max(1) => left,
                        out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
                        out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                        out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                        options(nomem, nostack),
                    );
                }
                left
            }
        };
    }

    kernel!(avx512_floats, "zmm", "vfmadd231ps");
    kernel!(avx2_floats, "ymm", "vfmadd231ps");
    kernel!(avx512_bytes, "zmm", "vpdpbusd");
}

#[cfg(not(target_arch = "x86_64"))]
mod kernels {
    use super::Kernel;

    pub(super) fn floats() -> Option<Kernel> {
        None
    }

    pub(super) fn bytes() -> Option<Kernel> {
        None
    }
}
