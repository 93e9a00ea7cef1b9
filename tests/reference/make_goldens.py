"""Makes `goldens.npz` with Hugging Face `transformers`: run once, by hand, never in CI.

Loads each variant's weights into the model class of its architecture, computes logits (or
the sentence embedding) of `variants.prompt` in F64 on the CPU, and keeps the last positions.
`check_model.py` holds `model.py` against them. Needs torch and transformers 5, which
`requirements.txt` leaves out: `pip install torch==2.15.0 transformers==5.23.0`.

Usage: make_goldens.py FOLDER   (where `minilm.py` keeps the MiniLM package)
"""

import sys
from pathlib import Path

import numpy as np
import torch
import transformers

from minilm import SENTENCES, fetch, tokenizer
from variants import VARIANTS, head_dim, prompt, random_weights

KEPT = 4  # positions kept of each prompt: they have seen all the rest
CLASSES = {
    "llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3",
    "gemma2": "Gemma2", "gemma3_text": "Gemma3", "phi3": "Phi3",
}


def rope_parameters(config):
    """Transformers 5 keeps base and scaling in one dictionary; Gemma 3 has one per layer kind."""
    parameters = {"rope_type": "default", "rope_theta": config["rope_theta"], **config.get("rope_scaling", {})}
    if "partial_rotary_factor" in config:
        parameters["partial_rotary_factor"] = config["partial_rotary_factor"]
    if config["model_type"] == "gemma3_text":
        local = {"rope_type": "default", "rope_theta": config["rope_local_base_freq"]}
        return {"full_attention": parameters, "sliding_attention": local}
    return parameters


def build(name):
    """A transformers model in F64 with the variant's weights, every one of them used."""
    config, kind = dict(VARIANTS[name]), VARIANTS[name]["model_type"]
    weights = {key: torch.from_numpy(value.astype(np.float64)) for key, value in random_weights(name).items()}
    special = {"pad_token_id": None, "bos_token_id": None, "eos_token_id": None}
    if kind == "bert":
        special["pad_token_id"] = 0
        settings = transformers.BertConfig(**config, **special, attn_implementation="eager")
        model = transformers.BertModel(settings, add_pooling_layer=False)
    else:
        theta = rope_parameters(config)
        for key in ("rope_theta", "rope_scaling", "rope_local_base_freq", "model_type", "partial_rotary_factor"):
            config.pop(key, None)
        if kind == "phi3" and "long_factor" in theta:
            config["original_max_position_embeddings"] = theta["original_max_position_embeddings"]
        if kind == "mistral" or kind.startswith("qwen"):
            config["head_dim"] = head_dim(config)
        suffix = "TextConfig" if kind == "gemma3_text" else "Config"
        settings = getattr(transformers, CLASSES[kind] + suffix)(
            **config, **special, rope_parameters=theta, attn_implementation="eager")
        model = getattr(transformers, CLASSES[kind] + "ForCausalLM")(settings)
    model = model.to(torch.float64)
    missing, unexpected = model.load_state_dict(weights, strict=False)
    missing = [m for m in missing if not (m == "lm_head.weight" and config.get("tie_word_embeddings"))]
    if missing or unexpected:
        raise ValueError(f"{name}: missing {missing}, unexpected {unexpected}")
    model.tie_weights()
    return model.eval()


@torch.no_grad()
def golden(name, ids):
    """[KEPT, vocabulary] logits, or one unit-length embedding."""
    model = build(name)
    batch = torch.tensor([ids])
    if VARIANTS[name]["model_type"] != "bert":
        return model(batch, use_cache=False).logits[0, -KEPT:].numpy()
    hidden = model(batch).last_hidden_state[0].numpy()
    pooled = hidden.mean(axis=0) if VARIANTS[name]["pooling"] == "mean" else hidden[0]
    return pooled / np.linalg.norm(pooled)


@torch.no_grad()
def minilm(folder):
    """Sentence embeddings by the original MiniLM checkpoint: mean of the last states, length 1."""
    original = fetch(folder)
    tokens = tokenizer(original)
    model = transformers.BertModel.from_pretrained(original, attn_implementation="eager").to(torch.float64).eval()
    hidden = [model(torch.tensor([tokens.encode(text).ids])).last_hidden_state[0].numpy() for text in SENTENCES]
    means = np.stack([states.mean(axis=0) for states in hidden])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = {"minilm": minilm(Path(sys.argv[1])).astype(np.float32)}
    for name in VARIANTS:
        out[name] = golden(name, prompt(name)).astype(np.float32)
        if "longrope-long" in name:  # below the original context the short factors hold
            out[f"{name}/20"] = golden(name, prompt(name)[:20]).astype(np.float32)
        print(f"{name:24} {out[name].shape} |x| = {np.linalg.norm(out[name]):.6g}", flush=True)
    path = Path(__file__).with_name("goldens.npz")
    np.savez_compressed(path, **out)
    print(f"{path.name}: {len(out)} goldens, {path.stat().st_size} bytes")


if __name__ == "__main__":
    sys.exit(main())
