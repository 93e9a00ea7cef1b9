//! Products with quantised weights on AVX-512 VNNI, for many rows of activations.
//!
//! Decides that sixteen weight rows are unpacked once into a panel in which the same four columns
//! of all sixteen lie side by side, so that a lane is a weight row and nothing is added across
//! lanes. The sums and their order are those of `wide.rs`, so the bits are, too.

use std::arch::x86_64::{
    __m512, __m512i, _mm512_add_epi32, _mm512_add_ps, _mm512_castsi512_ps, _mm512_cvtepi32_ps,
    _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_load_ps, _mm512_load_si512, _mm512_mask_blend_ps,
    _mm512_mul_ps, _mm512_mullo_epi32, _mm512_permutex2var_ps, _mm512_set_epi32, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_shuffle_i32x4,
    _mm512_slli_epi32, _mm512_srai_epi32, _mm512_store_ps, _mm512_store_si512, _mm512_storeu_ps,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::nibbles;
use super::rounded::Quad;
use super::stored::{Centre, Wide};

/// Weight rows of a panel.
pub(super) const ROWS: usize = 16;

/// Words of a panel for one block of 32 columns: bytes, scales, minima and two scales of halves.
pub(super) const BLOCK_WORDS: usize = 128 + 16 + 16 + 32;

/// The most blocks of a panel (32,768 columns): one that does not stay in the cache gains nothing.
pub(super) const MOST_BLOCKS: usize = 1024;

/// A panel's parts, each aligned to 64 bytes.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    bytes: *mut u32,
    scales: *mut f32,
    minima: *mut f32,
    halves: *mut i32,
}

impl Panel {
    /// Over `words`, which start at a multiple of 64 bytes and suffice for `blocks`.
    pub(super) fn over(words: &mut [u32], blocks: usize) -> Option<Self> {
        let at = words.as_mut_ptr();
        if words.len() < blocks * BLOCK_WORDS || !at.addr().is_multiple_of(64) {
            return None;
        }
        Some(Self {
            bytes: at,
            scales: at.wrapping_add(blocks * 128).cast(),
            minima: at.wrapping_add(blocks * 144).cast(),
            halves: at.wrapping_add(blocks * 160).cast(),
        })
    }
}

/// Unpacks quad `quad` of sixteen rows into place `place` of the panel.
///
/// # Safety
/// AVX-512 (F, BW, DQ, VL, VNNI) must be there; each row must point to readable bytes up to the end
/// of its quad; the panel must have more than `4 * place + 3` blocks.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) unsafe fn fill<T: Wide>(
    panel: Panel,
    rows: &[*const u8; ROWS],
    quad: usize,
    place: usize,
) {
    // SAFETY: the caller's promise, for weights and for the panel: sixteen registers are two of
    // its blocks.
    unsafe {
        let bytes = panel.bytes.add(place * 512);
        let mut parts = [[_mm512_setzero_si512(); ROWS]; 2];
        if T::PACKED {
            for i in 0..ROWS {
                parts[0][i] = T::packed(rows[i], quad);
            }
            let packed = transposed(&parts[0]);
            for i in 0..ROWS {
                let [low, high] = nibbles::halves(packed[i]);
                parts[0][i] = low;
                parts[1][i] = high;
            }
        } else {
            for i in 0..ROWS {
                let [low, high] = T::quants(rows[i], quad);
                parts[0][i] = low;
                parts[1][i] = high;
            }
            parts = [transposed(&parts[0]), transposed(&parts[1])];
        }
        for (register, words) in parts.iter().enumerate() {
            for (i, word) in words.iter().enumerate() {
                let to = bytes.add(T::ORDER.place(register, i) * 16);
                _mm512_store_si512(to.cast(), *word);
            }
        }
        let [a, b, c, d] = [
            [rows[0], rows[1], rows[2], rows[3]],
            [rows[4], rows[5], rows[6], rows[7]],
            [rows[8], rows[9], rows[10], rows[11]],
            [rows[12], rows[13], rows[14], rows[15]],
        ];
        let scales = [
            T::scales(a, quad),
            T::scales(b, quad),
            T::scales(c, quad),
            T::scales(d, quad),
        ];
        spread(scales, panel.scales.add(place * 64), 16);
        if T::MINIMA {
            let minima = [
                T::minima(a, quad),
                T::minima(b, quad),
                T::minima(c, quad),
                T::minima(d, quad),
            ];
            spread(minima, panel.minima.add(place * 64), 16);
        }
        if T::CENTRE == Centre::Halves {
            let pairs = [
                _mm512_castsi512_ps(T::half_scales(a, quad)),
                _mm512_castsi512_ps(T::half_scales(b, quad)),
                _mm512_castsi512_ps(T::half_scales(c, quad)),
                _mm512_castsi512_ps(T::half_scales(d, quad)),
            ];
            let to = panel.halves.add(place * 128);
            spread(pairs, to.cast(), 32);
            for i in 0..4 {
                let pair = _mm512_load_si512(to.add(i * 32).cast());
                let first = _mm512_srai_epi32::<16>(_mm512_slli_epi32::<16>(pair));
                _mm512_store_si512(to.add(i * 32).cast(), first);
                let second = _mm512_srai_epi32::<16>(pair);
                _mm512_store_si512(to.add(i * 32 + 16).cast(), second);
            }
        }
    }
}

