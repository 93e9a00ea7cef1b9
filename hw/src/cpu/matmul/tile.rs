//! A strip of packed weights with a few rows of activations.
//!
//! Decides the order of a product's sums, which is that of `reference/matmul.rs`: whole numbers
//! within a block, then one float sum, block after block.
//!
//! What bounds it: with one to four rows, memory (a block of Q4_0 is 288 bytes and some 25 vector
//! instructions, of Q8_0 544 bytes and 25); with eight, the multipliers: 64 `dpbusd` a block beside
//! some 45 other instructions, which go through the same two ports: a bound of 0.6 of what `dpbusd` alone makes. Measured are
//! 1.0 and more of the rate of reading with one row, and with 256 rows 0.30 to 0.48 of `dpbusd` alone, of Q6_K, which has a scale
//! for every sixteen columns, 0.20 (`cargo xtask bench kernels`, AVX-512).

use std::ops::Range;

use super::formats::Format;
#[cfg(target_arch = "aarch64")]
use super::lanes::{AtOnce, InPairs, Neon};
#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512};
use super::lanes::{Lanes, Portable};
use super::rounded::Quad;
use crate::cpu::level::{Isa, Level};
use crate::cpu::packed::STRIP;
use crate::cpu::vector::prefetch;

/// A strip's parts.
#[derive(Clone, Copy)]
pub(super) struct Strip<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) blocks: usize,
}

impl Strip<'_> {
    /// Where quants and sides begin.
    pub(super) fn parts<F: Format>(&self) -> [*const u8; 2] {
        let all = F::FORM.strip_bytes(self.blocks);
        assert!(
            self.bytes.len() >= all,
            "a strip is shorter than its columns say"
        );
        let quants = self.bytes.as_ptr();
        [quants, quants.wrapping_add(self.blocks * F::FORM.quants)]
    }
}

