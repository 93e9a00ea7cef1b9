//! What tests do with a card: memory, launches, and what kernels found wrong.
//!
//! Decides how many blocks a kernel gets, and how the records of blocks are added up. Refuses to know what is tested.

#![expect(
    unsafe_code,
    reason = "launches are given addresses; each block says why they are sound"
)]

use std::sync::Arc;

use super::patterns::Pattern;
use crate::gpu::{Card, GpuError, Memory};

/// A card, and room for what kernels find wrong.
pub(super) struct Bench {
    card: Arc<Card>,
    records: Memory,
}

/// Words that do not hold what they should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wrong {
    /// How many.
    pub(super) count: u64,
    /// Where the first of them is, by the card's addresses.
    pub(super) address: u64,
    /// What it should hold.
    pub(super) expected: u64,
    /// What it holds.
    pub(super) found: u64,
    /// The bits that are wrong in any of them.
    pub(super) bits: u64,
}

/// How memory is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) pattern: Pattern,
    /// Whether every bit is the pattern's opposite.
    pub(super) flipped: bool,
    /// Whether it holds the opposite from then on.
    pub(super) invert: bool,
    /// Whether it goes from the last word to the first.
    pub(super) backwards: bool,
}

impl Bench {
    pub(super) fn new(card: &Arc<Card>) -> Result<Self, GpuError> {
        Ok(Self {
            card: Arc::clone(card),
            records: Memory::allocate(card, BLOCKS_MAX * RECORD_BYTES)?,
        })
    }

    pub(super) fn free_bytes(&self) -> Result<u64, GpuError> {
        self.card.free_bytes()
    }

    pub(super) fn allocate(&self, bytes: usize) -> Result<Memory, GpuError> {
        Memory::allocate(&self.card, bytes)
    }

    pub(super) fn wait(&self) -> Result<(), GpuError> {
        self.card.wait()
    }

    /// Fills memory with a pattern, or its opposite.
    pub(super) fn write(&self, memory: &Memory, look: Look) -> Result<(), GpuError> {
        let [kind, word] = look.pattern.parameters();
        let parameters = &mut [memory.at(0), words(memory), kind, word, flip(look)];
        // SAFETY: the kernel writes as many words as the memory has.
        unsafe { self.start("write_pattern", words(memory), parameters) }
    }

    /// Looks whether memory holds a pattern, or its opposite.
    pub(super) fn check(&self, memory: &Memory, look: Look) -> Result<Wrong, GpuError> {
        let [kind, word] = look.pattern.parameters();
        let parameters = &mut [
            memory.at(0),
            words(memory),
            kind,
            word,
            flip(look),
            look.invert.into(),
            look.backwards.into(),
            self.records.at(0),
        ];
        // SAFETY: the kernel reads and writes as many words as the memory has, and a record for each block.
        unsafe { self.start("check_pattern", words(memory), parameters) }?;
        self.wrong(words(memory))
    }

    /// Where two memories differ, as far as both go; `reference` counts as right.
    pub(super) fn compare(&self, memory: &Memory, reference: &Memory) -> Result<Wrong, GpuError> {
        let count = words(memory).min(words(reference));
        let parameters = &mut [memory.at(0), reference.at(0), count, self.records.at(0)];
        // SAFETY: the kernel reads as many words as both have, and writes a record for each block.
        unsafe { self.start("compare_words", count, parameters) }?;
        self.wrong(count)
    }

    /// Copies all of `from`, which is no larger than `to`.
    pub(super) fn copy(&self, to: &Memory, from: &Memory) -> Result<(), GpuError> {
        let pairs = (words(to) / 2).min(words(from) / 2);
        let parameters = &mut [to.at(0), from.at(0), pairs];
        // SAFETY: the kernel copies no more than both have.
        unsafe { self.start("copy_pairs", pairs * 2, parameters) }
    }

    /// Fills memory with one word, as fast as it can.
    pub(super) fn flood(&self, memory: &Memory, word: u64) -> Result<(), GpuError> {
        let pairs = words(memory) / 2;
        let parameters = &mut [memory.at(0), pairs, word];
        // SAFETY: the kernel writes no more than the memory has.
        unsafe { self.start("write_pairs", pairs * 2, parameters) }
    }

    /// Reads all of it, as fast as it can; `sums` is of [`Self::sums_bytes`] at least.
    pub(super) fn read_through(&self, memory: &Memory, sums: &Memory) -> Result<(), GpuError> {
        assert!(sums.bytes() >= Self::sums_bytes(memory), "no room for sums");
        let pairs = words(memory) / 2;
        let parameters = &mut [memory.at(0), pairs, sums.at(0)];
        // SAFETY: the kernel reads no more than the memory has, and writes a word for each thread.
        unsafe { self.start("read_pairs", pairs * 2, parameters) }
    }

