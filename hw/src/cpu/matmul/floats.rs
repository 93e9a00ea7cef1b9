//! Packed weights of floats with a few rows of activations.
//!
//! Decides the order of accumulation: column after column, one rounding per product, in one sum for
//! each 256 columns; those sums are added in order. So a row's result does not depend on how many rows
//! share a tile, and its error is that of short sums.
//!
//! What bounds it: with one row, memory (32 bytes of F16 are two instructions); with six, the
//! multipliers: six rows and four strips are 24 fused products a column, beside four loads and six
//! broadcasts.

use crate::cpu::packed::STRIP;
use crate::cpu::vector::{Vector, kernel, prefetch};
use crate::dtype::Dtype;

/// Rows of activations of a tile, at most.
pub(super) const ROWS: usize = 6;

/// Strips of a tile, at most.
pub(super) const STRIPS: usize = 4;

/// Sums of a tile: `out[m][s][r]` is the product of activations m with row r of strip s.
pub(super) type Tile = [[[f32; STRIP]; STRIPS]; ROWS];

/// Columns of one sum.
const SHORT: usize = 256;

/// Bytes, of each stream.
const AHEAD: usize = 1024;

kernel!(
    /// Some strips of one weight, up to [`STRIPS`], with some rows of activations, up to [`ROWS`].
    tile = tile_generic(dtype: Dtype, strips: &[&[u8]], x: &[&[f32]], out: &mut Tile)
);

#[inline(always)]
fn tile_generic<V: Vector>(dtype: Dtype, strips: &[&[u8]], x: &[&[f32]], out: &mut Tile) {
    match dtype {
        Dtype::F16 => strips_of::<V, Half, 32>(strips, x, out),
        Dtype::Bf16 => strips_of::<V, Brain, 32>(strips, x, out),
        _ => strips_of::<V, Single, 64>(strips, x, out),
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

/// One row reads four strips at a time, so that enough reads are in flight; more rows do if there are
/// registers for their sums.
#[inline(always)]
fn strips_of<V: Vector, T: Stored<BYTES>, const BYTES: usize>(
    strips: &[&[u8]],
    x: &[&[f32]],
    out: &mut Tile,
) {
    match (strips, x) {
        ([a, b, c, d], [x]) => sums::<V, T, 4, 1, BYTES>([a, b, c, d], [x], 0, out),
        ([a, b, c, d], _) if V::MANY => rows_of::<V, T, 4, BYTES>([a, b, c, d], x, 0, out),
        _ => {
            for (s, strip) in strips.iter().enumerate() {
                rows_of::<V, T, 1, BYTES>([strip], x, s, out);
            }
        }
    }
}

#[inline(always)]
fn rows_of<V: Vector, T: Stored<BYTES>, const S: usize, const BYTES: usize>(
    strips: [&[u8]; S],
    x: &[&[f32]],
    first: usize,
    out: &mut Tile,
) {
    match *x {
        [a] => sums::<V, T, S, 1, BYTES>(strips, [a], first, out),
        [a, b] => sums::<V, T, S, 2, BYTES>(strips, [a, b], first, out),
        [a, b, c] => sums::<V, T, S, 3, BYTES>(strips, [a, b, c], first, out),
        [a, b, c, d] => sums::<V, T, S, 4, BYTES>(strips, [a, b, c, d], first, out),
        [a, b, c, d, e] => sums::<V, T, S, 5, BYTES>(strips, [a, b, c, d, e], first, out),
        [a, b, c, d, e, f] => sums::<V, T, S, 6, BYTES>(strips, [a, b, c, d, e, f], first, out),
        _ => {}
    }
}

#[inline(always)]
fn sums<V: Vector, T: Stored<BYTES>, const S: usize, const M: usize, const BYTES: usize>(
    strips: [&[u8]; S],
    x: [&[f32]; M],
    first: usize,
    out: &mut Tile,
) {
    let columns = x.first().map_or(0, |x| x.len());
    for m in 0..M {
        for s in 0..S {
            out[m][first + s] = [0.0; STRIP];
        }
    }
    for start in (0..columns).step_by(SHORT) {
        let count = (columns - start).min(SHORT);
        let mut parts: [&[[u8; BYTES]]; S] = [&[]; S];
        for s in 0..S {
            parts[s] = &strips[s].as_chunks::<BYTES>().0[start..][..count];
        }
        let mut x_parts: [&[f32]; M] = [&[]; M];
        for m in 0..M {
            x_parts[m] = &x[m][start..][..count];
        }
        let mut sums = [[V::zero(); S]; M];
        for i in 0..count {
            let mut w = [V::zero(); S];
            for s in 0..S {
                w[s] = T::load::<V>(&parts[s][i]);
                if M == 1 {
                    prefetch(parts[s][i].as_ptr().wrapping_add(AHEAD));
                }
            }
            for m in 0..M {
                let x = V::splat(x_parts[m][i]);
                for s in 0..S {
                    sums[m][s] = x.fma(w[s], sums[m][s]);
                }
            }
        }
        for m in 0..M {
            for s in 0..S {
                let out = &mut out[m][first + s];
                V::load(out).add(sums[m][s]).store(out);
            }
        }
    }
}
