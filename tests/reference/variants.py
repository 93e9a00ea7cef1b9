"""The random-weights models that tests use: configurations, and weights under Hugging Face names.

Field names and tensor names are those of Hugging Face's `config.json` and checkpoints, so
that `make_goldens.py` can load the same weights into `transformers` and `convert.py` has to
do what a real converter does. Weights depend on the name of the variant alone.
"""

import math
import zlib

import numpy as np

BASE = {
    "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 8,
    "num_key_value_heads": 4, "vocab_size": 512, "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False,
}
GEMMA2 = {
    "model_type": "gemma2", "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 64, "rms_norm_eps": 1e-6, "tie_word_embeddings": True, "sliding_window": 16,
    "attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0, "query_pre_attn_scalar": 64,
}
GEMMA3 = {
    "model_type": "gemma3_text", "num_hidden_layers": 7, "num_attention_heads": 4, "num_key_value_heads": 1,
    "head_dim": 64, "rms_norm_eps": 1e-6, "tie_word_embeddings": True, "sliding_window": 16,
    "rope_theta": 1e6, "rope_local_base_freq": 10000.0, "query_pre_attn_scalar": 64,
}
NARROW_27B = {  # the 27B Gemmas scale queries by width / heads, and only their layer count tells
    "hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1,
    "head_dim": 64, "query_pre_attn_scalar": 32,
}
LONGROPE = {
    "rope_type": "longrope", "original_max_position_embeddings": 32,
    "short_factor": [1.0 + 0.02 * i for i in range(16)], "long_factor": [1.0 + 0.4 * i for i in range(16)],
}
BERT = {
    "model_type": "bert", "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2,
    "num_attention_heads": 8, "vocab_size": 512, "max_position_embeddings": 128, "type_vocab_size": 2,
    "layer_norm_eps": 1e-12, "hidden_act": "gelu", "pooling": "mean",
}


def _with(base, **changes):
    return {**base, **changes}