    /// What reading `memory` needs for its sums: a word for each thread.
    pub(super) fn sums_bytes(memory: &Memory) -> usize {
        blocks(words(memory)) * THREADS as usize * 8
    }

    /// Fills a square of floats with whole numbers, or any.
    pub(super) fn fill_factor(
        &self,
        memory: &Memory,
        seed: u64,
        whole: bool,
    ) -> Result<(), GpuError> {
        let count = (memory.bytes() / 4) as u64;
        let parameters = &mut [memory.at(0), count, seed, whole.into()];
        // SAFETY: the kernel writes as many floats as the memory has.
        unsafe { self.start("fill_factor", count, parameters) }
    }

    /// `out = a * b`, squares of `edge` columns, a multiple of [`TILE`].
    pub(super) fn multiply(&self, [out, a, b]: [&Memory; 3], edge: usize) -> Result<(), GpuError> {
        let bytes = edge * edge * 4;
        assert!(
            edge.is_multiple_of(TILE) && [out, a, b].iter().all(|m| m.bytes() >= bytes),
            "squares that do not fit their memory"
        );
        let tiles = edge / TILE;
        let parameters = &mut [out.at(0), a.at(0), b.at(0), edge as u64];
        // SAFETY: all three are squares of so many columns; each block has a tile of them.
        unsafe { self.launch("multiply_squares", [tiles, tiles], parameters) }
    }

    /// Floats from the card's memory.
    pub(super) fn floats(&self, memory: &Memory, count: usize) -> Result<Vec<f32>, GpuError> {
        let mut floats = vec![0.0; count];
        memory.read(0, &mut floats)?;
        Ok(floats)
    }

    fn wrong(&self, words: u64) -> Result<Wrong, GpuError> {
        let blocks = blocks(words);
        let halves = self.floats(&self.records, blocks * RECORD_BYTES / 4)?;
        let mut sum = Wrong::default();
        for record in halves.chunks_exact(RECORD_BYTES / 4) {
            let mut words = record.chunks_exact(2).map(|half| match half {
                [low, high] => u64::from(low.to_bits()) | u64::from(high.to_bits()) << 32,
                _ => 0,
            });
            let mut next = || words.next().unwrap_or_default();
            let one = Wrong {
                count: next(),
                address: next(),
                expected: next(),
                found: next(),
                bits: next(),
            };
            sum.add(one);
        }
        Ok(sum)
    }

    /// # Safety
    /// As for [`Self::launch`], for any number of blocks up to [`BLOCKS_MAX`].
    unsafe fn start(
        &self,
        kernel: &'static str,
        words: u64,
        parameters: &mut [u64],
    ) -> Result<(), GpuError> {
        // SAFETY: the caller's.
        unsafe { self.launch(kernel, [blocks(words), 1], parameters) }
    }

    /// # Safety
    /// `parameters` are what the kernel takes, and every address among them is of memory as large as it takes it to be. It
    /// may go at once: whoever gives memory back waits first.
    unsafe fn launch(
        &self,
        kernel: &'static str,
        blocks: [usize; 2],
        parameters: &mut [u64],
    ) -> Result<(), GpuError> {
        let [x, y] = blocks;
        // SAFETY: the caller's.
        unsafe { self.card.launch(kernel, [x, y, 1], THREADS, parameters) }
    }
}

impl Wrong {
    /// Takes in what was found elsewhere.
    pub(super) fn add(&mut self, other: Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 || other.address < self.address {
            (self.address, self.expected, self.found) =
                (other.address, other.expected, other.found);
        }
        self.count = self.count.saturating_add(other.count);
        self.bits |= other.bits;
    }
}

fn words(memory: &Memory) -> u64 {
    (memory.bytes() / 8) as u64
}

fn flip(look: Look) -> u64 {
    if look.flipped { u64::MAX } else { 0 }
}

/// Threads take some words each, so that few blocks do for little memory.
fn blocks(words: u64) -> usize {
    let worth = words / (u64::from(THREADS) * WORDS_EACH);
    usize::try_from(worth).map_or(BLOCKS_MAX, |worth| worth.clamp(1, BLOCKS_MAX))
}

/// Columns of a tile that a block multiplies, as `diagnose.cu` says.
pub(super) const TILE: usize = 128;

/// Threads of a block.
const THREADS: u32 = 256;

/// Words that a thread has at least before there are more blocks.
const WORDS_EACH: u64 = 16;

/// Blocks of a launch: some for each of a large card's processors.
const BLOCKS_MAX: usize = 1024;

/// A block's record: five words.
const RECORD_BYTES: usize = 40;
