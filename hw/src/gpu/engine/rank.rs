//! The largest numbers of output rows, found on the card.
//!
//! Decides that all rows of a run are ranked at once, and that only ranks cross back.

use std::sync::Arc;

use super::super::card::Card;
use super::super::driver::GpuError;
use super::super::memory::Memory;
use super::launch::Value;

/// Numbers of a row that are kept, and threads of a block, as `rank.cu` says.
pub(crate) const RANKED: usize = 256;
const THREADS: u32 = 256;
/// What follows the ranks of a row: its largest number, a sum, and how many are NaN.
const WEIGHTS: usize = 3;

/// Numbers that a row's ranks take: columns, values, and what follows them.
const ROW: usize = 2 * RANKED + WEIGHTS;

/// The ranks of the last run's rows, on the card and here: all columns, all values, and what follows the ranks of each row.
#[derive(Debug)]
pub(crate) struct Ranks {
    temperatures: Memory,
    found: Memory,
    here: Vec<f32>,
    /// What they were made with.
    asked: Vec<f32>,
}

impl Ranks {
    /// Bytes for so many rows on the card.
    pub(crate) fn bytes(rows: usize) -> [usize; 2] {
        [rows * 4, rows * ROW * 4]
    }

    pub(super) fn with_room(card: &Arc<Card>, rows: usize) -> Result<Self, GpuError> {
        let [temperatures, found] = Self::bytes(rows);
        Ok(Self {
            temperatures: Memory::allocate(card, temperatures)?,
            found: Memory::allocate(card, found)?,
            here: vec![0.0; rows * ROW],
            asked: Vec::with_capacity(rows),
        })
    }

    /// From now on there are none.
    pub(super) fn clear(&mut self) {
        self.asked.clear();
    }

    /// Ranks the rows of `x`, one for each of `temperatures`, after all that the card was told to do before.
    pub(super) fn make(
        &mut self,
        card: &Card,
        x: Value,
        temperatures: &[f32],
    ) -> Result<(), GpuError> {
        let bytes: Vec<u8> = temperatures.iter().flat_map(|t| t.to_ne_bytes()).collect();
        self.temperatures.write(0, &bytes)?;
        let rows = temperatures.len();
        let mut parameters = [
            self.found.at(0),
            self.found.at(rows * RANKED * 4),
            self.found.at(rows * RANKED * 8),
            x.at,
            x.stride,
            x.width as u64,
            self.temperatures.at(0),
        ];
        // SAFETY: the parameters are those of `rank.cu`; a row's numbers lie in the buffer of its value, and what is written
        // has room for as many rows as the plan has outputs.
        unsafe { card.launch("rank_rows", [rows, 1, 1], THREADS, &mut parameters) }?;
        self.found.read(0, &mut self.here[..rows * ROW])?;
        self.asked.extend_from_slice(temperatures);
        Ok(())
    }

    /// The `count` largest of a row into `into`, and the logarithm of its sum; none if it was not ranked so.
    pub(crate) fn top(
        &self,
        row: usize,
        count: usize,
        temperature: f32,
        into: &mut Vec<(u32, f32)>,
    ) -> Option<f32> {
        let asked = self.asked.get(row)?;
        if count > RANKED || asked.to_bits() != temperature.to_bits() {
            return None;
        }
        let (columns, rest) = self.here.split_at(self.asked.len() * RANKED);
        let (values, weights) = rest.split_at(self.asked.len() * RANKED);
        let columns = columns[row * RANKED..][..count].iter();
        let values = values[row * RANKED..][..count].iter();
        let ranked = columns.map(|bits| bits.to_bits()).zip(values.copied());
        into.extend(ranked.take_while(|(column, _)| *column != u32::MAX));
        let [most, sum, nans] = weights.as_chunks::<WEIGHTS>().0[row];
        Some(if most == f32::INFINITY {
            most
        } else if nans > 0.0 {
            f32::NAN
        } else if most == f32::NEG_INFINITY {
            most
        } else {
            (f64::from(most) / f64::from(temperature) + f64::from(sum).ln()) as f32
        })
    }
}
