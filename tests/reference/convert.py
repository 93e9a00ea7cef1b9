"""Hugging Face checkpoint -> GGUF, with the names, permutations and metadata that engines expect.

Follows what the published GGUF files hold: Q and K of `llama` permuted for interleaved
rotary pairs, Gemma's norms stored with their 1 added, Llama 3's and Phi-3's rotary factors
as tensors. Chooses no types (`blocks.py` encodes) and draws no weights.
"""

import math

import gguf
import numpy as np

import vocabulary
from blocks import encode
from variants import head_dim

ARCH = {"mistral": "llama", "gemma3_text": "gemma3"}
PRE = {"llama": "llama-bpe", "qwen2": "qwen2", "qwen3": "qwen2"}
KEEP_F32 = ("position_embd.weight", "token_types.weight")
FILE_TYPE = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 7, "Q4_K": 14, "Q4_K_M": 15, "Q5_K": 16, "Q6_K": 18, "BF16": 32}

DECODER_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.qkv_proj": "attn_qkv",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.gate_up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}
GEMMA_NAMES = DECODER_NAMES | {
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
}
BERT_NAMES = {
    "attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm",
}
TOP_NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types", "embeddings.LayerNorm": "token_embd_norm",
}


def gguf_name(name, model_type):
    """GGUF's name of a checkpoint tensor."""
    stem, _, suffix = name.rpartition(".")
    if stem in TOP_NAMES:
        return f"{TOP_NAMES[stem]}.{suffix}"
    names = BERT_NAMES if model_type == "bert" else GEMMA_NAMES if model_type.startswith("gemma") else DECODER_NAMES
    parts = stem.split(".")
    layer = next(i for i, part in enumerate(parts) if part.isdigit())
    return f"blk.{parts[layer]}.{names['.'.join(parts[layer + 1:])]}.{suffix}"


def interleave(weight, heads):
    """Reorders rows of Q or K from halves (i, i + d/2) to neighbours (2i, 2i + 1), head by head."""
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def llama3_divisors(config):
    """Llama 3.1's frequency divisors: 1 for short wavelengths, `factor` for long ones, a blend between."""
    s, dims = config["rope_scaling"], head_dim(config)
    wavelength = 2 * math.pi * config["rope_theta"] ** (np.arange(0, dims, 2) / dims)
    turns = s["original_max_position_embeddings"] / wavelength
    blend = np.clip((turns - s["low_freq_factor"]) / (s["high_freq_factor"] - s["low_freq_factor"]), 0, 1)
    return 1 / ((1 - blend) / s["factor"] + blend)


def tensors(config, weights):
    """Yields (GGUF name, F32 array)."""
    kind, scaling = config["model_type"], config.get("rope_scaling") or {}
    if scaling.get("rope_type") == "llama3":
        yield "rope_freqs.weight", llama3_divisors(config)
    if scaling.get("rope_type") == "longrope":
        yield "rope_factors_long.weight", np.array(scaling["long_factor"])
        yield "rope_factors_short.weight", np.array(scaling["short_factor"])
    for name, value in weights.items():
        if "pooler." in name or name.endswith("position_ids"):
            continue
        if ARCH.get(kind, kind) == "llama" and ".q_proj." in name:
            value = interleave(value, config["num_attention_heads"])
        if ARCH.get(kind, kind) == "llama" and ".k_proj." in name:
            value = interleave(value, config["num_key_value_heads"])
        if kind.startswith("gemma") and "norm" in name:
            value = value + np.float32(1)
        yield gguf_name(name, kind), value


def add_parameters(writer, config):
    """Everything that an engine must know of a model's shape."""
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    if config["model_type"] == "bert":
        writer.add_layer_norm_eps(config["layer_norm_eps"])
        writer.add_causal_attention(False)
        writer.add_pooling_type({"mean": gguf.PoolingType.MEAN, "cls": gguf.PoolingType.CLS}[config["pooling"]])
        return
    writer.add_vocab_size(config["vocab_size"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    if "head_dim" in config:
        writer.add_key_length(head_dim(config))
        writer.add_value_length(head_dim(config))
    if config["model_type"] in ("llama", "mistral", "phi3"):
        writer.add_rope_dimension_count(int(head_dim(config) * config.get("partial_rotary_factor", 1.0)))
    if config.get("sliding_window"):
        writer.add_sliding_window(config["sliding_window"])
    if config.get("attn_logit_softcapping"):
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
    if config.get("final_logit_softcapping"):
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    add_rope_scaling(writer, config)


def add_rope_scaling(writer, config):
    scaling = config.get("rope_scaling") or {}
    kind, original = scaling.get("rope_type"), scaling.get("original_max_position_embeddings")
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling["factor"])
    elif kind == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(scaling["factor"])
        writer.add_rope_scaling_orig_ctx_len(original)
    elif kind == "longrope":
        writer.add_rope_scaling_orig_ctx_len(original)
        ratio = config["max_position_embeddings"] / original
        writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(ratio) / math.log(original)) if ratio > 1 else 1.0)


def start(path, config, name, kind):
    """A writer with all metadata but the tokenizer."""
    writer = gguf.GGUFWriter(path, ARCH.get(config["model_type"], config["model_type"]))
    writer.add_name(name)
    writer.add_file_type(FILE_TYPE[kind])
    writer.add_quantization_version(2)
    add_parameters(writer, config)
    return writer


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write(path, name, config, weights, kind, add_tokenizer=None):
    """Writes one file; without `add_tokenizer`, a made-up vocabulary of the right size."""
    writer = start(path, config, name, kind)
    if add_tokenizer:
        add_tokenizer(writer)
    elif config["model_type"] == "bert":
        tokens = vocabulary.wordpiece(config["vocab_size"])
        vocabulary.add_wordpiece(writer, tokens, [3] * 5 + [1] * (len(tokens) - 5), 0, 1, 2, 3, 4)
    else:
        arch = ARCH.get(config["model_type"], config["model_type"])
        vocabulary.add_bpe(writer, config["vocab_size"], PRE.get(arch, "gpt-2"), add_bos=not arch.startswith("qwen"))
    for tensor_name, value in tensors(config, weights):
        data, qtype = encode(value, "F32" if tensor_name in KEEP_F32 else kind)
        writer.add_tensor(tensor_name, data, raw_dtype=qtype)
    finish(writer)
