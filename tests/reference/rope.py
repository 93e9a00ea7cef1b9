"""Rotary position embedding: frequencies with every scaling that supported models use.

Sources: RoFormer (arXiv 2104.09864) for the rotation, "Extending Context Window via
Positional Interpolation" (arXiv 2306.15595) for linear scaling, YaRN (arXiv 2309.00071)
section 3.2-3.4, LongRoPE (arXiv 2402.13753) as Phi-3's model card defines it. Llama 3
stores its per-frequency divisors in the file (`rope_freqs.weight`).
Knows nothing of attention or layers.
"""

import math

import numpy as np


class Rope:
    """Angles for one kind of layer: `cos_sin(positions)` gives two arrays [T, dims / 2]."""

    def __init__(self, dims, base, divisors=None, scale=1.0):
        self.dims = dims
        self.inverse = base ** (-np.arange(0, dims, 2, dtype=np.float64) / dims)
        if divisors is not None:
            self.inverse = self.inverse / divisors
        self.scale = scale  # multiplies both cosine and sine (YaRN and LongRoPE)

    def cos_sin(self, positions):
        angles = np.outer(np.asarray(positions, dtype=np.float64), self.inverse)
        return np.cos(angles) * self.scale, np.sin(angles) * self.scale


def yarn_divisors(dims, base, factor, original_context, beta_fast=32.0, beta_slow=1.0):
    """YaRN's blend as divisors of the plain frequencies: 1 where a dimension turns often
    within the original context, `factor` where it turns less than once, a ramp between."""

    def dimension_of(rotations):
        return dims * math.log(original_context / (rotations * 2 * math.pi)) / (2 * math.log(base))

    low = max(math.floor(dimension_of(beta_fast)), 0)
    high = min(math.ceil(dimension_of(beta_slow)), dims - 1)
    ramp = np.clip((np.arange(dims // 2) - low) / max(high - low, 0.001), 0, 1)
    return 1.0 / ((1 - ramp) + ramp / factor)


def rotate(x, cos, sin, interleaved):
    """Rotates x [T, heads, head_dim] over its first `2 * cos.shape[1]` elements.

    interleaved: pairs (0,1), (2,3), ...; otherwise pairs (i, i + dims/2)."""
    dims = 2 * cos.shape[1]
    cos, sin = cos[:, None, :], sin[:, None, :]
    head, rest = x[..., :dims], x[..., dims:]
    if interleaved:
        a, b = head[..., 0::2], head[..., 1::2]
    else:
        a, b = head[..., : dims // 2], head[..., dims // 2 :]
    turned_a, turned_b = a * cos - b * sin, a * sin + b * cos
    if interleaved:
        turned = np.stack([turned_a, turned_b], axis=-1).reshape(head.shape)
    else:
        turned = np.concatenate([turned_a, turned_b], axis=-1)
    return np.concatenate([turned, rest], axis=-1).astype(x.dtype)


def ropes_of(file, dims, context):
    """(global, local) Rope of a GGUF file; `local` serves sliding-window layers.

    context: how long the sequence will become; chooses Phi-3's short or long factors
    (Hugging Face: long once the sequence exceeds the original context)."""
    base = file.get("rope.freq_base", 10000.0)
    kind = file.get("rope.scaling.type", "none")
    factor = file.get("rope.scaling.factor", 1.0)
    original = file.get("rope.scaling.original_context_length", file.require("context_length"))
    divisors, scale = None, 1.0
    if file.has("rope_factors_short.weight"):
        name = "long" if context > original else "short"
        divisors = file.tensor(f"rope_factors_{name}.weight")
        scale = file.get("rope.scaling.attn_factor", 1.0)
    elif file.has("rope_freqs.weight"):
        divisors = file.tensor("rope_freqs.weight")
    elif kind == "linear":
        divisors = factor
    elif kind == "yarn":
        divisors = yarn_divisors(
            dims, base, factor, original,
            file.get("rope.scaling.yarn_beta_fast", 32.0), file.get("rope.scaling.yarn_beta_slow", 1.0),
        )
        scale = (0.1 * math.log(factor) + 1.0) * file.get("rope.scaling.attn_factor", 1.0)
    elif kind != "none":
        raise ValueError(f"unknown rope scaling type `{kind}`")
    everywhere = Rope(dims, base, divisors, scale)
    if file.arch != "gemma3":
        return everywhere, everywhere
    # Gemma 3's local layers keep the plain rotation at base 10,000 (arXiv 2503.19786, section 2.1).
    return everywhere, Rope(dims, file.get("rope.freq_base_swa", 10000.0))
