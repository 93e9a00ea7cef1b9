//! Scales out of blocks that lie apart.
//!
//! Decides how the scales of four neighbouring blocks of 32 numbers come together. Refuses to
//! know the quants between them.

use std::arch::x86_64::{
    __m128, __m128i, __m512, __m512i, _mm_cvtepi32_ps, _mm_cvtepu8_epi32, _mm_cvtph_ps,
    _mm_cvtsi32_si128, _mm_cvtsi64_si128, _mm_cvtss_f32, _mm_loadu_si128, _mm_mul_ps, _mm_set1_ps,
    _mm256_cvtph_ps, _mm256_loadu_si256, _mm512_and_si512, _mm512_castps128_ps512,
    _mm512_castps256_ps512, _mm512_castsi128_si512, _mm512_castsi256_si512, _mm512_castsi512_si128,
    _mm512_castsi512_si256, _mm512_cvtepi32_ps, _mm512_cvtph_ps, _mm512_inserti32x4,
    _mm512_inserti64x4, _mm512_loadu_si512, _mm512_mask_permutexvar_epi16, _mm512_mul_ps,
    _mm512_or_si512, _mm512_permutexvar_epi32, _mm512_permutexvar_ps, _mm512_set_epi32,
    _mm512_set1_epi32, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_shuffle_epi8,
    _mm512_slli_epi32, _mm512_srli_epi32, _mm512_sub_ps,
};

/// Four halves, `stride` bytes apart, side by side.
///
/// # Safety
/// `at` must point to `3 * stride + 2` readable bytes.
#[inline(always)]
pub(super) unsafe fn four_halves(at: *const u8, stride: usize) -> u64 {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let mut bits = 0;
        for i in 0..4 {
            let half = at.add(i * stride).cast::<u16>().read_unaligned();
            bits |= u64::from(half) << (16 * i);
        }
        bits
    }
}

/// Four halves, `STRIDE` bytes apart, from `at` bytes on in each of four rows, as floats: lane
/// `4 * row + block`.
///
/// # Safety
/// AVX-512 (F, BW) must be there, and `4 * STRIDE` readable bytes from the start of the first half's
/// block on.
#[inline(always)]
pub(super) unsafe fn four_halves_16<const STRIDE: usize>(
    rows: [*const u8; 4],
    at: usize,
) -> __m512 {
    // SAFETY: the caller's promise. Blocks have at least 18 bytes and a half is at most 2 bytes into
    // its own, so what is read, as written beside each case, ends within the fourth block.
    unsafe {
        let mut halves = _mm512_setzero_si512();
        for (row, of) in rows.into_iter().zip([0x000f, 0x00f0, 0x0f00, 0xf000]) {
            let at = row.add(at);
            if 3 * STRIDE + 2 <= 64 {
                // 64 bytes of at least 72.
                let index = const { words([0, STRIDE, 2 * STRIDE, 3 * STRIDE]) };
                let index = _mm512_loadu_si512(index.as_ptr().cast());
                let bytes = _mm512_loadu_si512(at.cast());
                halves = _mm512_mask_permutexvar_epi16(halves, of, index, bytes);
            } else if STRIDE + 2 <= 32 {
                // 2 strides and 32 bytes of 4 strides of at least 22.
                let index = const { words([0, STRIDE, 32, 32 + STRIDE]) };
                let index = _mm512_loadu_si512(index.as_ptr().cast());
                let low = _mm512_castsi256_si512(_mm256_loadu_si256(at.cast()));
                let high = _mm256_loadu_si256(at.add(2 * STRIDE).cast());
                let bytes = _mm512_inserti64x4::<1>(low, high);
                halves = _mm512_mask_permutexvar_epi16(halves, of, index, bytes);
            } else {
                // 2 strides and 64 bytes of 4 strides of at least 32.
                let index = const { words([0, STRIDE, 0, STRIDE]) };
                let index = _mm512_loadu_si512(index.as_ptr().cast());
                let (low, high) = (at, at.add(2 * STRIDE));
                let low = _mm512_loadu_si512(low.cast());
                let high = _mm512_loadu_si512(high.cast());
                halves = _mm512_mask_permutexvar_epi16(halves, of & 0x3333, index, low);
                halves = _mm512_mask_permutexvar_epi16(halves, of & 0xcccc, index, high);
            }
        }
        _mm512_cvtph_ps(_mm512_castsi512_si256(halves))
    }
}

/// For each row, the words that lie so many bytes into a register.
const fn words(bytes: [usize; 4]) -> [u16; 32] {
    let mut words = [0; 32];
    let mut lane = 0;
    while lane < 32 {
        words[lane] = (bytes[lane % 4] / 2) as u16;
        lane += 1;
    }
    words
}

/// Four halves as floats.
#[inline(always)]
pub(super) unsafe fn widen_4(bits: u64) -> __m128 {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let bits: __m128i = _mm_cvtsi64_si128(bits.cast_signed());
        _mm_cvtph_ps(bits)
    }
}

/// The four scales and the four minima, 6 bits each, of one half of a block of 256 of Q4_K or
/// Q5_K, a byte each. `at` points to the block.
///
/// # Safety
/// `at` must point to 16 readable bytes.
#[inline(always)]
pub(super) unsafe fn six_bit_scales(at: *const u8, half: usize) -> (u32, u32) {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let words = at.add(4).cast::<u32>();
        let a = words.read_unaligned();
        let b = words.add(1).read_unaligned();
        let c = words.add(2).read_unaligned();
        if half == 0 {
            (a & 0x3f3f_3f3f, b & 0x3f3f_3f3f)
        } else {
            (
                c & 0x0f0f_0f0f | a >> 2 & 0x3030_3030,
                c >> 4 & 0x0f0f_0f0f | b >> 2 & 0x3030_3030,
            )
        }
    }
}

