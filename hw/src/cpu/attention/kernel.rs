//! Softmax-weighted sums over keys and values, a segment at a time.
//!
//! Decides the order of operations: a score is four sums over columns c mod 4, added in pairs;
//! within a segment the largest score so far is kept and earlier sums are scaled down when it
//! grows (Milakov and Gimelshein 2018), block after block.

use std::ops::Range;

use super::Shape;
use super::keys::Blocks;
use crate::cache::BLOCK;
use crate::cpu::elementwise::{Cap, Unary};
use crate::cpu::math;
use crate::cpu::vector::{LANES, Vector, kernel};

/// What becomes of a product of query and key.
#[derive(Clone, Copy, Debug)]
pub(in crate::cpu) struct Score {
    pub(in crate::cpu) scale: f32,
    pub(in crate::cpu) softcap: Option<f32>,
}

/// A number as caches store it.
pub(in crate::cpu) trait Element: Copy + Default {
    fn load<V: Vector>(from: &[Self; LANES]) -> V;
}

impl Element for f32 {
    #[inline(always)]
    fn load<V: Vector>(from: &[Self; LANES]) -> V {
        V::load(from)
    }
}

impl Element for u16 {
    #[inline(always)]
    fn load<V: Vector>(from: &[Self; LANES]) -> V {
        V::load_f16(from)
    }
}

