//! A checked graph with buffers of its own, ready to run.
//!
//! Decides whether a batch fits its bounds before anything is written, and what is handed back.
//! Refuses to know how ops are computed and to choose tokens.
//!
//! Nothing allocates in [`Plan::run`].

use crate::cache::Cache;
use crate::cpu::level::Isa;
use crate::cpu::mapping::Zeroed;
use crate::cpu::packed::packed_bytes;
use crate::cpu::{Around, Engine, top};
use crate::device::Device;
use crate::gpu::{self, Blame, GpuError};
use crate::graph::{Graph, Rows};
use crate::limits::MAX_PLAN_BYTES;
use crate::matrix::{Matrix, MatrixMut};
use crate::reference::{self, Surroundings};

mod batch;
mod layout;
mod schedule;

pub(crate) use self::batch::Facts;
pub use self::batch::{Batch, RunError, Sequence};
pub(crate) use self::layout::{Layout, View, most_rows};
pub(crate) use self::schedule::{Groups, never_written};

/// A compiled graph. A run writes only into its own buffers and its cache.
#[derive(Debug)]
pub struct Plan {
    device: Device,
    graph: Graph,
    groups: Groups,
    layout: Layout,
    buffers: Vec<Zeroed>,
    places: batch::Places,
    engine: How,
    /// Output rows of the last successful run, and whether they are here and not on a card.
    ready: usize,
    here: bool,
}

/// How ops are computed.
#[derive(Debug)]
enum How {
    Reference,
    Cpu(Engine),
    Card(gpu::Engine),
}

impl Plan {
    /// Compiles `graph` for `device` and makes its buffers.
    ///
    /// # Errors
    /// [`PlanError`] when the buffers do not fit into memory.
    pub fn compile(device: &Device, graph: Graph) -> Result<Self, PlanError> {
        let reference = device.isa() == Isa::Reference;
        let groups = if reference || device.card().is_some() {
            schedule::single(&graph)
        } else {
            schedule::grouped(&graph)
        };
        let layout = Layout::of(&graph, &groups, !reference);
        let weight_bytes = match device.card() {
            Some(card) => gpu::Room::bytes(card, &graph),
            None if reference => 0,
            None => {
                let missing = graph.unpacked().map(packed_bytes);
                missing.sum::<usize>() as u64
            }
        };
        let size_bytes = layout.size_bytes();
        let free_bytes = device.memory_free()?;
        if size_bytes > MAX_PLAN_BYTES || size_bytes.saturating_add(weight_bytes) > free_bytes {
            let size_bytes = size_bytes.saturating_add(weight_bytes);
            return Err(PlanError::Memory {
                size_bytes,
                free_bytes,
            });
        }
        let system = |source| PlanError::System { size_bytes, source };
        // Of what a card computes, only output rows come here.
        let last = layout.views.last().map(|view| view.buffer);
        let buffers = layout.capacities.iter().enumerate().map(|(index, words)| {
            let here = device.card().is_none() || last == Some(index);
            Zeroed::words(if here { *words } else { 0 })
        });
        let buffers = buffers.collect::<Result<Vec<_>, _>>().map_err(system)?;
        let engine = match device.card() {
            Some(card) => How::Card(gpu::Engine::compile(card, &graph, &layout)?),
            None if reference => How::Reference,
            None => {
                let engine = Engine::compile(&graph, device.level(), &mut device.lead());
                How::Cpu(engine.map_err(system)?)
            }
        };
        let places = batch::Places::with_room_for(&graph);
        Ok(Self {
            device: device.clone(),
            graph,
            groups,
            layout,
            buffers,
            places,
            engine,
            ready: 0,
            here: false,
        })
    }

    /// Runs one batch. Afterwards [`Plan::row`] and [`Plan::top`] answer.
    ///
    /// # Errors
    /// [`RunError`] when the batch does not fit; nothing has been written then, and the rows of
    /// the last run are no longer there.
    pub fn run(&mut self, batch: &Batch<'_>) -> Result<(), RunError> {
        self.run_ranked(batch, &[])
    }

    /// The same, for outputs whose largest numbers will be asked for by [`Plan::top`] with these temperatures, one for each:
    /// a card ranks them then, and their rows stay there.
    ///
    /// # Errors
    /// As of [`Plan::run`].
    pub fn run_ranked(&mut self, batch: &Batch<'_>, temperatures: &[f32]) -> Result<(), RunError> {
        self.ready = 0;
        self.places.check(&self.graph, batch)?;
        let facts = self.places.facts(batch);
        let mut memory = self.graph.cache.as_ref().map(Cache::lock);
        let cache = memory.as_mut().map_or(&mut [][..], |m| m.as_mut_slice());
        let mut values = Values {
            layout: &self.layout,
            buffers: &mut self.buffers,
        };
        match &mut self.engine {
            How::Cpu(engine) => {
                let mut around = Around {
                    graph: &self.graph,
                    facts: &facts,
                    cache,
                };
                let mut lead = self.device.lead();
                engine.run(&mut lead, &self.groups, &mut values, &mut around);
            }
            How::Card(engine) => {
                let ranked = temperatures.iter().all(|t| *t > 0.0 && t.is_finite());
                let temperatures = if ranked { temperatures } else { &[] };
                engine.run(&self.graph, &self.layout, &facts, temperatures)?;
            }
            How::Reference => {
                let mut around = Surroundings {
                    graph: &self.graph,
                    facts: &facts,
                    cache,
                };
                oracle(&mut values, &mut around);
            }
        }
        self.ready = batch.outputs.len();
        self.here = !matches!(self.engine, How::Card(_));
        Ok(())
    }