/// `out[s][m][r]` is the product of activations m with row r of strip s. All strips are of one weight.
///
/// Several strips at once are several streams out of memory: one alone does not keep enough reads in
/// flight.
pub(super) fn compute<F: Format, const S: usize, const M: usize>(
    level: Level,
    strips: [Strip<'_>; S],
    x: [&[Quad]; M],
    out: &mut [[[f32; STRIP]; M]; S],
) {
    let blocks = strips.first().map_or(0, |strip| strip.blocks);
    let mut starts = [std::ptr::null(); M];
    for (start, x) in starts.iter_mut().zip(x) {
        assert!(
            x.len() * 4 >= blocks,
            "activations are shorter than a strip"
        );
        *start = x.as_ptr();
    }
    let mut parts = [[std::ptr::null(); 2]; S];
    for (parts, strip) in parts.iter_mut().zip(strips) {
        assert!(strip.blocks == blocks, "strips of one weight are alike");
        *parts = strip.parts::<F>();
    }
    match level.isa() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a level of this kind proves the instructions; strips and activations were just
        // checked to have so many blocks.
        Isa::Avx512 | Isa::Amx => unsafe { with_avx512::<F, S, M>(parts, blocks, starts, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe { with_avx2::<F, S, M>(parts, blocks, starts, out) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        Isa::NeonDot => unsafe { with_dot_products::<F, S, M>(parts, blocks, starts, out) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above; nothing is needed that is not always there.
        Isa::Neon => unsafe { tile::<Neon<InPairs>, F, S, M>(parts, blocks, starts, out) },
        // SAFETY: as above; nothing is needed.
        _ => unsafe { tile::<Portable, F, S, M>(parts, blocks, starts, out) },
    }
}

/// # Safety
/// As for [`tile`]; AVX-512 (F, BW, DQ, VL, VNNI) must be there.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn with_avx512<F: Format, const S: usize, const M: usize>(
    parts: [[*const u8; 2]; S],
    blocks: usize,
    x: [*const Quad; M],
    out: &mut [[[f32; STRIP]; M]; S],
) {
    // SAFETY: the caller's promise.
    unsafe { tile::<Avx512, F, S, M>(parts, blocks, x, out) }
}

/// # Safety
/// As for [`tile`]; AVX2, FMA and F16C must be there.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn with_avx2<F: Format, const S: usize, const M: usize>(
    parts: [[*const u8; 2]; S],
    blocks: usize,
    x: [*const Quad; M],
    out: &mut [[[f32; STRIP]; M]; S],
) {
    // SAFETY: the caller's promise.
    unsafe { tile::<Avx2, F, S, M>(parts, blocks, x, out) }
}

/// # Safety
/// As for [`tile`]; the extension `dotprod` must be there.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon,dotprod")]
unsafe fn with_dot_products<F: Format, const S: usize, const M: usize>(
    parts: [[*const u8; 2]; S],
    blocks: usize,
    x: [*const Quad; M],
    out: &mut [[[f32; STRIP]; M]; S],
) {
    // SAFETY: the caller's promise.
    unsafe { tile::<Neon<AtOnce>, F, S, M>(parts, blocks, x, out) }
}

/// # Safety
/// The instructions of `L` must be enabled; `strips` must be the parts of strips of `blocks` blocks,
/// and each of `x` must point to so many.
#[inline(always)]
unsafe fn tile<L: Lanes, F: Format, const S: usize, const M: usize>(
    strips: [[*const u8; 2]; S],
    blocks: usize,
    x: [*const Quad; M],
    out: &mut [[[f32; STRIP]; M]; S],
) {
    for row in (0..STRIP).step_by(L::ROWS) {
        // SAFETY: the caller's promise; rows are moved on to as `Format` wants it.
        unsafe {
            let mut sums = [[L::splat(0.0); M]; S];
            for quad in 0..blocks / 4 {
                step::<L, F, S, M>(strips, row, quad, 0..4, x, &mut sums);
            }
            step::<L, F, S, M>(strips, row, blocks / 4, 0..blocks % 4, x, &mut sums);
            for (out, sums) in out.iter_mut().zip(sums) {
                for (out, sum) in out.iter_mut().zip(sums) {
                    L::store(sum, out.as_mut_ptr().add(row));
                }
            }
        }
    }
}

/// Some blocks of a quad of each strip.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn step<L: Lanes, F: Format, const S: usize, const M: usize>(
    strips: [[*const u8; 2]; S],
    row: usize,
    quad: usize,
    places: Range<usize>,
    x: [*const Quad; M],
    sums: &mut [[L::Floats; M]; S],
) {
    for place in places {
        for (strip, sums) in strips.into_iter().zip(sums.iter_mut()) {
            // SAFETY: the caller's promise.
            unsafe { block::<L, F, M>(strip, row, [quad, place], x, sums) };
        }
    }
}

/// One block of a strip.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn block<L: Lanes, F: Format, const M: usize>(
    [quants, sides]: [*const u8; 2],
    row: usize,
    [quad, place]: [usize; 2],
    x: [*const Quad; M],
    sums: &mut [L::Floats; M],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let block = quad * 4 + place;
        let at = quants.add(block * F::FORM.quants + 4 * row);
        ahead::<F>(at);
        let weights = F::quants::<L>(at);
        let scale = F::scale::<L>(sides, row, block, 0);
        for m in 0..M {
            let x = &*x[m].add(quad);
            let x_scale = L::splat(x.scales[place]);
            let words = x.bytes.as_ptr().add(place * 8);
            if F::HALVED {
                let [first, second] = x.half_debts(place);
                let mut dots = [L::all(first << F::CENTRE), L::all(second << F::CENTRE)];
                for g in 0..8 {
                    dots[g / 4] = L::dot(dots[g / 4], weights[g], words.add(g));
                }
                let factor = L::mul(scale, x_scale);
                sums[m] = L::fma(L::to_floats(dots[0]), factor, sums[m]);
                let factor = L::mul(F::scale::<L>(sides, row, block, 1), x_scale);
                sums[m] = L::fma(L::to_floats(dots[1]), factor, sums[m]);
                continue;
            }
            let shift = if F::SIGNED { L::OFFSET } else { F::CENTRE };
            let debt = if shift > 0 {
                x.debts[place] << shift
            } else {
                0
            };
            let mut dot = L::all(debt);
            for g in 0..8 {
                dot = if F::SIGNED {
                    L::dot_signed(dot, weights[g], words.add(g))
                } else {
                    L::dot(dot, weights[g], words.add(g))
                };
            }
            let factor = L::mul(scale, x_scale);
            sums[m] = L::fma(L::to_floats(dot), factor, sums[m]);
            if F::MINIMA {
                let minimum = F::minimum::<L>(sides, row, block);
                sums[m] = L::fma(minimum, L::splat(x.moments[place]), sums[m]);
            }
        }
    }
}

/// Asks for the quants that are read some microseconds from now, beyond the strip's end, too.
#[inline(always)]
fn ahead<F: Format>(at: *const u8) {
    for line in 0..F::FORM.quants / 64 {
        prefetch(at.wrapping_add(AHEAD + line * 64));
    }
}

/// Bytes, of each of four streams.
const AHEAD: usize = 1024;
