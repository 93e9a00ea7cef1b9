//! SentencePiece's compiled normalisation table: which strings to replace by which, in a double-array trie followed
//! by the replacements. The table comes from the model file, so every index is checked when it is used.
//!
//! Format: `normalizer.cc` of Google's `sentencepiece` (a 32-bit size, the trie, then NUL-terminated strings) and the
//! unit layout of the Darts-clone double array that it uses.

use super::{CHARSMAP_BYTES_MAX, TokenizerError};

#[derive(Debug)]
pub(super) struct Charsmap {
    units: Vec<u32>,
    replacements: String,
}

impl Charsmap {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, TokenizerError> {
        if bytes.len() > CHARSMAP_BYTES_MAX {
            return Err(TokenizerError::Charsmap("it is too long"));
        }
        let (size, rest) = bytes
            .split_first_chunk()
            .ok_or(TokenizerError::Charsmap("it is cut off"))?;
        let size = u32::from_le_bytes(*size) as usize;
        let (trie, replacements) = rest
            .split_at_checked(size)
            .ok_or(TokenizerError::Charsmap("its trie is longer than itself"))?;
        let (units, partial) = trie.as_chunks::<4>();
        if units.is_empty() || !partial.is_empty() {
            return Err(TokenizerError::Charsmap("its trie is not whole units"));
        }
        let replacements = std::str::from_utf8(replacements)
            .map_err(|_| TokenizerError::Charsmap("its replacements are not valid UTF-8"))?;
        if !replacements.ends_with('\0') {
            return Err(TokenizerError::Charsmap("its last replacement has no end"));
        }
        Ok(Self {
            units: units.iter().map(|unit| u32::from_le_bytes(*unit)).collect(),
            replacements: replacements.to_owned(),
        })
    }

    /// The longest string of the table that `text` starts with: its length and its replacement.
    pub(super) fn longest(&self, text: &[u8]) -> Option<(usize, &str)> {
        let mut found = None;
        let mut at = offset(self.unit(0)?);
        // NUL ends the strings of the table, so it is never part of one.
        for (index, &byte) in text.iter().take_while(|&&byte| byte != 0).enumerate() {
            at ^= usize::from(byte);
            let Some(unit) = self.unit(at).filter(|&unit| label(unit) == u32::from(byte)) else {
                break;
            };
            at ^= offset(unit);
            if has_leaf(unit) {
                found = self.unit(at).map(|leaf| (index + 1, value(leaf)));
            }
        }
        let (length, from) = found?;
        let replacement = self.replacements.get(from..)?.split('\0').next()?;
        Some((length, replacement))
    }

    fn unit(&self, at: usize) -> Option<u32> {
        self.units.get(at).copied()
    }
}

fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize
}

fn label(unit: u32) -> u32 {
    unit & (1 << 31 | 0xff)
}

fn has_leaf(unit: u32) -> bool {
    unit >> 8 & 1 == 1
}

fn value(unit: u32) -> usize {
    (unit & !(1 << 31)) as usize
}
