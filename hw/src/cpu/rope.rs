//! Rotary position embedding with tables of cosines and sines, which `turn.rs` makes.
//!
//! What bounds it: moving numbers, 83 to 90 % of the rate of scaling by one (`hw/examples/bench --only ops`, AVX-512).
//! Queries and keys are turned on their way into attention, where this is not a pass of its own.

use super::level::Level;
use super::vector::{LANES, Vector, kernel};
use crate::op::Pairing;

/// A rotation of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation<'a> {
    pub(super) head_width: usize,
    pub(super) pairing: Pairing,
    /// Rows of cosines and sines, one for each token.
    pub(super) table: &'a [f32],
    /// Floats of such a row.
    pub(super) width: usize,
}

impl Rotation<'_> {
    /// Turns some heads of token `row`.
    #[inline]
    pub(super) fn turn(&self, level: Level, row: usize, x: &[f32], out: &mut [f32]) {
        let table = &self.table[row * self.width..][..self.width];
        rotate(level, x, self.head_width, self.pairing, table, out);
    }
}

kernel!(
    /// Turns each head of a row by a row of a table.
    rotate = rotate_generic(x: &[f32], head_width: usize, pairing: Pairing, table: &[f32], out: &mut [f32])
);

#[inline(always)]
fn rotate_generic<V: Vector>(
    x: &[f32],
    head_width: usize,
    pairing: Pairing,
    table: &[f32],
    out: &mut [f32],
) {
    let pairs = table.len() / 2;
    let (cosines, sines) = table.split_at(pairs);
    let heads = x.chunks_exact(head_width);
    for (x, out) in heads.zip(out.chunks_exact_mut(head_width)) {
        let (x, x_rest) = x.split_at(2 * pairs);
        let (out, out_rest) = out.split_at_mut(2 * pairs);
        out_rest.copy_from_slice(x_rest);
        match pairing {
            Pairing::Halves => {
                let (a, b) = x.split_at(pairs);
                let (out_a, out_b) = out.split_at_mut(pairs);
                halves::<V>(a, b, cosines, sines, out_a, out_b);
            }
            Pairing::Adjacent => {
                let pairs = x.as_chunks::<2>().0.iter();
                let outs = out.as_chunks_mut::<2>().0.iter_mut();
                for (((x, out), c), s) in pairs.zip(outs).zip(cosines).zip(sines) {
                    *out = [x[0] * c - x[1] * s, x[0] * s + x[1] * c];
                }
            }
        }
    }
}

#[inline(always)]
fn halves<V: Vector>(
    a: &[f32],
    b: &[f32],
    cosines: &[f32],
    sines: &[f32],
    out_a: &mut [f32],
    out_b: &mut [f32],
) {
    let (a_parts, a_rest) = a.as_chunks::<LANES>();
    let (b_parts, b_rest) = b.as_chunks::<LANES>();
    let (c_parts, c_rest) = cosines.as_chunks::<LANES>();
    let (s_parts, s_rest) = sines.as_chunks::<LANES>();
    let (out_a_parts, out_a_rest) = out_a.as_chunks_mut::<LANES>();
    let (out_b_parts, out_b_rest) = out_b.as_chunks_mut::<LANES>();
    let angles = c_parts.iter().zip(s_parts);
    let inputs = a_parts.iter().zip(b_parts).zip(angles);
    for (((a, b), (c, s)), (out_a, out_b)) in inputs.zip(out_a_parts.iter_mut().zip(out_b_parts)) {
        let (first, second) = turn(V::load(a), V::load(b), V::load(c), V::load(s));
        first.store(out_a);
        second.store(out_b);
    }
    if !a_rest.is_empty() {
        let (first, second) = turn(
            V::load_part(a_rest),
            V::load_part(b_rest),
            V::load_part(c_rest),
            V::load_part(s_rest),
        );
        first.store_part(out_a_rest);
        second.store_part(out_b_rest);
    }
}

#[inline(always)]
fn turn<V: Vector>(a: V, b: V, cosine: V, sine: V) -> (V, V) {
    (
        a.mul(cosine).sub(b.mul(sine)),
        a.mul(sine).add(b.mul(cosine)),
    )
}
