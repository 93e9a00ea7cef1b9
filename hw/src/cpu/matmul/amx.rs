//! Strips of packed weights with sixteen rows of activations at a time, by tiles of AMX.
//!
//! Decides how tiles meet; the sums and their order are those of `tile.rs`, so the bits are, too:
//! a tile's products are whole numbers.
//!
//! A block is one `tdpbssd` of 16 x 32 bytes of activations with 32 x 16 bytes of weights, then
//! sixteen conversions, products and sums of floats. Two tiles of activations meet two of weights, so
//! that each is loaded once for two products. What bounds it is not the multiplication but what is around it: the
//! way of the products through memory, and forty-eight float operations for each, two a cycle.

use std::arch::asm;
use std::arch::x86_64::{
    __m512, __m512i, _mm512_cvtepi32_ps, _mm512_fmadd_ps, _mm512_load_ps, _mm512_load_si512,
    _mm512_mul_ps, _mm512_set1_epi8, _mm512_set1_ps, _mm512_setzero_ps, _mm512_store_ps,
    _mm512_store_si512, _mm512_sub_epi8,
};
use std::ops::Range;

use super::formats::Format;
use super::lanes::Avx512;
use super::tall::{self, ROWS, Tall};
use super::tile::Strip;
use crate::cpu::level::{Isa, Level};
use crate::cpu::packed::STRIP;

/// Computes whole tiles of `rows`, calls `put` with each row, strip and its sums, and returns the first
/// row that is left. `scratch` begins at a multiple of 64 bytes.
pub(super) fn strips<F: Format, const S: usize>(
    level: Level,
    tall: Tall<'_>,
    rows: Range<usize>,
    strips: [Strip<'_>; S],
    scratch: &mut [u32],
    put: &mut dyn FnMut(usize, usize, &[f32]),
) -> usize {
    let whole = rows.len() / ROWS * ROWS;
    let more = if Tall::worth(rows.len() - whole) {
        ROWS
    } else {
        0
    };
    let tiles = (whole + more) / ROWS;
    let sum_words = tiles * S * tall::SUM_WORDS;
    if level.isa() != Isa::Amx
        || S > 2
        || tiles == 0
        || !rows.start.is_multiple_of(ROWS)
        || scratch.len() < tall::PRODUCT_WORDS + S * CHUNK_WORDS + sum_words
        || !scratch.as_ptr().addr().is_multiple_of(64)
    {
        return rows.start;
    }
    let (products, room) = scratch.split_at_mut(tall::PRODUCT_WORDS);
    let (room, sums) = room.split_at_mut(S * CHUNK_WORDS);
    let sums = sums[..sum_words].as_chunks_mut::<{ tall::SUM_WORDS }>().0;
    let blocks = strips.first().map_or(0, |strip| strip.blocks);
    let mut parts = [[std::ptr::null(); 2]; S];
    for (parts, strip) in parts.iter_mut().zip(strips) {
        assert!(strip.blocks == blocks, "strips of one weight are alike");
        *parts = strip.parts::<F>();
    }
    let configuration = const { Configuration::of(columns::<F>() as u8) };
    // SAFETY: the level proves the tiles. Memory that an `asm!` reads is memory that the compiler has
    // written by then.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack)) };
    for first in (0..blocks).step_by(tall::CHUNK) {
        let chunk = first..(first + tall::CHUNK).min(blocks);
        let mut weights = [std::ptr::null(); S];
        for (s, [quants, _]) in parts.into_iter().enumerate() {
            let from = quants.wrapping_add(first * F::FORM.quants);
            weights[s] = if F::SIGNED {
                from
            } else {
                let to = room[s * CHUNK_WORDS..][..CHUNK_WORDS].as_mut_ptr().cast();
                // SAFETY: the level proves AVX-512; the strip has these blocks, and the room 512 bytes
                // for each of a chunk.
                unsafe { unpack::<F>(from, chunk.len(), to) };
                to.cast_const()
            };
        }
        for (pair, sums) in sums.chunks_mut(2 * S).enumerate() {
            let x = |t: usize| {
                let x = tall.tile(rows.start + (2 * pair + t) * ROWS);
                assert!(
                    x.len() >= chunk.end * tall::BLOCK_WORDS,
                    "activations are shorter than a strip"
                );
                x.as_ptr()
            };
            let sides = parts.map(|[_, sides]| sides);
            let products = products.as_mut_ptr();
            // SAFETY: the level proves AVX-512 and the tiles, which are configured; weights, sides
            // and activations were just seen to have these blocks, and products have room for four
            // blocks of each pair.
            unsafe {
                if sums.len() == 2 * S {
                    let x = [x(0), x(1)];
                    let work = Work {
                        weights,
                        sides,
                        x,
                        products,
                    };
                    meet::<F, 2, S>(&work, chunk.clone(), sums);
                } else {
                    let work = Work {
                        weights,
                        sides,
                        x: [x(0)],
                        products,
                    };
                    meet::<F, 1, S>(&work, chunk.clone(), sums);
                }
            }
        }
    }
    // SAFETY: the level proves the tiles; nobody uses them now.
    unsafe { asm!("tilerelease", options(nostack)) };
    let end = rows.end.min(rows.start + tiles * ROWS);
    for (tile, sums) in sums.chunks(S).enumerate() {
        for row in 0..ROWS.min((end - rows.start).saturating_sub(tile * ROWS)) {
            for (s, sums) in sums.iter().enumerate() {
                let sums = sums.as_chunks::<STRIP>().0[row].map(f32::from_bits);
                put(rows.start + tile * ROWS + row, s, &sums);
            }
        }
    }
    end
}

/// Words of the unpacked weights of a chunk of one strip.
const CHUNK_WORDS: usize = tall::CHUNK * 128;

/// Products of `T` tiles of activations with `S` of weights, into memory: `products` takes those of the
/// first strip with each tile, 4 KiB apart, then those of the second.
macro_rules! multiply {
    ($work:expr, $unit:expr, $x:expr, $weights:expr, $($line:literal),+ $(,)?) => {
        asm!(
            $($line),+,
            x = in(reg) $x(0),
            x_1 = in(reg) $x(T - 1),
            weights = in(reg) $weights(0),
            weights_1 = in(reg) $weights(S - 1),
            products = in(reg) $work.products.add($unit % AT_ONCE * tall::SUM_WORDS),
            stride = in(reg) 32_usize,
            line = in(reg) 64_usize,
            options(nostack),
        )
    };
}

/// A chunk of some strips, and some tiles of activations.
struct Work<const T: usize, const S: usize> {
    /// Signed bytes of the chunk: 512 for each block.
    weights: [*const u8; S],
    /// Sides of the strips.
    sides: [*const u8; S],
    /// All blocks of the tiles.
    x: [*const u32; T],
    /// Room for [`AT_ONCE`] tiles of products for each tile and strip.
    products: *mut u32,
}

/// Products of a tile and a strip that are asked for before they are read: they come back through
/// memory, and are not there at once.
pub(super) const AT_ONCE: usize = 4;

/// The shapes of tiles (Intel's manual, volume 1, "Intel AMX"): tiles 0 to 3 take products, 4 and 5
/// hold activations, 6 and 7 weights.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Configuration {
    /// For products over `columns` columns.
    const fn of(columns: u8) -> Self {
        let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
        let mut tile = 0;
        while tile < 8 {
            let x = tile == 4 || tile == 5;
            row_bytes[tile] = if x { columns as u16 } else { 64 };
            rows[tile] = if tile < 6 { 16 } else { columns / 4 };
            tile += 1;
        }
        Self {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes,
            rows,
        }
    }
}

