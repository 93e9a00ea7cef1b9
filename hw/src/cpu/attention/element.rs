//! What caches are made of, as kernels read it: plain numbers, or bytes with scales.
//!
//! Decides how a product is summed: column after column; with a scaled key, a group's 32 columns without
//! their scale, which then multiplies the sum, and groups in order. A value's scale multiplies its weight. So bytes
//! become floats in registers and cost one conversion more than halves do.

use crate::cache::{BLOCK, GROUP_BYTES, GROUP_COLUMNS};
use crate::cpu::vector::{LANES, Vector};

/// A cache's keys and values are slices of these.
pub(in crate::cpu) trait Element: Copy {
    /// Numbers in one.
    const NUMBERS: usize;
    /// Whether values have scales.
    const SCALED: bool;

    /// Products of some rows with the sixteen keys of each of some blocks.
    fn products<V: Vector, const Q: usize, const B: usize>(
        keys: [&[Self]; B],
        rows: [&[f32]; Q],
    ) -> [[V; Q]; B];

    /// `C` times sixteen columns of a value from `column` on, without their scales. `place` is one of the
    /// block's, and `stride` columns lie between places.
    fn value<V: Vector, const C: usize>(
        values: &[Self],
        place: [usize; 2],
        column: usize,
    ) -> [V; C];

    /// The same of fewer than sixteen columns, the last `count`.
    fn rest<V: Vector>(values: &[Self], place: [usize; 2], column: usize, count: usize) -> V;

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
    fn products<V: Vector, const Q: usize, const B: usize>(
        keys: [&[Self]; B],
        rows: [&[f32]; Q],
    ) -> [[V; Q]; B] {
        let mut columns: [&[[N; LANES]]; B] = [&[]; B];
        for b in 0..B {
            columns[b] = keys[b].as_chunks::<LANES>().0;
        }
        sums(columns, rows)
    }

    #[inline(always)]
    fn value<V: Vector, const C: usize>(
        values: &[Self],
        [place, stride]: [usize; 2],
        column: usize,
    ) -> [V; C] {
        let from = &values[place * stride + column..][..C * LANES];
        let lanes = from.as_chunks::<LANES>().0;
        let mut found = [V::zero(); C];
        for c in 0..C {
            found[c] = N::load::<V>(&lanes[c]);
        }
        found
    }

    #[inline(always)]
    fn rest<V: Vector>(
        values: &[Self],
        [place, stride]: [usize; 2],
        column: usize,
        count: usize,
    ) -> V {
        let mut lanes = [N::default(); LANES];
        lanes[..count].copy_from_slice(&values[place * stride + column..][..count]);
        N::load::<V>(&lanes)
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
    fn products<V: Vector, const Q: usize, const B: usize>(
        keys: [&[Self]; B],
        rows: [&[f32]; Q],
    ) -> [[V; Q]; B] {
        let mut all = [[V::zero(); Q]; B];
        for index in 0..keys.first().map_or(0, |keys| keys.len()) {
            let mut parts: [&[f32]; Q] = [&[]; Q];
            for q in 0..Q {
                parts[q] = &rows[q][index * GROUP_COLUMNS..][..GROUP_COLUMNS];
            }
            let mut bytes: [&[[u8; LANES]]; B] = [&[]; B];
            let mut scales = [V::zero(); B];
            for b in 0..B {
                let (halves, here) = halves_of(&keys[b][index]);
                bytes[b] = here;
                scales[b] = V::load_f16_bytes(halves);
            }
            let products = sums::<V, u8, Q, B>(bytes, parts);
            for b in 0..B {
                for q in 0..Q {
                    all[b][q] = products[b][q].fma(scales[b], all[b][q]);
                }
            }
        }
        all
    }

    #[inline(always)]
    fn value<V: Vector, const C: usize>(
        values: &[Self],
        [place, _]: [usize; 2],
        column: usize,
    ) -> [V; C] {
        let mut found = [V::zero(); C];
        for c in 0..C {
            let column = column + c * LANES;
            let (_, bytes) = halves_of(&values[column / GROUP_COLUMNS]);
            let part = place * GROUP_COLUMNS + column % GROUP_COLUMNS;
            found[c] = V::load_i8_bytes(&bytes[part / LANES]);
        }
        found
    }

    #[inline(always)]
    fn rest<V: Vector>(values: &[Self], place: [usize; 2], column: usize, _: usize) -> V {
        let [value] = Self::value::<V, 1>(values, place, column);
        value
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

/// Sums over columns, in order.
#[inline(always)]
fn sums<V: Vector, N: Number, const Q: usize, const B: usize>(
    keys: [&[[N; LANES]]; B],
    rows: [&[f32]; Q],
) -> [[V; Q]; B] {
    let count = keys.first().map_or(0, |keys| keys.len());
    let mut columns: [&[[N; LANES]]; B] = [&[]; B];
    for b in 0..B {
        columns[b] = &keys[b][..count];
    }
    let mut parts: [&[f32]; Q] = [&[]; Q];
    for q in 0..Q {
        parts[q] = &rows[q][..count];
    }
    let mut sums = [[V::zero(); Q]; B];
    let mut here = [V::zero(); B];
    for i in 0..count {
        for b in 0..B {
            here[b] = N::load::<V>(&columns[b][i]);
        }
        for q in 0..Q {
            let x = V::splat(parts[q][i]);
            for b in 0..B {
                sums[b][q] = here[b].fma(x, sums[b][q]);
            }
        }
    }
    sums
}
