"""Small tokenizers for random-weights models, complete enough for a real engine to serve.

Byte-level BPE (`tokenizer.ggml.model = "gpt2"`): all 256 bytes, so any text encodes, then
merges in a fixed order; and a WordPiece vocabulary for BERT. The words mean nothing.
"""

import itertools

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"]
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LETTERS = "etaoinshrdlcumwfgypbvkjxqz"


def byte_symbols():
    """GPT-2's printable stand-in for each byte: itself where it prints, else from U+0100 on."""
    prints = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = itertools.count(256)
    return [chr(b) if b in prints else chr(next(spare)) for b in range(256)]


def byte_level_bpe(size):
    """(tokens, merges) with `size` tokens; the last four are special."""
    symbols = byte_symbols()
    space = symbols[32]
    pairs = [(a, b) for a in space + LETTERS for b in LETTERS]
    triples = ((a + b, c) for (a, b) in pairs for c in LETTERS)
    quads = ((a + b + c, d) for (a, b) in pairs for c in LETTERS for d in LETTERS)
    wanted = size - len(symbols) - len(SPECIALS)
    merges = list(itertools.islice(itertools.chain(pairs, triples, quads), wanted))
    tokens = [*symbols, *(a + b for a, b in merges), *SPECIALS]
    if len(tokens) != size or len(set(tokens)) != size:
        raise ValueError(f"no vocabulary of {size} tokens")
    return tokens, [f"{a} {b}" for a, b in merges]


def wordpiece(size):
    """Tokens of a WordPiece vocabulary in GGUF's form: U+2581 marks the start of a word."""
    singles = LETTERS + "0123456789" + "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
    starts = ["\u2581" + c for c in singles] + list(LETTERS + "0123456789")
    longer = ["\u2581" + a + b for a in LETTERS for b in LETTERS]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *starts, *longer][:size]
    if len(tokens) != size:
        raise ValueError(f"no WordPiece vocabulary of {size} tokens")
    return tokens


def add_bpe(writer, size, pre, add_bos):
    """Writes the byte-level vocabulary and the chat template into a GGUF writer."""
    tokens, merges = byte_level_bpe(size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([1] * (size - 4) + [3] * 4)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(size - 4)
    writer.add_eos_token_id(size - 4)
    writer.add_eot_token_id(size - 2)
    writer.add_pad_token_id(size - 1)
    writer.add_add_bos_token(add_bos)
    writer.add_chat_template(CHAT_TEMPLATE)


def add_wordpiece(writer, tokens, types, pad, unk, cls, sep, mask):
    """Writes a WordPiece vocabulary (already in GGUF's form) into a GGUF writer."""
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("jina-v2-en")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_type_count(2)
    writer.add_pad_token_id(pad)
    writer.add_unk_token_id(unk)
    writer.add_bos_token_id(cls)
    writer.add_eos_token_id(sep)
    writer.add_sep_token_id(sep)
    writer.add_mask_token_id(mask)
