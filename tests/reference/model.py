"""Plain numpy models: what a GGUF file computes, written from papers and model definitions.

Decoders `llama` (also Mistral), `qwen2`, `qwen3`, `gemma2`, `gemma3`, `phi3` give logits for
every position; `bert` gives sentence embeddings. Formulas follow the papers and the model
definitions in Hugging Face `transformers`; `check_model.py` proves agreement with the latter.
Readable before fast: no batching, weights dequantised whole, arithmetic in F64 unless asked.

Usage: model.py MODEL.gguf ID [ID ...]   prints the ten likeliest next tokens
"""

import math
import sys

import numpy as np
from gguf.quants import dequantize

from blocks import encode
from gguf_file import GgufFile
from rope import ropes_of, rotate

GEMMA = ("gemma2", "gemma3")
DECODERS = ("llama", "qwen2", "qwen3", "phi3", *GEMMA)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(x):
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def silu(x):
    return x / (1 + np.exp(-x))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_erf(x):
    return 0.5 * x * (1 + np.vectorize(math.erf, otypes=[x.dtype])(x / math.sqrt(2)))


def rms_norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps) * weight


def layer_norm(x, weight, bias, eps):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + eps) * weight + bias


def soft_cap(x, cap):
    return cap * np.tanh(x / cap) if cap else x


def round_activations(x, kind):
    """x as an engine may round it before a product with a stored matrix of type `kind`.

    F16 and BF16: to the same type. Quantised: each 32 elements of a row (256 for the K types)
    to 8-bit integers times one scale. F32: not at all."""
    if kind == "F32":
        return x
    if kind in ("F16", "BF16"):
        data, qtype = encode(x, kind)
        return dequantize(data, qtype).astype(x.dtype)
    rows = x.reshape(-1, 256 if kind.endswith("_K") else 32)
    scale = np.abs(rows).max(axis=1, keepdims=True) / 127
    return (np.round(rows / np.where(scale == 0, 1, scale)) * scale).reshape(x.shape)


class Weights:
    """Loads tensors once; `matmul` multiplies by a stored matrix.

    rounded: simulate engines that round a matrix's input as `round_activations` does."""

    def __init__(self, file, dtype, rounded=False):
        self.file, self.dtype, self.rounded = file, dtype, rounded
        self.loaded = {}

    def __getitem__(self, name):
        if name not in self.loaded:
            self.loaded[name] = self.file.tensor(name, self.dtype)
        return self.loaded[name]

    def matmul(self, x, name):
        """x times the transpose of a stored matrix, plus its bias where the file has one."""
        if self.rounded:
            x = round_activations(x, self.file.kind(f"{name}.weight"))
        y = x @ self[f"{name}.weight"].T
        return y + self[f"{name}.bias"] if self.file.has(f"{name}.bias") else y


