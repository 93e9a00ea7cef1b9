//! The word rules of the GPT and Llama families and their kin, and the parts that all rules are put together from.

use super::super::class::*;
use super::super::step::{Case::*, Lead, Set, Step, Step::*};

pub(super) const ANY: usize = usize::MAX;
pub(super) const BLANK: Set = Set::Ranges(&[(' ', ' ')]);
/// `[^\r\n\p{L}\p{N}]`, which may go before a word.
pub(super) const WORD_LEAD: Set = Set::NotOf(NEWLINE | LETTER | NUMBER);
/// `[^\s\p{L}\p{N}]`.
pub(super) const SIGN: Set = Set::NotOf(SPACE | LETTER | NUMBER);
pub(super) const NEWLINES: Set = Set::Of(NEWLINE);
pub(super) const NEWLINES_OR_SLASH: Set = Set::OfOr(NEWLINE, &['/']);

/// `[一-龥぀-ゟ゠-ヿ]`.
pub(super) const CJK_AND_KANA: Set =
    Set::Ranges(&[('\u{4e00}', '\u{9fa5}'), ('\u{3040}', '\u{30ff}')]);

pub(super) const fn run(lead: Lead, body: Set, most: usize, tail: Set) -> Step {
    Run {
        lead,
        body,
        most,
        tail,
    }
}

/// ` ?` before one or more of a set.
pub(super) const fn after_blank(body: Set) -> Step {
    run(Lead::Maybe(BLANK), body, ANY, Set::Nothing)
}

pub(super) const fn only(body: Set, most: usize) -> Step {
    run(Lead::None, body, most, Set::Nothing)
}

