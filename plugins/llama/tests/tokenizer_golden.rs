//! Ids that the `tokenizers` and `sentencepiece` packages gave once for short texts of every kind, written by
//! `tests/reference/tokenizer_fixture.py`.

use std::path::Path;

use llama::gguf::Gguf;
use llama::tokenizer::Tokenizer;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    texts: Vec<String>,
    tokenizers: Vec<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    file: String,
    adds_special: bool,
    /// For each text.
    ids: Vec<Vec<u32>>,
}

#[test]
fn ids_are_those_of_the_reference() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let golden = std::fs::read_to_string(folder.join("golden.json")).unwrap();
    let golden: Golden = serde_json::from_str(&golden).unwrap();
    assert_eq!((golden.texts.len(), golden.tokenizers.len()), (100, 10));
    for reference in golden.tokenizers {
        let file = std::fs::read(folder.join(&reference.file)).unwrap();
        let tokenizer = Tokenizer::from_gguf(&Gguf::parse(&file[..]).unwrap()).unwrap();
        assert_eq!(reference.ids.len(), golden.texts.len());
        for (text, expected) in golden.texts.iter().zip(&reference.ids) {
            let found = tokenizer
                .encode(text, reference.adds_special, false)
                .unwrap();
            assert_eq!(found, *expected, "{}: {text:?}", reference.file);
            let is_lossless = !reference.file.starts_with("wordpiece");
            if is_lossless {
                // SentencePiece itself writes spaces as U+2581 and cannot tell the two apart afterwards.
                let spaced = if reference.file.starts_with("spm") {
                    text.replace('\u{2581}', " ")
                } else {
                    text.clone()
                };
                assert_eq!(tokenizer.decode(&found, true), spaced, "{}", reference.file);
            }
        }
    }
}

/// Damage makes an error or another tokenizer, never a panic, and what still works keeps within its vocabulary.
#[test]
fn damaged_vocabularies_are_contained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for name in ["gpt-4o", "llama-bpe", "spm-bpe", "spm-unigram", "wordpiece"] {
        let whole = std::fs::read(folder.join(name).with_extension("gguf")).unwrap();
        let mut accepted = 0;
        for step in 0..400 {
            let mut damaged = whole.clone();
            // A prime far from a power of two spreads the flips over the whole file.
            let bit = step * 104_729 % (whole.len() * 8);
            damaged[bit / 8] ^= 1 << (bit % 8);
            let Ok(gguf) = Gguf::parse(&damaged[..]) else {
                continue;
            };
            let Ok(tokenizer) = Tokenizer::from_gguf(&gguf) else {
                continue;
            };
            accepted += 1;
            for text in [
                "Hello, wörld! 漢字 ▁ 123 </s><|im_end|> \u{10ffff}\0",
                "a  b\n\n<tool>\t",
            ] {
                let ids = tokenizer.encode(text, true, true).unwrap();
                assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_len()));
                tokenizer.decode(&ids, true);
            }
        }
        assert!(accepted > 0, "{name}: no damaged file was read at all");
    }
}
