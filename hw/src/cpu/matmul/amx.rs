//! A strip of packed weights with sixteen rows of activations at a time, by tiles of AMX.
//!
//! Decides how tiles meet; the sums and their order are those of `tile.rs`, so the bits are, too:
//! a tile's products are whole numbers.
//!
//! A block is one `tdpbssd` of 16 x 32 bytes of activations with 32 x 16 bytes of weights, then
//! sixteen conversions, products and sums of floats. What bounds it is not the tile: its products come
//! back through memory, sixteen stores and as many loads, and the floats take two ports for 24 cycles.

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

/// Computes whole tiles of `rows`, calls `put` with each row's sums, and returns the first row that
/// is left. `scratch` begins at a multiple of 64 bytes.
pub(super) fn strip<F: Format>(
    level: Level,
    tall: Tall<'_>,
    rows: Range<usize>,
    strip: Strip<'_>,
    scratch: &mut [u32],
    put: &mut dyn FnMut(usize, &[f32]),
) -> usize {
    let whole = rows.len() / ROWS * ROWS;
    let more = if Tall::worth(rows.len() - whole) {
        ROWS
    } else {
        0
    };
    let tiles = (whole + more) / ROWS;
    if level.isa() != Isa::Amx
        || tiles == 0
        || !rows.start.is_multiple_of(ROWS)
        || scratch.len() < tall::PRODUCT_WORDS + tall::CHUNK * 128 + tiles * tall::SUM_WORDS
        || !scratch.as_ptr().addr().is_multiple_of(64)
    {
        return rows.start;
    }
    let (products, room) = scratch.split_at_mut(tall::PRODUCT_WORDS);
    let (room, sums) = room.split_at_mut(tall::CHUNK * 128);
    let sums = sums.as_chunks_mut::<{ tall::SUM_WORDS }>().0;
    let [quants, sides] = strip.parts::<F>();
    let configuration = const { Configuration::of(columns::<F>() as u8) };
    // SAFETY: the level proves the tiles. Memory that an `asm!` reads is memory that the compiler has
    // written by then.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack)) };
    for first in (0..strip.blocks).step_by(tall::CHUNK) {
        let blocks = first..(first + tall::CHUNK).min(strip.blocks);
        let from = quants.wrapping_add(first * F::FORM.quants);
        let weights = if F::SIGNED {
            from
        } else {
            // SAFETY: the level proves AVX-512; the strip has these blocks, and the room 512 bytes
            // for each of a chunk.
            unsafe { unpack::<F>(from, blocks.len(), room.as_mut_ptr().cast()) };
            room.as_ptr().cast()
        };
        for (index, sums) in sums.iter_mut().enumerate().take(tiles) {
            let x = tall.tile(rows.start + index * ROWS);
            assert!(
                x.len() >= blocks.end * tall::BLOCK_WORDS,
                "activations are shorter than a strip"
            );
            let work = Work {
                weights,
                sides,
                x: x.as_ptr(),
                products: products.as_mut_ptr(),
            };
            // SAFETY: the level proves AVX-512 and the tiles, which are configured; weights, sides
            // and activations were just seen to have these blocks.
            unsafe { tile::<F>(&work, blocks.clone(), sums) };
        }
    }
    // SAFETY: the level proves the tiles; nobody uses them now.
    unsafe { asm!("tilerelease", options(nostack)) };
    let end = rows.end.min(rows.start + tiles * ROWS);
    for (row, sums) in (rows.start..end).zip(sums.as_flattened().as_chunks::<STRIP>().0) {
        put(row, &sums.map(f32::from_bits));
    }
    end
}

/// One product of tiles, into memory.
macro_rules! multiply {
    ($to:literal, $a:literal, $b:literal, $x:expr, $weights:expr, $products:expr) => {
        asm!(
            concat!("tilezero ", $to),
            concat!("tileloadd ", $a, ", [{x} + {stride}]"),
            concat!("tileloadd ", $b, ", [{weights} + {line}]"),
            concat!("tdpbssd ", $to, ", ", $a, ", ", $b),
            concat!("tilestored [{products} + {line}], ", $to),
            x = in(reg) $x,
            stride = in(reg) 32_usize,
            weights = in(reg) $weights,
            products = in(reg) $products,
            line = in(reg) 64_usize,
            options(nostack),
        )
    };
}

