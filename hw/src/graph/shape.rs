//! The shape of each op's value, and every way in which an op can fail to fit.
//!
//! Decides what an op yields from what it refers to. All arithmetic is checked: the numbers come
//! from a plugin.

use super::Fault;
use crate::cache::Cache;
use crate::limits::{MAX_HEAD_WIDTH, MAX_HEADS, MAX_WIDTH};
use crate::op::Op;
use crate::weight::Weight;

/// What a value has one row of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    Tokens,
    Outputs,
    Sequences,
}

impl Rows {
    fn name(self) -> &'static str {
        match self {
            Self::Tokens => "token",
            Self::Outputs => "output",
            Self::Sequences => "sequence",
        }
    }
}

/// The shape of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) rows: Rows,
    pub(crate) width: u32,
}

/// What an op may refer to.
pub(super) struct Known<'a> {
    pub(super) shapes: &'a [Shape],
    pub(super) weights: &'a [Weight],
    pub(super) cache: Option<&'a Cache>,
}

impl Known<'_> {
    /// The shape of what `op` yields.
    pub(super) fn shape_of(&self, op: &Op) -> Result<Shape, Fault> {
        match op {
            Op::Embed { table, .. } => Ok(Shape {
                rows: Rows::Tokens,
                width: self.weight("table", *table)?.columns(),
            }),
            Op::Matmul { x, weight, bias } => self.matmul(*x, *weight, *bias),
            Op::RmsNorm {
                x,
                weight,
                epsilon,
                group,
            } => {
                let x = self.value("x", *x)?;
                positive("epsilon", *epsilon)?;
                in_range("group", u64::from(*group), x.width)?;
                multiple("the width", x.width, *group)?;
                self.optional_vector("weight", *weight, *group)?;
                Ok(x)
            }
            Op::LayerNorm {
                x,
                weight,
                bias,
                epsilon,
            } => {
                let x = self.value("x", *x)?;
                positive("epsilon", *epsilon)?;
                self.vector("weight", *weight, x.width)?;
                self.optional_vector("bias", *bias, x.width)?;
                Ok(x)
            }
            Op::Rope { .. } => self.rope(op),
            Op::Attention { .. } => self.attention(op),
            Op::Activate { x, .. } | Op::Softmax { x } | Op::Normalise { x } => self.value("x", *x),
            Op::Gated { gate, up, .. } => self.pair(("gate", *gate), ("up", *up)),
            Op::Add { a, b } | Op::Mul { a, b } => self.pair(("a", *a), ("b", *b)),
            Op::Scale { x, by } => {
                finite("by", *by)?;
                self.value("x", *x)
            }
            Op::Softcap { x, by } => {
                above_zero("by", *by)?;
                self.value("x", *x)
            }
            Op::AddVector { x, by } => {
                let x = self.value("x", *x)?;
                self.vector("by", *by, x.width)?;
                Ok(x)
            }
            Op::Slice { x, start, columns } => {
                let x = self.value("x", *x)?;
                in_range("columns", u64::from(*columns), x.width)?;
                let end = u64::from(*start) + u64::from(*columns);
                in_range("the end of the slice", end, x.width)?;
                Ok(Shape {
                    width: *columns,
                    ..x
                })
            }
            Op::Outputs { x } => Ok(Shape {
                rows: Rows::Outputs,
                ..self.tokens("x", *x)?
            }),
            Op::Pool { x, .. } => Ok(Shape {
                rows: Rows::Sequences,
                ..self.tokens("x", *x)?
            }),
        }
    }

    fn matmul(&self, x: u32, weight: u32, bias: Option<u32>) -> Result<Shape, Fault> {
        let x = self.value("x", x)?;
        let weight = self.weight("weight", weight)?;
        same("the weight's columns", weight.columns(), x.width)?;
        in_range("the weight's rows", u64::from(weight.rows()), MAX_WIDTH)?;
        self.optional_vector("bias", bias, weight.rows())?;
        Ok(Shape {
            width: weight.rows(),
            ..x
        })
    }

    fn rope(&self, op: &Op) -> Result<Shape, Fault> {
        let Op::Rope {
            x,
            head_width,
            frequencies,
            magnitude,
            ..
        } = op
        else {
            return self.value("x", 0);
        };
        let x = self.tokens("x", *x)?;
        in_range("head-width", u64::from(*head_width), MAX_HEAD_WIDTH)?;
        multiple("the width", x.width, *head_width)?;
        let rotated = 2 * frequencies.len() as u64;
        in_range("twice the number of frequencies", rotated, *head_width)?;
        for frequency in frequencies {
            finite("frequencies", *frequency)?;
        }
        finite("magnitude", *magnitude)?;
        Ok(x)
    }

    fn attention(&self, op: &Op) -> Result<Shape, Fault> {
        let Op::Attention {
            query,
            key,
            value,
            heads,
            kv_heads,
            layer,
            causal,
            window,
            scale,
            softcap,
        } = op
        else {
            return self.value("x", 0);
        };
        let query = self.tokens("query", *query)?;
        let key = self.tokens("key", *key)?;
        let value = self.tokens("value", *value)?;
        in_range("heads", u64::from(*heads), MAX_HEADS)?;
        in_range("kv-heads", u64::from(*kv_heads), *heads)?;
        multiple("heads", *heads, *kv_heads)?;
        multiple("the width of `query`", query.width, *heads)?;
        multiple("the width of `value`", value.width, *kv_heads)?;
        let key_width = query.width / heads;
        let value_width = value.width / kv_heads;
        in_range("the key width", u64::from(key_width), MAX_HEAD_WIDTH)?;
        in_range("the value width", u64::from(value_width), MAX_HEAD_WIDTH)?;
        let keys = u64::from(*kv_heads) * u64::from(key_width);
        if keys != u64::from(key.width) {
            let expected = u32::try_from(keys).unwrap_or(u32::MAX);
            same("the width of `key`", key.width, expected)?;
        }
        finite("scale", *scale)?;
        if let Some(softcap) = softcap {
            above_zero("softcap", *softcap)?;
        }
        if let Some(window) = window {
            in_range("window", u64::from(*window), u32::MAX)?;
        }
        if let Some(layer) = layer {
            self.cache_layer(*layer, [*kv_heads, key_width, value_width], *causal)?;
        }
        let width = u64::from(*heads) * u64::from(value_width);
        in_range("the width of the result", width, MAX_WIDTH)?;
        Ok(Shape {
            width: heads * value_width,
            ..query
        })
    }

    fn cache_layer(&self, layer: u32, shape: [u32; 3], causal: bool) -> Result<(), Fault> {
        let cache = self.cache.ok_or(Fault::NoCache(layer))?;
        let Some(found) = cache.layers().get(layer as usize) else {
            let most = u32::try_from(cache.layers().len()).unwrap_or(u32::MAX);
            return in_range("`layer` + 1", u64::from(layer) + 1, most);
        };
        let [kv_heads, key_width, value_width] = shape;
        same("the cache layer's kv-heads", found.kv_heads, kv_heads)?;
        same("the cache layer's key-width", found.key_width, key_width)?;
        same(
            "the cache layer's value-width",
            found.value_width,
            value_width,
        )?;
        if causal {
            Ok(())
        } else {
            Err(Fault::NotCausal)
        }
    }

    fn value(&self, field: &'static str, value: u32) -> Result<Shape, Fault> {
        self.shapes
            .get(value as usize)
            .copied()
            .ok_or(Fault::Forward { field, value })
    }

    /// A value with one row per token.
    fn tokens(&self, field: &'static str, value: u32) -> Result<Shape, Fault> {
        let shape = self.value(field, value)?;
        same_rows(field, shape.rows, Rows::Tokens)?;
        Ok(shape)
    }

    fn pair(&self, a: (&'static str, u32), b: (&'static str, u32)) -> Result<Shape, Fault> {
        let first = self.value(a.0, a.1)?;
        let second = self.value(b.0, b.1)?;
        same_rows(b.0, second.rows, first.rows)?;
        same("the second value's width", second.width, first.width)?;
        Ok(first)
    }

    fn weight(&self, field: &'static str, weight: u32) -> Result<&Weight, Fault> {
        self.weights.get(weight as usize).ok_or(Fault::NoWeight {
            field,
            weight,
            count: self.weights.len(),
        })
    }

    fn vector(&self, field: &'static str, weight: u32, width: u32) -> Result<(), Fault> {
        let found = self.weight(field, weight)?;
        if found.rows() != 1 {
            return Err(Fault::NotVector {
                field,
                weight,
                rows: found.rows(),
            });
        }
        same("the vector's length", found.columns(), width)
    }

    fn optional_vector(
        &self,
        field: &'static str,
        weight: Option<u32>,
        width: u32,
    ) -> Result<(), Fault> {
        weight.map_or(Ok(()), |weight| self.vector(field, weight, width))
    }
}