kernel!(
    /// One segment for `heads` rows of `query`, into as many partial results.
    segment_f32 = segment_f32_generic(keys: Blocks<'_, f32>, query: &[f32], heads: usize, segment: Range<usize>, shape: &Shape, parts: &mut [f32])
);
kernel!(
    /// The same with keys and values in half precision.
    segment_f16 = segment_f16_generic(keys: Blocks<'_, u16>, query: &[f32], heads: usize, segment: Range<usize>, shape: &Shape, parts: &mut [f32])
);
kernel!(
    /// Adds a partial result to what came before it.
    merge = merge_generic(total: &mut [f32], part: &[f32])
);
kernel!(
    /// Divides a result by its sum.
    finish = finish_generic(total: &[f32], out: &mut [f32])
);

#[inline(always)]
fn segment_f32_generic<V: Vector>(
    keys: Blocks<'_, f32>,
    query: &[f32],
    heads: usize,
    segment: Range<usize>,
    shape: &Shape,
    parts: &mut [f32],
) {
    segment_any::<V, f32>(keys, query, heads, segment, shape, parts);
}

#[inline(always)]
fn segment_f16_generic<V: Vector>(
    keys: Blocks<'_, u16>,
    query: &[f32],
    heads: usize,
    segment: Range<usize>,
    shape: &Shape,
    parts: &mut [f32],
) {
    segment_any::<V, u16>(keys, query, heads, segment, shape, parts);
}

#[inline(always)]
fn segment_any<V: Vector, E: Element>(
    keys: Blocks<'_, E>,
    query: &[f32],
    heads: usize,
    segment: Range<usize>,
    shape: &Shape,
    parts: &mut [f32],
) {
    let width = shape.partial_width();
    match heads {
        1 => walk::<V, E, 1>(keys, query, segment, shape.score, width, parts),
        2 => walk::<V, E, 2>(keys, query, segment, shape.score, width, parts),
        _ => walk::<V, E, 4>(keys, query, segment, shape.score, width, parts),
    }
}

#[inline(always)]
fn walk<V: Vector, E: Element, const Q: usize>(
    keys: Blocks<'_, E>,
    query: &[f32],
    segment: Range<usize>,
    score: Score,
    width: usize,
    parts: &mut [f32],
) {
    let mut most = [f32::NEG_INFINITY; Q];
    let mut sums = [0.0_f32; Q];
    parts[..Q * width].fill(0.0);
    for block in segment.start / BLOCK..segment.end.div_ceil(BLOCK) {
        let first = segment.start.saturating_sub(block * BLOCK);
        let last = BLOCK.min(segment.end - block * BLOCK);
        let scores = scores::<V, E, Q>(keys.keys(block), query, keys.key_width(), score);
        let mut weights = [[0.0_f32; LANES]; Q];
        let mut fades = [1.0_f32; Q];
        for q in 0..Q {
            let mut lanes = [0.0; LANES];
            scores[q].store(&mut lanes);
            if first > 0 || last < BLOCK {
                lanes[..first].fill(f32::NEG_INFINITY);
                lanes[last..].fill(f32::NEG_INFINITY);
            }
            let scores = V::load(&lanes);
            let now = scores.largest().max(most[q]);
            if now != most[q] {
                let mut fade = [0.0; LANES];
                math::exp(V::splat(most[q] - now)).store(&mut fade);
                fades[q] = fade[0];
                most[q] = now;
            }
            let exps = math::exp(scores.sub(V::splat(now)));
            exps.store(&mut weights[q]);
            sums[q] = sums[q] * fades[q] + exps.sum();
        }
        let (values, stride) = keys.values(block);
        add_values::<V, E, Q>(
            values,
            [stride, keys.value_width(), width],
            first..last,
            &weights,
            fades,
            parts,
        );
    }
    for q in 0..Q {
        let at = q * width + width - 16;
        parts[at] = most[q];
        parts[at + 1] = sums[q];
    }
}

/// The scores of sixteen places.
#[inline(always)]
fn scores<V: Vector, E: Element, const Q: usize>(
    keys: &[E],
    query: &[f32],
    width: usize,
    score: Score,
) -> [V; Q] {
    let columns = keys.as_chunks::<LANES>().0;
    let (fours, rest) = columns.as_chunks::<4>();
    let mut rows: [&[f32]; Q] = [&[]; Q];
    for q in 0..Q {
        rows[q] = &query[q * width..][..width];
    }
    let mut sums = [[V::zero(); 4]; Q];
    for (i, four) in fours.iter().enumerate() {
        for j in 0..4 {
            let key = E::load::<V>(&four[j]);
            for q in 0..Q {
                sums[q][j] = key.fma(V::splat(rows[q][i * 4 + j]), sums[q][j]);
            }
        }
    }
    for (j, column) in rest.iter().enumerate() {
        let key = E::load::<V>(column);
        for q in 0..Q {
            sums[q][j] = key.fma(V::splat(rows[q][fours.len() * 4 + j]), sums[q][j]);
        }
    }
    let mut scores = [V::zero(); Q];
    for q in 0..Q {
        let [a, b, c, d] = sums[q];
        let sum = a.add(b).add(c.add(d)).mul(V::splat(score.scale));
        scores[q] = match score.softcap {
            Some(cap) => Cap(cap).apply(sum),
            None => sum,
        };
    }
    scores
}

/// `part = part * fade + sum of weight * value`, for the places of `seen`.
#[inline(always)]
fn add_values<V: Vector, E: Element, const Q: usize>(
    values: &[E],
    [stride, value_width, width]: [usize; 3],
    seen: Range<usize>,
    weights: &[[f32; LANES]; Q],
    fades: [f32; Q],
    parts: &mut [f32],
) {
    let mut column = 0;
    while column < value_width {
        let count = LANES.min(value_width - column);
        let mut sums = [V::zero(); Q];
        for q in 0..Q {
            if let Some(part) = parts[q * width + column..].first_chunk::<LANES>() {
                sums[q] = V::load(part).mul(V::splat(fades[q]));
            }
        }
        for place in seen.clone() {
            let from = &values[place * stride + column..];
            let value = match from.first_chunk::<LANES>() {
                Some(from) if count == LANES => E::load::<V>(from),
                _ => {
                    let mut lanes = [E::default(); LANES];
                    lanes[..count].copy_from_slice(&from[..count]);
                    E::load::<V>(&lanes)
                }
            };
            for q in 0..Q {
                sums[q] = value.fma(V::splat(weights[q][place]), sums[q]);
            }
        }
        for q in 0..Q {
            if let Some(part) = parts[q * width + column..].first_chunk_mut::<LANES>() {
                sums[q].store(part);
            }
        }
        column += LANES;
    }
}

#[inline(always)]
fn merge_generic<V: Vector>(total: &mut [f32], part: &[f32]) {
    let at = total.len() - 16;
    let (before, here) = (total[at], part[at]);
    let most = if here > before || here.is_nan() {
        here
    } else {
        before
    };
    let mut fades = [[0.0; LANES]; 2];
    math::exp(V::splat(before - most)).store(&mut fades[0]);
    math::exp(V::splat(here - most)).store(&mut fades[1]);
    let [old, new] = [fades[0][0], fades[1][0]];
    let sum = total[at + 1] * old + part[at + 1] * new;
    let totals = total[..at].as_chunks_mut::<LANES>().0.iter_mut();
    for (total, part) in totals.zip(part[..at].as_chunks::<LANES>().0) {
        let before = V::load(total).mul(V::splat(old));
        V::load(part).fma(V::splat(new), before).store(total);
    }
    total[at] = most;
    total[at + 1] = sum;
}

#[inline(always)]
fn finish_generic<V: Vector>(total: &[f32], out: &mut [f32]) {
    let sum = V::splat(total[total.len() - 15]);
    let (parts, rest) = out.as_chunks_mut::<LANES>();
    let (totals, _) = total[..total.len() - 16].as_chunks::<LANES>();
    for (out, total) in parts.iter_mut().zip(totals) {
        V::load(total).div(sum).store(out);
    }
    if let Some(total) = totals.get(parts.len()) {
        V::load(total).div(sum).store_part(rest);
    }
}
