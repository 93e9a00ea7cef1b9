"""Trains small tokenizers with the packages that publish models and writes each as a vocabulary-only GGUF file.

A `Reference` answers for one of them: what ids a text has, and what text ids have.
"""

import io
import json
from pathlib import Path

import gguf
import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from minilm import fetch
from vocabulary import add_wordpiece

# The word rules as the models' tokenizer.json files write them: a list of stages for each name.
SPACES = r"\s+(?!\S)|\s+"
FOLD = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
SIGNS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
SIGNS_SLASH = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
LEAD = r"[^\r\n\p{L}\p{N}]?"


def cased(after=""):
    return f"{LEAD}{UPPER}*{LOWER}+{after}|{LEAD}{UPPER}+{LOWER}*{after}"


GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|" + SPACES
LLAMA3 = rf"{FOLD}|{LETTERS}|\p{{N}}{{1,3}}|{SIGNS}|\s*[\r\n]+|{SPACES}"
QWEN2 = rf"{FOLD}|{LETTERS}|\p{{N}}|{SIGNS}|\s*[\r\n]+|{SPACES}"
DEEPSEEK3 = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
             r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|" + SPACES)
DEEPSEEK_CJK = r"[\x{4E00}-\x{9FA5}\x{0800}-\x{4E00}\x{AC00}-\x{D7FF}]+"
DEEPSEEK_SIGNS = r"\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+"
DEEPSEEK_LETTERS = r"\s?[@LETTERS@]+"
RULES = {
    "gpt-2": ["bytes"],
    "llama-bpe": [LLAMA3],
    "dbrx": [LLAMA3],
    "qwen2": [QWEN2],
    "qwen35": [rf"{FOLD}|{LEAD}[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|{SPACES}"],
    "tekken": [rf"{cased()}|\p{{N}}|{SIGNS_SLASH}|\s*[\r\n]+|{SPACES}"],
    "gpt-4o": [rf"{cased(FOLD + '?')}|\p{{N}}{{1,3}}|{SIGNS_SLASH}|\s*[\r\n]+|{SPACES}"],
    "deepseek-llm": [r"[\r\n]", DEEPSEEK_LETTERS, DEEPSEEK_SIGNS, r"\s+$", DEEPSEEK_CJK, "digits"],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", DEEPSEEK_CJK, "digits"],
    "deepseek-v3": [r"\p{N}{1,3}", r"[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+", DEEPSEEK3],
    "starcoder": ["digits", "bytes"],
    "bloom": [r" ?[^(\s|.,!?…。，、।۔،)]+"],
    "viking": [r" ?[^(\s|.,!?…。，、।۔،)]+", "digits"],
    "seed-coder": [rf"{FOLD}|{LETTERS}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|\s*[\r\n]+|{SPACES}"],
    "bailingmoe": [r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|" + SPACES],
    "jais-2": [rf"{FOLD}|{LETTERS}|\p{{N}}{{1,3}}|{SIGNS}|\s*[\r\n]+|" + "|".join(rf"\s{{{n}}}(?!\S)" for n in (512, 256, 128, 64, 32, 16, 8, 4))
               + r"|\s{1,2}(?!\S)|\s{1}"],
}
WHOLE_WORDS = {"llama-bpe", "tekken"}
CONTROL, USER = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], ["<tool>", "<user_piece>"]


class HuggingFace:
    """A tokenizer of the `tokenizers` package."""

    lossless = True

    def __init__(self, tokenizer, adds_special=False):
        self.tokenizer, self.adds_special = tokenizer, adds_special

    def encode(self, texts, parse_special):
        self.tokenizer.encode_special_tokens = not parse_special
        return [e.ids for e in self.tokenizer.encode_batch(texts, add_special_tokens=self.adds_special)]


class SentencePiece:
    """A tokenizer of the `sentencepiece` package. It never finds control tokens in text."""

    def __init__(self, processor, lossless):
        self.processor, self.lossless, self.adds_special = processor, lossless, False

    def encode(self, texts, parse_special):
        return self.processor.encode(texts, out_type=int)


def stage(rule):
    if rule == "digits":
        return pre_tokenizers.Digits(individual_digits=True)
    if rule == "bytes":
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    return pre_tokenizers.Split(Regex(rule), "isolated")


def byte_level(name, composed, corpus, size):
    """A byte-level BPE with the word rule `name`, trained on `corpus`; `composed` puts NFC in front."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=name in WHOLE_WORDS))
    stages = [stage(rule.replace("@LETTERS@", LETTER_RANGES)) for rule in RULES[name]]
    if RULES[name][-1] != "bytes":
        stages.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(stages)
    tokenizer.decoder = decoders.ByteLevel()
    if composed:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=size, special_tokens=CONTROL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in USER])
    return tokenizer


def write_byte_level(path, name, architecture, tokenizer):
    state = json.loads(tokenizer.to_str())
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    tokens = sorted(vocabulary, key=vocabulary.get)
    kinds = {text: 3 for text in CONTROL} | {text: 4 for text in USER}
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(name)
    writer.add_token_list(tokens)
    writer.add_token_types([kinds.get(token, 1) for token in tokens])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in state["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    close(writer)


def sentence_pieces(kind, corpus, size, **options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=model, model_type=kind, vocab_size=size, minloglevel=2,
        user_defined_symbols=USER, control_symbols=["<ctrl>"], num_threads=1, max_sentence_length=100_000, **options)
    return model.getvalue()


def write_sentence_pieces(path, model):
    proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    is_unigram = proto.trainer_spec.model_type == proto.trainer_spec.UNIGRAM
    writer = gguf.GGUFWriter(path, "t5" if is_unigram else "llama")
    writer.add_tokenizer_model("t5" if is_unigram else "llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([piece.piece.encode() for piece in proto.pieces])
    writer.add_token_scores([piece.score for piece in proto.pieces])
    # SentencePiece numbers its kinds as GGUF does.
    writer.add_token_types([piece.type for piece in proto.pieces])
    writer.add_add_space_prefix(proto.normalizer_spec.add_dummy_prefix)
    writer.add_remove_extra_whitespaces(proto.normalizer_spec.remove_extra_whitespaces)
    if proto.normalizer_spec.precompiled_charsmap:
        writer.add_precompiled_charsmap(proto.normalizer_spec.precompiled_charsmap)
    writer.add_unk_token_id(proto.trainer_spec.unk_id)
    writer.add_bos_token_id(proto.trainer_spec.bos_id)
    writer.add_eos_token_id(proto.trainer_spec.eos_id)
    close(writer)


def minilm(folder):
    """MiniLM's own tokenizer without truncation and padding."""
    tokenizer = Tokenizer.from_file(str(fetch(folder) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def write_wordpiece(path, tokenizer):
    vocabulary = tokenizer.get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.get)
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    writer = gguf.GGUFWriter(path, "bert")
    add_wordpiece(writer, [mark(token) for token in tokens], [3 if token in special else 1 for token in tokens],
                  *(vocabulary[token] for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")))
    close(writer)


def mark(token):
    """A WordPiece token as GGUF files write it."""
    if token.startswith("[") and token.endswith("]"):
        return token
    return token[2:] if token.startswith("##") else "\u2581" + token


def close(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


# The letters of deepseek-llm's rule, every cased letter of Unicode 12, as that rule lists them.
LETTER_RANGES = Path(__file__).with_name("deepseek_letters.txt").read_text().strip()
