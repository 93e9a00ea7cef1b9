//! Functions of one or two numbers, element by element.
//!
//! Decides how slices become vectors and what happens at their ends.
//!
//! What bounds it: sums and products, moving numbers, at the rate of scaling by one; the others, arithmetic. Of that rate
//! SiLU makes 61 to 77 %, the approximated GELU 50 to 66 % and the soft cap 45 % (an exponential of some twenty
//! instructions and a division for sixteen numbers), the exact GELU 31 to 44 % (a series of ten terms more);
//! `hw/examples/bench --only ops`, AVX-512, one and two threads.

use super::math;
use super::vector::{LANES, Vector, kernel};
use crate::op::Activation;

/// A function of one vector.
pub(super) trait Unary: Copy {
    fn apply<V: Vector>(self, x: V) -> V;
}

/// A function of two vectors.
pub(super) trait Binary: Copy {
    fn apply<V: Vector>(self, a: V, b: V) -> V;
}

#[inline(always)]
pub(super) fn map<V: Vector>(x: &[f32], out: &mut [f32], f: impl Unary) {
    let (parts, rest) = x.as_chunks::<LANES>();
    let (out_parts, out_rest) = out.as_chunks_mut::<LANES>();
    for (x, out) in parts.iter().zip(out_parts) {
        f.apply(V::load(x)).store(out);
    }
    if !rest.is_empty() {
        f.apply(V::load_part(rest)).store_part(out_rest);
    }
}

#[inline(always)]
pub(super) fn zip<V: Vector>(a: &[f32], b: &[f32], out: &mut [f32], f: impl Binary) {
    let (a_parts, a_rest) = a.as_chunks::<LANES>();
    let (b_parts, b_rest) = b.as_chunks::<LANES>();
    let (out_parts, out_rest) = out.as_chunks_mut::<LANES>();
    for ((a, b), out) in a_parts.iter().zip(b_parts).zip(out_parts) {
        f.apply(V::load(a), V::load(b)).store(out);
    }
    if !a_rest.is_empty() {
        let result = f.apply(V::load_part(a_rest), V::load_part(b_rest));
        result.store_part(out_rest);
    }
}

kernel!(
    /// a + b
    add = add_generic(a: &[f32], b: &[f32], out: &mut [f32])
);
kernel!(
    /// a * b
    mul = mul_generic(a: &[f32], b: &[f32], out: &mut [f32])
);
kernel!(
    /// x * by
    scale = scale_generic(x: &[f32], by: f32, out: &mut [f32])
);
kernel!(
    /// by * tanh(x / by)
    softcap = softcap_generic(x: &[f32], by: f32, out: &mut [f32])
);
kernel!(
    /// function(x)
    activate = activate_generic(x: &[f32], function: Activation, out: &mut [f32])
);
kernel!(
    /// function(gate) * up
    gated = gated_generic(gate: &[f32], up: &[f32], function: Activation, out: &mut [f32])
);

#[inline(always)]
fn add_generic<V: Vector>(a: &[f32], b: &[f32], out: &mut [f32]) {
    zip::<V>(a, b, out, Sum);
}

#[inline(always)]
fn mul_generic<V: Vector>(a: &[f32], b: &[f32], out: &mut [f32]) {
    zip::<V>(a, b, out, Product);
}

#[inline(always)]
fn scale_generic<V: Vector>(x: &[f32], by: f32, out: &mut [f32]) {
    map::<V>(x, out, Times(by));
}

#[inline(always)]
fn softcap_generic<V: Vector>(x: &[f32], by: f32, out: &mut [f32]) {
    map::<V>(x, out, Cap(by));
}

#[inline(always)]
fn activate_generic<V: Vector>(x: &[f32], function: Activation, out: &mut [f32]) {
    match function {
        Activation::Silu => map::<V>(x, out, Silu),
        Activation::Gelu => map::<V>(x, out, Gelu),
        Activation::GeluTanh => map::<V>(x, out, GeluTanh),
        Activation::GeluQuick => map::<V>(x, out, GeluQuick),
        Activation::Relu => map::<V>(x, out, Relu),
        Activation::Tanh => map::<V>(x, out, Tanh),
        Activation::Sigmoid => map::<V>(x, out, Sigmoid),
    }
}

