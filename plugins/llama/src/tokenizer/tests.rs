//! Hostile vocabularies, what users may not write, and text that comes a piece at a time. Golden ids are in
//! `tests/tokenizer_golden.rs`; the large comparison is `tests/reference/tokenizers_golden.py`.

use std::collections::BTreeMap;

use super::*;
use crate::gguf::{Array, Metadata, Strings, Value};

/// Metadata under `tokenizer.ggml.`, right or wrong.
struct Keys(Vec<(String, Value)>);

impl Keys {
    fn new(model: &str) -> Self {
        Self(Vec::new()).with("model", Value::String(model.to_owned()))
    }

    /// A byte-level vocabulary: every byte, then `more`.
    fn byte_level(more: &[&str], merges: &[&str]) -> Self {
        let bytes = (0..=u8::MAX).map(|byte| byte_level::char_of(byte).to_string());
        let tokens = bytes.chain(more.iter().map(|&text| text.to_owned()));
        Self::new("gpt2")
            .with("pre", Value::String("gpt-2".to_owned()))
            .with("tokens", strings(tokens))
            .with(
                "merges",
                strings(merges.iter().map(|&merge| merge.to_owned())),
            )
    }

    /// A SentencePiece vocabulary: unknown, begin, end, the byte tokens, then `more` in falling order of score.
    fn pieces(model: &str, more: &[&str]) -> Self {
        let bytes = (0..=u8::MAX).map(|byte| format!("<0x{byte:02X}>"));
        let first = ["<unk>", "<s>", "</s>"].map(str::to_owned);
        let tokens: Vec<_> = first
            .into_iter()
            .chain(bytes)
            .chain(more.iter().map(|&text| text.to_owned()))
            .collect();
        let kinds = (0..tokens.len()).map(|id| match id {
            0 => 2,
            1 | 2 => 3,
            3..259 => 6,
            _ => 1,
        });
        let scores = (0..tokens.len()).map(|id| -(id as f32) / 8.0);
        Self::new(model)
            .with("token_type", Value::Array(Array::I32(kinds.collect())))
            .with("scores", Value::Array(Array::F32(scores.collect())))
            .with("unknown_token_id", Value::U32(0))
            .with("tokens", strings(tokens))
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        let key = format!("tokenizer.ggml.{key}");
        self.0.retain(|(held, _)| *held != key);
        self.0.push((key, value));
        self
    }

    fn without(mut self, key: &str) -> Self {
        self.0
            .retain(|(held, _)| held.strip_prefix("tokenizer.ggml.") != Some(key));
        self
    }

    /// Kinds for the last tokens; all others are normal.
    fn kinds(self, last: &[i32]) -> Self {
        let tokens = self.0.iter().find_map(|(key, value)| match value {
            Value::Array(Array::Strings(tokens)) if key.ends_with(".tokens") => Some(tokens.len()),
            _ => None,
        });
        let mut kinds = vec![1; tokens.unwrap() - last.len()];
        kinds.extend_from_slice(last);
        self.with("token_type", Value::Array(Array::I32(kinds)))
    }

    fn read(self) -> Result<Tokenizer, TokenizerError> {
        Tokenizer::from_gguf(&Gguf {
            version: 3,
            alignment: 32,
            data_offset: 0,
            metadata: self.0.into_iter().collect::<Metadata>(),
            tensors: BTreeMap::new(),
        })
    }
}

fn strings<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Value {
    Value::Array(Array::Strings(texts.into_iter().collect::<Strings>()))
}

fn tiny() -> Tokenizer {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../agent/assets/tiny/skep-tiny-q8_0.gguf"
    );
    let file = std::fs::read(path).unwrap();
    Tokenizer::from_gguf(&Gguf::parse(&file[..]).unwrap()).unwrap()
}

