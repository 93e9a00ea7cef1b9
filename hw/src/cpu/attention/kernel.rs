//! Softmax-weighted sums over keys and values, a segment at a time.
//!
//! Decides the order of operations: a score is a product as `element.rs` sums it, scaled; within a
//! segment the largest score so far is kept and earlier sums are scaled down when it grows (Milakov and
//! Gimelshein 2018), span after span of 64 places. Spans begin at multiples of 64 whoever looks at them,
//! so what a query finds does not depend on those that look with it.
//!
//! What bounds it: with one query, reading keys and values, which are asked for a span ahead: 68 to 97 % of the rate of
//! reading memory. With eight, arithmetic: 16 to 25 % of what the multipliers can (`hw/examples/bench --only attention`,
//! AVX-512). Products are half of the time there, since sixteen wait for two conversions and eight broadcasts; of the
//! rest, most are exponentials of scores, spans at the diagonal that not all see, and writing the keys.

use std::ops::Range;

use super::Shape;
use super::element::Element;
use super::keys::Blocks;
use super::values::{self, Place};
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
    /// One segment for one, two, four or eight queries, into as many partial results.
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

/// How many queries, blocks of keys and sixteens of value columns meet in registers is a matter of
/// how many there are: a sum waits for the one before it, so eight should run side by side.
#[inline(always)]
fn segment_any<V: Vector, E: Element>(
    keys: Blocks<'_, E>,
    queries: &[Query<'_>],
    shape: &Shape,
    parts: &mut [f32],
) {
    let width = shape.partial_width();
    match (queries, V::MANY) {
        ([a], _) => walk::<V, E, 1, 1, 4, 4>(keys, [a], shape.score, width, parts),
        ([a, b], true) => walk::<V, E, 2, 2, 4, 4>(keys, [a, b], shape.score, width, parts),
        ([a, b], false) => walk::<V, E, 2, 2, 2, 2>(keys, [a, b], shape.score, width, parts),
        ([a, b, c, d], true) => {
            walk::<V, E, 4, 4, 4, 4>(keys, [a, b, c, d], shape.score, width, parts);
        }
        ([a, b, c, d], false) => {
            walk::<V, E, 4, 4, 1, 1>(keys, [a, b, c, d], shape.score, width, parts);
        }
        ([a, b, c, d, e, f, g, h], true) => {
            let all = [a, b, c, d, e, f, g, h];
            walk::<V, E, 8, 8, 2, 2>(keys, all, shape.score, width, parts);
        }
        ([a, b, c, d, e, f, g, h], false) => {
            let all = [a, b, c, d, e, f, g, h];
            walk::<V, E, 8, 4, 1, 1>(keys, all, shape.score, width, parts);
        }
        _ => {}
    }
}

/// Places whose scores are compared at once.
pub(super) const SPAN: usize = 4 * BLOCK;

/// `Q` queries, `G` of them at a time, over `B` blocks of keys and `C` sixteens of columns at a time.
#[inline(always)]
fn walk<V: Vector, E: Element, const Q: usize, const G: usize, const B: usize, const C: usize>(
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
    let mut sums = [[0.0_f32; LANES]; Q];
    parts[..Q * width].fill(0.0);
    for span in start / SPAN..end.div_ceil(SPAN) {
        let first = span * SPAN;
        let blocks =
            (start.max(first) - first) / BLOCK..(end.min(first + SPAN) - first).div_ceil(BLOCK);
        let mut weights = [[f32::NEG_INFINITY; SPAN]; Q];
        let mut block = blocks.start;
        while block < blocks.end {
            let here = first / BLOCK + block;
            let count = if block + B <= blocks.end { B } else { 1 };
            for next in here..here + count {
                if next + SPAN / BLOCK < end.div_ceil(BLOCK) {
                    keys.ask_for(next + SPAN / BLOCK);
                }
            }
            for group in 0..Q / G {
                let mut rows: [&[f32]; G] = [&[]; G];
                for g in 0..G {
                    rows[g] = queries[group * G + g].x;
                }
                let weights = &mut weights[group * G..][..G];
                if count == B {
                    scores::<V, E, G, B>(keys, here, rows, score, weights, block);
                } else {
                    scores::<V, E, G, 1>(keys, here, rows, score, weights, block);
                }
            }
            block += count;
        }
        let mut seen = [(0, 0); Q];
        for q in 0..Q {
            let range = &queries[q].seen;
            let from = range.start.clamp(first, first + SPAN) - first;
            let to = range.end.clamp(first, first + SPAN) - first;
            seen[q] = (from, to);
            weights[q][..from].fill(f32::NEG_INFINITY);
            weights[q][to..].fill(f32::NEG_INFINITY);
        }
        let fades = exponentials::<V, Q>(&mut weights, &seen, &mut most, &mut sums);
        let at = Place { first, width };
        values::add::<V, E, Q, G, C>(keys, at, &seen, &weights, &fades, parts);
    }
    for q in 0..Q {
        let at = q * width + width - 16;
        parts[at] = most[q];
        parts[at + 1] = V::load(&sums[q]).sum();
    }
}

/// Scores become weights: `exp(score - most)`, where `most` has become the largest so far; `sums` are of all weights,
/// lane by lane. Returns what earlier sums are to be multiplied by. A query that sees nothing here is left as it is.
///
/// Nothing depends on a comparison, and queries do not wait for each other: one alone spends most of its time waiting.
#[inline(always)]
fn exponentials<V: Vector, const Q: usize>(
    scores: &mut [[f32; SPAN]; Q],
    seen: &[(usize, usize); Q],
    most: &mut [f32; Q],
    sums: &mut [[f32; LANES]; Q],
) -> [f32; Q] {
    let mut fades = [0.0; LANES];
    for q in 0..Q {
        let mut largest = V::splat(f32::NEG_INFINITY);
        for lanes in scores[q].as_chunks::<LANES>().0 {
            largest = V::load(lanes).max(largest);
        }
        if seen[q].0 < seen[q].1 {
            let now = largest.largest().max(most[q]);
            fades[q] = if now == most[q] { 0.0 } else { most[q] - now };
            most[q] = now;
        }
    }
    let lanes = fades;
    math::exp(V::load(&lanes)).store(&mut fades);
    for q in 0..Q {
        if seen[q].0 >= seen[q].1 {
            continue;
        }
        let mut all = V::zero();
        for lanes in scores[q].as_chunks_mut::<LANES>().0 {
            let exps = math::exp(V::load(lanes).sub(V::splat(most[q])));
            exps.store(lanes);
            all = all.add(exps);
        }
        let before = V::load(&sums[q]).mul(V::splat(fades[q]));
        before.add(all).store(&mut sums[q]);
    }
    let mut found = [0.0; Q];
    found.copy_from_slice(&fades[..Q]);
    found
}

/// The scores of `B` blocks of places from block `here` on, into their places from `block` on in the
/// span's.
#[inline(always)]
fn scores<V: Vector, E: Element, const G: usize, const B: usize>(
    keys: Blocks<'_, E>,
    here: usize,
    rows: [&[f32]; G],
    score: Score,
    weights: &mut [[f32; SPAN]],
    block: usize,
) {
    let mut blocks: [&[E]; B] = [&[]; B];
    for b in 0..B {
        blocks[b] = keys.keys(here + b);
    }
    let products = E::products::<V, G, B>(blocks, rows);
    for g in 0..G {
        let lanes = weights[g].as_chunks_mut::<LANES>().0;
        for b in 0..B {
            let scaled = products[b][g].mul(V::splat(score.scale));
            let scaled = match score.softcap {
                Some(cap) => Cap(cap).apply(scaled),
                None => scaled,
            };
            scaled.store(&mut lanes[block + b]);
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
