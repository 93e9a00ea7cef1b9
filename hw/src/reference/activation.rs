//! Elementwise functions and gates.

use crate::matrix::{Matrix, MatrixMut};
use crate::op::Activation;

pub(super) fn activate(x: Matrix<'_>, function: Activation, out: &mut MatrixMut<'_>) {
    for row in 0..x.rows {
        for (x, out) in x.row(row).iter().zip(out.row(row)) {
            *out = apply(function, f64::from(*x)) as f32;
        }
    }
}

pub(super) fn gated(
    gate: Matrix<'_>,
    up: Matrix<'_>,
    function: Activation,
    out: &mut MatrixMut<'_>,
) {
    for row in 0..gate.rows {
        let pairs = gate.row(row).iter().zip(up.row(row));
        for ((gate, up), out) in pairs.zip(out.row(row)) {
            *out = (apply(function, f64::from(*gate)) * f64::from(*up)) as f32;
        }
    }
}

fn apply(function: Activation, x: f64) -> f64 {
    match function {
        Activation::Silu => x * sigmoid(x),
        Activation::Gelu => 0.5 * x * erfc(-x / std::f64::consts::SQRT_2),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            // 0.5 * (1 + tanh(y)) is sigmoid(2 y), which keeps its precision where tanh nears -1.
            x * sigmoid(2.0 * inner)
        }
        Activation::GeluQuick => x * sigmoid(1.702 * x),
        Activation::Relu => {
            if x.is_nan() {
                x
            } else {
                x.max(0.0)
            }
        }
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => sigmoid(x),
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The complementary error function: its Taylor series near zero (Abramowitz and Stegun 7.1.6),
/// its continued fraction (7.1.14) elsewhere.
fn erfc(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    let factor = (-x * x).exp() / std::f64::consts::PI.sqrt();
    if x < 2.5 {
        let mut term = x;
        let mut sum = x;
        for n in 1..200 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
            if term < sum * 1e-17 {
                break;
            }
        }
        1.0 - 2.0 * factor * sum
    } else {
        let mut tail = x;
        for n in (1..=60).rev() {
            tail = x + f64::from(n) / 2.0 / tail;
        }
        factor / tail
    }
}
