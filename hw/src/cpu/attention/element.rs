//! What caches are made of, as kernels read it: plain numbers, or bytes with scales.
//!
//! Decides how a product with a scaled key is summed: a group's 32 columns without their scale, which
//! then multiplies the sum; groups are added in order. A value's scale multiplies its weight. So bytes
//! become floats in registers and cost one conversion more than halves do.

use crate::cache::{BLOCK, GROUP_BYTES, GROUP_COLUMNS};
use crate::cpu::vector::{LANES, Vector};

/// A cache's keys and values are slices of these.
pub(in crate::cpu) trait Element: Copy {
    /// Numbers in one.
    const NUMBERS: usize;
    /// Whether values have scales.
    const SCALED: bool;

    /// Products of some rows with sixteen keys, the columns of one block.
    fn products<V: Vector, const Q: usize>(keys: &[Self], rows: [&[f32]; Q]) -> [V; Q];

    /// Sixteen columns of a value from `column` on, or the `count` that are left, without their scale.
    /// `place` is one of the block's, and `stride` columns lie between places.
    fn value<V: Vector>(values: &[Self], place: [usize; 2], column: usize, count: usize) -> V;

    /// The scales of sixteen values of a block at `column`.
    fn scales<V: Vector>(values: &[Self], column: usize) -> V;
}

/// A number that stands for itself.
pub(in crate::cpu) trait Number: Copy + Default {
    fn load<V: Vector>(from: &[Self; LANES]) -> V;
}

impl Number for f32 {
    #[inline(always)]
    fn load<V: Vector>(from: &[Self; LANES]) -> V {
        V::load(from)
    }
}

/// Half precision.
impl Number for u16 {
    #[inline(always)]
    fn load<V: Vector>(from: &[Self; LANES]) -> V {
        V::load_f16(from)
    }
}

/// A signed byte.
impl Number for u8 {
    #[inline(always)]
    fn load<V: Vector>(from: &[Self; LANES]) -> V {
        V::load_i8_bytes(from)
    }
}

impl<N: Number> Element for N {
    const NUMBERS: usize = 1;
    const SCALED: bool = false;

    #[inline(always)]
    fn products<V: Vector, const Q: usize>(keys: &[Self], rows: [&[f32]; Q]) -> [V; Q] {
        columns::<V, N, Q>(keys.as_chunks::<LANES>().0, rows)
    }

    #[inline(always)]
    fn value<V: Vector>(
        values: &[Self],
        [place, stride]: [usize; 2],
        column: usize,
        count: usize,
    ) -> V {
        let from = &values[place * stride + column..];
        match from.first_chunk::<LANES>() {
            Some(from) if count == LANES => N::load::<V>(from),
            _ => {
                let mut lanes = [N::default(); LANES];
                lanes[..count].copy_from_slice(&from[..count]);
                N::load::<V>(&lanes)
            }
        }
    }

    #[inline(always)]
    fn scales<V: Vector>(_: &[Self], _: usize) -> V {
        V::splat(1.0)
    }
}

/// A group of a cache with scales.
impl Element for [u8; GROUP_BYTES] {
    const NUMBERS: usize = BLOCK * GROUP_COLUMNS;
    const SCALED: bool = true;

    #[inline(always)]
    fn products<V: Vector, const Q: usize>(keys: &[Self], rows: [&[f32]; Q]) -> [V; Q] {
        let mut sums = [V::zero(); Q];
        for (index, group) in keys.iter().enumerate() {
            let mut parts: [&[f32]; Q] = [&[]; Q];
            for q in 0..Q {
                parts[q] = &rows[q][index * GROUP_COLUMNS..][..GROUP_COLUMNS];
            }
            let (scales, bytes) = halves_of(group);
            let scales = V::load_f16_bytes(scales);
            let products = columns::<V, u8, Q>(bytes, parts);
            for q in 0..Q {
                sums[q] = products[q].fma(scales, sums[q]);
            }
        }
        sums
    }

    #[inline(always)]
    fn value<V: Vector>(values: &[Self], [place, _]: [usize; 2], column: usize, _: usize) -> V {
        let (_, bytes) = halves_of(&values[column / GROUP_COLUMNS]);
        let part = place * GROUP_COLUMNS + column % GROUP_COLUMNS;
        V::load_i8_bytes(&bytes[part / LANES])
    }

    #[inline(always)]
    fn scales<V: Vector>(values: &[Self], column: usize) -> V {
        V::load_f16_bytes(halves_of(&values[column / GROUP_COLUMNS]).0)
    }
}

/// A group's scales and its bytes.
#[inline(always)]
fn halves_of(group: &[u8; GROUP_BYTES]) -> (&[u8; 2 * BLOCK], &[[u8; LANES]]) {
    const NONE: &[u8; 2 * BLOCK] = &[0; 2 * BLOCK];
    let (scales, bytes) = group.split_first_chunk().unwrap_or((NONE, &[]));
    (scales, bytes.as_chunks().0)
}

/// Sums over columns, in four parts: c mod 4.
#[inline(always)]
fn columns<V: Vector, N: Number, const Q: usize>(keys: &[[N; LANES]], rows: [&[f32]; Q]) -> [V; Q] {
    let (fours, rest) = keys.as_chunks::<4>();
    let mut parts: [&[f32]; Q] = [&[]; Q];
    for q in 0..Q {
        parts[q] = &rows[q][..keys.len()];
    }
    let mut sums = [[V::zero(); 4]; Q];
    for (i, four) in fours.iter().enumerate() {
        for j in 0..4 {
            let key = N::load::<V>(&four[j]);
            for q in 0..Q {
                sums[q][j] = key.fma(V::splat(parts[q][i * 4 + j]), sums[q][j]);
            }
        }
    }
    for (j, column) in rest.iter().enumerate() {
        let key = N::load::<V>(column);
        for q in 0..Q {
            sums[q][j] = key.fma(V::splat(parts[q][fours.len() * 4 + j]), sums[q][j]);
        }
    }
    let mut products = [V::zero(); Q];
    for q in 0..Q {
        let [a, b, c, d] = sums[q];
        products[q] = a.add(b).add(c.add(d));
    }
    products
}
