//! One run's tokens, and whether they fit.
//!
//! Decides that every token has its row, every position its page, and that no two sequences write
//! to one place. Numbers come from a plugin at every step and are not trusted.

use crate::cache::BLOCK;
use crate::gpu::{self, Blame, GpuError};
use crate::graph::Graph;
use crate::op::{Index, Op};

/// The tokens of one sequence in a batch: neighbouring rows, in order.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    /// How many of the batch's tokens belong to it.
    pub tokens: u32,
    /// The position of the first of them; so many tokens are in the cache already.
    pub start: u32,
    /// The cache pages of the sequence, first to last; not read for graphs without a cache.
    pub pages: &'a [u32],
}

/// What one run computes.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Token ids, sequence after sequence.
    pub tokens: &'a [u32],
    /// How they belong together; their counts sum to the number of tokens.
    pub sequences: &'a [Sequence<'a>],
    /// For a graph that ends in outputs, rows of the batch; for one that ends in pool, sequences.
    pub outputs: &'a [u32],
}

/// Why a batch did not run. Nothing has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// No tokens.
    #[error("the batch has no tokens")]
    Empty,
    /// More than the plan's bounds.
    #[error("the batch has {found} {what}; the plan was compiled for at most {most}")]
    Bounds {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: u32,
    },
    /// A sequence without tokens.
    #[error("sequence {sequence} has no tokens")]
    NoTokens {
        /// Its place in the batch.
        sequence: usize,
    },
    /// The counts do not add up.
    #[error("the sequences have {sequences} tokens, the batch has {tokens}")]
    Count {
        /// Sum over sequences.
        sequences: u64,
        /// Tokens given.
        tokens: usize,
    },
    /// A token or position without a row in a table.
    #[error("{what} {found} has no row in a table of {rows}")]
    NoRow {
        /// A token or a position.
        what: &'static str,
        /// The number.
        found: u32,
        /// Rows of the table.
        rows: u32,
    },
    /// A position beyond 32 bits.
    #[error("sequence {sequence} starts at {start} and would end beyond all positions")]
    Position {
        /// Its place in the batch.
        sequence: usize,
        /// Its first position.
        start: u32,
    },
    /// Too few pages.
    #[error("sequence {sequence} has {found} pages and needs {needed}")]
    Pages {
        /// Its place in the batch.
        sequence: usize,
        /// Pages given.
        found: usize,
        /// Pages needed.
        needed: u64,
    },
    /// A page that the cache lacks.
    #[error("sequence {sequence} names page {page} of a cache of {pages}")]
    NoPage {
        /// Its place in the batch.
        sequence: usize,
        /// The page.
        page: u32,
        /// Pages there are.
        pages: u32,
    },
    /// Two writers for one page, or one that lists it twice.
    #[error("sequence {sequence} writes to page {page}, to which this batch writes already")]
    SharedPage {
        /// Its place in the batch.
        sequence: usize,
        /// The page.
        page: u32,
    },
    /// The card failed: nothing it was given is to be relied on.
    #[error("the card failed in `{function}`: {} ({code})", gpu::code_name(*code))]
    Card {
        /// The driver's function.
        function: &'static str,
        /// The driver's number of the error; 0 where there is none.
        code: i32,
    },
    /// An output that asks for what is not there.
    #[error("output {output} asks for row {row} of {rows}")]
    NoOutput {
        /// Its place in the batch.
        output: usize,
        /// The row or sequence.
        row: u32,
        /// How many there are.
        rows: usize,
    },
}

impl RunError {
    /// What it speaks against; none when the batch itself was wrong.
    #[must_use]
    pub fn blame(&self) -> Option<Blame> {
        match self {
            Self::Card { code, .. } => Some(Blame::of(*code)),
            _ => None,
        }
    }
}

impl From<GpuError> for RunError {
    fn from(error: GpuError) -> Self {
        match error {
            GpuError::Failed { function, code, .. } => Self::Card { function, code },
            GpuError::Missing { function, .. } => Self::Card { function, code: 0 },
            GpuError::Grid { kernel, .. } | GpuError::Kernel { name: kernel, .. } => Self::Card {
                function: kernel,
                code: 0,
            },
            GpuError::Library { .. }
            | GpuError::NoCard { .. }
            | GpuError::Prebuilt(_)
            | GpuError::Lacks { .. }
            | GpuError::Piece { .. } => Self::Card {
                function: "",
                code: 0,
            },
        }
    }
}

/// A batch with what follows from it.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) batch: Batch<'a>,
    /// Of each token: its position in its sequence.
    pub(crate) positions: &'a [u32],
    /// Of each token: its sequence's place in the batch.
    pub(crate) owners: &'a [u32],
    /// Of each sequence: its first row.
    pub(crate) firsts: &'a [u32],
    /// Of each sequence: its first block of sixteen rows, when each starts a block of its own.
    pub(crate) block_firsts: &'a [u32],
    /// All such blocks.
    pub(crate) blocks: usize,
}

/// Room for what follows from a batch, made once.
#[derive(Debug)]
pub(super) struct Places {
    positions: Vec<u32>,
    owners: Vec<u32>,
    firsts: Vec<u32>,
    block_firsts: Vec<u32>,
    blocks: u32,
    picked: Vec<u32>,
    /// Of each cache page: the run that wrote to it last.
    written: Vec<u32>,
    run: u32,
    /// Rows of the smallest table that tokens pick from, and that positions pick from.
    token_rows: u32,
    position_rows: u32,
}

