"""Writes GGUF models for tests and benches; the same bytes every time.

  make_models.py OUT                          every variant of `variants.py` in F32, one of each
                                              architecture in all tensor types, one GGUF v2 file
  make_models.py OUT --only REGEX             those whose file name matches
  make_models.py OUT --tiny MODEL.gguf        the same model with F32 weights: tiny-f32.gguf
  make_models.py OUT --shape 110m --type q4_0 a random Llama of that size for speed
                                              (15m 110m 1b; f16 q8_0 q4_0 q4_k_m ...)

Every file written is read back with the `gguf` package and must hold finite numbers.
"""

import argparse
import re
import sys
from pathlib import Path

import gguf
import numpy as np

import convert
import vocabulary
from blocks import TYPES, encode
from gguf_file import GgufFile
from variants import BASE, EVERY_TYPE, VARIANTS, random_weights

SHAPES = {  # layers, width, heads, key/value heads, feed-forward, tied
    "15m": (8, 256, 8, 4, 768, True),
    "110m": (12, 768, 12, 12, 2048, True),
    "1b": (22, 2048, 32, 4, 5632, False),
}
SHAPE_VOCABULARY = 32000


def plan():
    """{file name: (variant, type, GGUF version)} of everything that `make_models.py OUT` writes."""
    files = {}
    for name in VARIANTS:
        for kind in TYPES if name in EVERY_TYPE else ("F32",):
            files[f"{name}-{kind.lower()}.gguf"] = (name, kind, 3)
    files["llama-v2-q8_0.gguf"] = ("llama", "Q8_0", 2)
    return files


def set_version(path, version):
    """GGUF v2 and v3 differ by the number in the header alone (little-endian)."""
    with open(path, "r+b") as file:
        file.seek(4)
        file.write(version.to_bytes(4, "little"))


def read_back(path):
    """Number of tensors, after checking that each dequantises to finite numbers."""
    file = GgufFile(path)
    for name in file.tensors:
        if not np.isfinite(file.tensor(name, np.float32)).all():
            raise ValueError(f"`{name}` of {path} does not read back as finite numbers")
    return len(file.tensors)


def make_variants(out, only):
    """Writes the test models; returns how many."""
    made = 0
    for file_name, (name, kind, version) in plan().items():
        if only and not re.search(only, file_name):
            continue
        path = out / file_name
        convert.write(path, f"random weights {kind}", VARIANTS[name], random_weights(name), kind)
        if version != 3:
            set_version(path, version)
        made += 1
        print(f"{file_name:32} {path.stat().st_size / 1e6:7.2f} MB  {read_back(path):4d} tensors", flush=True)
    return made


def rewrite(source, target, kind):
    """Copies a GGUF file with all its metadata, its weights read and written again as `kind`."""
    reader, file = gguf.GGUFReader(str(source)), GgufFile(source)
    writer = gguf.GGUFWriter(target, file.arch)
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in ("general.architecture", "general.file_type"):
            continue
        sub_type = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), field.types[0], sub_type)
    writer.add_file_type(convert.FILE_TYPE[kind])
    for name in file.tensors:
        data, qtype = encode(file.tensor(name, np.float32), kind)
        writer.add_tensor(name, data, raw_dtype=qtype)
    convert.finish(writer)


def kind_in_mix(name, layers, kind, tied):
    """The type of one tensor: `Q4_K_M` gives six bits to the output matrix, and to attention values and
    down projections of the first and last eighth of the layers and of every third between."""
    if kind != "Q4_K_M":
        return kind
    if name in ("output.weight", "token_embd.weight"):
        return "Q6_K" if tied or name == "output.weight" else "Q4_K"
    if not re.search(r"attn_v|ffn_down", name):
        return "Q4_K"
    layer = int(name.split(".")[1])
    more = layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2
    return "Q6_K" if more else "Q4_K"


def fill(rng, rows, columns, kind):
    """Random weights of a type, quickly: rows of a few encoded megabytes, repeated in random order."""
    distinct = min(rows, max(1, (1 << 20) // columns))
    values = rng.standard_normal((distinct, columns), dtype=np.float32) / np.float32(columns**0.5)
    data, qtype = encode(values, kind)
    return data[rng.integers(0, distinct, rows)], qtype


def make_shape(out, shape, kind):
    """Writes a random Llama of a named size; returns its path."""
    layers, width, heads, kv_heads, inner, tied = SHAPES[shape]
    config = BASE | {
        "model_type": "llama", "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "vocab_size": SHAPE_VOCABULARY,
        "max_position_embeddings": 2048, "tie_word_embeddings": tied,
    }
    path = out / f"shape-{shape}-{kind.lower()}.gguf"
    writer = convert.start(path, config, f"random {shape} {kind}", kind)
    vocabulary.add_bpe(writer, SHAPE_VOCABULARY, "llama-bpe", add_bos=True)
    kv = width // heads * kv_heads
    matrices = {"token_embd.weight": (SHAPE_VOCABULARY, width)}
    if not tied:
        matrices["output.weight"] = (SHAPE_VOCABULARY, width)
    for layer in range(layers):
        matrices |= {f"blk.{layer}.{name}.weight": size for name, size in {
            "attn_q": (width, width), "attn_k": (kv, width), "attn_v": (kv, width), "attn_output": (width, width),
            "ffn_gate": (inner, width), "ffn_up": (inner, width), "ffn_down": (width, inner)}.items()}
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{norm}.weight", np.ones(width, np.float32))
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    rng = np.random.default_rng(0)
    for name, (rows, columns) in matrices.items():
        data, qtype = fill(rng, rows, columns, kind_in_mix(name, layers, kind, tied))
        writer.add_tensor(name, data, raw_dtype=qtype)
    convert.finish(writer)
    count = sum(rows * columns for rows, columns in matrices.values())
    print(f"{path.name}: {count / 1e6:.1f} million parameters, {path.stat().st_size / 1e6:.1f} MB")
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write to; made if absent")
    parser.add_argument("--only", help="regular expression that the file name must match")
    parser.add_argument("--tiny", type=Path, help="GGUF model to copy with F32 weights")
    parser.add_argument("--shape", choices=SHAPES)
    parser.add_argument("--type", default="q8_0", help="tensor type of --shape")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    kind = args.type.upper()
    if args.shape:
        if kind not in (*TYPES, "Q4_K_M"):
            parser.error(f"unknown type `{args.type}`: choose from {', '.join(TYPES).lower()}, q4_k_m")
        make_shape(args.out, args.shape, kind)
        return 0
    if args.tiny:
        rewrite(args.tiny, args.out / "tiny-f32.gguf", "F32")
        print(f"tiny-f32.gguf: {read_back(args.out / 'tiny-f32.gguf')} tensors")
        return 0
    made = make_variants(args.out, args.only)
    print(f"{made} passed, {0 if made else 1} failed")
    return 0 if made else 1


if __name__ == "__main__":
    sys.exit(main())