    /// An output row of the last successful run, by its place in that run's `outputs`. Brings all rows here if they are on a
    /// card.
    ///
    /// # Errors
    /// [`RunError::Card`] when they cannot be brought.
    pub fn row(&mut self, output: usize) -> Result<Option<&[f32]>, RunError> {
        if output >= self.ready {
            return Ok(None);
        }
        let Some(view) = self.layout.views.last() else {
            return Ok(None);
        };
        let row = if self.graph.ends_in_sequences() {
            self.places.picked(output)
        } else {
            Some(output)
        };
        let Some(buffer) = self.buffers.get_mut(view.buffer) else {
            return Ok(None);
        };
        if let (false, How::Card(engine)) = (self.here, &self.engine) {
            let rows = if self.graph.ends_in_sequences() {
                self.places.sequences()
            } else {
                self.ready
            };
            engine.fetch(&self.layout, rows, buffer)?;
            self.here = true;
        }
        let buffer = &*buffer;
        Ok(row.map(|row| view.matrix(buffer, row + 1).row(row)))
    }

    /// The `count` largest numbers of an output row with their columns into `into`, largest first,
    /// equal ones by lower column, and the logarithm of the sum of `exp(x / temperature)` over the
    /// whole row. A NaN counts as less than every number, and makes the sum NaN.
    ///
    /// `None`, with `into` empty, when there is no such row or `temperature` is not above zero.
    ///
    /// # Errors
    /// As of [`Plan::row`].
    pub fn top(
        &mut self,
        output: usize,
        count: usize,
        temperature: f32,
        into: &mut Vec<(u32, f32)>,
    ) -> Result<Option<f32>, RunError> {
        into.clear();
        if !(temperature > 0.0 && temperature.is_finite()) {
            return Ok(None);
        }
        if let (How::Card(engine), true) = (&self.engine, output < self.ready) {
            let ranks = engine.ranks();
            let found = ranks.and_then(|ranks| ranks.top(output, count, temperature, into));
            if found.is_some() {
                return Ok(found);
            }
        }
        let level = self.device.level();
        let Some(row) = self.row(output)? else {
            return Ok(None);
        };
        top::largest(level, row, count, into);
        Ok(Some(top::log_sum_exp(level, row, temperature)))
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
    /// The buffers and the weights are larger than what is free.
    #[error(
        "buffers and weights of {size_bytes} bytes do not fit into {free_bytes} bytes of free memory; \
         lower the bounds, or take a smaller model"
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
    /// The card refused something, its memory above all.
    #[error(transparent)]
    Card(#[from] GpuError),
}

impl PlanError {
    /// What it speaks against; none when no card is concerned.
    #[must_use]
    pub fn blame(&self) -> Option<Blame> {
        match self {
            Self::Card(error) => Some(error.blame()),
            Self::Memory { .. } | Self::System { .. } => None,
        }
    }
}

const EMPTY: Matrix<'static> = Matrix {
    data: &[],
    rows: 0,
    width: 0,
    stride: 0,
};

/// All values of a run.
pub(crate) struct Values<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) buffers: &'a mut [Zeroed],
}

impl Values<'_> {
    /// The buffer that the value of op `index` lies in.
    #[expect(
        clippy::indexing_slicing,
        reason = "the layout has a view for each op and a buffer for each view"
    )]
    pub(crate) fn buffer_of(&mut self, index: usize) -> &mut Zeroed {
        &mut self.buffers[self.layout.views[index].buffer]
    }
}

/// Op after op by the reference.
fn oracle(values: &mut Values<'_>, around: &mut Surroundings<'_>) {
    let layout = values.layout;
    let graph = around.graph;
    let facts = around.facts;
    for (index, (op, target)) in graph.ops.iter().zip(&layout.views).enumerate() {
        let mut buffer = Zeroed::empty();
        std::mem::swap(&mut buffer, values.buffer_of(index));
        let mut inputs = [EMPTY; 3];
        for (input, value) in inputs.iter_mut().zip(op.inputs()) {
            let view = value.and_then(|v| layout.views.get(v as usize));
            if let Some(view) = view
                && let Some(buffer) = values.buffers.get(view.buffer)
            {
                *input = view.matrix(buffer, facts.rows(view.rows));
            }
        }
        let mut out = target.matrix_mut(&mut buffer);
        reference::execute(op, &inputs, &mut out, around);
        std::mem::swap(&mut buffer, values.buffer_of(index));
    }
}

impl View {
    pub(crate) fn matrix<'a>(&self, buffer: &'a Zeroed, rows: usize) -> Matrix<'a> {
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
