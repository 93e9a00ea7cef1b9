//! A checked graph with buffers of its own, ready to run.
//!
//! Decides whether a batch fits its bounds before anything is written, and what is handed back.
//! Refuses to know how ops are computed and to choose tokens.
//!
//! Nothing allocates in [`Plan::run`].

use crate::cpu::mapping::Zeroed;
use crate::device::Device;
use crate::graph::{Graph, Rows};
use crate::limits::MAX_PLAN_BYTES;
use crate::matrix::{Matrix, MatrixMut};
use crate::reference::{self, Surroundings};

mod batch;
mod layout;
mod top;

pub(crate) use self::batch::Facts;
pub use self::batch::{Batch, RunError, Sequence};
use self::layout::{Layout, View};

/// A compiled graph. A run writes only into its own buffers and its cache.
#[derive(Debug)]
pub struct Plan {
    graph: Graph,
    layout: Layout,
    buffers: Vec<Zeroed>,
    places: batch::Places,
    /// Output rows of the last successful run.
    ready: usize,
}

impl Plan {
    /// Compiles `graph` for `device` and makes its buffers.
    ///
    /// # Errors
    /// [`PlanError`] when the buffers do not fit into memory.
    pub fn compile(device: &Device, graph: Graph) -> Result<Self, PlanError> {
        let layout = Layout::of(&graph);
        let size_bytes = layout.size_bytes();
        let free_bytes = device.memory_free_bytes();
        if size_bytes > MAX_PLAN_BYTES.min(free_bytes) {
            return Err(PlanError::Memory {
                size_bytes,
                free_bytes,
            });
        }
        let buffers = layout
            .capacities
            .iter()
            .map(|words| Zeroed::words(*words))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| PlanError::System { size_bytes, source })?;
        let places = batch::Places::with_room_for(&graph);
        Ok(Self {
            graph,
            layout,
            buffers,
            places,
            ready: 0,
        })
    }

    /// Runs one batch. Afterwards [`Plan::row`] and [`Plan::top`] answer.
    ///
    /// # Errors
    /// [`RunError`] when the batch does not fit; nothing has been written then, and the rows of
    /// the last run are no longer there.
    pub fn run(&mut self, batch: &Batch<'_>) -> Result<(), RunError> {
        self.ready = 0;
        self.places.check(&self.graph, batch)?;
        let facts = self.places.facts(batch);
        let cache = self.graph.cache.clone();
        let mut memory = cache.as_ref().map(crate::cache::Cache::lock);
        let mut around = Surroundings {
            graph: &self.graph,
            facts: &facts,
            cache: memory.as_mut().map_or(&mut [], |m| m.as_mut_slice()),
        };
        for (index, op) in self.graph.ops.iter().enumerate() {
            let Some(target) = self.layout.views.get(index) else {
                continue;
            };
            let mut target_buffer = Zeroed::empty();
            if let Some(buffer) = self.buffers.get_mut(target.buffer) {
                std::mem::swap(buffer, &mut target_buffer);
            }
            let mut out = target.matrix_mut(&mut target_buffer);
            let mut inputs = [EMPTY; 3];
            for (input, value) in inputs.iter_mut().zip(op.inputs()) {
                let view = value.and_then(|v| self.layout.views.get(v as usize));
                if let Some(view) = view
                    && let Some(buffer) = self.buffers.get(view.buffer)
                {
                    *input = view.matrix(buffer, facts.rows(view.rows));
                }
            }
            reference::execute(op, &inputs, &mut out, &mut around);
            if let Some(buffer) = self.buffers.get_mut(target.buffer) {
                *buffer = target_buffer;
            }
        }
        self.ready = batch.outputs.len();
        Ok(())
    }

    /// An output row of the last successful run, by its place in that run's `outputs`.
    #[must_use]
    pub fn row(&self, output: usize) -> Option<&[f32]> {
        if output >= self.ready {
            return None;
        }
        let view = self.layout.views.last()?;
        let row = if self.graph.ends_in_sequences() {
            self.places.picked(output)?
        } else {
            output
        };
        let matrix = view.matrix(self.buffers.get(view.buffer)?, row + 1);
        Some(matrix.row(row))
    }

    /// The `count` largest numbers of an output row with their columns into `into`, largest first,
    /// equal ones by lower column, and the logarithm of the sum of `exp(x / temperature)` over the
    /// whole row. A NaN counts as less than every number, and makes the sum NaN.
    ///
    /// `None`, with `into` empty, when there is no such row or `temperature` is not above zero.
    pub fn top(
        &self,
        output: usize,
        count: usize,
        temperature: f32,
        into: &mut Vec<(u32, f32)>,
    ) -> Option<f32> {
        into.clear();
        if !(temperature > 0.0 && temperature.is_finite()) {
            return None;
        }
        let row = self.row(output)?;
        top::largest(row, count, into);
        Some(top::log_sum_exp(row, temperature))
    }

    /// Bytes of the buffers.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.layout.size_bytes()
    }
}

/// Why a graph could not be compiled. Nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The buffers are larger than what is free.
    #[error(
        "buffers of {size_bytes} bytes do not fit into {free_bytes} bytes of free memory; lower the bounds"
    )]
    Memory {
        /// Bytes needed.
        size_bytes: u64,
        /// Bytes free.
        free_bytes: u64,
    },
    /// The system refused the memory.
    #[error("the system gave no memory for buffers of {size_bytes} bytes")]
    System {
        /// Bytes needed.
        size_bytes: u64,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
}

const EMPTY: Matrix<'static> = Matrix {
    data: &[],
    rows: 0,
    width: 0,
    stride: 0,
};

impl View {
    fn matrix<'a>(&self, buffer: &'a Zeroed, rows: usize) -> Matrix<'a> {
        Matrix {
            data: buffer.f32().get(self.start..).unwrap_or_default(),
            rows,
            width: self.width,
            stride: self.stride,
        }
    }

    fn matrix_mut<'a>(&self, buffer: &'a mut Zeroed) -> MatrixMut<'a> {
        MatrixMut {
            data: buffer.f32_mut().get_mut(self.start..).unwrap_or_default(),
            width: self.width,
            stride: self.stride,
        }
    }
}

impl Facts<'_> {
    /// How many rows a value has in this batch.
    pub(crate) fn rows(&self, rows: Rows) -> usize {
        match rows {
            Rows::Tokens => self.batch.tokens.len(),
            Rows::Outputs => self.batch.outputs.len(),
            Rows::Sequences => self.batch.sequences.len(),
        }
    }
}
