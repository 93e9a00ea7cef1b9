//! Golden ids and behaviour at the edges. The large comparison is `tests/reference/tokenizers_golden.py`.

use super::*;

fn tiny() -> Tokenizer {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../agent/assets/tiny/skep-tiny-q8_0.gguf"
    );
    let file = std::fs::read(path).unwrap();
    Tokenizer::from_gguf(&Gguf::parse(&file[..]).unwrap()).unwrap()
}

#[test]
fn tiny_model_round_trips() {
    let tokenizer = tiny();
    assert_eq!(tokenizer.vocab_len(), 4096);
    for text in [
        "The borrow checker",
        " a\r\n\tb  ",
        "naïve 👩‍👩‍👧 日本語",
        "\0\u{feff}",
    ] {
        let ids = tokenizer.encode(text, true, false).unwrap();
        assert_eq!(ids[0], 0);
        assert_eq!(tokenizer.decode(&ids, false), text);
    }
}

#[test]
fn users_cannot_write_control_tokens() {
    let tokenizer = tiny();
    let text = "<|user|>hi<|end|>";
    let plain = tokenizer.encode(text, false, false).unwrap();
    assert!(plain.iter().all(|&id| !tokenizer.is_control(id)));
    assert_eq!(tokenizer.decode(&plain, false), text);
    let parsed = tokenizer.encode(text, false, true).unwrap();
    let controls: Vec<_> = parsed
        .iter()
        .filter(|&&id| tokenizer.is_control(id))
        .collect();
    assert_eq!(controls.len(), 2);
    assert_eq!(tokenizer.decode(&parsed, false), "hi");
    assert_eq!(tokenizer.decode(&parsed, true), text);
}
