"""The tiny model's tokenizer, built from its own GGUF file with the `tokenizers` package.

Byte-level BPE with Qwen2's pre-tokenizer rule (`tokenizer.ggml.pre = "qwen2"`); nothing else.
"""

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from gguf_file import GgufFile

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def tiny_tokenizer(path):
    """A `tokenizers.Tokenizer`; adds no beginning-of-text token."""
    meta = GgufFile(path).meta
    if meta["tokenizer.ggml.pre"] != "qwen2":
        raise ValueError(f"`{path}` is not the tiny model: pre-tokenizer `{meta['tokenizer.ggml.pre']}`")
    vocabulary = {token: index for index, token in enumerate(meta["tokenizer.ggml.tokens"])}
    merges = [tuple(merge.split(" ")) for merge in meta["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
