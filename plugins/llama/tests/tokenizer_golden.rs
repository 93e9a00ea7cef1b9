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