/// `[^\r\n\p{L}\p{N}]?\p{L}+`.
pub(super) const WORD: Step = run(Lead::Maybe(WORD_LEAD), Set::Of(LETTER), ANY, Set::Nothing);
/// ` ?[^\s\p{L}\p{N}]+[\r\n]*`.
pub(super) const SIGNS: Step = run(Lead::Maybe(BLANK), SIGN, ANY, NEWLINES);
/// `\s+`.
pub(super) const SPACES: Step = only(Set::Of(SPACE), ANY);

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
pub(super) const GPT2: &[Step] = &[
    Contraction(AsWritten),
    after_blank(Set::Of(LETTER)),
    after_blank(Set::Of(NUMBER)),
    after_blank(SIGN),
    SpaceBeforeSpace,
    SPACES,
];

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
/// \s+(?!\S)|\s+`.
pub(super) const LLAMA3: &[Step] = &[
    Contraction(AnyCase),
    WORD,
    only(Set::Of(NUMBER), 3),
    SIGNS,
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// As `LLAMA3` with `\p{N}+`.
pub(super) const MINICPM5: &[Step] = &[
    Contraction(AnyCase),
    WORD,
    only(Set::Of(NUMBER), ANY),
    SIGNS,
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// As `LLAMA3` with `\p{N}`.
pub(super) const QWEN2: &[Step] = &[
    Contraction(AnyCase),
    WORD,
    only(Set::Of(NUMBER), 1),
    SIGNS,
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// As `QWEN2` with marks beside letters: `[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+` and ` ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*`.
pub(super) const QWEN35: &[Step] = &[
    Contraction(AnyCase),
    run(
        Lead::Maybe(WORD_LEAD),
        Set::Of(LETTER | MARK),
        ANY,
        Set::Nothing,
    ),
    only(Set::Of(NUMBER), 1),
    run(
        Lead::Maybe(BLANK),
        Set::NotOf(SPACE | LETTER | MARK | NUMBER),
        ANY,
        NEWLINES,
    ),
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// As `QWEN2` without contractions.
pub(super) const UFAKZEKA: &[Step] = &[
    WORD,
    only(Set::Of(NUMBER), 1),
    SIGNS,
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// As `QWEN2` with ` ?[^\s\p{L}\p{N}\r\n]+` for signs.
pub(super) const SEED_CODER: &[Step] = &[
    Contraction(AnyCase),
    WORD,
    only(Set::Of(NUMBER), 1),
    after_blank(SIGN),
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// As `LLAMA3` with white space in runs of powers of two.
pub(super) const JAIS2: &[Step] = &[
    Contraction(AnyCase),
    WORD,
    only(Set::Of(NUMBER), 3),
    SIGNS,
    Newlines,
    SpaceByPowers,
];

/// `CasedWord|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`.
pub(super) const TEKKEN: &[Step] = &[
    CasedWord { contraction: false },
    only(Set::Of(NUMBER), 1),
    run(Lead::Maybe(BLANK), SIGN, ANY, NEWLINES_OR_SLASH),
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// As `TEKKEN` with contractions at the end of words and `\p{N}{1,3}`.
pub(super) const GPT4O: &[Step] = &[
    CasedWord { contraction: true },
    only(Set::Of(NUMBER), 3),
    run(Lead::Maybe(BLANK), SIGN, ANY, NEWLINES_OR_SLASH),
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// As `GPT4O` with `\p{N}`.
pub(super) const YOUTU: &[Step] = &[
    CasedWord { contraction: true },
    only(Set::Of(NUMBER), 1),
    run(Lead::Maybe(BLANK), SIGN, ANY, NEWLINES_OR_SLASH),
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// `[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+`.
pub(super) const YOUTU_CJK: &[Step] = &[
    only(Set::Ranges(&[('가', '힣'), ('ㄱ', 'ㆎ')]), ANY),
    only(
        Set::Ranges(&[
            ('！', '！'),
            ('…', '…'),
            ('“', '”'),
            ('‘', '’'),
            ('—', '—'),
            ('：', '；'),
            ('，', '，'),
            ('、', '\u{303f}'),
            ('\u{fe30}', '\u{fe4f}'),
        ]),
        ANY,
    ),
    only(Set::Ranges(&[('ㄅ', 'ㄯ')]), ANY),
    only(CJK_AND_KANA, ANY),
];

/// `\p{N}`, `\p{N}+`, `\p{N}{1,3}`, `[0-9][0-9][0-9]`, `[\r\n]`, `\s+$`, `[^\n]+|[\n]+`.
pub(super) const NUMBER_EACH: &[Step] = &[only(Set::Of(NUMBER), 1)];
pub(super) const NUMBERS: &[Step] = &[only(Set::Of(NUMBER), ANY)];
pub(super) const THREE_NUMBERS: &[Step] = &[only(Set::Of(NUMBER), 3)];
pub(super) const THREE_DIGITS: &[Step] = &[ThreeDigits];
pub(super) const NEWLINE_EACH: &[Step] = &[only(NEWLINES, 1)];
pub(super) const SPACE_AT_END: &[Step] = &[SpaceAtEnd];
pub(super) const LINES: &[Step] = &[
    only(Set::NotOfNor(0, &['\n']), ANY),
    only(Set::OfOr(0, &['\n']), ANY),
];

/// `[\p{P}\$\+<=>\^~\|]+`, and for Falcon with the grave accent.
pub(super) const DEFAULT_PUNCTUATION: &[Step] = &[only(
    Set::OfOr(PUNCTUATION, &['$', '+', '<', '=', '>', '^', '~', '|']),
    ANY,
)];
pub(super) const FALCON_PUNCTUATION: &[Step] = &[only(
    Set::OfOr(PUNCTUATION, &['$', '+', '<', '=', '>', '^', '~', '|', '`']),
    ANY,
)];

/// ` ?[^(\s|.,!?…。，、।۔،)]+`.
pub(super) const BLOOM: &[Step] = &[after_blank(Set::NotOfNor(
    SPACE,
    &[
        '(', '|', '.', ',', '!', '?', '…', '。', '，', '、', '।', '۔', '،', ')',
    ],
))];
