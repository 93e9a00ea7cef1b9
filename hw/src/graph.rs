//! A list of ops that has been checked against its weights and its cache.
//!
//! Decides whether every reference, shape and number fits, so that running cannot go wrong; the
//! list comes from a plugin and is not trusted. Refuses to know how ops are computed.

use std::collections::HashSet;

use crate::cache::Cache;
use crate::limits::{MAX_OPS, MAX_OUTPUTS, MAX_SEQUENCES, MAX_TOKENS, MAX_WEIGHTS};
use crate::op::Op;
use crate::weight::Weight;

mod shape;

pub(crate) use self::shape::{Rows, Shape};

/// How large a batch may be; buffers are made for it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Tokens in one run.
    pub tokens: u32,
    /// Sequences in one run.
    pub sequences: u32,
    /// Output rows in one run.
    pub outputs: u32,
}

/// A checked list of ops with what it refers to.
#[derive(Clone, Debug)]
pub struct Graph {
    pub(crate) ops: Vec<Op>,
    pub(crate) weights: Vec<Weight>,
    pub(crate) cache: Option<Cache>,
    pub(crate) bounds: Bounds,
    /// The shape of each op's value.
    pub(crate) shapes: Vec<Shape>,
}

impl Graph {
    /// Weights of products that are not packed yet, each once.
    pub(crate) fn unpacked(&self) -> impl Iterator<Item = &Weight> {
        let mut used = vec![false; self.weights.len()];
        for op in &self.ops {
            if let Op::Matmul { weight, .. } = op
                && let Some(used) = used.get_mut(*weight as usize)
            {
                *used = true;
            }
        }
        let mut known = HashSet::new();
        let weights = self.weights.iter().zip(used);
        weights.filter_map(move |(weight, used)| {
            let wanted = used && weight.packed().is_none();
            (wanted && known.insert(weight.identity())).then_some(weight)
        })
    }

    /// Checks `ops`: every reference points back, every shape fits, every number is sane, and the
    /// last op yields one row per output or one per sequence.
    ///
    /// # Errors
    /// [`GraphError`], naming the op that does not fit.
    pub fn check(
        ops: Vec<Op>,
        weights: Vec<Weight>,
        cache: Option<Cache>,
        bounds: Bounds,
    ) -> Result<Self, GraphError> {
        check_sizes(&ops, &weights, bounds)?;
        let mut shapes = Vec::with_capacity(ops.len());
        for (index, op) in ops.iter().enumerate() {
            let inputs = shape::Known {
                shapes: &shapes,
                weights: &weights,
                cache: cache.as_ref(),
            };
            let shape = inputs.shape_of(op).map_err(|fault| GraphError::Op {
                index,
                name: op.name(),
                fault,
            })?;
            shapes.push(shape);
        }
        check_end(&ops, &shapes)?;
        Ok(Self {
            ops,
            weights,
            cache,
            bounds,
            shapes,
        })
    }

    /// Whether the last value has one row per sequence (else one per output).
    pub(crate) fn ends_in_sequences(&self) -> bool {
        self.shapes
            .last()
            .is_some_and(|s| s.rows == Rows::Sequences)
    }
}

/// Why a graph was refused. Nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// No ops.
    #[error("the graph has no ops")]
    Empty,
    /// More of something than a graph may have.
    #[error("{found} {what} are more than the {most} that a graph may have")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// A bound is zero or too large.
    #[error("bounds allow {found} {what}; it must be from 1 to {most}")]
    Bounds {
        /// Of what.
        what: &'static str,
        /// How many were asked for.
        found: u32,
        /// The limit.
        most: u32,
    },
    /// An op does not fit.
    #[error("op {index} ({name}): {fault}")]
    Op {
        /// Its place in the list.
        index: usize,
        /// Its name.
        name: &'static str,
        /// What does not fit.
        fault: Fault,
    },
    /// The last op yields one row per token.
    #[error("op {index} ({name}) is the last and yields a row per token; end in outputs or pool")]
    End {
        /// Its place in the list.
        index: usize,
        /// Its name.
        name: &'static str,
    },
    /// One list of output rows cannot pick tokens and sequences.
    #[error("op {index} (outputs) cannot stand in a graph that ends in one row per sequence")]
    Mixed {
        /// The place of the op.
        index: usize,
    },
}

