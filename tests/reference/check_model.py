"""Holds `model.py`, `convert.py` and `blocks.py` against logits that `transformers` computed.

For each variant: draw its weights, write a GGUF file, read it with `model.py`, compare with
`goldens.npz`. Also: the quantised files must differ from F32 by no more than their type's
rounding allows, and decoding token by token must equal the whole pass. Needs no server.

Usage: check_model.py [FOLDER]   (the files are made in FOLDER, by default a temporary one)
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import convert
from blocks import TYPES
from model import Bert, Decoder
from report import Checks
from variants import EVERY_TYPE, VARIANTS, prompt, random_weights

F32_BOUND = 2e-6  # goldens are stored as F32 (6e-8) and drawn in F64; norms and factors round to F32
# Largest relative error of logits that each type's weights may cause (about 1.5 times
# what was measured over all architectures; a wrong layout gives about 1.4).
TYPE_BOUNDS = {"F16": 0.0025, "BF16": 0.02, "Q8_0": 0.05, "Q6_K": 0.2, "Q5_K": 0.4, "Q4_K": 0.7, "Q4_0": 0.7}


def relative(value, truth):
    """L2 error relative to the truth, both centred row by row where they hold logits."""
    if truth.ndim == 2:
        value, truth = (x - x.mean(axis=-1, keepdims=True) for x in (value, truth))
    return float(np.linalg.norm(value - truth) / np.linalg.norm(truth))


def outputs(path, ids, keep):
    """What the model in a file gives for `ids`: last logits, or the embedding."""
    if Path(path).name.startswith("bert"):
        return Bert(path).embed(ids)
    return Decoder(path).logits(ids)[-keep:]


def check_goldens(checks, folder):
    goldens = np.load(Path(__file__).with_name("goldens.npz"))
    for key in (key for key in goldens.files if key != "minilm"):  # `minilm.py` checks that one
        name, _, length = key.partition("/")
        path = folder / f"{name}-f32.gguf"
        if not path.exists():
            convert.write(path, name, VARIANTS[name], random_weights(name), "F32")
        ids = prompt(name)[: int(length) if length else None]
        checks.check(
            f"{key} against transformers", relative(outputs(path, ids, len(goldens[key])), goldens[key]), F32_BOUND
        )


def check_types(checks, folder):
    for name in EVERY_TYPE:
        truth, ids = None, prompt(name)
        for kind in TYPES:
            path = folder / f"{name}-{kind.lower()}.gguf"
            if not path.exists():
                convert.write(path, name, VARIANTS[name], random_weights(name), kind)
            value = outputs(path, ids, len(ids))
            truth = value if kind == "F32" else truth
            if kind != "F32":
                checks.check(f"{name} {kind} against F32", relative(value, truth), TYPE_BOUNDS[kind])


def check_cache(checks, folder):
    """The key/value cache of `model.py` itself, which the greedy comparison relies on."""
    for name in ("llama", "gemma3"):
        model, ids, cache = Decoder(folder / f"{name}-f32.gguf"), prompt(name), []
        parts = [model.logits(ids[:30], cache), *(model.logits([i], cache) for i in ids[30:])]
        checks.check(f"{name} token by token", relative(np.concatenate(parts), model.logits(ids)), 1e-12)


def main():
    checks = Checks()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        folder.mkdir(parents=True, exist_ok=True)
        check_goldens(checks, folder)
        check_types(checks, folder)
        check_cache(checks, folder)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
