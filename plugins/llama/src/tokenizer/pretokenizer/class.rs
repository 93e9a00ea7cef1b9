//! What kind of character a character is, as far as the word rules ask. Categories are those of the Unicode version
//! that `unicode-properties` is pinned to: 16.0, the one that Hugging Face's regular-expression engine knows.

use std::sync::OnceLock;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// A set of kinds, one bit each.
pub(super) type Kinds = u16;

pub(super) const UPPER: Kinds = 1 << 0;
pub(super) const LOWER: Kinds = 1 << 1;
pub(super) const TITLE: Kinds = 1 << 2;
pub(super) const MODIFIER: Kinds = 1 << 3;
pub(super) const OTHER_LETTER: Kinds = 1 << 4;
pub(super) const MARK: Kinds = 1 << 5;
pub(super) const NUMBER: Kinds = 1 << 6;
pub(super) const PUNCTUATION: Kinds = 1 << 7;
pub(super) const SYMBOL: Kinds = 1 << 8;
/// White space, `\s`.
pub(super) const SPACE: Kinds = 1 << 9;
/// Carriage return and line feed.
pub(super) const NEWLINE: Kinds = 1 << 10;
/// Any letter, `\p{L}`.
pub(super) const LETTER: Kinds = UPPER | LOWER | TITLE | MODIFIER | OTHER_LETTER;

/// Kinds by character, worked out a block of 256 at a time when a text first has a character of the block.
#[derive(Debug)]
pub(super) struct Classes {
    ascii: [Kinds; 128],
    blocks: Vec<OnceLock<Box<[Kinds; BLOCK]>>>,
}

const BLOCK: usize = 256;

impl Classes {
    pub(super) fn new() -> Self {
        let mut ascii = [0; 128];
        for (byte, kinds) in (0_u8..).zip(&mut ascii) {
            *kinds = work_out(char::from(byte));
        }
        let mut blocks = Vec::new();
        blocks.resize_with(char::MAX as usize / BLOCK + 1, OnceLock::new);
        Self { ascii, blocks }
    }

    pub(super) fn of(&self, c: char) -> Kinds {
        let code = c as usize;
        if let Some(&kinds) = self.ascii.get(code) {
            return kinds;
        }
        let block = self
            .blocks
            .get(code / BLOCK)
            .map(|block| block.get_or_init(|| block_of(code)));
        block
            .and_then(|block| block.get(code % BLOCK))
            .copied()
            .unwrap_or_default()
    }
}

fn block_of(code: usize) -> Box<[Kinds; BLOCK]> {
    let first = (code - code % BLOCK) as u32;
    let mut kinds = Box::new([0; BLOCK]);
    for (code, kinds) in (first..).zip(kinds.iter_mut()) {
        *kinds = char::from_u32(code).map(work_out).unwrap_or_default();
    }
    kinds
}

fn work_out(c: char) -> Kinds {
    use GeneralCategory::*;
    let category = match c.general_category() {
        UppercaseLetter => UPPER,
        LowercaseLetter => LOWER,
        TitlecaseLetter => TITLE,
        ModifierLetter => MODIFIER,
        OtherLetter => OTHER_LETTER,
        NonspacingMark | SpacingMark | EnclosingMark => MARK,
        DecimalNumber | LetterNumber | OtherNumber => NUMBER,
        ConnectorPunctuation | DashPunctuation | OpenPunctuation | ClosePunctuation
        | InitialPunctuation | FinalPunctuation | OtherPunctuation => PUNCTUATION,
        MathSymbol | CurrencySymbol | ModifierSymbol | OtherSymbol => SYMBOL,
        SpaceSeparator | LineSeparator | ParagraphSeparator | Control | Format | Surrogate
        | PrivateUse | Unassigned => 0,
    };
    let space = if c.is_whitespace() { SPACE } else { 0 };
    let newline = if matches!(c, '\r' | '\n') { NEWLINE } else { 0 };
    category | space | newline
}
