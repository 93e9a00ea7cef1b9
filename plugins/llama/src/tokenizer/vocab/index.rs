//! Finds a token by its text or by what it prints: an open-addressing table of ids beside the texts, four bytes a slot.

use crate::gguf::Strings;

#[derive(Debug)]
pub(in super::super) struct Index {
    slots: Vec<u32>,
    mask: usize,
}

const EMPTY: u32 = u32::MAX;

impl Index {
    /// Of two tokens with equal texts, the first is found; those that are not `wanted` never are.
    pub(super) fn new(texts: &Strings, wanted: impl Fn(u32) -> bool) -> Self {
        let size = (texts.len() * 2).next_power_of_two().max(2);
        let mut index = Self {
            slots: vec![EMPTY; size],
            mask: size - 1,
        };
        for (id, text) in (0_u32..).zip(texts.iter()).filter(|&(id, _)| wanted(id)) {
            let slot = index.slot(texts, text);
            if let Some(slot @ &mut EMPTY) = index.slots.get_mut(slot) {
                *slot = id;
            }
        }
        index
    }

    pub(super) fn get(&self, texts: &Strings, text: &[u8]) -> Option<u32> {
        let slot = self.slot(texts, text);
        self.slots.get(slot).copied().filter(|&id| id != EMPTY)
    }

    /// The slot that holds `text`, or the free one where it belongs. At least half of the slots are free.
    fn slot(&self, texts: &Strings, text: &[u8]) -> usize {
        let mut slot = hash(text) as usize & self.mask;
        loop {
            match self.slots.get(slot) {
                Some(&id) if id != EMPTY && texts.get(id as usize) != Some(text) => {
                    slot = (slot + 1) & self.mask;
                }
                _ => return slot,
            }
        }
    }
}

/// Multiply and fold, eight bytes at a time. Collisions cost time, never a wrong answer.
fn hash(text: &[u8]) -> u64 {
    let mut state = text.len() as u64;
    let (words, rest) = text.as_chunks::<8>();
    let mut tail = [0; 8];
    for (slot, byte) in tail.iter_mut().zip(rest) {
        *slot = *byte;
    }
    for word in words.iter().chain([&tail]) {
        let mixed =
            u128::from(state ^ u64::from_le_bytes(*word)) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        state = (mixed as u64) ^ ((mixed >> 64) as u64);
    }
    state
}
