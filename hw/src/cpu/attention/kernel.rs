//! Softmax-weighted sums over keys and values, a segment at a time.
//!
//! Decides the order of operations: a score is a product as `element.rs` sums it, scaled; within a segment the largest score so far is kept and earlier sums are scaled down when it
//! grows (Milakov and Gimelshein 2018), span after span of 64 places. Spans begin at multiples of 64
//! whoever looks at them, so what a query finds does not depend on those that look with it.
//!
//! What bounds it: with one query, reading keys and values, which are asked for a span ahead; with four, a broadcast and a multiplication
//! for each number of a key and of a value, two of each a cycle.

use std::ops::Range;

use super::Shape;
use super::element::Element;
use super::keys::Blocks;
use crate::cache::{BLOCK, GROUP_BYTES};
use crate::cpu::elementwise::{Cap, Unary};
use crate::cpu::math;
use crate::cpu::vector::{LANES, Vector, kernel};

/// What becomes of a product of query and key.
#[derive(Clone, Copy, Debug)]
pub(in crate::cpu) struct Score {
    pub(in crate::cpu) scale: f32,
    pub(in crate::cpu) softcap: Option<f32>,
}

kernel!(
    /// One segment for one, two or four queries, into as many partial results.
    segment_f32 = segment_f32_generic(keys: Blocks<'_, f32>, queries: &[Query<'_>], shape: &Shape, parts: &mut [f32])
);
kernel!(
    /// The same with keys and values in half precision.
    segment_f16 = segment_f16_generic(keys: Blocks<'_, u16>, queries: &[Query<'_>], shape: &Shape, parts: &mut [f32])
);
kernel!(
    /// The same with keys and values as bytes with scales.
    segment_q8 = segment_q8_generic(keys: Blocks<'_, [u8; GROUP_BYTES]>, queries: &[Query<'_>], shape: &Shape, parts: &mut [f32])
);
kernel!(
    /// Adds a partial result to what came before it.
    merge = merge_generic(total: &mut [f32], part: &[f32])
);
kernel!(
    /// Divides a result by its sum.
    finish = finish_generic(total: &[f32], out: &mut [f32])
);

/// A row of numbers that looks for keys, and the places of one segment that it sees: at least one.
#[derive(Clone, Debug, Default)]
pub(super) struct Query<'a> {
    pub(super) x: &'a [f32],
    pub(super) seen: Range<usize>,
}