# The first of each architecture is made in every tensor type, the others in F32 alone.
VARIANTS = {
    "llama": _with(BASE, model_type="llama"),
    "llama-mha-tied": _with(BASE, model_type="llama", num_key_value_heads=8, tie_word_embeddings=True),
    "llama-mqa-head64": _with(BASE, model_type="llama", num_key_value_heads=1, head_dim=64),
    "llama-linear": _with(BASE, model_type="llama", rope_scaling={"rope_type": "linear", "factor": 4.0}),
    "llama-llama3": _with(BASE, model_type="llama", rope_theta=500000.0, rope_scaling={
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64}),
    "mistral": _with(BASE, model_type="mistral", num_key_value_heads=2, sliding_window=16),
    "qwen2": _with(BASE, model_type="qwen2", num_key_value_heads=2, rope_theta=1e6, rms_norm_eps=1e-6),
    "qwen2-tied-yarn": _with(BASE, model_type="qwen2", tie_word_embeddings=True, rope_scaling={
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}),
    "qwen3": _with(BASE, model_type="qwen3", head_dim=64, num_key_value_heads=2, rope_theta=1e6,
                   rms_norm_eps=1e-6, tie_word_embeddings=True),
    "qwen3-untied": _with(BASE, model_type="qwen3", head_dim=32, num_key_value_heads=1),
    "gemma2": _with(BASE, **GEMMA2),
    "gemma2-27b": _with(BASE, **GEMMA2) | NARROW_27B | {"num_hidden_layers": 46},
    "gemma3": _with(BASE, **GEMMA3),
    "gemma3-linear": _with(BASE, **GEMMA3) | {"rope_scaling": {"rope_type": "linear", "factor": 8.0}},
    "gemma3-27b": _with(BASE, **GEMMA3) | NARROW_27B | {"num_hidden_layers": 62},
    "phi3": _with(BASE, model_type="phi3", num_key_value_heads=8),
    "phi3-gqa-window": _with(BASE, model_type="phi3", sliding_window=16),
    "phi3-longrope-short": _with(BASE, model_type="phi3", max_position_embeddings=32, rope_scaling=LONGROPE),
    "phi3-longrope-long": _with(BASE, model_type="phi3", max_position_embeddings=256, rope_scaling=LONGROPE),
    "phi3-partial": _with(BASE, model_type="phi3", partial_rotary_factor=0.75, tie_word_embeddings=True),
    "bert": BERT,
    "bert-cls": _with(BERT, pooling="cls", hidden_size=128, num_attention_heads=4),
}
EVERY_TYPE = ("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "bert")


def head_dim(config):
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def prompt(name, length=48):
    """Token ids to test a variant with, longer than its sliding window; the last four ids of a
    decoder's vocabulary and the first five of an encoder's are special and stay out."""
    config = VARIANTS[name]
    length = min(length, config["max_position_embeddings"])
    draws = np.random.default_rng(zlib.crc32(name.encode()) + 1)
    if config["model_type"] == "bert":
        return [2, *draws.integers(5, config["vocab_size"], length - 2).tolist(), 3]
    return draws.integers(0, config["vocab_size"] - 4, length).tolist()


class _Draw:
    """Random tensors scaled so that activations stay near 1 and attention is not flat."""

    def __init__(self, name):
        self.rng, self.out = np.random.default_rng(zlib.crc32(name.encode())), {}

    def matrix(self, name, rows, columns, gain=1.0):
        values = self.rng.standard_normal((rows, columns), dtype=np.float32)
        self.out[f"{name}.weight"] = values * np.float32(gain / math.sqrt(columns))

    def vector(self, name, size, centre=0.0):
        self.out[name] = np.float32(centre) + np.float32(0.1) * self.rng.standard_normal(size, dtype=np.float32)


def random_weights(name, config=None):
    """All tensors of a variant, F32, under the names of its Hugging Face checkpoint."""
    config, draw = config or VARIANTS[name], _Draw(name)
    if config["model_type"] == "bert":
        _bert(draw, config)
    else:
        _decoder(draw, config)
    return draw.out


def _decoder(draw, c):
    width, inner, dim, kind = c["hidden_size"], c["intermediate_size"], head_dim(c), c["model_type"]
    q, kv = c["num_attention_heads"] * dim, c["num_key_value_heads"] * dim
    gemma = kind.startswith("gemma")
    centre = 0.0 if gemma else 1.0  # Gemma's checkpoints store the norm's distance from 1
    draw.matrix("model.embed_tokens", c["vocab_size"], width, gain=2.4)
    if not c["tie_word_embeddings"]:
        draw.matrix("lm_head", c["vocab_size"], width, gain=2.4)
    draw.vector("model.norm.weight", width, centre)
    for layer in range(c["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        if kind == "phi3":
            draw.matrix(f"{p}self_attn.qkv_proj", q + 2 * kv, width, gain=1.5)
            draw.matrix(f"{p}mlp.gate_up_proj", 2 * inner, width)
        else:
            for part, rows, gain in (("q", q, 1.5), ("k", kv, 1.5), ("v", kv, 1.0)):
                draw.matrix(f"{p}self_attn.{part}_proj", rows, width, gain)
                if kind == "qwen2":
                    draw.vector(f"{p}self_attn.{part}_proj.bias", rows)
            draw.matrix(f"{p}mlp.gate_proj", inner, width)
            draw.matrix(f"{p}mlp.up_proj", inner, width)
        draw.matrix(f"{p}self_attn.o_proj", width, q)
        draw.matrix(f"{p}mlp.down_proj", width, inner, gain=1.5)
        if kind in ("qwen3", "gemma3_text"):
            draw.vector(f"{p}self_attn.q_norm.weight", dim, centre)
            draw.vector(f"{p}self_attn.k_norm.weight", dim, centre)
        norms = ["input_layernorm", "post_attention_layernorm"]
        for norm in norms + ["pre_feedforward_layernorm", "post_feedforward_layernorm"] * gemma:
            draw.vector(f"{p}{norm}.weight", width, centre)


def _bert(draw, c):
    width, inner = c["hidden_size"], c["intermediate_size"]

    def dense(name, rows, columns):
        draw.matrix(name, rows, columns)
        draw.vector(f"{name}.bias", rows)

    def norm(name):
        draw.vector(f"{name}.weight", width, 1.0)
        draw.vector(f"{name}.bias", width)

    draw.matrix("embeddings.word_embeddings", c["vocab_size"], width, gain=10)
    draw.matrix("embeddings.position_embeddings", c["max_position_embeddings"], width, gain=10)
    draw.matrix("embeddings.token_type_embeddings", c["type_vocab_size"], width, gain=10)
    norm("embeddings.LayerNorm")
    for layer in range(c["num_hidden_layers"]):
        p = f"encoder.layer.{layer}."
        for part in ("query", "key", "value"):
            dense(f"{p}attention.self.{part}", width, width)
        dense(f"{p}attention.output.dense", width, width)
        norm(f"{p}attention.output.LayerNorm")
        dense(f"{p}intermediate.dense", inner, width)
        dense(f"{p}output.dense", width, inner)
        norm(f"{p}output.LayerNorm")