/// A chunk of a strip, and a tile of activations.
struct Work {
    /// Signed bytes of the chunk: 512 for each block.
    weights: *const u8,
    /// Sides of the strip.
    sides: *const u8,
    /// All blocks of the tile.
    x: *const u32,
    /// Room for eight tiles of products.
    products: *mut u32,
}

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
        let (whole, part) = (64, columns as u16);
        Self {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [
                whole, whole, whole, whole, part, part, whole, whole, 0, 0, 0, 0, 0, 0, 0, 0,
            ],
            rows: [
                16,
                16,
                16,
                16,
                16,
                16,
                columns / 4,
                columns / 4,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
            ],
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

/// Adds some blocks of sixteen rows of activations to `all[16 * m + r]`; the first of them begin it.
///
/// Four products are asked for before those of the four before them are read: they come back through
/// memory, and are not there at once.
///
/// # Safety
/// The instructions must be there and the tiles configured; what `work` points to must have these
/// blocks, and `all` begin at a multiple of 64 bytes.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn tile<F: Format>(work: &Work, blocks: Range<usize>, all: &mut [u32; tall::SUM_WORDS]) {
    let units = blocks.len() * 32 / columns::<F>();
    let all = all.as_mut_ptr().cast::<f32>();
    // SAFETY: the caller's promise, for all that is read; the products have room for eight tiles.
    unsafe {
        let mut sums = [_mm512_setzero_ps(); ROWS];
        if blocks.start > 0 {
            for (m, sum) in sums.iter_mut().enumerate() {
                *sum = _mm512_load_ps(all.add(m * STRIP));
            }
        }
        ask::<F>(work, blocks.start, 0, units);
        for four in (0..units).step_by(4) {
            ask::<F>(work, blocks.start, four + 4, units);
            for unit in four..units.min(four + 4) {
                add::<F>(work, blocks.start, unit, &mut sums);
            }
        }
        for (m, sum) in sums.into_iter().enumerate() {
            _mm512_store_ps(all.add(m * STRIP), sum);
        }
    }
}

/// Asks for the products of four units of columns from `first` on, as far as there are so many.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn ask<F: Format>(work: &Work, block: usize, first: usize, units: usize) {
    let wide = columns::<F>();
    let per_block = 32 / wide;
    for unit in first..units.min(first + 4) {
        // SAFETY: the caller's promise.
        unsafe {
            let x = work.x.add((block + unit / per_block) * tall::BLOCK_WORDS);
            let x = x.add(unit % per_block * wide / 4);
            let weights = work.weights.add(unit * wide * STRIP);
            let products = work.products.add(unit % 8 * tall::SUM_WORDS);
            match unit % 4 {
                0 => multiply!("tmm0", "tmm4", "tmm6", x, weights, products),
                1 => multiply!("tmm1", "tmm5", "tmm7", x, weights, products),
                2 => multiply!("tmm2", "tmm4", "tmm6", x, weights, products),
                _ => multiply!("tmm3", "tmm5", "tmm7", x, weights, products),
            }
        }
    }
}

/// Adds a tile of products times their scales.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn add<F: Format>(work: &Work, block: usize, unit: usize, sums: &mut [__m512; ROWS]) {
    // SAFETY: the caller's promise.
    unsafe {
        let per_block = 32 / columns::<F>();
        let (block, half) = (block + unit / per_block, unit % per_block);
        let products = work.products.add(unit % 8 * tall::SUM_WORDS);
        let scales = work
            .x
            .add(block * tall::BLOCK_WORDS + ROWS * 8)
            .cast::<f32>();
        let scale = F::scale::<Avx512>(work.sides, 0, block, half);
        for (m, sum) in sums.iter_mut().enumerate() {
            let whole: __m512i = _mm512_load_si512(products.add(m * 16).cast());
            let factor = _mm512_mul_ps(scale, _mm512_set1_ps(*scales.add(m)));
            *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), factor, *sum);
        }
        if F::MINIMA {
            let minimum = F::minimum::<Avx512>(work.sides, 0, block);
            for (m, sum) in sums.iter_mut().enumerate() {
                let moment = _mm512_set1_ps(*scales.add(ROWS + m));
                *sum = _mm512_fmadd_ps(minimum, moment, *sum);
            }
        }
    }
}
