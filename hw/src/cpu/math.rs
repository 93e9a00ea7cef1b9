//! Exponentials and their kin on vectors.
//!
//! Decides the approximations; each says its error. Refuses to know ops.

use super::vector::Vector;

/// e to the power of x, to about 1.2 units in the last place: x is split into a whole number of
/// ln 2 and a rest, of which the Taylor series to the seventh power is taken. NaN stays NaN.
#[inline(always)]
pub(super) fn exp<V: Vector>(x: V) -> V {
    // Beyond these, the result is infinite or zero.
    let x = V::splat(HIGHEST).min(V::splat(LOWEST).max(x));
    let whole = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
    let rest = whole.fma(V::splat(-LN_2_HIGH), x);
    let rest = whole.fma(V::splat(-LN_2_LOW), rest);
    let mut sum = V::splat(TAYLOR[0]);
    for factor in &TAYLOR[1..] {
        sum = sum.fma(rest, V::splat(*factor));
    }
    sum.times_power_of_two(whole)
}

const HIGHEST: f32 = 89.0;
const LOWEST: f32 = -104.0;
/// ln 2 in two parts; the first has zeros at its end, so that a whole number times it is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// 1 / n! from the seventh power down.
const TAYLOR: [f32; 8] = [
    1.0 / 5040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
    1.0,
    1.0,
];

/// 1 / (1 + exp(-x)).
#[inline(always)]
pub(super) fn sigmoid<V: Vector>(x: V) -> V {
    let one = V::splat(1.0);
    one.div(one.add(exp(V::zero().sub(x))))
}

/// The hyperbolic tangent, to about 2 units in the last place: near zero an odd polynomial
/// (coefficients of the Cephes library's `tanhf`, Moshier 1992), elsewhere through the exponential.
#[inline(always)]
pub(super) fn tanh<V: Vector>(x: V) -> V {
    let magnitude = x.abs();
    let square = x.mul(x);
    let mut series = V::splat(TANH[0]);
    for factor in &TANH[1..] {
        series = series.fma(square, V::splat(*factor));
    }
    let near = series.mul(square).fma(x, x);
    let one = V::splat(1.0);
    let far = exp(magnitude.add(magnitude)).add(one);
    let far = one.sub(V::splat(2.0).div(far));
    let far = V::zero().select_above(x, V::zero().sub(far), far);
    magnitude.select_above(V::splat(0.625), far, near)
}

const TANH: [f32; 5] = [
    -5.704_988_7e-3,
    2.063_909e-2,
    -5.373_971_6e-2,
    1.333_144_2e-1,
    -3.333_328e-1,
];

/// The complementary error function, to 1.2e-7 of its value and what `exp` loses: the fit of
/// Press et al., Numerical Recipes, section 6.2.
#[inline(always)]
pub(super) fn erfc<V: Vector>(x: V) -> V {
    let one = V::splat(1.0);
    let magnitude = x.abs();
    let t = one.div(magnitude.fma(V::splat(0.5), one));
    let mut sum = V::splat(ERFC[0]);
    for factor in &ERFC[1..] {
        sum = sum.fma(t, V::splat(*factor));
    }
    let tail = t.mul(exp(V::zero().sub(magnitude).fma(magnitude, sum)));
    V::zero().select_above(x, V::splat(2.0).sub(tail), tail)
}

const ERFC: [f32; 10] = [
    0.170_872_77,
    -0.822_152_23,
    1.488_515_9,
    -1.135_204,
    0.278_868_07,
    -0.186_288_06,
    0.096_784_18,
    0.374_091_96,
    1.000_023_7,
    -1.265_512_2,
];
