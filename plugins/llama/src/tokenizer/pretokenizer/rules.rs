//! The word rules by the names that files give them.
//!
//! Sources: the `pre_tokenizer` entries of the models' published `tokenizer.json` files, and llama.cpp's
//! `llama-vocab.cpp` for which names share a rule. Each table spells out the regular expression in its comment.

use super::class::*;
use super::step::{Case::*, Lead, Set, Step, Step::*};

/// A word rule and what goes with its name.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) names: &'static [&'static str],
    pub(super) stages: &'static [&'static [Step]],
    pub(super) takes_whole_words: bool,
    pub(super) adds_bos: bool,
}

/// The rule that goes by `name`.
pub(super) fn named(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.names.contains(&name))
}

const fn rule(names: &'static [&'static str], stages: &'static [&'static [Step]]) -> Rule {
    Rule {
        names,
        stages,
        takes_whole_words: false,
        adds_bos: false,
    }
}

impl Rule {
    const fn whole_words(mut self) -> Self {
        self.takes_whole_words = true;
        self
    }

    const fn bos(mut self) -> Self {
        self.adds_bos = true;
        self
    }
}

static RULES: [Rule; 24] = [
    rule(
        &["default"],
        &[DEFAULT_PUNCTUATION, GPT2, NUMBERS, THREE_DIGITS],
    ),
    rule(
        &[
            "gpt-2",
            "phi-2",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
            "exaone4",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "jina-es",
            "jina-de",
            "jina-v1-en",
            "jina-v2-es",
            "jina-v2-de",
            "jina-v2-code",
            "roberta-bpe",
        ],
        &[GPT2],
    ),
    rule(
        &[
            "llama3",
            "llama-v3",
            "llama-bpe",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
        &[LLAMA3],
    )
    .whole_words()
    .bos(),
    rule(&["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"], &[LLAMA3]),
    rule(&["minicpm5"], &[THREE_NUMBERS, MINICPM5]).whole_words(),
    rule(
        &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "megrez",
            "stablelm2",
            "hunyuan",
            "solar-open",
            "grok-2",
        ],
        &[QWEN2],
    ),
    rule(&["qwen35"], &[QWEN35]),
    rule(&["ufakzeka"], &[UFAKZEKA]),
    rule(&["laguna"], &[LINES, QWEN2]),
    rule(&["bailingmoe", "bailingmoe2", "llada-moe"], &[QWEN2]),
    rule(&["seed-coder"], &[SEED_CODER]),
    rule(&["jais-2"], &[JAIS2]),
    rule(&["tekken"], &[TEKKEN]).whole_words().bos(),
    rule(
        &["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"],
        &[GPT4O],
    ),
    rule(&["granite-embed-multi-97m"], &[GPT4O]).whole_words(),
    rule(
        &["deepseek-llm"],
        &[
            NEWLINE_EACH,
            DEEPSEEK_LETTERS,
            DEEPSEEK_PUNCTUATION,
            SPACE_AT_END,
            DEEPSEEK_CJK,
            NUMBERS,
        ],
    ),
    rule(
        &["deepseek-coder"],
        &[
            NEWLINE_EACH,
            CODER_LETTERS,
            CODER_PUNCTUATION,
            DEEPSEEK_CJK,
            NUMBER_EACH,
        ],
    ),
    rule(
        &["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"],
        &[THREE_NUMBERS, DEEPSEEK3_CJK, DEEPSEEK3],
    ),
    rule(&["falcon"], &[FALCON_PUNCTUATION, GPT2, THREE_DIGITS]),
    rule(
        &[
            "starcoder",
            "refact",
            "command-r",
            "smollm",
            "codeshell",
            "exaone",
            "minerva-7b",
            "mellum2",
        ],
        &[NUMBER_EACH, GPT2],
    ),
    rule(&["poro-chat", "bloom", "gpt3-finnish"], &[BLOOM]),
    rule(&["viking"], &[BLOOM, NUMBER_EACH]),
    rule(
        &["spark2_5"],
        &[THREE_NUMBERS, DEEPSEEK3_CJK, SPARK, NUMBER_EACH],
    ),
    rule(&["youtu"], &[YOUTU_CJK, YOUTU]).whole_words(),
];

const ANY: usize = usize::MAX;
const BLANK: Set = Set::Ranges(&[(' ', ' ')]);
/// `[^\r\n\p{L}\p{N}]`, which may go before a word.
const WORD_LEAD: Set = Set::NotOf(NEWLINE | LETTER | NUMBER);
/// `[^\s\p{L}\p{N}]`.
const SIGN: Set = Set::NotOf(SPACE | LETTER | NUMBER);
const NEWLINES: Set = Set::Of(NEWLINE);
const NEWLINES_OR_SLASH: Set = Set::OfOr(NEWLINE, &['/']);

