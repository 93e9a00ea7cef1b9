//! The kinds of step that word rules are built from, each a piece of a regular expression.

use super::class::Kinds;

/// One alternative of a rule. Alternatives are tried in order at each place; the first that matches wins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// A character of `lead`, then 1 to `most` of `body`, then any number of `tail`.
    Run {
        lead: Lead,
        body: Set,
        most: usize,
        tail: Set,
    },
    /// `'s|'t|'re|'ve|'m|'ll|'d`; with `AnyCase`, as `(?i:…)`.
    Contraction(Case),
    /// `[^\r\n\p{L}\p{N}]?U*L+|[^\r\n\p{L}\p{N}]?U+L*`, where U is any letter but lower case or a mark and L any but
    /// upper and title case or a mark; each with a contraction after it, if so said.
    CasedWord { contraction: bool },
    /// `\s*[\r\n]+`.
    Newlines,
    /// `\s+(?!\S)`: white space up to the one character that belongs to the next word.
    SpaceBeforeSpace,
    /// `\s{512}(?!\S)|\s{256}(?!\S)|…|\s{1,2}(?!\S)|\s`.
    SpaceByPowers,
    /// `\s+$`.
    SpaceAtEnd,
    /// `[0-9][0-9][0-9]`.
    ThreeDigits,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Lead {
    None,
    Maybe(Set),
    Must(Set),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    AsWritten,
    AnyCase,
}

/// A set of characters.
#[derive(Debug, Clone, Copy)]
pub(super) enum Set {
    Nothing,
    /// Characters of any of these kinds.
    Of(Kinds),
    /// Characters of none of these kinds.
    NotOf(Kinds),
    /// Characters of any of these kinds, or among these.
    OfOr(Kinds, &'static [char]),
    /// Characters of none of these kinds, nor among these.
    NotOfNor(Kinds, &'static [char]),
    /// Characters in these ranges, both ends included.
    Ranges(&'static [(char, char)]),
}

impl Set {
    pub(super) fn contains(self, c: char, kinds: Kinds) -> bool {
        match self {
            Self::Nothing => false,
            Self::Of(mask) => kinds & mask != 0,
            Self::NotOf(mask) => kinds & mask == 0,
            Self::OfOr(mask, chars) => kinds & mask != 0 || chars.contains(&c),
            Self::NotOfNor(mask, chars) => kinds & mask == 0 && !chars.contains(&c),
            Self::Ranges(ranges) => ranges
                .iter()
                .any(|(first, last)| (first..=last).contains(&&c)),
        }
    }
}