/// Quants as signed bytes.
///
/// # Safety
/// AVX-512 (F, BW, DQ, VL, VNNI) must be there; `from` must be the quants of so many blocks, and `to`
/// have room for 512 bytes each, from a multiple of 64 on.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn unpack<F: Format>(from: *const u8, blocks: usize, to: *mut u8) {
    for block in 0..blocks {
        // SAFETY: the caller's promise.
        unsafe {
            let quants = F::quants::<Avx512>(from.add(block * F::FORM.quants));
            let centre = if F::CENTRE > 0 { 1 << F::CENTRE } else { 0 };
            for (g, quants) in quants.into_iter().enumerate() {
                let signed = _mm512_sub_epi8(quants, _mm512_set1_epi8(centre));
                _mm512_store_si512(to.add(block * 512 + g * 64).cast(), signed);
            }
        }
    }
}

/// Columns that share a scale, and so a product.
const fn columns<F: Format>() -> usize {
    if F::HALVED { 16 } else { 32 }
}

/// Adds some blocks of sixteen rows of activations to `all[S * t + s][16 * m + r]`; the first of them
/// begin it.
///
/// # Safety
/// The instructions must be there and the tiles configured; what `work` points to must have these
/// blocks, and `all` begin at a multiple of 64 bytes.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn meet<F: Format, const T: usize, const S: usize>(
    work: &Work<T, S>,
    blocks: Range<usize>,
    all: &mut [[u32; tall::SUM_WORDS]],
) {
    let units = blocks.len() * 32 / columns::<F>();
    let all = all.as_mut_ptr().cast::<f32>();
    for first in (0..units).step_by(AT_ONCE) {
        let now = first..units.min(first + AT_ONCE);
        // SAFETY: the caller's promise, for all that is read; a tile's sums are at `S * t + s`.
        unsafe {
            for unit in now.clone() {
                ask::<F, T, S>(work, blocks.start, unit);
            }
            for place in 0..T * S {
                let (t, s) = (place / S, place % S);
                let all = all.add(place * tall::SUM_WORDS);
                let mut sums = [_mm512_setzero_ps(); ROWS];
                if blocks.start + first > 0 {
                    for (m, sum) in sums.iter_mut().enumerate() {
                        *sum = _mm512_load_ps(all.add(m * STRIP));
                    }
                }
                for unit in now.clone() {
                    add::<F, T, S>(work, [t, s], blocks.start, unit, &mut sums);
                }
                for (m, sum) in sums.into_iter().enumerate() {
                    _mm512_store_ps(all.add(m * STRIP), sum);
                }
            }
        }
    }
}