const fn run(lead: Lead, body: Set, most: usize, tail: Set) -> Step {
    Run {
        lead,
        body,
        most,
        tail,
    }
}

/// ` ?` before one or more of a set.
const fn after_blank(body: Set) -> Step {
    run(Lead::Maybe(BLANK), body, ANY, Set::Nothing)
}

const fn only(body: Set, most: usize) -> Step {
    run(Lead::None, body, most, Set::Nothing)
}

/// `[^\r\n\p{L}\p{N}]?\p{L}+`.
const WORD: Step = run(Lead::Maybe(WORD_LEAD), Set::Of(LETTER), ANY, Set::Nothing);
/// ` ?[^\s\p{L}\p{N}]+[\r\n]*`.
const SIGNS: Step = run(Lead::Maybe(BLANK), SIGN, ANY, NEWLINES);
/// `\s+`.
const SPACES: Step = only(Set::Of(SPACE), ANY);

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
const GPT2: &[Step] = &[
    Contraction(AsWritten),
    after_blank(Set::Of(LETTER)),
    after_blank(Set::Of(NUMBER)),
    after_blank(SIGN),
    SpaceBeforeSpace,
    SPACES,
];

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
/// \s+(?!\S)|\s+`.
const LLAMA3: &[Step] = &[
    Contraction(AnyCase),
    WORD,
    only(Set::Of(NUMBER), 3),
    SIGNS,
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// As `LLAMA3` with `\p{N}+`.
const MINICPM5: &[Step] = &[
    Contraction(AnyCase),
    WORD,
    only(Set::Of(NUMBER), ANY),
    SIGNS,
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// As `LLAMA3` with `\p{N}`.
const QWEN2: &[Step] = &[
    Contraction(AnyCase),
    WORD,
    only(Set::Of(NUMBER), 1),
    SIGNS,
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// As `QWEN2` with marks beside letters: `[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+` and ` ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*`.
const QWEN35: &[Step] = &[
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
const UFAKZEKA: &[Step] = &[
    WORD,
    only(Set::Of(NUMBER), 1),
    SIGNS,
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// As `QWEN2` with ` ?[^\s\p{L}\p{N}\r\n]+` for signs.
const SEED_CODER: &[Step] = &[
    Contraction(AnyCase),
    WORD,
    only(Set::Of(NUMBER), 1),
    after_blank(SIGN),
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// As `LLAMA3` with white space in runs of powers of two.
const JAIS2: &[Step] = &[
    Contraction(AnyCase),
    WORD,
    only(Set::Of(NUMBER), 3),
    SIGNS,
    Newlines,
    SpaceByPowers,
];

/// `CasedWord|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`.
const TEKKEN: &[Step] = &[
    CasedWord { contraction: false },
    only(Set::Of(NUMBER), 1),
    run(Lead::Maybe(BLANK), SIGN, ANY, NEWLINES_OR_SLASH),
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// As `TEKKEN` with contractions at the end of words and `\p{N}{1,3}`.
const GPT4O: &[Step] = &[
    CasedWord { contraction: true },
    only(Set::Of(NUMBER), 3),
    run(Lead::Maybe(BLANK), SIGN, ANY, NEWLINES_OR_SLASH),
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// As `GPT4O` with `\p{N}`.
const YOUTU: &[Step] = &[
    CasedWord { contraction: true },
    only(Set::Of(NUMBER), 1),
    run(Lead::Maybe(BLANK), SIGN, ANY, NEWLINES_OR_SLASH),
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// `[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+`.
const YOUTU_CJK: &[Step] = &[
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
    only(DEEPSEEK3_CJK_SET, ANY),
];

/// `\p{N}`, `\p{N}+`, `\p{N}{1,3}`, `[0-9][0-9][0-9]`, `[\r\n]`, `\s+$`, `[^\n]+|[\n]+`.
const NUMBER_EACH: &[Step] = &[only(Set::Of(NUMBER), 1)];
const NUMBERS: &[Step] = &[only(Set::Of(NUMBER), ANY)];
const THREE_NUMBERS: &[Step] = &[only(Set::Of(NUMBER), 3)];
const THREE_DIGITS: &[Step] = &[ThreeDigits];
const NEWLINE_EACH: &[Step] = &[only(NEWLINES, 1)];
const SPACE_AT_END: &[Step] = &[SpaceAtEnd];
const LINES: &[Step] = &[
    only(Set::NotOfNor(0, &['\n']), ANY),
    only(Set::OfOr(0, &['\n']), ANY),
];

/// `[\p{P}\$\+<=>\^~\|]+`, and for Falcon with the grave accent.
const DEFAULT_PUNCTUATION: &[Step] = &[only(
    Set::OfOr(PUNCTUATION, &['$', '+', '<', '=', '>', '^', '~', '|']),
    ANY,
)];
const FALCON_PUNCTUATION: &[Step] = &[only(
    Set::OfOr(PUNCTUATION, &['$', '+', '<', '=', '>', '^', '~', '|', '`']),
    ANY,
)];

/// `\s?\p{L}+` and `\s?\p{P}+`.
const CODER_LETTERS: &[Step] = &[run(
    Lead::Maybe(Set::Of(SPACE)),
    Set::Of(LETTER),
    ANY,
    Set::Nothing,
)];
const CODER_PUNCTUATION: &[Step] = &[run(
    Lead::Maybe(Set::Of(SPACE)),
    Set::Of(PUNCTUATION),
    ANY,
    Set::Nothing,
)];

/// `[一-龥ࠀ-一가-퟿]+`.
const DEEPSEEK_CJK: &[Step] = &[only(
    Set::Ranges(&[('\u{800}', '\u{9fa5}'), ('\u{ac00}', '\u{d7ff}')]),
    ANY,
)];

/// `\s?[!-/:-~！-／：-～‘-‟　-。]+`.
const DEEPSEEK_PUNCTUATION: &[Step] = &[run(
    Lead::Maybe(Set::Of(SPACE)),
    Set::Ranges(&[
        ('!', '/'),
        (':', '~'),
        ('\u{ff01}', '\u{ff0f}'),
        ('\u{ff1a}', '\u{ff5e}'),
        ('\u{2018}', '\u{201f}'),
        ('\u{3000}', '\u{3002}'),
    ]),
    ANY,
    Set::Nothing,
)];

/// `\s?[A-Za-zµÀ-Ö…]+`: the cased letters, by range.
const DEEPSEEK_LETTERS: &[Step] = &[run(
    Lead::Maybe(Set::Of(SPACE)),
    Set::Ranges(&DEEPSEEK_LETTER_RANGES),
    ANY,
    Set::Nothing,
)];

/// The cased letters of Unicode 12, as the rule lists them.
#[rustfmt::skip]
static DEEPSEEK_LETTER_RANGES: [(char, char); 87] = [
    ('\u{41}', '\u{5a}'), ('\u{61}', '\u{7a}'), ('\u{b5}', '\u{b5}'), ('\u{c0}', '\u{d6}'), ('\u{d8}', '\u{f6}'), ('\u{f8}', '\u{1ba}'), ('\u{1bc}', '\u{1bf}'), ('\u{1c4}', '\u{293}'), ('\u{295}', '\u{2af}'), ('\u{370}', '\u{373}'), ('\u{376}', '\u{376}'), ('\u{377}', '\u{377}'), ('\u{37b}', '\u{37d}'), ('\u{37f}', '\u{37f}'), ('\u{386}', '\u{386}'), ('\u{388}', '\u{38a}'), ('\u{38c}', '\u{38c}'), ('\u{38e}', '\u{3a1}'), ('\u{3a3}', '\u{3f5}'), ('\u{3f7}', '\u{481}'), ('\u{48a}', '\u{52f}'), ('\u{531}', '\u{556}'), ('\u{10a0}', '\u{10c5}'), ('\u{13a0}', '\u{13f5}'), ('\u{13f8}', '\u{13fd}'), ('\u{1c90}', '\u{1cba}'), ('\u{1cbd}', '\u{1cbf}'), ('\u{1d00}', '\u{1d2b}'), ('\u{1d6b}', '\u{1d77}'), ('\u{1d79}', '\u{1d9a}'), ('\u{1e00}', '\u{1f15}'), ('\u{1f18}', '\u{1f1d}'), ('\u{1f20}', '\u{1f45}'), ('\u{1f48}', '\u{1f4d}'), ('\u{1f50}', '\u{1f57}'), ('\u{1f59}', '\u{1f59}'), ('\u{1f5b}', '\u{1f5b}'), ('\u{1f5d}', '\u{1f5d}'), ('\u{1f5f}', '\u{1f7d}'), ('\u{1f80}', '\u{1fb4}'), ('\u{1fb6}', '\u{1fbc}'), ('\u{1fbe}', '\u{1fbe}'), ('\u{1fc2}', '\u{1fc4}'), ('\u{1fc6}', '\u{1fcc}'), ('\u{1fd0}', '\u{1fd3}'), ('\u{1fd6}', '\u{1fdb}'), ('\u{1fe0}', '\u{1fec}'), ('\u{1ff2}', '\u{1ff4}'), ('\u{1ff6}', '\u{1ffc}'), ('\u{2102}', '\u{2102}'), ('\u{2107}', '\u{2107}'), ('\u{210a}', '\u{2113}'), ('\u{2115}', '\u{2115}'), ('\u{2119}', '\u{211d}'), ('\u{2124}', '\u{2124}'), ('\u{2126}', '\u{2126}'), ('\u{2128}', '\u{2128}'), ('\u{212a}', '\u{212d}'), ('\u{212f}', '\u{2134}'), ('\u{2139}', '\u{2139}'), ('\u{213c}', '\u{213f}'), ('\u{2145}', '\u{2149}'), ('\u{214e}', '\u{214e}'), ('\u{2183}', '\u{2183}'), ('\u{2184}', '\u{2184}'), ('\u{2c00}', '\u{2c7b}'), ('\u{2c7e}', '\u{2ce4}'), ('\u{2ceb}', '\u{2cee}'), ('\u{2cf2}', '\u{2cf2}'), ('\u{2cf3}', '\u{2cf3}'), ('\u{a640}', '\u{a66d}'), ('\u{a680}', '\u{a69b}'), ('\u{a722}', '\u{a76f}'), ('\u{a771}', '\u{a787}'), ('\u{a78b}', '\u{a78e}'), ('\u{ab70}', '\u{abbf}'), ('\u{fb00}', '\u{fb06}'), ('\u{fb13}', '\u{fb17}'), ('\u{ff21}', '\u{ff3a}'), ('\u{ff41}', '\u{ff5a}'), ('\u{10400}', '\u{1044f}'), ('\u{104b0}', '\u{104d3}'), ('\u{104d8}', '\u{104fb}'), ('\u{10c80}', '\u{10cb2}'), ('\u{10cc0}', '\u{10cf2}'), ('\u{118a0}', '\u{118df}'), ('\u{1e900}', '\u{1e943}'),
];

const DEEPSEEK3_CJK_SET: Set = Set::Ranges(&[('\u{4e00}', '\u{9fa5}'), ('\u{3040}', '\u{30ff}')]);
/// `[一-龥぀-ゟ゠-ヿ]+`.
const DEEPSEEK3_CJK: &[Step] = &[only(DEEPSEEK3_CJK_SET, ANY)];

/// ``[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+``.
const ASCII_SIGN_WORD: Step = run(
    Lead::Must(Set::Ranges(&[
        ('!', '/'),
        (':', '@'),
        ('[', '`'),
        ('{', '~'),
    ])),
    Set::Ranges(&[('A', 'Z'), ('a', 'z')]),
    ANY,
    Set::Nothing,
);
/// `[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+`.
const MARKED_WORD: Step = run(
    Lead::Maybe(Set::NotOf(NEWLINE | LETTER | PUNCTUATION | SYMBOL)),
    Set::Of(LETTER | MARK),
    ANY,
    Set::Nothing,
);

/// `ASCII_SIGN_WORD|MARKED_WORD| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`.
const DEEPSEEK3: &[Step] = &[
    ASCII_SIGN_WORD,
    MARKED_WORD,
    run(
        Lead::Maybe(BLANK),
        Set::Of(PUNCTUATION | SYMBOL),
        ANY,
        NEWLINES,
    ),
    Newlines,
    SpaceBeforeSpace,
    SPACES,
];

/// As `DEEPSEEK3` with newlines one by one: ` ?[\p{P}\p{S}]+|[\r\n]`.
const SPARK: &[Step] = &[
    ASCII_SIGN_WORD,
    MARKED_WORD,
    after_blank(Set::Of(PUNCTUATION | SYMBOL)),
    only(NEWLINES, 1),
    SpaceBeforeSpace,
    SPACES,
];

/// ` ?[^(\s|.,!?…。，、।۔،)]+`.
const BLOOM: &[Step] = &[after_blank(Set::NotOfNor(
    SPACE,
    &[
        '(', '|', '.', ',', '!', '?', '…', '。', '，', '、', '।', '۔', '،', ')',
    ],
))];
