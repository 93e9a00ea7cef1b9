//! Which tokens end a generation. Files often name only one of them, so the others are known by their text.
//!
//! Source of the texts and of the exceptions: llama.cpp's `llama-vocab.cpp`.

use super::index::Index;
use super::{SpecialIds, TokenKind};
use crate::gguf::{Gguf, GgufError, Strings};

/// All end ids, ascending. Tokens that are ends by their text become control tokens, whatever their kind in the
/// file; an `eot` and `eom` that the file does not name are filled in.
pub(super) fn find(
    gguf: &Gguf,
    texts: &Strings,
    index: &Index,
    kinds: &mut [TokenKind],
    special: &mut SpecialIds,
) -> Result<Vec<u32>, GgufError> {
    let find = |text: &str| index.get(texts, text.as_bytes());
    special.eot = special
        .eot
        .or_else(|| TURN_ENDS.iter().find_map(|text| find(text)));
    special.eom = special.eom.or_else(|| find("<|eom_id|>"));

    let mut ends: Vec<u32> = ENDS.iter().filter_map(|text| find(text)).collect();
    for id in ends.iter().copied().chain(special.eot).chain(special.eom) {
        set(kinds, id, TokenKind::Control);
    }
    for (key, names) in FILL_IN_ENDS {
        let named = gguf
            .optional::<u32>(key)?
            .filter(|&id| (id as usize) < texts.len());
        ends.extend(named.or_else(|| names.iter().find_map(|text| find(text))));
    }
    ends.extend(
        [special.eos, special.eot, special.eom]
            .into_iter()
            .flatten(),
    );

    for text in HARMONY_MARKS {
        if let Some(id) = find(text) {
            set(kinds, id, TokenKind::UserDefined);
        }
    }
    let has = |text: &str| find(text).is_some_and(|id| ends.contains(&id));
    let calls = has("<|call|>") || has("<|calls|>");
    let goes_on = calls && (has("<|return|>") || has("<|flush|>"));
    let taken_back = [
        ("<|end|>", goes_on, TokenKind::UserDefined),
        ("</s>", has("<|tool_response>"), TokenKind::Normal),
    ];
    for (text, applies, kind) in taken_back {
        if let Some(id) = find(text).filter(|_| applies) {
            ends.retain(|&end| end != id);
            set(kinds, id, kind);
        }
    }
    ends.sort_unstable();
    ends.dedup();
    Ok(ends)
}

fn set(kinds: &mut [TokenKind], id: u32, kind: TokenKind) {
    if let Some(slot) = kinds.get_mut(id as usize) {
        *slot = kind;
    }
}

/// Ends of a turn, the likeliest first.
const TURN_ENDS: [&str; 11] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<｜end▁of▁sentence｜>",
];

/// Every text that ends a generation wherever it is in a vocabulary.
const ENDS: [&str; 22] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

/// Ends of a piece of code that fills a gap: the key that may name one, and its texts.
const FILL_IN_ENDS: [(&str, &[&str]); 3] = [
    (
        "tokenizer.ggml.fim_pad_token_id",
        &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"],
    ),
    (
        "tokenizer.ggml.fim_rep_token_id",
        &[
            "<|fim_repo|>",
            "<|repo_name|>",
            "<fim-repo>",
            "<REPO>",
            "<reponame>",
        ],
    ),
    ("tokenizer.ggml.fim_sep_token_id", &["<|file_sep|>"]),
];

/// Marks of the harmony format, which are part of what a model says.
const HARMONY_MARKS: [&str; 4] = ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];
