//! The alphabet of byte-level vocabularies: each byte is written as one printable character.
//!
//! Source: GPT-2's published encoder. Bytes that print in Latin-1 stand for themselves; the other 68, in order, are
//! written as the characters from U+0100.

/// The character that byte `byte` is written as.
pub(super) fn char_of(byte: u8) -> char {
    if prints(byte) {
        return char::from(byte);
    }
    let place = (0..byte).filter(|&earlier| !prints(earlier)).count() as u32;
    char::from_u32(0x100 + place).unwrap_or_default()
}

/// The bytes that `text` is written for; if it has a character outside the alphabet, its own bytes.
pub(super) fn decode(text: &[u8], bytes_of: &ByteOf) -> Vec<u8> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.chars().map(|c| bytes_of.get(c)).collect())
        .unwrap_or_else(|| text.to_vec())
}

/// The way back, from characters to bytes.
#[derive(Debug)]
pub(super) struct ByteOf([Option<u8>; ALPHABET_END]);

impl ByteOf {
    pub(super) fn new() -> Self {
        let mut table = [None; ALPHABET_END];
        for byte in 0..=u8::MAX {
            if let Some(slot) = table.get_mut(char_of(byte) as usize) {
                *slot = Some(byte);
            }
        }
        Self(table)
    }

    fn get(&self, c: char) -> Option<u8> {
        self.0.get(c as usize).copied().flatten()
    }
}

/// One past the last character of the alphabet.
const ALPHABET_END: usize = 0x100 + 68;

fn prints(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}
