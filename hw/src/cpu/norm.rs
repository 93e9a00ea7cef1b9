//! Norms and softmax: sums over a row, then a pass over it.
//!
//! Decides the order of sums: lane by lane, then the fixed tree of [`Vector::sum`].
//!
//! What bounds it: moving numbers, since the second pass finds the row in the nearest cache. RMS norm makes 91 to 100 % of
//! the rate of scaling by one, layer norm with its third pass 77 to 85 %, softmax, whose exponentials are some twenty
//! instructions for sixteen numbers, 50 % (`hw/examples/bench --only ops`, AVX-512, one and two threads).

use super::elementwise::{Unary, map};
use super::math;
use super::vector::{LANES, Vector, kernel};

kernel!(
    /// Root mean square norm of each group of a row.
    rms = rms_generic(x: &[f32], weight: Option<&[f32]>, epsilon: f32, group: usize, out: &mut [f32])
);
kernel!(
    /// Layer norm of a row.
    layer = layer_generic(x: &[f32], weight: &[f32], bias: Option<&[f32]>, epsilon: f32, out: &mut [f32])
);
kernel!(
    /// A row divided by its length; zeros stay.
    normalise = normalise_generic(x: &[f32], out: &mut [f32])
);
kernel!(
    /// Softmax of a row.
    softmax = softmax_generic(x: &[f32], out: &mut [f32])
);

#[inline(always)]
fn rms_generic<V: Vector>(
    x: &[f32],
    weight: Option<&[f32]>,
    epsilon: f32,
    group: usize,
    out: &mut [f32],
) {
    for (x, out) in x.chunks_exact(group).zip(out.chunks_exact_mut(group)) {
        let mean = sum_of::<V, _>(x, Square) / group as f32;
        let factor = 1.0 / (mean + epsilon).sqrt();
        match weight {
            Some(weight) => scaled::<V>(x, 0.0, factor, weight, None, out),
            None => map::<V>(x, out, Shifted { by: 0.0, factor }),
        }
    }
}

#[inline(always)]
fn layer_generic<V: Vector>(
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    epsilon: f32,
    out: &mut [f32],
) {
    let width = x.len() as f32;
    let mean = sum_of::<V, _>(x, Plain) / width;
    let variance = deviation::<V>(x, mean) / width;
    let factor = 1.0 / (variance + epsilon).sqrt();
    scaled::<V>(x, mean, factor, weight, bias, out);
}

#[inline(always)]
fn normalise_generic<V: Vector>(x: &[f32], out: &mut [f32]) {
    // The largest magnitude goes out first, so that squares neither overflow nor vanish.
    let most = largest_of::<V>(x, true);
    if most == 0.0 && x.iter().all(|x| *x == 0.0) {
        out.fill(0.0);
        return;
    }
    let inverse = 1.0 / most;
    if most.is_finite() && inverse.is_finite() {
        map::<V>(
            x,
            out,
            Shifted {
                by: 0.0,
                factor: inverse,
            },
        );
        let length = sum_of::<V, _>(out, Square).sqrt();
        let factor = inverse / length;
        map::<V>(x, out, Shifted { by: 0.0, factor });
    } else {
        let length = sum_of::<V, _>(x, Square).sqrt();
        map::<V>(
            x,
            out,
            Shifted {
                by: 0.0,
                factor: 1.0 / length,
            },
        );
    }
}

#[inline(always)]
fn softmax_generic<V: Vector>(x: &[f32], out: &mut [f32]) {
    let most = largest_of::<V>(x, false);
    let (parts, rest) = x.as_chunks::<LANES>();
    let (out_parts, out_rest) = out.as_chunks_mut::<LANES>();
    let mut sum = V::zero();
    for (x, out) in parts.iter().zip(out_parts) {
        let e = math::exp(V::load(x).sub(V::splat(most)));
        sum = sum.add(e);
        e.store(out);
    }
    let mut sum = sum.sum();
    for (x, out) in rest.iter().zip(out_rest) {
        let mut lanes = [0.0; LANES];
        math::exp(V::splat(x - most)).store(&mut lanes);
        *out = lanes[0];
        sum += lanes[0];
    }
    let (parts, rest) = out.as_chunks_mut::<LANES>();
    for part in parts {
        V::load(part).div(V::splat(sum)).store(part);
    }
    for part in rest {
        *part /= sum;
    }
}

