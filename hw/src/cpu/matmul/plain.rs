//! Products with F32, F16 and BF16 weights.
//!
//! Decides the order of accumulation: column c adds to lane c mod 16, in order, with one rounding
//! per product; the lanes are added by a fixed tree. So a row's result does not depend on how many
//! rows share a tile.

use crate::cpu::vector::{LANES, Vector, kernel, prefetch};
use crate::dtype::Dtype;

/// Weight rows of a tile.
pub(super) const TILE_ROWS: usize = 4;

kernel!(
    /// Four rows of weights with one row of activations: `out[m][r]`.
    tile_1 = tile_1_generic(dtype: Dtype, weights: [&[u8]; TILE_ROWS], x: [&[f32]; 1], out: &mut [[f32; TILE_ROWS]; 1])
);
kernel!(
    /// The same with two rows.
    tile_2 = tile_2_generic(dtype: Dtype, weights: [&[u8]; TILE_ROWS], x: [&[f32]; 2], out: &mut [[f32; TILE_ROWS]; 2])
);
kernel!(
    /// The same with four rows.
    tile_4 = tile_4_generic(dtype: Dtype, weights: [&[u8]; TILE_ROWS], x: [&[f32]; 4], out: &mut [[f32; TILE_ROWS]; 4])
);

#[inline(always)]
fn tile_1_generic<V: Vector>(
    dtype: Dtype,
    weights: [&[u8]; TILE_ROWS],
    x: [&[f32]; 1],
    out: &mut [[f32; TILE_ROWS]; 1],
) {
    tile_of::<V, 1>(dtype, weights, x, out);
}

#[inline(always)]
fn tile_2_generic<V: Vector>(
    dtype: Dtype,
    weights: [&[u8]; TILE_ROWS],
    x: [&[f32]; 2],
    out: &mut [[f32; TILE_ROWS]; 2],
) {
    tile_of::<V, 2>(dtype, weights, x, out);
}

#[inline(always)]
fn tile_4_generic<V: Vector>(
    dtype: Dtype,
    weights: [&[u8]; TILE_ROWS],
    x: [&[f32]; 4],
    out: &mut [[f32; TILE_ROWS]; 4],
) {
    tile_of::<V, 4>(dtype, weights, x, out);
}

#[inline(always)]
fn tile_of<V: Vector, const M: usize>(
    dtype: Dtype,
    weights: [&[u8]; TILE_ROWS],
    x: [&[f32]; M],
    out: &mut [[f32; TILE_ROWS]; M],
) {
    match dtype {
        Dtype::F16 => tile::<V, Half, M, 32>(weights, x, out),
        Dtype::Bf16 => tile::<V, Brain, M, 32>(weights, x, out),
        _ => tile::<V, Single, M, 64>(weights, x, out),
    }
}

/// Sixteen numbers of `BYTES` bytes.
trait Stored<const BYTES: usize> {
    fn load<V: Vector>(bytes: &[u8; BYTES]) -> V;
}

struct Single;

impl Stored<64> for Single {
    #[inline(always)]
    fn load<V: Vector>(bytes: &[u8; 64]) -> V {
        V::load_f32_bytes(bytes)
    }
}

struct Half;

impl Stored<32> for Half {
    #[inline(always)]
    fn load<V: Vector>(bytes: &[u8; 32]) -> V {
        V::load_f16_bytes(bytes)
    }
}

struct Brain;

impl Stored<32> for Brain {
    #[inline(always)]
    fn load<V: Vector>(bytes: &[u8; 32]) -> V {
        V::load_bf16_bytes(bytes)
    }
}

#[inline(always)]
fn tile<V: Vector, S: Stored<BYTES>, const M: usize, const BYTES: usize>(
    weights: [&[u8]; TILE_ROWS],
    x: [&[f32]; M],
    out: &mut [[f32; TILE_ROWS]; M],
) {
    let columns = x.first().map_or(0, |x| x.len());
    let whole = columns / LANES;
    let mut parts: [&[[u8; BYTES]]; TILE_ROWS] = [&[]; TILE_ROWS];
    for r in 0..TILE_ROWS {
        parts[r] = &weights[r].as_chunks::<BYTES>().0[..whole];
    }
    let mut x_parts: [&[[f32; LANES]]; M] = [&[]; M];
    for m in 0..M {
        x_parts[m] = &x[m].as_chunks::<LANES>().0[..whole];
    }
    let mut sums = [[V::zero(); TILE_ROWS]; M];
    let mut w = [V::zero(); TILE_ROWS];
    for i in 0..whole {
        for r in 0..TILE_ROWS {
            w[r] = S::load::<V>(&parts[r][i]);
            // The same place of the four rows that come next: rows follow each other in memory.
            prefetch(
                parts[r][i]
                    .as_ptr()
                    .wrapping_add(TILE_ROWS * weights[r].len()),
            );
        }
        for m in 0..M {
            let x = V::load(&x_parts[m][i]);
            for r in 0..TILE_ROWS {
                sums[m][r] = x.fma(w[r], sums[m][r]);
            }
        }
    }
    if columns > whole * LANES {
        for r in 0..TILE_ROWS {
            let mut bytes = [0; BYTES];
            let rest = &weights[r][whole * BYTES..];
            bytes[..rest.len()].copy_from_slice(rest);
            w[r] = S::load::<V>(&bytes);
        }
        for m in 0..M {
            let x = V::load_part(&x[m][whole * LANES..]);
            for r in 0..TILE_ROWS {
                sums[m][r] = x.fma(w[r], sums[m][r]);
            }
        }
    }
    for m in 0..M {
        for r in 0..TILE_ROWS {
            out[m][r] = sums[m][r].sum();
        }
    }
}