#[inline(always)]
fn gated_generic<V: Vector>(gate: &[f32], up: &[f32], function: Activation, out: &mut [f32]) {
    match function {
        Activation::Silu => zip::<V>(gate, up, out, Gate(Silu)),
        Activation::Gelu => zip::<V>(gate, up, out, Gate(Gelu)),
        Activation::GeluTanh => zip::<V>(gate, up, out, Gate(GeluTanh)),
        Activation::GeluQuick => zip::<V>(gate, up, out, Gate(GeluQuick)),
        Activation::Relu => zip::<V>(gate, up, out, Gate(Relu)),
        Activation::Tanh => zip::<V>(gate, up, out, Gate(Tanh)),
        Activation::Sigmoid => zip::<V>(gate, up, out, Gate(Sigmoid)),
    }
}

#[derive(Clone, Copy)]
struct Sum;

impl Binary for Sum {
    #[inline(always)]
    fn apply<V: Vector>(self, a: V, b: V) -> V {
        a.add(b)
    }
}

#[derive(Clone, Copy)]
struct Product;

impl Binary for Product {
    #[inline(always)]
    fn apply<V: Vector>(self, a: V, b: V) -> V {
        a.mul(b)
    }
}

#[derive(Clone, Copy)]
struct Gate<F>(F);

impl<F: Unary> Binary for Gate<F> {
    #[inline(always)]
    fn apply<V: Vector>(self, a: V, b: V) -> V {
        self.0.apply(a).mul(b)
    }
}

#[derive(Clone, Copy)]
struct Times(f32);

impl Unary for Times {
    #[inline(always)]
    fn apply<V: Vector>(self, x: V) -> V {
        x.mul(V::splat(self.0))
    }
}

#[derive(Clone, Copy)]
pub(super) struct Cap(pub(super) f32);

impl Unary for Cap {
    #[inline(always)]
    fn apply<V: Vector>(self, x: V) -> V {
        let by = V::splat(self.0);
        math::tanh(x.div(by)).mul(by)
    }
}

#[derive(Clone, Copy)]
struct Silu;

impl Unary for Silu {
    #[inline(always)]
    fn apply<V: Vector>(self, x: V) -> V {
        x.mul(math::sigmoid(x))
    }
}

#[derive(Clone, Copy)]
struct Gelu;

impl Unary for Gelu {
    #[inline(always)]
    fn apply<V: Vector>(self, x: V) -> V {
        let inner = x.mul(V::splat(-std::f32::consts::FRAC_1_SQRT_2));
        x.mul(V::splat(0.5)).mul(math::erfc(inner))
    }
}

#[derive(Clone, Copy)]
struct GeluTanh;

impl Unary for GeluTanh {
    #[inline(always)]
    fn apply<V: Vector>(self, x: V) -> V {
        // 0.5 * (1 + tanh(y)) is sigmoid(2 y); 1.595... is twice the root of 2 / pi.
        let cube = x.mul(x).mul(x);
        let inner = cube.fma(V::splat(0.044_715), x).mul(V::splat(1.595_769));
        x.mul(math::sigmoid(inner))
    }
}

#[derive(Clone, Copy)]
struct GeluQuick;

impl Unary for GeluQuick {
    #[inline(always)]
    fn apply<V: Vector>(self, x: V) -> V {
        x.mul(math::sigmoid(x.mul(V::splat(1.702))))
    }
}

#[derive(Clone, Copy)]
struct Relu;

impl Unary for Relu {
    #[inline(always)]
    fn apply<V: Vector>(self, x: V) -> V {
        V::zero().max(x)
    }
}

#[derive(Clone, Copy)]
struct Tanh;

impl Unary for Tanh {
    #[inline(always)]
    fn apply<V: Vector>(self, x: V) -> V {
        math::tanh(x)
    }
}

#[derive(Clone, Copy)]
struct Sigmoid;

impl Unary for Sigmoid {
    #[inline(always)]
    fn apply<V: Vector>(self, x: V) -> V {
        math::sigmoid(x)
    }
}