/// The heads of a block of Q4_K or Q5_K in each of four rows, 128 bits each: the scale and the
/// minimum of all, then eight scales and eight minima of 6 bits in 12 bytes.
#[derive(Clone, Copy)]
pub(super) struct SixBits(__m512i);

impl SixBits {
    /// From `at` bytes on in each row.
    ///
    /// # Safety
    /// AVX-512 (F, BW) must be there, for all methods, and 16 readable bytes at each place.
    #[inline(always)]
    pub(super) unsafe fn of(rows: [*const u8; 4], at: usize) -> Self {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let load = |row: usize| _mm_loadu_si128(rows[row].add(at).cast());
            let heads = _mm512_castsi128_si512(load(0));
            let heads = _mm512_inserti32x4::<1>(heads, load(1));
            let heads = _mm512_inserti32x4::<2>(heads, load(2));
            Self(_mm512_inserti32x4::<3>(heads, load(3)))
        }
    }

    /// Of quad `half` of the block: lane `4 * row + block`.
    #[inline(always)]
    pub(super) unsafe fn scales(self, half: usize) -> __m512 {
        // SAFETY: the caller's promise: the instructions are there.
        unsafe {
            let bytes = if half == 0 {
                self.word::<4>(0x3f)
            } else {
                let high = _mm512_slli_epi32::<4>(_mm512_srli_epi32::<6>(self.word::<4>(0xff)));
                _mm512_or_si512(self.word::<12>(0x0f), high)
            };
            self.times::<0>(bytes)
        }
    }

    /// The same, of the minima, less than zero.
    #[inline(always)]
    pub(super) unsafe fn minima(self, half: usize) -> __m512 {
        // SAFETY: the caller's promise: the instructions are there.
        unsafe {
            let bytes = if half == 0 {
                self.word::<8>(0x3f)
            } else {
                let high = _mm512_slli_epi32::<4>(_mm512_srli_epi32::<6>(self.word::<8>(0xff)));
                _mm512_or_si512(_mm512_srli_epi32::<4>(self.word::<12>(0xff)), high)
            };
            _mm512_sub_ps(_mm512_setzero_ps(), self.times::<1>(bytes))
        }
    }

    /// The four bytes from `FROM` on of each head, a lane each, masked.
    #[inline(always)]
    unsafe fn word<const FROM: i32>(self, mask: i32) -> __m512i {
        // SAFETY: the caller's promise: the instructions are there.
        unsafe {
            // A byte to the lowest of its lane, zeros above.
            let zeros = 0x8080_8000_u32.cast_signed() + FROM;
            let [a, b, c, d] = [zeros, zeros + 1, zeros + 2, zeros + 3];
            let index = _mm512_set_epi32(d, c, b, a, d, c, b, a, d, c, b, a, d, c, b, a);
            _mm512_and_si512(_mm512_shuffle_epi8(self.0, index), _mm512_set1_epi32(mask))
        }
    }

    /// As floats, times half `WHICH` of each head.
    #[inline(always)]
    unsafe fn times<const WHICH: i32>(self, bytes: __m512i) -> __m512 {
        // SAFETY: the caller's promise: the instructions are there.
        unsafe {
            let first = _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 8, 4, 0);
            let pairs = _mm512_castsi512_si128(_mm512_permutexvar_epi32(first, self.0));
            let pairs = _mm512_castps256_ps512(_mm256_cvtph_ps(pairs));
            let [a, b, c, d] = [WHICH, WHICH + 2, WHICH + 4, WHICH + 6];
            let index = _mm512_set_epi32(d, d, d, d, c, c, c, c, b, b, b, b, a, a, a, a);
            let factors = _mm512_permutexvar_ps(index, pairs);
            _mm512_mul_ps(_mm512_cvtepi32_ps(bytes), factors)
        }
    }
}

/// The half at `at` bytes in each of four rows: lane `4 * row + block`.
///
/// # Safety
/// AVX-512 F must be there, and 2 readable bytes at each place.
#[inline(always)]
pub(super) unsafe fn spread_halves(rows: [*const u8; 4], at: usize) -> __m512 {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let bits = u64::from(half_at(rows[0].add(at)))
            | u64::from(half_at(rows[1].add(at))) << 16
            | u64::from(half_at(rows[2].add(at))) << 32
            | u64::from(half_at(rows[3].add(at))) << 48;
        let four = _mm_cvtph_ps(_mm_cvtsi64_si128(bits.cast_signed()));
        let index: __m512i = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
        _mm512_permutexvar_ps(index, _mm512_castps128_ps512(four))
    }
}

/// Four bytes of one row times its half.
#[inline(always)]
pub(super) unsafe fn scaled_4(bytes: u32, half: u16) -> __m128 {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let numbers = _mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes.cast_signed())));
        _mm_mul_ps(numbers, spread_4(half))
    }
}

/// One half, four times.
#[inline(always)]
pub(super) unsafe fn spread_4(half: u16) -> __m128 {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let one = _mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(half)));
        _mm_set1_ps(_mm_cvtss_f32(one))
    }
}

/// The half at `at`.
///
/// # Safety
/// `at` must point to 2 readable bytes.
#[inline(always)]
pub(super) unsafe fn half_at(at: *const u8) -> u16 {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe { at.cast::<u16>().read_unaligned() }
}