#[test]
fn refuses_damaged_vocabularies() {
    fn check(keys: Keys, expected: &str) {
        let found = keys
            .read()
            .map(|_| "accepted".to_owned())
            .unwrap_or_else(|error| error.to_string());
        assert_eq!(found, expected);
    }
    let bpe = || Keys::byte_level(&["ab"], &["a b"]);
    let spm = || Keys::pieces("llama", &["a"]);
    check(bpe(), "accepted");
    check(spm(), "accepted");
    check(bpe().without("model"), "missing key `tokenizer.ggml.model`");
    check(
        bpe().with("model", Value::U32(1)),
        "key `tokenizer.ggml.model` is the integer 1, expected string",
    );
    check(
        bpe().with("model", Value::String("x".into())),
        "unknown tokenizer model `x`; known are gpt2, llama, t5 and bert",
    );
    check(
        bpe().with("pre", Value::String("x".into())),
        "unknown pre-tokenizer `x` in `tokenizer.ggml.pre`",
    );
    check(
        bpe().without("tokens"),
        "missing key `tokenizer.ggml.tokens`",
    );
    check(
        bpe().with("tokens", strings([""; 0])),
        "the vocabulary is empty",
    );
    check(
        bpe().with("tokens", strings(vec![""; TOKENS_MAX + 1])),
        "the vocabulary has 1048577 tokens, more than the 1048576 allowed",
    );
    check(
        bpe().with("tokens", strings(["a".repeat(1025)])),
        "token 0 has 1025 bytes, more than the 1024 allowed",
    );
    check(
        bpe().with("tokens", strings(vec!["a".repeat(1024); 16_385])),
        "the tokens have 16778240 bytes together, more than the 16777216 allowed",
    );
    check(
        bpe().without("merges"),
        "missing key `tokenizer.ggml.merges`",
    );
    for merge in ["ab", "a  b", "a c ", "", " ", "zz b"] {
        check(
            bpe().with("merges", strings(["a b", merge])),
            &format!("merge 1 (`{merge}`) is not two tokens that make a third"),
        );
    }
    check(
        bpe().with("token_type", Value::Array(Array::I32(vec![1; 3]))),
        "key `tokenizer.ggml.token_type` has 3 entries for 257 tokens",
    );
    check(
        spm().without("scores"),
        "missing key `tokenizer.ggml.scores`",
    );
    check(
        spm().with("scores", Value::Array(Array::F32(vec![0.0; 9]))),
        "key `tokenizer.ggml.scores` has 9 entries for 260 tokens",
    );
    check(
        spm().with("scores", Value::Array(Array::F32(vec![f32::NAN; 260]))),
        "the score of token 0 is not a finite number",
    );
    check(
        bpe().with("add_bos_token", Value::Bool(true)),
        "`tokenizer.ggml.add_bos_token` is set, but the file names no such token",
    );
    check(
        bpe()
            .with("add_bos_token", Value::Bool(true))
            .with("bos_token_id", Value::I32(-1)),
        "`tokenizer.ggml.add_bos_token` is set, but the file names no such token",
    );
    check(bpe().with("bos_token_id", Value::U32(u32::MAX)), "accepted");
    check(
        bpe().with("bos_token_id", Value::F32(1.0)),
        "key `tokenizer.ggml.bos_token_id` is a float, expected i64",
    );
}

#[test]
fn refuses_damaged_normalisation_tables() {
    let map = |bytes: &[u8]| {
        Keys::pieces("t5", &["a"])
            .with(
                "precompiled_charsmap",
                Value::Array(Array::U8(bytes.to_vec())),
            )
            .read()
            .map(|_| ())
    };
    let refused = |why| Err(TokenizerError::Charsmap(why));
    assert_eq!(map(&[1]), refused("it is cut off"));
    assert_eq!(map(&[255; 16]), refused("its trie is longer than itself"));
    assert_eq!(
        map(&[3, 0, 0, 0, 0, 0, 0, 0]),
        refused("its trie is not whole units")
    );
    assert_eq!(
        map(&[4, 0, 0, 0, 0, 0, 0, 0, 0xff]),
        refused("its replacements are not valid UTF-8")
    );
    assert_eq!(
        map(&[4, 0, 0, 0, 0, 0, 0, 0, b'a']),
        refused("its last replacement has no end")
    );
    // A trie that points everywhere does no more than miss.
    let mut wild = vec![0, 4, 0, 0];
    wild.extend((0..256_u32).flat_map(|unit| unit.wrapping_mul(0x9e37_79b9).to_le_bytes()));
    wild.push(0);
    let wild =
        Keys::pieces("t5", &["a"]).with("precompiled_charsmap", Value::Array(Array::U8(wild)));
    let ids = wild
        .read()
        .unwrap()
        .encode("any text, é, 漢字, \u{10ffff}", true, true)
        .unwrap();
    assert!(!ids.is_empty());
}