/// The products of M rows of activations with the panel's sixteen rows.
///
/// # Safety
/// AVX-512 (F, BW, DQ, VL, VNNI) must be there; the panel must be filled for `4 * quads` blocks,
/// and each of `x` must point to as many quads.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) unsafe fn tile<T: Wide, const M: usize>(
    panel: Panel,
    quads: usize,
    x: [*const Quad; M],
    out: &mut [[f32; ROWS]; M],
) {
    let mut sums = [[_mm512_setzero_ps(); 4]; M];
    for quad in 0..quads {
        for j in 0..4 {
            let block = quad * 4 + j;
            // SAFETY: the caller's promise, for panel and activations.
            unsafe {
                let dots = if T::CENTRE == Centre::Halves {
                    halves::<M>(panel, [quad, j], x)
                } else {
                    dots::<T, M>(panel, [quad, j], x)
                };
                let scales = _mm512_load_ps(panel.scales.add(block * 16));
                for m in 0..M {
                    let x_scale = _mm512_set1_ps((*x[m].add(quad)).scales[j]);
                    let factor = _mm512_mul_ps(scales, x_scale);
                    let mut sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[m]), factor, sums[m][j]);
                    if T::MINIMA {
                        let minima = _mm512_load_ps(panel.minima.add(block * 16));
                        let moment = _mm512_set1_ps((*x[m].add(quad)).moments[j]);
                        sum = _mm512_fmadd_ps(minima, moment, sum);
                    }
                    sums[m][j] = sum;
                }
            }
        }
    }
    for (out, [a, b, c, d]) in out.iter_mut().zip(sums) {
        let sum = _mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d));
        // SAFETY: the array has sixteen floats.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
    }
}

/// The whole numbers of one block.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn dots<T: Wide, const M: usize>(
    panel: Panel,
    [quad, j]: [usize; 2],
    x: [*const Quad; M],
) -> [__m512i; M] {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let block = quad * 4 + j;
        let mut dots = [_mm512_setzero_si512(); M];
        {
            if let Centre::Shift(shift) = T::CENTRE {
                for m in 0..M {
                    dots[m] = _mm512_set1_epi32((*x[m].add(quad)).debts[j] << shift);
                }
            }
            for i in 0..8 {
                let w = _mm512_load_si512(panel.bytes.add(block * 128 + i * 16).cast());
                for m in 0..M {
                    let four = (*x[m].add(quad)).bytes[j * 8 + i];
                    dots[m] =
                        _mm512_dpbusd_epi32(dots[m], w, _mm512_set1_epi32(four.cast_signed()));
                }
            }
        }
        dots
    }
}

