"""Turns float tensors into the bytes of a GGUF tensor type, vectorised.

F16, BF16, Q8_0 and Q4_0 come from the `gguf` package; the K types, which it only
dequantises, are rounded here. Layouts: `block_q4_K`, `block_q5_K`, `block_q6_K` of ggml
(256 weights a block). Good rounding is not the aim: `gguf.quants.dequantize` says what the
bytes mean, and any valid bytes test a kernel.
"""

import numpy as np
from gguf import GGMLQuantizationType
from gguf.quants import quantize

BLOCK = 256
TYPES = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q5_K", "Q6_K")


def encode(tensor, kind):
    """(bytes as an array [rows, row bytes], GGMLQuantizationType) of a float tensor.

    A row whose length is no multiple of the block falls back to Q8_0, then to F16; vectors
    (norms, biases, rotary factors) stay F32, as every converter writes them."""
    tensor = np.ascontiguousarray(tensor, dtype=np.float32)
    if tensor.ndim == 1 or kind == "F32":
        return tensor, GGMLQuantizationType.F32
    row = tensor.shape[-1]
    if kind.endswith("_K") and row % BLOCK:
        kind = "Q8_0"
    if kind.startswith("Q") and row % 32:
        kind = "F16"
    qtype = GGMLQuantizationType[kind]
    if kind == "F16":
        return tensor.astype(np.float16), qtype
    if kind in K_TYPES:
        blocks = K_TYPES[kind](tensor.reshape(-1, BLOCK))
        return blocks.reshape(tensor.shape[0], -1), qtype
    return quantize(tensor, qtype), qtype


def _affine(x, bits):
    """Codes, scales and minima of 8 sub-blocks of 32: x is about d*sc*code - dmin*m."""
    sub, top = x.reshape(-1, 8, 32), (1 << bits) - 1
    low = np.minimum(sub.min(axis=-1), 0)
    scale, minimum = (sub.max(axis=-1) - low) / top, -low
    d = (scale.max(axis=-1, keepdims=True) / 63).astype(np.float16)
    dmin = (minimum.max(axis=-1, keepdims=True) / 63).astype(np.float16)
    sc = _ratio(scale, d.astype(np.float32), 63)
    m = _ratio(minimum, dmin.astype(np.float32), 63)
    step = (d.astype(np.float32) * sc)[..., None]
    codes = np.round((sub + (dmin.astype(np.float32) * m)[..., None]) / np.where(step == 0, 1, step))
    return np.clip(codes, 0, top).astype(np.uint8), sc, m, d, dmin


def _ratio(value, unit, top):
    return np.clip(np.round(value / np.where(unit == 0, 1, unit)), 0, top).astype(np.uint8)


def _pack_scales(sc, m):
    """Eight 6-bit scales and eight 6-bit minima in 12 bytes: four of each whole in the low
    six bits, the other four as low nibbles, their top two bits above the first eight bytes."""
    out = np.empty((sc.shape[0], 12), dtype=np.uint8)
    out[:, 0:4] = sc[:, :4] | (sc[:, 4:] >> 4) << 6
    out[:, 4:8] = m[:, :4] | (m[:, 4:] >> 4) << 6
    out[:, 8:12] = (sc[:, 4:] & 15) | (m[:, 4:] & 15) << 4
    return out


def _pack_nibbles(codes):
    """Sub-blocks in pairs: 32 bytes hold one in the low and the next in the high nibbles."""
    pairs = (codes & 15).reshape(-1, 4, 2, 32)
    return (pairs[:, :, 0] | pairs[:, :, 1] << 4).reshape(-1, 128)


def _join(*parts):
    return np.concatenate([np.ascontiguousarray(p).view(np.uint8) for p in parts], axis=1)


def q4_k(x):
    codes, sc, m, d, dmin = _affine(x, 4)
    return _join(d, dmin, _pack_scales(sc, m), _pack_nibbles(codes))


def q5_k(x):
    """As Q4_K, with the fifth bits in 32 bytes: bit j of byte i belongs to sub-block j, weight i."""
    codes, sc, m, d, dmin = _affine(x, 5)
    high = np.zeros((codes.shape[0], 32), dtype=np.uint8)
    for j in range(8):
        high |= (codes[:, j] >> 4) << j
    return _join(d, dmin, _pack_scales(sc, m), high, _pack_nibbles(codes))


def q6_k(x):
    """16 sub-blocks of 16 with signed 8-bit scales; codes are 6 bits with 32 added."""
    sub = x.reshape(-1, 16, 16)
    peak = np.take_along_axis(sub, np.abs(sub).argmax(axis=-1)[..., None], -1)[..., 0]
    scale = -peak / 32  # the largest weight becomes code -32, so scales have either sign
    d = (np.abs(scale).max(axis=-1, keepdims=True) / 127).astype(np.float16)
    unit = d.astype(np.float32)
    sc = np.clip(np.round(scale / np.where(unit == 0, 1, unit)), -127, 127).astype(np.int8)
    step = (unit * sc)[..., None]
    codes = np.clip(np.round(sub / np.where(step == 0, 1, step)), -32, 31).astype(np.int32) + 32
    halves = codes.astype(np.uint8).reshape(-1, 2, 4, 32)  # each 128: four runs of 32
    low = np.stack([halves[:, :, 0] & 15 | (halves[:, :, 2] & 15) << 4,
                    halves[:, :, 1] & 15 | (halves[:, :, 3] & 15) << 4], axis=2)
    high = sum((halves[:, :, run] >> 4) << 2 * run for run in range(4)).astype(np.uint8)
    n = x.shape[0]
    return _join(low.reshape(n, 128), high.reshape(n, 64), sc, d)


K_TYPES = {"Q4_K": q4_k, "Q5_K": q5_k, "Q6_K": q6_k}