/// `(x - by) * factor * weight + bias`
#[inline(always)]
fn scaled<V: Vector>(
    x: &[f32],
    by: f32,
    factor: f32,
    weight: &[f32],
    bias: Option<&[f32]>,
    out: &mut [f32],
) {
    let shift = Shifted { by, factor };
    let (parts, rest) = x.as_chunks::<LANES>();
    let (w_parts, w_rest) = weight.as_chunks::<LANES>();
    let (out_parts, out_rest) = out.as_chunks_mut::<LANES>();
    match bias {
        Some(bias) => {
            let (b_parts, b_rest) = bias.as_chunks::<LANES>();
            let inputs = parts.iter().zip(w_parts).zip(b_parts);
            for (((x, w), b), out) in inputs.zip(out_parts) {
                let x = shift.apply(V::load(x));
                x.fma(V::load(w), V::load(b)).store(out);
            }
            let x = shift.apply(V::load_part(rest));
            let last = x.fma(V::load_part(w_rest), V::load_part(b_rest));
            last.store_part(out_rest);
        }
        None => {
            for ((x, w), out) in parts.iter().zip(w_parts).zip(out_parts) {
                shift.apply(V::load(x)).mul(V::load(w)).store(out);
            }
            let x = shift.apply(V::load_part(rest));
            x.mul(V::load_part(w_rest)).store_part(out_rest);
        }
    }
}

/// The sum of `f` over all numbers.
#[inline(always)]
fn sum_of<V: Vector, F: Unary>(x: &[f32], f: F) -> f32 {
    let (parts, rest) = x.as_chunks::<LANES>();
    let mut sums = [V::zero(); 4];
    let (fours, singles) = parts.as_chunks::<4>();
    for four in fours {
        for (sum, x) in sums.iter_mut().zip(four) {
            *sum = sum.add(f.apply(V::load(x)));
        }
    }
    for (sum, x) in sums.iter_mut().zip(singles) {
        *sum = sum.add(f.apply(V::load(x)));
    }
    let last = f.apply(V::load_part(rest));
    let sum = sums[0].add(sums[1]).add(sums[2].add(sums[3]));
    sum.add(last).sum()
}

/// The sum of squares of distances from `mean`.
#[inline(always)]
fn deviation<V: Vector>(x: &[f32], mean: f32) -> f32 {
    let (parts, rest) = x.as_chunks::<LANES>();
    let mut sum = V::zero();
    for x in parts {
        let d = V::load(x).sub(V::splat(mean));
        sum = d.fma(d, sum);
    }
    let mut sum = sum.sum();
    for x in rest {
        sum += (x - mean) * (x - mean);
    }
    sum
}

#[inline(always)]
fn largest_of<V: Vector>(x: &[f32], magnitude: bool) -> f32 {
    let of = |x: f32| if magnitude { x.abs() } else { x };
    let (parts, rest) = x.as_chunks::<LANES>();
    let mut most = V::splat(f32::NEG_INFINITY);
    for x in parts {
        let x = V::load(x);
        most = if magnitude { x.abs() } else { x }.max(most);
    }
    rest.iter().fold(most.largest(), |most, x| most.max(of(*x)))
}

#[derive(Clone, Copy)]
struct Plain;

impl Unary for Plain {
    #[inline(always)]
    fn apply<V: Vector>(self, x: V) -> V {
        x
    }
}

#[derive(Clone, Copy)]
struct Square;

impl Unary for Square {
    #[inline(always)]
    fn apply<V: Vector>(self, x: V) -> V {
        x.mul(x)
    }
}

/// (x - by) * factor
#[derive(Clone, Copy)]
struct Shifted {
    by: f32,
    factor: f32,
}

impl Unary for Shifted {
    #[inline(always)]
    fn apply<V: Vector>(self, x: V) -> V {
        x.sub(V::splat(self.by)).mul(V::splat(self.factor))
    }
}
