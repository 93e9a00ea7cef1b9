//! The word rules by the names that files give them.
//!
//! Sources: the `pre_tokenizer` entries of the models' published `tokenizer.json` files, and llama.cpp's
//! `llama-vocab.cpp` for which names share a rule. Each table spells out the regular expression in its comment.

use super::step::Step;

mod deepseek;
mod words;

use deepseek::*;
use words::*;

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