#[test]
fn users_cannot_write_control_tokens() {
    let tokenizer = tiny();
    let text = "<|user|>hi<|end|>";
    let plain = tokenizer.encode(text, false, false).unwrap();
    assert!(plain.iter().all(|&id| !tokenizer.is_control(id)));
    assert_eq!(tokenizer.decode(&plain, false), text);
    let parsed = tokenizer.encode(text, false, true).unwrap();
    assert_eq!(
        parsed
            .iter()
            .filter(|&&id| tokenizer.is_control(id))
            .count(),
        2
    );
    assert_eq!(tokenizer.decode(&parsed, false), "hi");
    assert_eq!(tokenizer.decode(&parsed, true), text);
}

#[test]
fn merges_never_make_control_tokens() {
    let merges = ["< |", "<| x", "<|x |", "<|x| >"];
    let more = ["<|", "<|x", "<|x|", "<|x|>"];
    let keys = Keys::byte_level(&more, &merges).kinds(&[3]);
    for pre in ["gpt-2", "llama-bpe"] {
        let tokenizer = Keys(keys.0.clone()).with("pre", Value::String(pre.into()));
        let tokenizer = tokenizer
            .with("bos_token_id", Value::U32(0))
            .read()
            .unwrap();
        assert!(
            !tokenizer
                .encode("<|x|>", false, false)
                .unwrap()
                .contains(&259),
            "{pre}"
        );
        assert_eq!(
            tokenizer.encode("<|x|>", false, true).unwrap(),
            [259],
            "{pre}"
        );
    }
    let spm = Keys::pieces("llama", &["▁", "▁</", "</", "s", ">", "/", "<"])
        .read()
        .unwrap();
    assert!(!spm.encode("</s>", false, false).unwrap().contains(&2));
    assert_eq!(spm.encode("</s>", false, true).unwrap(), [2]);
}

#[test]
fn the_longest_special_token_at_the_leftmost_place_wins() {
    let keys = Keys::byte_level(&["<a>", "<a><b>", "<b>c", "<u>"], &[]).kinds(&[3, 3, 3, 4]);
    let tokenizer = keys.read().unwrap();
    let encode = |text, parse| tokenizer.encode(text, false, parse).unwrap();
    assert_eq!(encode("<a><b>c", true), [257, u32::from(b'c')]);
    assert_eq!(encode("<a><a><b>", true), [256, 257]);
    assert_eq!(encode("x<u>", false), [u32::from(b'x'), 259]);
    assert_eq!(
        encode("<a>", false),
        [u32::from(b'<'), u32::from(b'a'), u32::from(b'>')]
    );
}

#[test]
fn ends_are_found_by_name_and_by_text() {
    let ends = |keys: Keys| keys.read().unwrap().ends().to_vec();
    let more = [
        "<|eot_id|>",
        "<|im_end|>",
        "<|end|>",
        "<|return|>",
        "<|call|>",
    ];
    let id = |index: u32| Value::U32(index);
    assert_eq!(ends(Keys::byte_level(&["x"], &[])), [0_u32; 0]);
    assert_eq!(
        ends(Keys::byte_level(&["x"], &[]).with("eos_token_id", id(256))),
        [256]
    );
    assert_eq!(
        ends(Keys::byte_level(&more[..2], &[]).with("eos_token_id", id(3))),
        [3, 256, 257]
    );
    assert_eq!(ends(Keys::byte_level(&more[..3], &[])), [256, 257, 258]);
    // In the harmony format an end is only the end of a message.
    let harmony = Keys::byte_level(&more[2..], &[])
        .kinds(&[3, 3, 3])
        .read()
        .unwrap();
    assert_eq!(harmony.ends(), [257, 258]);
    assert_eq!(harmony.kind(256), TokenKind::UserDefined);
    let turns = Keys::byte_level(&more[..2], &[]).read().unwrap();
    assert_eq!(turns.special_ids().eot, Some(256));
    assert!(turns.is_end(257) && turns.is_control(257) && !turns.is_end(9));
}