/// What does not fit about an op.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A reference to itself or forward.
    #[error("`{field}` refers to value {value}, which is not before it")]
    Forward {
        /// The field.
        field: &'static str,
        /// The reference.
        value: u32,
    },
    /// A weight that is not in the list.
    #[error("`{field}` refers to weight {weight}, but there are {count}")]
    NoWeight {
        /// The field.
        field: &'static str,
        /// The reference.
        weight: u32,
        /// Weights in the list.
        count: usize,
    },
    /// Two widths or counts that must agree.
    #[error("{what} is {found}, expected {expected}")]
    Differs {
        /// Of what.
        what: &'static str,
        /// What it is.
        found: u32,
        /// What it must be.
        expected: u32,
    },
    /// A vector is a matrix of several rows.
    #[error("weight {weight} for `{field}` has {rows} rows; a vector has one")]
    NotVector {
        /// The field.
        field: &'static str,
        /// The reference.
        weight: u32,
        /// Rows found.
        rows: u32,
    },
    /// Zero, or beyond a limit.
    #[error("{what} is {found}; it must be from 1 to {most}")]
    Range {
        /// Of what.
        what: &'static str,
        /// What it is.
        found: u64,
        /// The limit.
        most: u32,
    },
    /// A width must be a whole number of parts.
    #[error("{what} is {found}, not a multiple of {of}")]
    Multiple {
        /// Of what.
        what: &'static str,
        /// What it is.
        found: u32,
        /// What it must be a multiple of.
        of: u32,
    },
    /// A number that is not finite or has the wrong sign.
    #[error("`{field}` is {found}; it must be {expected}")]
    Number {
        /// The field.
        field: &'static str,
        /// The number.
        found: f32,
        /// What is allowed.
        expected: &'static str,
    },
    /// Values of different rows.
    #[error("`{field}` has one row per {found}, expected one per {expected}")]
    Rows {
        /// The field.
        field: &'static str,
        /// What it has rows of.
        found: &'static str,
        /// What it must have rows of.
        expected: &'static str,
    },
    /// A layer is named and there is no cache.
    #[error("`layer` is {0}, but the graph has no cache")]
    NoCache(u32),
    /// A cache cannot know the future.
    #[error("attention over a cache must be causal")]
    NotCausal,
}

fn check_sizes(ops: &[Op], weights: &[Weight], bounds: Bounds) -> Result<(), GraphError> {
    if ops.is_empty() {
        return Err(GraphError::Empty);
    }
    let counts = [
        ("ops", ops.len(), MAX_OPS),
        ("weights", weights.len(), MAX_WEIGHTS),
    ];
    for (what, found, most) in counts {
        if found > most {
            return Err(GraphError::TooMany { what, found, most });
        }
    }
    let limits = [
        ("tokens", bounds.tokens, MAX_TOKENS),
        ("sequences", bounds.sequences, MAX_SEQUENCES),
        ("outputs", bounds.outputs, MAX_OUTPUTS),
    ];
    for (what, found, most) in limits {
        if found == 0 || found > most {
            return Err(GraphError::Bounds { what, found, most });
        }
    }
    Ok(())
}

fn check_end(ops: &[Op], shapes: &[Shape]) -> Result<(), GraphError> {
    let (Some(op), Some(shape)) = (ops.last(), shapes.last()) else {
        return Err(GraphError::Empty);
    };
    match shape.rows {
        Rows::Outputs => Ok(()),
        Rows::Tokens => Err(GraphError::End {
            index: ops.len() - 1,
            name: op.name(),
        }),
        Rows::Sequences => match ops.iter().position(|o| matches!(o, Op::Outputs { .. })) {
            Some(index) => Err(GraphError::Mixed { index }),
            None => Ok(()),
        },
    }
}