/// Asks for the products of one unit of columns.
///
/// # Safety
/// As for [`meet`].
#[inline(always)]
unsafe fn ask<F: Format, const T: usize, const S: usize>(
    work: &Work<T, S>,
    block: usize,
    unit: usize,
) {
    let wide = columns::<F>();
    let per_block = 32 / wide;
    let x = |t: usize| {
        let block = work.x[t].wrapping_add((block + unit / per_block) * tall::BLOCK_WORDS);
        block.wrapping_add(unit % per_block * wide / 4)
    };
    let weights = |s: usize| work.weights[s].wrapping_add(unit * wide * STRIP);
    // SAFETY: the caller's promise.
    unsafe {
        match (T, S) {
            (1, 1) => multiply!(
                work,
                unit,
                x,
                weights,
                "tileloadd tmm4, [{x} + {stride}]",
                "tileloadd tmm6, [{weights} + {line}]",
                "tilezero tmm0",
                "tdpbssd tmm0, tmm4, tmm6",
                "tilestored [{products} + {line}], tmm0",
                "/* {x_1} {weights_1} */",
            ),
            (1, _) => multiply!(
                work,
                unit,
                x,
                weights,
                "tileloadd tmm4, [{x} + {stride}]",
                "tileloadd tmm6, [{weights} + {line}]",
                "tilezero tmm0",
                "tdpbssd tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{weights_1} + {line}]",
                "tilezero tmm2",
                "tdpbssd tmm2, tmm4, tmm7",
                "tilestored [{products} + {line}], tmm0",
                "tilestored [{products} + {line} + 4096], tmm2",
                "/* {x_1} */",
            ),
            (_, 1) => multiply!(
                work,
                unit,
                x,
                weights,
                "tileloadd tmm4, [{x} + {stride}]",
                "tileloadd tmm6, [{weights} + {line}]",
                "tilezero tmm0",
                "tdpbssd tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{x_1} + {stride}]",
                "tilezero tmm1",
                "tdpbssd tmm1, tmm5, tmm6",
                "tilestored [{products} + {line}], tmm0",
                "tilestored [{products} + {line} + 4096], tmm1",
                "/* {weights_1} */",
            ),
            _ => multiply!(
                work,
                unit,
                x,
                weights,
                "tileloadd tmm4, [{x} + {stride}]",
                "tileloadd tmm6, [{weights} + {line}]",
                "tilezero tmm0",
                "tdpbssd tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{x_1} + {stride}]",
                "tilezero tmm1",
                "tdpbssd tmm1, tmm5, tmm6",
                "tileloadd tmm7, [{weights_1} + {line}]",
                "tilezero tmm2",
                "tdpbssd tmm2, tmm4, tmm7",
                "tilezero tmm3",
                "tdpbssd tmm3, tmm5, tmm7",
                "tilestored [{products} + {line}], tmm0",
                "tilestored [{products} + {line} + 4096], tmm2",
                "tilestored [{products} + {line} + 8192], tmm1",
                "tilestored [{products} + {line} + 12288], tmm3",
            ),
        }
    }
}

/// Adds a tile of products times their scales: of activations t with strip s.
///
/// # Safety
/// As for [`meet`].
#[inline(always)]
unsafe fn add<F: Format, const T: usize, const S: usize>(
    work: &Work<T, S>,
    [t, s]: [usize; 2],
    block: usize,
    unit: usize,
    sums: &mut [__m512; ROWS],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let per_block = 32 / columns::<F>();
        let (block, half) = (block + unit / per_block, unit % per_block);
        let place = (t * S + s) * AT_ONCE + unit % AT_ONCE;
        let products = work.products.add(place * tall::SUM_WORDS);
        let scales = work.x[t]
            .add(block * tall::BLOCK_WORDS + ROWS * 8)
            .cast::<f32>();
        let scale = F::scale::<Avx512>(work.sides[s], 0, block, half);
        for (m, sum) in sums.iter_mut().enumerate() {
            let whole: __m512i = _mm512_load_si512(products.add(m * 16).cast());
            let factor = _mm512_mul_ps(scale, _mm512_set1_ps(*scales.add(m)));
            *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), factor, *sum);
        }
        if F::MINIMA {
            let minimum = F::minimum::<Avx512>(work.sides[s], 0, block);
            for (m, sum) in sums.iter_mut().enumerate() {
                let moment = _mm512_set1_ps(*scales.add(ROWS + m));
                *sum = _mm512_fmadd_ps(minimum, moment, *sum);
            }
        }
    }
}
