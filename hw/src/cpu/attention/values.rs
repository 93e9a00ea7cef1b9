//! Sums of values, weighted by what a span's scores became.
//!
//! Decides that values are added place after place, whoever looks with whom, and that a query does not
//! touch what it does not see.

use super::element::Element;
use super::kernel::SPAN;
use super::keys::Blocks;
use crate::cache::BLOCK;
use crate::cpu::vector::{LANES, Vector};

/// Where a span begins, and how many floats a part has.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) first: usize,
    pub(super) width: usize,
}

/// `part = part * fade + sum of weight * value` for each of `Q` queries, over the places of the span that
/// each has seen; `G` queries and `C` times sixteen columns at a time.
#[inline(always)]
pub(super) fn add<V: Vector, E: Element, const Q: usize, const G: usize, const C: usize>(
    keys: Blocks<'_, E>,
    at: Place,
    seen: &[(usize, usize); Q],
    weights: &[[f32; SPAN]; Q],
    fades: &[f32; Q],
    parts: &mut [f32],
) {
    for group in 0..Q / G {
        let mut own = Group {
            seen: [(0, 0); G],
            weights: [&[0.0; SPAN]; G],
            fades: [1.0; G],
        };
        for g in 0..G {
            own.seen[g] = seen[group * G + g];
            own.weights[g] = &weights[group * G + g];
            own.fades[g] = fades[group * G + g];
        }
        let parts = &mut parts[group * G * at.width..][..G * at.width];
        let value_width = keys.value_width();
        let mut column = 0;
        while column + C * LANES <= value_width {
            columns::<V, E, G, C, true>(keys, at, column, &own, parts);
            column += C * LANES;
        }
        while column < value_width {
            if column + LANES <= value_width {
                columns::<V, E, G, 1, true>(keys, at, column, &own, parts);
            } else {
                columns::<V, E, G, 1, false>(keys, at, column, &own, parts);
            }
            column += LANES;
        }
    }
}

/// What some queries make of a span.
struct Group<'a, const G: usize> {
    /// Places of the span that each sees, as a range.
    seen: [(usize, usize); G],
    weights: [&'a [f32; SPAN]; G],
    fades: [f32; G],
}

/// The columns from `column` on: whole sixteens with `W`, else the rest.
#[inline(always)]
fn columns<V: Vector, E: Element, const G: usize, const C: usize, const W: bool>(
    keys: Blocks<'_, E>,
    at: Place,
    column: usize,
    group: &Group<'_, G>,
    parts: &mut [f32],
) {
    // What anyone sees, and what all see.
    let (mut any, mut all) = ((SPAN, 0), (0, SPAN));
    for g in 0..G {
        let (from, to) = group.seen[g];
        if from < to {
            any = (any.0.min(from), any.1.max(to));
        }
        all = (all.0.max(from), all.1.min(to));
    }
    if all.0 >= all.1 {
        all = (any.1, any.1);
    }
    let mut fades = group.fades;
    if any.0 < all.0 {
        for g in 0..G {
            let parts = parts[g * at.width + column..].as_chunks_mut::<LANES>().0;
            for part in parts.iter_mut().take(C) {
                V::load(part).mul(V::splat(fades[g])).store(part);
            }
        }
        fades = [1.0; G];
        some::<V, E, G, C, W>(keys, at, column, group, (any.0, all.0), parts);
    }
    every::<V, E, G, C, W>(keys, at, column, group, fades, all, parts);
    some::<V, E, G, C, W>(keys, at, column, group, (all.1, any.1), parts);
}

/// Places that all queries see, after the sums so far have faded: they stay in registers.
#[inline(always)]
fn every<V: Vector, E: Element, const G: usize, const C: usize, const W: bool>(
    keys: Blocks<'_, E>,
    at: Place,
    column: usize,
    group: &Group<'_, G>,
    fades: [f32; G],
    (from, to): (usize, usize),
    parts: &mut [f32],
) {
    let width = keys.value_width();
    let mut sums = [[V::zero(); C]; G];
    for g in 0..G {
        let parts = parts[g * at.width + column..].as_chunks::<LANES>().0;
        for c in 0..C {
            sums[g][c] = V::load(&parts[c]).mul(V::splat(fades[g]));
        }
    }
    for block in from / BLOCK..to.div_ceil(BLOCK) {
        let (values, stride) = keys.values(at.first / BLOCK + block);
        let mut weights = [&[0.0; LANES]; G];
        for g in 0..G {
            weights[g] = &group.weights[g].as_chunks::<LANES>().0[block];
        }
        let mut scaled = [[[0.0; LANES]; C]; G];
        if E::SCALED {
            for c in 0..C {
                let scales = E::scales::<V>(values, column + c * LANES);
                for g in 0..G {
                    V::load(weights[g]).mul(scales).store(&mut scaled[g][c]);
                }
            }
        }
        let first = from.max(block * BLOCK) - block * BLOCK;
        let last = to.min(block * BLOCK + BLOCK) - block * BLOCK;
        for lane in first..last {
            let value = value::<V, E, C, W>(values, [lane, stride], column, width);
            for g in 0..G {
                if E::SCALED {
                    for c in 0..C {
                        let weight = V::splat(scaled[g][c][lane % LANES]);
                        sums[g][c] = value[c].fma(weight, sums[g][c]);
                    }
                } else {
                    let weight = V::splat(weights[g][lane % LANES]);
                    for c in 0..C {
                        sums[g][c] = value[c].fma(weight, sums[g][c]);
                    }
                }
            }
        }
    }
    for g in 0..G {
        let parts = parts[g * at.width + column..].as_chunks_mut::<LANES>().0;
        for c in 0..C {
            sums[g][c].store(&mut parts[c]);
        }
    }
}

/// Places that some queries see, query after query. One that does not must not even multiply it by zero.
#[inline(always)]
fn some<V: Vector, E: Element, const G: usize, const C: usize, const W: bool>(
    keys: Blocks<'_, E>,
    at: Place,
    column: usize,
    group: &Group<'_, G>,
    (from, to): (usize, usize),
    parts: &mut [f32],
) {
    let width = keys.value_width();
    for g in 0..G {
        let places = from.max(group.seen[g].0)..to.min(group.seen[g].1);
        if places.is_empty() {
            continue;
        }
        let parts = parts[g * at.width + column..].as_chunks_mut::<LANES>().0;
        let mut sums = [V::zero(); C];
        for c in 0..C {
            sums[c] = V::load(&parts[c]);
        }
        for place in places {
            let (values, stride) = keys.values(at.first / BLOCK + place / BLOCK);
            let lane = place % BLOCK;
            let value = value::<V, E, C, W>(values, [lane, stride], column, width);
            for c in 0..C {
                let mut weights = group.weights[g].as_chunks::<LANES>().0[place / BLOCK];
                if E::SCALED {
                    let scales = E::scales::<V>(values, column + c * LANES);
                    V::load(&weights).mul(scales).store(&mut weights);
                }
                sums[c] = value[c].fma(V::splat(weights[lane]), sums[c]);
            }
        }
        for c in 0..C {
            sums[c].store(&mut parts[c]);
        }
    }
}

/// Sixteens of a value, or the rest of one as wide as `width`.
#[inline(always)]
fn value<V: Vector, E: Element, const C: usize, const W: bool>(
    values: &[E],
    place: [usize; 2],
    column: usize,
    width: usize,
) -> [V; C] {
    if W {
        E::value::<V, C>(values, place, column)
    } else {
        [E::rest::<V>(values, place, column, width - column); C]
    }
}
