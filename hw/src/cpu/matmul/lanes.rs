//! Sums across lanes, for AVX-512: four rows of weights with one of activations.
//!
//! Decides how the products that `dpbusd` leaves, four to a lane, become one whole number for each
//! block: lane `4 * row + block`. All sums are of whole numbers, so their order does not matter.
//!
//! With quants of at most 6 bits around their centre, the sum of eight products fits into 16 bits
//! with a sign: then a pack and a multiplication by one add neighbours with half of the shuffles.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_madd_epi16,
    _mm512_mullo_epi32, _mm512_packs_epi32, _mm512_permutexvar_epi32, _mm512_set_epi32,
    _mm512_set1_epi16, _mm512_shuffle_i32x4, _mm512_shuffle_ps, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::stored::Order;

/// Activations in the order in which weights were unpacked.
///
/// # Safety
/// AVX-512 F must be there.
#[inline(always)]
pub(super) unsafe fn arrange(order: Order, [a, b]: [__m512i; 2]) -> [__m512i; 2] {
    // SAFETY: the caller's promise: the instructions are there.
    unsafe {
        match order {
            Order::Whole => [a, b],
            Order::Crossed => [
                _mm512_shuffle_i32x4::<0b01_00_01_00>(a, b),
                _mm512_shuffle_i32x4::<0b11_10_11_10>(a, b),
            ],
            Order::Split => [even_parts(a, b), odd_parts(a, b)],
        }
    }
}

/// Of [`Order::Whole`]: eight lanes of a register are a block. Any products.
///
/// # Safety
/// AVX-512 F must be there.
#[inline(always)]
pub(super) unsafe fn whole(dots: [[__m512i; 2]; 4]) -> __m512i {
    // SAFETY: the caller's promise: the instructions are there.
    unsafe {
        let mut rows = [dots[0][0]; 4];
        for (row, [a, b]) in rows.iter_mut().zip(dots) {
            *row = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        }
        let [a, b, c, d] = rows;
        let low = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
        let high = _mm512_add_epi32(_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
        let sums = _mm512_add_epi32(even_parts(low, high), odd_parts(low, high));
        let order = _mm512_set_epi32(15, 11, 14, 10, 13, 9, 12, 8, 7, 3, 6, 2, 5, 1, 4, 0);
        _mm512_permutexvar_epi32(order, sums)
    }
}

/// Of [`Order::Crossed`]: eight lanes are a block; products of at most 5 bits.
///
/// # Safety
/// AVX-512 (F, BW) must be there.
#[inline(always)]
pub(super) unsafe fn crossed(dots: [[__m512i; 2]; 4]) -> __m512i {
    // SAFETY: the caller's promise: the instructions are there.
    unsafe {
        let [a, b, c, d] = dots;
        let low = add_pairs(add_pairs(a[0], a[1]), add_pairs(b[0], b[1]));
        let high = add_pairs(add_pairs(c[0], c[1]), add_pairs(d[0], d[1]));
        // A 128-bit part: blocks 0 and 1 of one row, then of the next; or blocks 2 and 3.
        let sums = _mm512_add_epi32(even_parts(low, high), odd_parts(low, high));
        let order = _mm512_set_epi32(15, 14, 11, 10, 13, 12, 9, 8, 7, 6, 3, 2, 5, 4, 1, 0);
        _mm512_permutexvar_epi32(order, sums)
    }
}

/// Of [`Order::Split`]: four lanes are a block, both halves already added; products of at most 5
/// bits.
///
/// # Safety
/// AVX-512 (F, BW) must be there.
#[inline(always)]
pub(super) unsafe fn split([a, b, c, d]: [__m512i; 4]) -> __m512i {
    // SAFETY: the caller's promise: the instructions are there.
    unsafe {
        let low = _mm512_castsi512_ps(add_pairs(a, b));
        let high = _mm512_castsi512_ps(add_pairs(c, d));
        let even = _mm512_castps_si512(_mm512_shuffle_ps::<0b10_00_10_00>(low, high));
        let odd = _mm512_castps_si512(_mm512_shuffle_ps::<0b11_01_11_01>(low, high));
        turn(_mm512_add_epi32(even, odd))
    }
}

/// Of [`Order::Whole`], where each half of a block has a scale: lane `4 * half + row` of
/// `scales`. Products of 6 bits around their centre.
///
/// # Safety
/// AVX-512 (F, BW, DQ) must be there.
#[inline(always)]
pub(super) unsafe fn scaled(dots: [[__m512i; 2]; 4], scales: [__m512i; 2]) -> __m512i {
    // SAFETY: the caller's promise: the instructions are there.
    unsafe {
        let [a, b, c, d] = dots;
        let mut halves = scales;
        for i in 0..2 {
            let sums = add_pairs(add_pairs(a[i], b[i]), add_pairs(c[i], d[i]));
            halves[i] = _mm512_mullo_epi32(sums, scales[i]);
        }
        let [low, high] = halves;
        turn(_mm512_add_epi32(
            even_parts(low, high),
            odd_parts(low, high),
        ))
    }
}

/// In each 128-bit part: sums of two neighbours of `a`, then of `b`. All must fit into 16 bits.
#[inline(always)]
unsafe fn add_pairs(a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: the caller's promise: the instructions are there.
    unsafe { _mm512_madd_epi16(_mm512_packs_epi32(a, b), _mm512_set1_epi16(1)) }
}

/// The 128-bit parts 0 and 2 of `a`, then of `b`.
#[inline(always)]
unsafe fn even_parts(a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: the caller's promise: the instructions are there.
    unsafe { _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b) }
}

/// The 128-bit parts 1 and 3 of `a`, then of `b`.
#[inline(always)]
unsafe fn odd_parts(a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: the caller's promise: the instructions are there.
    unsafe { _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b) }
}

/// Lane `4 * block + row` to lane `4 * row + block`.
#[inline(always)]
unsafe fn turn(sums: __m512i) -> __m512i {
    // SAFETY: the caller's promise: the instructions are there.
    unsafe {
        let order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
        _mm512_permutexvar_epi32(order, sums)
    }
}