class Decoder:
    """A causal language model. Logits of every position: `logits(ids)`."""

    def __init__(self, path, dtype=np.float64, rounded=False):
        self.file = file = GgufFile(path)
        if file.arch not in DECODERS:
            raise ValueError(f"`{file.arch}` is no decoder architecture that this model knows")
        self.w, self.dtype = Weights(file, dtype, rounded), dtype
        self.layers = file.require("block_count")
        self.width = file.require("embedding_length")
        self.heads = file.require("attention.head_count")
        self.kv_heads = file.get("attention.head_count_kv", self.heads)
        self.key_dim = file.get("attention.key_length", self.width // self.heads)
        self.value_dim = file.get("attention.value_length", self.width // self.heads)
        self.eps = file.require("attention.layer_norm_rms_epsilon")
        self.rope_dims = file.get("rope.dimension_count", self.key_dim)
        self.window = file.get("attention.sliding_window") or None
        self.attention_cap = file.get("attn_logit_softcapping")
        self.final_cap = file.get("final_logit_softcapping")
        self.query_scale = self._query_scale()

    def _query_scale(self):
        """1/sqrt(head dim), except for the 27B Gemmas (46 and 62 layers), which divide by
        sqrt(width / heads): `query_pre_attn_scalar` in their configurations; GGUF has no key for it."""
        if self.file.get("attention.scale"):
            return self.file.get("attention.scale")
        if (self.file.arch, self.layers) in (("gemma2", 46), ("gemma3", 62)):
            return (self.width / self.heads) ** -0.5
        return self.key_dim**-0.5

    def _is_local(self, layer):
        """Whether a layer attends only within the sliding window."""
        if self.window is None:
            return False
        if self.file.arch == "gemma2":
            return layer % 2 == 0
        if self.file.arch == "gemma3":
            return layer % 6 != 5
        return True

    def logits(self, ids, cache=None, context=None):
        """Next-token logits [T, vocabulary] after each of `ids`.

        cache: a list that keeps keys and values between calls (start with `[]`), so that a
        call adds tokens to those before. context: see `rope.ropes_of`; default: all tokens so far."""
        cache = [] if cache is None else cache
        if not cache:
            cache.extend([None] * self.layers)
        past = 0 if cache[0] is None else cache[0][0].shape[0]
        positions = np.arange(past, past + len(ids))
        ropes = ropes_of(self.file, self.rope_dims, context or past + len(ids))
        turns = [rope.cos_sin(positions) for rope in ropes]
        x = self.w["token_embd.weight"][np.asarray(ids)]
        if self.file.arch in GEMMA:
            x = x * np.asarray(math.sqrt(self.width), dtype=self.dtype)
        for layer in range(self.layers):
            x = self._block(x, layer, positions, turns, cache)
        x = rms_norm(x, self.w["output_norm.weight"], self.eps)
        name = "output" if self.file.has("output.weight") else "token_embd"
        return soft_cap(self.w.matmul(x, name), self.final_cap)

    def _block(self, x, layer, positions, turns, cache):
        """One pre-norm block; Gemma normalises each half's output too, before adding it."""
        prefix = f"blk.{layer}."
        gemma = self.file.arch in GEMMA

        def norm(value, name):
            return rms_norm(value, self.w[f"{prefix}{name}.weight"], self.eps)

        y = self._attention(norm(x, "attn_norm"), layer, positions, turns, cache)
        x = x + (norm(y, "post_attention_norm") if gemma else y)
        y = self._feed_forward(norm(x, "ffn_norm"), prefix)
        return x + (norm(y, "post_ffw_norm") if gemma else y)

    def _projections(self, h, prefix):
        """Queries, keys and values [T, heads, dim] of normalised input h."""
        q_size, k_size = self.heads * self.key_dim, self.kv_heads * self.key_dim
        if self.file.has(f"{prefix}attn_qkv.weight"):
            fused = self.w.matmul(h, f"{prefix}attn_qkv")
            q, k, v = np.split(fused, [q_size, q_size + k_size], axis=-1)
        else:
            q, k, v = (self.w.matmul(h, f"{prefix}attn_{name}") for name in "qkv")
        t = h.shape[0]
        q = q.reshape(t, self.heads, self.key_dim)
        k = k.reshape(t, self.kv_heads, self.key_dim)
        if self.file.has(f"{prefix}attn_q_norm.weight"):
            q = rms_norm(q, self.w[f"{prefix}attn_q_norm.weight"], self.eps)
            k = rms_norm(k, self.w[f"{prefix}attn_k_norm.weight"], self.eps)
        return q, k, v.reshape(t, self.kv_heads, self.value_dim)

    def _attention(self, h, layer, positions, turns, cache):
        prefix, local = f"blk.{layer}.", self._is_local(layer)
        q, k, v = self._projections(h, prefix)
        cos, sin = turns[1 if local else 0]
        interleaved = self.file.arch == "llama"
        q, k = rotate(q, cos, sin, interleaved), rotate(k, cos, sin, interleaved)
        if cache[layer] is not None:
            k, v = np.concatenate([cache[layer][0], k]), np.concatenate([cache[layer][1], v])
        cache[layer] = (k, v)
        group = self.heads // self.kv_heads
        k, v = k.repeat(group, axis=1), v.repeat(group, axis=1)
        scores = np.einsum("thd,shd->hts", q, k, optimize=True) * self.query_scale
        scores = soft_cap(scores, self.attention_cap)
        distance = positions[:, None] - np.arange(k.shape[0])[None, :]
        visible = distance >= 0
        if local:
            visible &= distance < self.window  # the token itself counts as one of the window
        scores = np.where(visible, scores, -np.inf)
        mixed = np.einsum("hts,shd->thd", softmax(scores), v, optimize=True).astype(self.dtype)
        return self.w.matmul(mixed.reshape(len(positions), -1), f"{prefix}attn_output")

    def _feed_forward(self, h, prefix):
        if self.file.has(f"{prefix}ffn_gate.weight"):
            gate, up = self.w.matmul(h, f"{prefix}ffn_gate"), self.w.matmul(h, f"{prefix}ffn_up")
        else:
            gate, up = np.split(self.w.matmul(h, f"{prefix}ffn_up"), 2, axis=-1)
        act = gelu_tanh if self.file.arch in GEMMA else silu
        return self.w.matmul(act(gate) * up, f"{prefix}ffn_down")

    def greedy(self, ids, count):
        """The `count` tokens that follow `ids` when the likeliest is always taken."""
        cache, out = [], []
        step, context = list(ids), len(ids) + count
        for _ in range(count):
            out.append(int(self.logits(step, cache, context)[-1].argmax()))
            step = [out[-1]]
        return out


class Bert:
    """A BERT encoder. Unit-length sentence embeddings: `embed(ids)`."""

    def __init__(self, path, dtype=np.float64, rounded=False):
        self.file = file = GgufFile(path)
        if file.arch != "bert":
            raise ValueError(f"`{file.arch}` is not `bert`")
        self.w = Weights(file, dtype, rounded)
        self.heads = file.require("attention.head_count")
        self.eps = file.require("attention.layer_norm_epsilon")
        self.pooling = file.get("pooling_type", 1)

    def _norm(self, x, name):
        return layer_norm(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"], self.eps)

    def hidden(self, ids):
        """Last hidden states [T, width]; `ids` include [CLS] and [SEP]."""
        w, t = self.w, len(ids)
        x = w["token_embd.weight"][np.asarray(ids)] + w["token_types.weight"][0] + w["position_embd.weight"][:t]
        x = self._norm(x, "token_embd_norm")
        for layer in range(self.file.require("block_count")):
            prefix = f"blk.{layer}."
            q, k, v = (w.matmul(x, f"{prefix}attn_{n}").reshape(t, self.heads, -1) for n in "qkv")
            scores = np.einsum("thd,shd->hts", q, k) / math.sqrt(q.shape[-1])
            mixed = np.einsum("hts,shd->thd", softmax(scores), v).reshape(t, -1)
            x = self._norm(x + w.matmul(mixed, f"{prefix}attn_output"), f"{prefix}attn_output_norm")
            inner = gelu_erf(w.matmul(x, f"{prefix}ffn_up"))
            x = self._norm(x + w.matmul(inner, f"{prefix}ffn_down"), f"{prefix}layer_output_norm")
        return x

    def embed(self, ids):
        """Pooled (1 mean, 2 first token, as `bert.pooling_type` says) and scaled to length 1."""
        hidden = self.hidden(ids)
        if self.pooling not in (1, 2):
            raise ValueError(f"pooling type {self.pooling} is neither mean (1) nor CLS (2)")
        pooled = hidden.mean(axis=0) if self.pooling == 1 else hidden[0]
        return pooled / np.linalg.norm(pooled)


def perplexity(model, ids, first, window=255, windows=40):
    """exp of the mean negative log-likelihood over windows of `ids`, each after token `first`."""
    total, count = 0.0, 0
    for start in range(0, min(len(ids), window * windows), window):
        part = [first, *ids[start : start + window]]
        if len(part) < 20:
            break
        scores = log_softmax(model.logits(part[:-1]))
        total -= scores[np.arange(len(part) - 1), part[1:]].sum()
        count += len(part) - 1
    return math.exp(total / count)


def main():
    model, ids = Decoder(sys.argv[1]), [int(a) for a in sys.argv[2:]]
    scores = log_softmax(model.logits(ids)[-1])
    tokens = model.file.meta["tokenizer.ggml.tokens"]
    for token in np.argsort(-scores)[:10]:
        print(f"{token:8d}  {scores[token]:9.4f}  {tokens[token]!r}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main()