fn same(what: &'static str, found: u32, expected: u32) -> Result<(), Fault> {
    if found == expected {
        Ok(())
    } else {
        Err(Fault::Differs {
            what,
            found,
            expected,
        })
    }
}

fn same_rows(field: &'static str, found: Rows, expected: Rows) -> Result<(), Fault> {
    if found == expected {
        Ok(())
    } else {
        Err(Fault::Rows {
            field,
            found: found.name(),
            expected: expected.name(),
        })
    }
}

/// From 1 to `most`.
fn in_range(what: &'static str, found: u64, most: u32) -> Result<(), Fault> {
    if found == 0 || found > u64::from(most) {
        Err(Fault::Range { what, found, most })
    } else {
        Ok(())
    }
}

/// `of` is not zero: it went through `in_range`.
fn multiple(what: &'static str, found: u32, of: u32) -> Result<(), Fault> {
    if found.is_multiple_of(of) {
        Ok(())
    } else {
        Err(Fault::Multiple { what, found, of })
    }
}

fn finite(field: &'static str, found: f32) -> Result<(), Fault> {
    number(field, found, found.is_finite(), "finite")
}

fn positive(field: &'static str, found: f32) -> Result<(), Fault> {
    let fits = found.is_finite() && found >= 0.0;
    number(field, found, fits, "finite and not negative")
}

fn above_zero(field: &'static str, found: f32) -> Result<(), Fault> {
    let fits = found.is_finite() && found > 0.0;
    number(field, found, fits, "finite and above zero")
}

fn number(
    field: &'static str,
    found: f32,
    fits: bool,
    expected: &'static str,
) -> Result<(), Fault> {
    if fits {
        Ok(())
    } else {
        Err(Fault::Number {
            field,
            found,
            expected,
        })
    }
}
