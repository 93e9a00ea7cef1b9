"""Writes the golden ids that `cargo test -p llama` compares with: small vocabularies and what they make of short texts.

Usage: tokenizer_fixture.py FOLDER, which for the repository is plugins/llama/tests/golden
"""

import json
import sys
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import tokenizer_files as files
from tokenizer_texts import CODE, ENGLISH, MARKS, NUMBERS, SIGNS, SPACES, WORDS, texts

ENOUGH = 100


def short_texts():
    return [text for text in texts(2_000, seed=3) if len(text) <= 60][:ENOUGH]


def corpus():
    """Few characters, so that vocabularies stay small."""
    lines = [" ".join(ENGLISH), *CODE, " ".join(NUMBERS[:20]), " ".join(SIGNS[:32])]
    return [line.encode("ascii", "ignore").decode() for line in lines] * 20


def wordpiece(path):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator([*corpus(), " ".join(WORDS)], trainers.WordPieceTrainer(
        vocab_size=900, special_tokens=special, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    files.write_wordpiece(path, tokenizer)
    return files.HuggingFace(tokenizer, adds_special=True)


def references(folder):
    for name in ("gpt-2", "llama-bpe", "qwen2", "tekken", "gpt-4o", "deepseek-llm", "deepseek-v3"):
        path = folder / f"{name}.gguf"
        tokenizer = files.byte_level(name, False, [*corpus(), " ".join(WORDS + MARKS), "".join(SPACES)], 500)
        files.write_byte_level(path, name, "llama", tokenizer)
        yield path, files.HuggingFace(tokenizer)
    for kind in ("bpe", "unigram"):
        path = folder / f"spm-{kind}.gguf"
        model = files.sentence_pieces(kind, corpus(), 500, hard_vocab_limit=False, byte_fallback=True,
                                      normalization_rule_name="identity", remove_extra_whitespaces=False)
        files.write_sentence_pieces(path, model)
        yield path, files.SentencePiece(sentencepiece.SentencePieceProcessor(model_proto=model), True)
    path = folder / "wordpiece.gguf"
    yield path, wordpiece(path)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    strings = short_texts()
    golden = []
    for path, reference in references(folder):
        golden.append({"file": path.name, "adds_special": reference.adds_special, "ids": reference.encode(strings, False)})
    (folder / "golden.json").write_text(json.dumps({"texts": strings, "tokenizers": golden}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