/// The same where each half of a block has a scale of its own.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn halves<const M: usize>(
    panel: Panel,
    [quad, j]: [usize; 2],
    x: [*const Quad; M],
) -> [__m512i; M] {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let block = quad * 4 + j;
        let mut dots = [_mm512_setzero_si512(); M];
        for half in 0..2 {
            let mut sums = [_mm512_setzero_si512(); M];
            {
                for m in 0..M {
                    let pair = (*x[m].add(quad)).halves[j];
                    let sum = i32::from((pair >> (16 * half)) as u16 as i16);
                    sums[m] = _mm512_set1_epi32(-32 * sum);
                }
                for i in 0..4 {
                    let i = half * 4 + i;
                    let w = _mm512_load_si512(panel.bytes.add(block * 128 + i * 16).cast());
                    for m in 0..M {
                        let four = (*x[m].add(quad)).bytes[j * 8 + i];
                        let four = _mm512_set1_epi32(four.cast_signed());
                        sums[m] = _mm512_dpbusd_epi32(sums[m], w, four);
                    }
                }
                let scales = _mm512_load_si512(panel.halves.add(block * 32 + half * 16).cast());
                for m in 0..M {
                    dots[m] = _mm512_add_epi32(dots[m], _mm512_mullo_epi32(sums[m], scales));
                }
            }
        }
        dots
    }
}

/// Lane `4 * row + block` of four registers to lane `row` of four others, stored.
///
/// # Safety
/// AVX-512 F must be there and `to` point to 64 floats at a multiple of 64 bytes.
#[inline(always)]
unsafe fn spread(rows: [__m512; 4], to: *mut f32, stride: usize) {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let [a, b, c, d] = rows;
        for block in 0..4 {
            let k = block as i32;
            // Lanes 0 to 7 from the first two registers, 8 to 15 from the others.
            let index = _mm512_set_epi32(
                k + 28,
                k + 24,
                k + 20,
                k + 16,
                k + 12,
                k + 8,
                k + 4,
                k,
                k + 28,
                k + 24,
                k + 20,
                k + 16,
                k + 12,
                k + 8,
                k + 4,
                k,
            );
            let low = _mm512_permutex2var_ps(a, index, b);
            let high = _mm512_permutex2var_ps(c, index, d);
            let both = _mm512_mask_blend_ps(0xff00, low, high);
            _mm512_store_ps(to.add(block * stride), both);
        }
    }
}

/// Lane c of register r in lane r of register c.
///
/// # Safety
/// AVX-512 F must be there.
#[inline(always)]
unsafe fn transposed(rows: &[__m512i; ROWS]) -> [__m512i; ROWS] {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        // Within each four rows: register 4 g + c holds, in its 128-bit part p, column 4 p + c.
        let mut fours = [_mm512_setzero_si512(); ROWS];
        for g in 0..4 {
            let [a, b, c, d] = [
                rows[4 * g],
                rows[4 * g + 1],
                rows[4 * g + 2],
                rows[4 * g + 3],
            ];
            let (ab, cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
            fours[4 * g] = _mm512_unpacklo_epi64(ab, cd);
            fours[4 * g + 1] = _mm512_unpackhi_epi64(ab, cd);
            let (ab, cd) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
            fours[4 * g + 2] = _mm512_unpacklo_epi64(ab, cd);
            fours[4 * g + 3] = _mm512_unpackhi_epi64(ab, cd);
        }
        let mut columns = [_mm512_setzero_si512(); ROWS];
        for c in 0..4 {
            let [a, b, e, f] = [fours[c], fours[4 + c], fours[8 + c], fours[12 + c]];
            let low = _mm512_shuffle_i32x4::<0b01_00_01_00>(a, b);
            let high = _mm512_shuffle_i32x4::<0b11_10_11_10>(a, b);
            let low_2 = _mm512_shuffle_i32x4::<0b01_00_01_00>(e, f);
            let high_2 = _mm512_shuffle_i32x4::<0b11_10_11_10>(e, f);
            let parts = [
                _mm512_shuffle_i32x4::<0b10_00_10_00>(low, low_2),
                _mm512_shuffle_i32x4::<0b11_01_11_01>(low, low_2),
                _mm512_shuffle_i32x4::<0b10_00_10_00>(high, high_2),
                _mm512_shuffle_i32x4::<0b11_01_11_01>(high, high_2),
            ];
            for (p, part) in parts.into_iter().enumerate() {
                columns[4 * p + c] = part;
            }
        }
        columns
    }
}