#[test]
fn streams_never_split_a_character() {
    let tokenizer = Keys::byte_level(&[], &[]).read().unwrap();
    let stream = |bytes: &[u8]| {
        let mut decoder = Decoder::new(LeadingSpace::Keep, false);
        let mut parts: Vec<_> = bytes
            .iter()
            .map(|&byte| decoder.push(&tokenizer, u32::from(byte)))
            .collect();
        parts.push(decoder.finish());
        parts
    };
    assert_eq!(stream("é".as_bytes()), ["", "é", ""]);
    assert_eq!(stream("🐝".as_bytes()), ["", "", "", "🐝", ""]);
    // U+FFFD comes as soon as the character can no longer become whole, and not before.
    assert_eq!(stream(b"\xf0\x9fa"), ["", "", "\u{fffd}a", ""]);
    assert_eq!(stream(b"\x80\xffb"), ["\u{fffd}", "\u{fffd}", "b", ""]);
    assert_eq!(stream(b"\xe4\xb8"), ["", "", "\u{fffd}"]);
    assert_eq!(stream(b"\xf0\xe4\xb8\xad"), ["", "\u{fffd}", "", "中", ""]);
}

#[test]
fn sentence_pieces_stream_bytes_and_spaces() {
    let tokenizer = Keys::pieces("llama", &["▁a", "a", "▁"]).read().unwrap();
    let ids = tokenizer.encode("a é", false, false).unwrap();
    assert_eq!(ids, [259, 261, 3 + 0xc3, 3 + 0xa9]);
    assert_eq!(tokenizer.decode(&ids, false), "a é");
    let mut decoder = Decoder::new(LeadingSpace::Keep, false);
    let parts: Vec<_> = ids.iter().map(|&id| decoder.push(&tokenizer, id)).collect();
    assert_eq!(parts, [" a", " ", "", "é"]);
    // Every sequence begins with the beginning token unless the file says otherwise; that prints nothing.
    let ids = tokenizer.encode("a", true, false).unwrap();
    assert_eq!(ids, [1, 259]);
    assert_eq!(tokenizer.decode(&ids, false), "a");
    assert_eq!(tokenizer.decode(&ids, true), "<s> a");
}

#[test]
fn ids_out_of_range_are_nothing() {
    let tokenizer = tiny();
    assert_eq!(tokenizer.token_bytes(u32::MAX), b"");
    assert_eq!(tokenizer.decode(&[u32::MAX, 4096], true), "");
    assert_eq!(tokenizer.kind(4096), TokenKind::Unknown);
}

#[test]
fn long_texts_take_no_more_than_their_share() {
    let bpe = Keys::byte_level(&["aa", "aaaa"], &["a a", "aa aa"])
        .read()
        .unwrap();
    let spm = Keys::pieces("llama", &["aaaa", "aa", "a", "▁"])
        .read()
        .unwrap();
    let unigram = Keys::pieces("t5", &["aaaa", "aa", "a", "▁"])
        .read()
        .unwrap();
    // Quadratic work on these would take hours.
    for text in [
        "a".repeat(1 << 18),
        " ".repeat(1 << 18),
        "<".repeat(1 << 18),
    ] {
        for tokenizer in [&bpe, &spm, &unigram] {
            let ids = tokenizer.encode(&text, false, true).unwrap();
            assert_eq!(tokenizer.decode(&ids, false), text);
        }
    }
    let long = " ".repeat(TEXT_BYTES_MAX + 1);
    assert_eq!(
        bpe.encode(&long, false, false),
        Err(TokenizerError::TextTooLong(TEXT_BYTES_MAX + 1))
    );
}