#[inline(always)]
fn segment_f32_generic<V: Vector>(
    keys: Blocks<'_, f32>,
    queries: &[Query<'_>],
    shape: &Shape,
    parts: &mut [f32],
) {
    segment_any::<V, f32>(keys, queries, shape, parts);
}

#[inline(always)]
fn segment_f16_generic<V: Vector>(
    keys: Blocks<'_, u16>,
    queries: &[Query<'_>],
    shape: &Shape,
    parts: &mut [f32],
) {
    segment_any::<V, u16>(keys, queries, shape, parts);
}

#[inline(always)]
fn segment_q8_generic<V: Vector>(
    keys: Blocks<'_, [u8; GROUP_BYTES]>,
    queries: &[Query<'_>],
    shape: &Shape,
    parts: &mut [f32],
) {
    segment_any::<V, [u8; GROUP_BYTES]>(keys, queries, shape, parts);
}

#[inline(always)]
fn segment_any<V: Vector, E: Element>(
    keys: Blocks<'_, E>,
    queries: &[Query<'_>],
    shape: &Shape,
    parts: &mut [f32],
) {
    let width = shape.partial_width();
    match queries {
        [a] => walk::<V, E, 1>(keys, [a], shape.score, width, parts),
        [a, b] => walk::<V, E, 2>(keys, [a, b], shape.score, width, parts),
        [a, b, c, d] => walk::<V, E, 4>(keys, [a, b, c, d], shape.score, width, parts),
        _ => {}
    }
}

/// Places whose scores are compared at once.
const SPAN: usize = 4 * BLOCK;

#[inline(always)]
fn walk<V: Vector, E: Element, const Q: usize>(
    keys: Blocks<'_, E>,
    queries: [&Query<'_>; Q],
    score: Score,
    width: usize,
    parts: &mut [f32],
) {
    let (mut start, mut end) = (usize::MAX, 0);
    for query in queries {
        start = start.min(query.seen.start);
        end = end.max(query.seen.end);
    }
    let mut most = [f32::NEG_INFINITY; Q];
    let mut sums = [0.0_f32; Q];
    parts[..Q * width].fill(0.0);
    for span in start / SPAN..end.div_ceil(SPAN) {
        let first = span * SPAN;
        let blocks =
            (start.max(first) - first) / BLOCK..(end.min(first + SPAN) - first).div_ceil(BLOCK);
        let mut weights = [[f32::NEG_INFINITY; SPAN]; Q];
        for block in blocks {
            let ahead = first / BLOCK + block + SPAN / BLOCK;
            if ahead < end.div_ceil(BLOCK) {
                keys.ask_for(ahead);
            }
            let keys_here = keys.keys(first / BLOCK + block);
            let scores = scores::<V, E, Q>(keys_here, queries, score);
            for q in 0..Q {
                if let Some(lanes) = weights[q].as_chunks_mut::<LANES>().0.get_mut(block) {
                    scores[q].store(lanes);
                }
            }
        }
        let mut seen = [(0, 0); Q];
        let mut fades = [1.0_f32; Q];
        for q in 0..Q {
            let range = &queries[q].seen;
            seen[q] = (
                range.start.clamp(first, first + SPAN) - first,
                range.end.clamp(first, first + SPAN) - first,
            );
            let (from, to) = seen[q];
            if from >= to {
                continue;
            }
            weights[q][..from].fill(f32::NEG_INFINITY);
            weights[q][to..].fill(f32::NEG_INFINITY);
            (fades[q], sums[q]) = exponentials::<V>(&mut weights[q], &mut most[q], sums[q]);
        }
        add_values::<V, E, Q>(keys, first, width, seen, &weights, fades, parts);
    }
    for q in 0..Q {
        let at = q * width + width - 16;
        parts[at] = most[q];
        parts[at + 1] = sums[q];
    }
}

/// Scores become weights: `exp(score - most)`, where `most` has become the largest so far. What
/// earlier sums are to be multiplied by, and the sum of all.
#[inline(always)]
fn exponentials<V: Vector>(scores: &mut [f32; SPAN], most: &mut f32, sum: f32) -> (f32, f32) {
    let lanes = scores.as_chunks_mut::<LANES>().0;
    let mut largest = V::splat(f32::NEG_INFINITY);
    for lanes in lanes.iter() {
        largest = V::load(lanes).max(largest);
    }
    let now = largest.largest().max(*most);
    let mut fade = 1.0;
    if now != *most {
        let mut fades = [0.0; LANES];
        math::exp(V::splat(*most - now)).store(&mut fades);
        fade = fades[0];
        *most = now;
    }
    let mut all = V::zero();
    for lanes in lanes {
        let exps = math::exp(V::load(lanes).sub(V::splat(now)));
        exps.store(lanes);
        all = all.add(exps);
    }
    (fade, sum * fade + all.sum())
}

/// The scores of sixteen places.
#[inline(always)]
fn scores<V: Vector, E: Element, const Q: usize>(
    keys: &[E],
    queries: [&Query<'_>; Q],
    score: Score,
) -> [V; Q] {
    let mut rows: [&[f32]; Q] = [&[]; Q];
    for q in 0..Q {
        rows[q] = queries[q].x;
    }
    let mut scores = E::products::<V, Q>(keys, rows);
    for score_of_q in &mut scores {
        let scaled = score_of_q.mul(V::splat(score.scale));
        *score_of_q = match score.softcap {
            Some(cap) => Cap(cap).apply(scaled),
            None => scaled,
        };
    }
    scores
}

/// The places of a span that each query has seen, as ranges within the span.
#[derive(Clone, Copy)]
struct Seen<const Q: usize> {
    each: [(usize, usize); Q],
    /// From the first that anyone sees to the last.
    any: (usize, usize),
    /// What all see.
    all: (usize, usize),
}

impl<const Q: usize> Seen<Q> {
    #[inline(always)]
    fn of(each: [(usize, usize); Q]) -> Self {
        let (mut any, mut all) = ((SPAN, 0), (0, SPAN));
        for (from, to) in each {
            if from < to {
                any = (any.0.min(from), any.1.max(to));
            }
            all = (all.0.max(from), all.1.min(to));
        }
        Self { each, any, all }
    }
}

/// `part = part * fade + sum of weight * value`, over the places from `first` on that each has seen.
///
/// Several times sixteen columns at once where few queries look: a sum waits for the one before it.
#[inline(always)]
fn add_values<V: Vector, E: Element, const Q: usize>(
    keys: Blocks<'_, E>,
    first: usize,
    width: usize,
    seen: [(usize, usize); Q],
    weights: &[[f32; SPAN]; Q],
    fades: [f32; Q],
    parts: &mut [f32],
) {
    let seen = Seen::of(seen);
    let value_width = keys.value_width();
    let mut column = 0;
    if Q < 3 {
        while column + 4 * LANES <= value_width {
            let at = (first, column, width);
            add_columns::<V, E, Q, 4>(keys, at, &seen, weights, fades, parts);
            column += 4 * LANES;
        }
    }
    while column < value_width {
        let at = (first, column, width);
        add_columns::<V, E, Q, 1>(keys, at, &seen, weights, fades, parts);
        column += LANES;
    }
}

/// The same for `C` times sixteen columns, of which the last may be fewer.
#[inline(always)]
fn add_columns<V: Vector, E: Element, const Q: usize, const C: usize>(
    keys: Blocks<'_, E>,
    (first, column, width): (usize, usize, usize),
    seen: &Seen<Q>,
    weights: &[[f32; SPAN]; Q],
    fades: [f32; Q],
    parts: &mut [f32],
) {
    let (any, all) = (seen.any, seen.all);
    let count = LANES.min(keys.value_width() - column);
    let mut sums = [[V::zero(); C]; Q];
    for q in 0..Q {
        let parts = parts[q * width + column..].as_chunks::<LANES>().0;
        for c in 0..C {
            sums[q][c] = V::load(&parts[c]).mul(V::splat(fades[q]));
        }
    }
    for block in any.0 / BLOCK..any.1.div_ceil(BLOCK) {
        let (values, stride) = keys.values(first / BLOCK + block);
        let mut here = [&[0.0; LANES]; Q];
        for q in 0..Q {
            here[q] = &weights[q].as_chunks::<LANES>().0[block];
        }
        let mut scaled = [[[0.0; LANES]; C]; Q];
        if E::SCALED {
            for c in 0..C {
                let scales = E::scales::<V>(values, column + c * LANES);
                for q in 0..Q {
                    V::load(here[q]).mul(scales).store(&mut scaled[q][c]);
                }
            }
        }
        let from = any.0.max(block * BLOCK);
        let to = any.1.min(block * BLOCK + BLOCK);
        let mut place = from;
        while place < to {
            // Without a question for each query where all have seen what comes next.
            let together = if place >= all.0 { all.1.min(to) } else { place };
            while place < together {
                for c in 0..C {
                    let at = [place % BLOCK, stride];
                    let value = E::value::<V>(values, at, column + c * LANES, count);
                    for q in 0..Q {
                        let weights = if E::SCALED { &scaled[q][c] } else { here[q] };
                        sums[q][c] = value.fma(V::splat(weights[place % BLOCK]), sums[q][c]);
                    }
                }
                place += 1;
            }
            if place >= to {
                break;
            }
            for c in 0..C {
                let at = [place % BLOCK, stride];
                let value = E::value::<V>(values, at, column + c * LANES, count);
                for q in 0..Q {
                    // One that does not see a value must not even multiply it by zero.
                    if place >= seen.each[q].0 && place < seen.each[q].1 {
                        let weights = if E::SCALED { &scaled[q][c] } else { here[q] };
                        sums[q][c] = value.fma(V::splat(weights[place % BLOCK]), sums[q][c]);
                    }
                }
            }
            place += 1;
        }
    }
    for q in 0..Q {
        let parts = parts[q * width + column..].as_chunks_mut::<LANES>().0;
        for c in 0..C {
            sums[q][c].store(&mut parts[c]);
        }
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
