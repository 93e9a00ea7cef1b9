"""Holds the plugin's tokenizers against `tokenizers` and `sentencepiece`, id for id.

Trains a vocabulary for each word rule and each kind of SentencePiece model, takes the tiny model's and MiniLM's real
ones, and compares the ids of 10,000 strings of mixed scripts, code, emoji and broken white space, with and without
control tokens in the text; and, where nothing is lost, that ids decode to the text they came from.

Usage: tokenizers_golden.py FOLDER [--strings N] [--only NAME] [--code-points] [--tokenize BINARY]
       [--tiny-json FILE]
FOLDER keeps the files (and MiniLM, 83 MB, fetched once). BINARY is `cargo build --release -p llama --example tokenize`,
built when it is not given.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer

import tokenizer_files as files
from report import Checks
from tiny_tokenizer import tiny_tokenizer
from tokenizer_texts import code_points, texts

ROOT = Path(__file__).resolve().parents[2]
PIECES = {
    "spm-bpe-bytes": ("bpe", dict(byte_fallback=True, character_coverage=0.98, normalization_rule_name="identity", remove_extra_whitespaces=False)),
    "spm-bpe-no-prefix": ("bpe", dict(byte_fallback=True, character_coverage=0.98, normalization_rule_name="identity", remove_extra_whitespaces=False,
                                      add_dummy_prefix=False, split_by_whitespace=False, allow_whitespace_only_pieces=True)),
    "spm-bpe-unknown": ("bpe", dict(byte_fallback=False, normalization_rule_name="nmt_nfkc", character_coverage=0.98)),
    "spm-unigram-bytes": ("unigram", dict(hard_vocab_limit=False, byte_fallback=True, character_coverage=0.98, normalization_rule_name="identity", remove_extra_whitespaces=False)),
    "spm-unigram-nfkc": ("unigram", dict(hard_vocab_limit=False, byte_fallback=False, normalization_rule_name="nmt_nfkc", character_coverage=0.98)),
    "spm-unigram-nfkc-cf": ("unigram", dict(hard_vocab_limit=False, byte_fallback=False, normalization_rule_name="nmt_nfkc_cf", character_coverage=0.98)),
}


def references(folder, corpus, only, tiny_json):
    """Every tokenizer to compare, as (name, GGUF file, reference), each made when its turn comes."""
    def wanted(name):
        return only is None or only in name

    if wanted("tiny"):
        path = ROOT / "agent/assets/tiny/skep-tiny-q8_0.gguf"
        tokenizer = Tokenizer.from_file(str(tiny_json)) if tiny_json else tiny_tokenizer(path)
        tokenizer.add_special_tokens(["<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>"])
        yield "tiny", path, files.HuggingFace(tokenizer)
    for name in files.RULES:
        for architecture, composed in [("llama", False)] + [("qwen2", True)] * (name == "qwen2"):
            label = f"bpe-{name}" + "-nfc" * composed
            if wanted(label):
                tokenizer = files.byte_level(name, composed, corpus, 3000)
                files.write_byte_level(folder / f"{label}.gguf", name, architecture, tokenizer)
                reference = files.HuggingFace(tokenizer)
                reference.lossless = not composed
                yield label, folder / f"{label}.gguf", reference
    for name, (kind, options) in PIECES.items():
        if wanted(name):
            model = files.sentence_pieces(kind, corpus, 8000, **options)
            files.write_sentence_pieces(folder / f"{name}.gguf", model)
            processor = sentencepiece.SentencePieceProcessor(model_proto=model)
            yield name, folder / f"{name}.gguf", files.SentencePiece(processor, options.get("byte_fallback", False))
    if wanted("minilm"):
        tokenizer = files.minilm(folder)
        files.write_wordpiece(folder / "minilm.gguf", tokenizer)
        reference = files.HuggingFace(tokenizer, adds_special=True)
        reference.lossless = False
        yield "minilm", folder / "minilm.gguf", reference


def run(binary, path, lines, *flags):
    """What the plugin's tokenizer answers, line by line."""
    given = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([binary, str(path), *flags], input=given, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def compare(checks, binary, name, path, reference, strings):
    for parse_special in (False, True):
        if parse_special and isinstance(reference, files.SentencePiece):
            continue
        expected = reference.encode(strings, parse_special)
        flags = ["parse-special"] * parse_special + ["add-special"] * reference.adds_special
        found = run(binary, path, strings, *flags)
        differ = [i for i, (a, b) in enumerate(zip(expected, found, strict=True)) if a != b]
        label = name + (" with control tokens" if parse_special else "")
        checks.verdict(label, not differ, f"{len(strings) - len(differ)} passed, {len(differ)} failed")
        for i in differ[:3]:
            show(strings[i], expected[i], found[i])
    if reference.lossless:
        texts = run(binary, path, found, "decode")
        # Spaces and U+2581 are the same to SentencePiece.
        same = {"\u2581": " "} if isinstance(reference, files.SentencePiece) else {}
        table = str.maketrans(same)
        differ = [i for i, (a, b) in enumerate(zip(strings, texts, strict=True)) if a.translate(table) != b]
        checks.verdict(f"{name} round trip", not differ, f"{len(strings) - len(differ)} passed, {len(differ)} failed")
        for i in differ[:3]:
            print("   ", ascii(strings[i])[:300], "->", ascii(texts[i])[:300])


def show(text, expected, found):
    """The first place where ids differ."""
    at = next((i for i, (a, b) in enumerate(zip(expected, found)) if a != b), min(len(expected), len(found)))
    print(f"    {ascii(text)[:400]}\n    at {at}: expected {expected[max(0, at - 2):at + 6]}, found {found[max(0, at - 2):at + 6]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--strings", type=int, default=10_000)
    parser.add_argument("--only", help="only tokenizers whose name contains this")
    parser.add_argument("--code-points", action="store_true", help="every code point of Unicode instead of the strings")
    parser.add_argument("--tiny-json", type=Path, help="the tiny model's tokenizer.json; else it is built from the GGUF file")
    parser.add_argument("--tokenize", help="the built example, if it is built already")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    binary = arguments.tokenize
    if binary is None:
        subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "llama", "--example", "tokenize"], cwd=ROOT, check=True)
        binary = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples/tokenize"
    strings = code_points() if arguments.code_points else texts(arguments.strings, seed=1)
    corpus = texts(5_000, seed=2, special=False)
    checks = Checks()
    for name, path, reference in references(arguments.folder, corpus, arguments.only, arguments.tiny_json):
        checks.attempt(name, compare, checks, binary, name, path, reference, strings)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
