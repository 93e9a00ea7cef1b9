//! What a batch says, as lists in the card's memory.
//!
//! Decides their order, and that they travel in one copy. All but the pages are where they were for the last batch of as many
//! tokens, sequences and outputs.

use std::sync::Arc;

use super::card::Card;
use super::driver::GpuError;
use super::memory::Memory;
use crate::plan::Facts;
use crate::turn::Turn;

/// Lists of 32-bit numbers in one piece, on this side and on the card.
#[derive(Debug)]
pub(super) struct Lists {
    words: Vec<u32>,
    memory: Memory,
}

/// Where each list is on the card.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    pub(super) tokens: u64,
    pub(super) positions: u64,
    pub(super) owners: u64,
    pub(super) outputs: u64,
    pub(super) firsts: u64,
    pub(super) counts: u64,
    pub(super) page_firsts: u64,
    pub(super) pages: u64,
    /// Of each turn, a row of cosines and sines for each token.
    pub(super) tables: Vec<u64>,
}

impl Lists {
    /// Room for some words; more is made when a batch needs it.
    pub(super) fn with_room(card: &Arc<Card>, words: usize) -> Result<Self, GpuError> {
        Ok(Self {
            words: Vec::with_capacity(words),
            memory: Memory::allocate(card, words * 4)?,
        })
    }

    /// Copies a batch to the card. Also yields whether the lists now lie in other memory than before.
    pub(super) fn send(
        &mut self,
        card: &Arc<Card>,
        facts: &Facts<'_>,
        turns: &[Turn],
    ) -> Result<(Places, bool), GpuError> {
        let words = &mut self.words;
        words.clear();
        let sequences = facts.batch.sequences;
        let mut list = |values: &mut dyn Iterator<Item = u32>| {
            let start = words.len();
            words.extend(values);
            // Kernels may take a list's first number even of an empty one.
            words.resize(words.len().next_multiple_of(32).max(start + 32), 0);
            start as u64 * 4
        };
        let mut next_page = 0;
        let mut places = Places {
            tokens: list(&mut facts.batch.tokens.iter().copied()),
            positions: list(&mut facts.positions.iter().copied()),
            owners: list(&mut facts.owners.iter().copied()),
            outputs: list(&mut facts.batch.outputs.iter().copied()),
            firsts: list(&mut facts.firsts.iter().copied()),
            counts: list(&mut sequences.iter().map(|sequence| sequence.tokens)),
            page_firsts: list(&mut sequences.iter().map(|sequence| {
                next_page += sequence.pages.len() as u32;
                next_page - sequence.pages.len() as u32
            })),
            pages: 0,
            tables: Vec::with_capacity(turns.len()),
        };
        let mut row = Vec::new();
        for turn in turns {
            row.resize(turn.frequencies.len() * 2, 0.0);
            let start = words.len();
            for position in facts.positions {
                turn.fill(*position, &mut row);
                words.extend(row.iter().map(|x| x.to_bits()));
            }
            words.resize(words.len().next_multiple_of(32), 0);
            places.tables.push(start as u64 * 4);
        }
        places.pages = words.len() as u64 * 4;
        words.extend(sequences.iter().flat_map(|sequence| sequence.pages));
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let moved = bytes.len() > self.memory.bytes();
        if moved {
            self.memory = Memory::allocate(card, bytes.len().next_power_of_two())?;
        }
        self.memory.write(0, &bytes)?;
        let base = self.memory.at(0);
        let Places {
            tokens,
            positions,
            owners,
            outputs,
            firsts,
            counts,
            page_firsts,
            pages,
            tables,
        } = &mut places;
        let all = [
            tokens,
            positions,
            owners,
            outputs,
            firsts,
            counts,
            page_firsts,
            pages,
        ];
        for place in all.into_iter().chain(tables) {
            *place += base;
        }
        Ok((places, moved))
    }
}