impl Places {
    pub(super) fn with_room_for(graph: &Graph) -> Self {
        let bounds = graph.bounds;
        let pages = graph.cache.as_ref().map_or(0, crate::cache::Cache::pages);
        let rows_of = |wanted: Index| {
            let tables = graph.ops.iter().filter_map(|op| match op {
                Op::Embed { table, index } if *index == wanted => {
                    graph.weights.get(*table as usize).map(|w| w.rows())
                }
                _ => None,
            });
            tables.min().unwrap_or(u32::MAX)
        };
        Self {
            positions: Vec::with_capacity(bounds.tokens as usize),
            owners: Vec::with_capacity(bounds.tokens as usize),
            firsts: Vec::with_capacity(bounds.sequences as usize),
            block_firsts: Vec::with_capacity(bounds.sequences as usize),
            blocks: 0,
            picked: Vec::with_capacity(bounds.outputs as usize),
            written: vec![0; pages as usize],
            run: 0,
            token_rows: rows_of(Index::Tokens),
            position_rows: rows_of(Index::Positions),
        }
    }

    /// The row or sequence that an output of the last run asked for.
    pub(super) fn picked(&self, output: usize) -> Option<usize> {
        self.picked.get(output).map(|row| *row as usize)
    }

    /// Sequences of the last run.
    pub(super) fn sequences(&self) -> usize {
        self.firsts.len()
    }

    pub(super) fn facts<'a>(&'a self, batch: &Batch<'a>) -> Facts<'a> {
        Facts {
            batch: *batch,
            positions: &self.positions,
            owners: &self.owners,
            firsts: &self.firsts,
            block_firsts: &self.block_firsts,
            blocks: self.blocks as usize,
        }
    }

    /// Checks `batch` and works out positions.
    pub(super) fn check(&mut self, graph: &Graph, batch: &Batch<'_>) -> Result<(), RunError> {
        check_counts(graph, batch)?;
        for token in batch.tokens {
            if *token >= self.token_rows {
                return Err(RunError::NoRow {
                    what: "token",
                    found: *token,
                    rows: self.token_rows,
                });
            }
        }
        self.place(batch)?;
        self.check_pages(graph, batch)?;
        let rows = if graph.ends_in_sequences() {
            batch.sequences.len()
        } else {
            batch.tokens.len()
        };
        self.picked.clear();
        for (output, row) in batch.outputs.iter().enumerate() {
            if *row as usize >= rows {
                let row = *row;
                return Err(RunError::NoOutput { output, row, rows });
            }
            self.picked.push(*row);
        }
        Ok(())
    }

    fn place(&mut self, batch: &Batch<'_>) -> Result<(), RunError> {
        self.positions.clear();
        self.owners.clear();
        self.firsts.clear();
        self.block_firsts.clear();
        self.blocks = 0;
        let mut first = 0;
        for (owner, sequence) in (0_u32..).zip(batch.sequences) {
            let start = sequence.start;
            let Some(end) = start.checked_add(sequence.tokens) else {
                let sequence = owner as usize;
                return Err(RunError::Position { sequence, start });
            };
            if end > self.position_rows {
                return Err(RunError::NoRow {
                    what: "position",
                    found: end - 1,
                    rows: self.position_rows,
                });
            }
            self.firsts.push(first);
            self.block_firsts.push(self.blocks);
            self.blocks += sequence.tokens.div_ceil(BLOCK as u32);
            self.positions.extend(start..end);
            self.owners
                .extend(std::iter::repeat_n(owner, sequence.tokens as usize));
            first += sequence.tokens;
        }
        Ok(())
    }

    /// Pages that are read must exist; pages that are written must have one writer.
    fn check_pages(&mut self, graph: &Graph, batch: &Batch<'_>) -> Result<(), RunError> {
        let Some(cache) = &graph.cache else {
            return Ok(());
        };
        self.run = self.run.wrapping_add(1);
        if self.run == 0 {
            self.written.fill(0);
            self.run = 1;
        }
        let page_tokens = u64::from(cache.page_tokens());
        for (sequence, s) in batch.sequences.iter().enumerate() {
            let needed = (u64::from(s.start) + u64::from(s.tokens)).div_ceil(page_tokens);
            let Some(pages) = usize::try_from(needed).ok().and_then(|n| s.pages.get(..n)) else {
                return Err(RunError::Pages {
                    sequence,
                    found: s.pages.len(),
                    needed,
                });
            };
            let first_written = u64::from(s.start) / page_tokens;
            for (place, page) in (0_u64..).zip(pages) {
                let Some(written) = self.written.get_mut(*page as usize) else {
                    return Err(RunError::NoPage {
                        sequence,
                        page: *page,
                        pages: cache.pages(),
                    });
                };
                if place >= first_written {
                    if *written == self.run {
                        let page = *page;
                        return Err(RunError::SharedPage { sequence, page });
                    }
                    *written = self.run;
                }
            }
        }
        Ok(())
    }
}

fn check_counts(graph: &Graph, batch: &Batch<'_>) -> Result<(), RunError> {
    if batch.tokens.is_empty() {
        return Err(RunError::Empty);
    }
    let bounds = graph.bounds;
    let counts = [
        ("tokens", batch.tokens.len(), bounds.tokens),
        ("sequences", batch.sequences.len(), bounds.sequences),
        ("outputs", batch.outputs.len(), bounds.outputs),
    ];
    for (what, found, most) in counts {
        if found > most as usize {
            return Err(RunError::Bounds { what, found, most });
        }
    }
    if let Some(sequence) = batch.sequences.iter().position(|s| s.tokens == 0) {
        return Err(RunError::NoTokens { sequence });
    }
    let sequences: u64 = batch.sequences.iter().map(|s| u64::from(s.tokens)).sum();
    if sequences != batch.tokens.len() as u64 {
        return Err(RunError::Count {
            sequences,
            tokens: batch.tokens.len(),
        });
    }
    Ok(())
}
