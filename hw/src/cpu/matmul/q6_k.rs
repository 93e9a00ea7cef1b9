//! Q6_K: 256 numbers of 6 bits around 32; 16 share a signed scale of 8 bits; 210 bytes.

use std::arch::x86_64::{
    __m128, __m128i, __m256i, __m512, __m512i, _mm_cvtepi8_epi16, _mm_cvtsi64_si128,
    _mm_set_epi64x, _mm_unpackhi_epi8, _mm_unpackhi_epi16, _mm_unpacklo_epi8, _mm_unpacklo_epi16,
    _mm256_and_si256, _mm256_castsi128_si256, _mm256_loadu_si256, _mm256_or_si256,
    _mm256_permutevar8x32_epi32, _mm256_set_epi8, _mm256_set_epi64x, _mm256_set1_epi8,
    _mm256_set1_epi32, _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_srli_epi16, _mm512_and_si512,
    _mm512_broadcast_i64x4, _mm512_cvtepi8_epi16, _mm512_cvtepi8_epi32, _mm512_loadu_si512,
    _mm512_or_si512, _mm512_set_epi64, _mm512_set1_epi8, _mm512_sllv_epi64, _mm512_srli_epi16,
    _mm512_srlv_epi64,
};

use super::gather::{half_at, spread_4, spread_halves};
use super::stored::{Centre, Narrow, Order, Stored, Wide};
use crate::dtype::Dtype;

/// The type.
pub(super) struct Q6K;

const BYTES: usize = 210;
/// Where the upper pairs of bits, the scales and the scale of all begin.
const HIGH: usize = 128;
const SCALES: usize = 192;
const SCALE: usize = 208;

impl Stored for Q6K {
    const DTYPE: Dtype = Dtype::Q6K;
    const CENTRE: Centre = Centre::Halves;
    const MINIMA: bool = false;
}

impl Wide for Q6K {
    const ORDER: Order = Order::Whole;

    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m512i; 2] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let (low, high) = {
                let block = row.add(quad / 2 * BYTES);
                (
                    _mm512_loadu_si512(block.add(quad % 2 * 64).cast()),
                    _mm256_loadu_si256(block.add(HIGH + quad % 2 * 32).cast()),
                )
            };
            let nibble = _mm512_set1_epi8(15);
            let pair = _mm512_set1_epi8(0x30);
            let high = _mm512_broadcast_i64x4(high);
            // Pair p of a byte belongs to block p of the quad; it goes to bits 4 and 5.
            let first = _mm512_sllv_epi64(high, _mm512_set_epi64(2, 2, 2, 2, 4, 4, 4, 4));
            let second = _mm512_srlv_epi64(high, _mm512_set_epi64(2, 2, 2, 2, 0, 0, 0, 0));
            [
                _mm512_or_si512(_mm512_and_si512(low, nibble), _mm512_and_si512(first, pair)),
                _mm512_or_si512(
                    _mm512_and_si512(_mm512_srli_epi16::<4>(low), nibble),
                    _mm512_and_si512(second, pair),
                ),
            ]
        }
    }

    #[inline(always)]
    unsafe fn scales(rows: [*const u8; 4], quad: usize) -> __m512 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { spread_halves(rows, quad / 2 * BYTES + SCALE) }
    }

    #[inline(always)]
    unsafe fn half_scales(rows: [*const u8; 4], quad: usize) -> __m512i {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            _mm512_cvtepi8_epi16(_mm256_set_epi64x(
                eight_scales(rows[3], quad).cast_signed(),
                eight_scales(rows[2], quad).cast_signed(),
                eight_scales(rows[1], quad).cast_signed(),
                eight_scales(rows[0], quad).cast_signed(),
            ))
        }
    }

    #[inline(always)]
    unsafe fn row_scales(rows: [*const u8; 4], quad: usize) -> [__m512i; 2] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let a = eight_scales(rows[0], quad).cast_signed();
            let b = eight_scales(rows[1], quad).cast_signed();
            let c = eight_scales(rows[2], quad).cast_signed();
            let d = eight_scales(rows[3], quad).cast_signed();
            let (even, odd) = (_mm_set_epi64x(c, a), _mm_set_epi64x(d, b));
            let low = _mm_unpacklo_epi8(even, odd);
            let high = _mm_unpackhi_epi8(even, odd);
            [
                _mm512_cvtepi8_epi32(_mm_unpacklo_epi16(low, high)),
                _mm512_cvtepi8_epi32(_mm_unpackhi_epi16(low, high)),
            ]
        }
    }
}

impl Narrow for Q6K {
    const SIGNED: bool = false;

    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m256i; 4] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let (low, other, high) = {
                let block = row.add(quad / 2 * BYTES);
                let low = block.add(quad % 2 * 64);
                (
                    _mm256_loadu_si256(low.cast()),
                    _mm256_loadu_si256(low.add(32).cast()),
                    _mm256_loadu_si256(block.add(HIGH + quad % 2 * 32).cast()),
                )
            };
            let nibble = _mm256_set1_epi8(15);
            let pair = _mm256_set1_epi8(0x30);
            let nibbles = [
                low,
                other,
                _mm256_srli_epi16::<4>(low),
                _mm256_srli_epi16::<4>(other),
            ];
            let pairs = [
                _mm256_slli_epi16::<4>(high),
                _mm256_slli_epi16::<2>(high),
                high,
                _mm256_srli_epi16::<2>(high),
            ];
            let mut quants = nibbles;
            for i in 0..4 {
                quants[i] = _mm256_or_si256(
                    _mm256_and_si256(nibbles[i], nibble),
                    _mm256_and_si256(pairs[i], pair),
                );
            }
            quants
        }
    }

    #[inline(always)]
    unsafe fn scales(row: *const u8, quad: usize) -> __m128 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { spread_4(half_at(row.add(quad / 2 * BYTES + SCALE))) }
    }

    #[inline(always)]
    unsafe fn lane_scales(row: *const u8, quad: usize) -> [__m256i; 4] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let bytes = eight_scales(row, quad);
            let eight = _mm_cvtepi8_epi16(_mm_cvtsi64_si128(bytes.cast_signed()));
            let eight = _mm256_castsi128_si256(eight);
            // Word i of the pair of block b goes to all words of half i.
            let index = _mm256_set_epi8(
                3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0,
                1, 0, 1, 0,
            );
            let mut lanes = [eight; 4];
            for (block, lanes) in (0..).zip(&mut lanes) {
                let both = _mm256_permutevar8x32_epi32(eight, _mm256_set1_epi32(block));
                *lanes = _mm256_shuffle_epi8(both, index);
            }
            lanes
        }
    }

    #[inline(always)]
    unsafe fn half_scales(row: *const u8, quad: usize) -> __m128i {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let bytes = eight_scales(row, quad);
            _mm_cvtepi8_epi16(_mm_cvtsi64_si128(bytes.cast_signed()))
        }
    }
}

/// The 8 signed scales of a quad.
///
/// # Safety
/// `row` must point to readable bytes up to the end of the quad's block.
#[inline(always)]
unsafe fn eight_scales(row: *const u8, quad: usize) -> u64 {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        row.add(quad / 2 * BYTES + SCALES + quad % 2 * 8)
            .cast::<u64>()
            .read_unaligned()
    }
}
