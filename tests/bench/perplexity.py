"""Perplexity as `llama-perplexity` defines it, of the reference and of a running server, and models to take it of.

  perplexity.py make SOURCE.gguf TARGET.gguf TYPE
      the same model with its weights in another type (Q4_K_M: the mix of `make_models.py`)
  perplexity.py score MODEL.gguf TEXT --url URL --model NAME --context N [--windows N] [--peer-logits FILE]
      prints JSON: the windows, tokens scored, and both perplexities

The definition: the text's tokens, one that begins a text in front where the model wants it, are cut into
windows of N; the first token of each is then replaced by that beginning; the tokens of the second half are
scored, but for the first of them; perplexity is exp of their mean negative log-likelihood. --peer-logits: what
`llama-perplexity --save-all-logits` wrote of the same text; its tokens must be ours.

The reference is `tests/reference/model.py` in F64 on the dequantised weights of the same file; the server tells the
log probabilities of a prompt's tokens (`echo`).
"""

import argparse
import json
import math
import sys
from pathlib import Path

import gguf
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "reference"))

import convert  # noqa: E402
from blocks import encode  # noqa: E402
from gguf_file import GgufFile  # noqa: E402
from make_models import kind_in_mix  # noqa: E402
from model import Decoder, log_softmax  # noqa: E402
from skep_server import Server  # noqa: E402
from tiny_tokenizer import tiny_tokenizer  # noqa: E402

FILE_TYPE = {**convert.FILE_TYPE, "Q4_1": 3, "Q5_0": 8, "Q5_1": 9}


def make(source, target, kind):
    """Copies a GGUF file with all its metadata, its weights read and written again."""
    reader, file = gguf.GGUFReader(str(source)), GgufFile(source)
    part = Path(f"{target}.part")
    writer = gguf.GGUFWriter(part, file.arch)
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in ("general.architecture", "general.file_type"):
            continue
        sub_type = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), field.types[0], sub_type)
    writer.add_file_type(FILE_TYPE[kind])
    layers, tied = file.require("block_count"), not file.has("output.weight")
    for name in file.tensors:
        data, qtype = encode(file.tensor(name, np.float32), kind_in_mix(name, layers, kind, tied))
        writer.add_tensor(name, data, raw_dtype=qtype)
    convert.finish(writer)
    part.rename(target)


def windows_of(path, text, context, limit):
    """Windows [count, context] of token ids."""
    meta = GgufFile(path).meta
    ids = tiny_tokenizer(path).encode(text).ids
    first = meta["tokenizer.ggml.bos_token_id"] if meta.get("tokenizer.ggml.add_bos_token") else None
    if first is not None:
        ids = [first, *ids]
    count = len(ids) // context
    if count < 2:
        raise SystemExit(f"the text has {len(ids)} tokens; two windows of {context} are needed at least")
    windows = np.array(ids[: count * context]).reshape(count, context)[:limit]
    return windows, first


def check_peer(path, windows):
    """That the peer cut the same text into the same tokens: its file begins with them."""
    with open(path, "rb") as file:
        if file.read(8) != b"_logits_":
            raise SystemExit(f"`{path}` is not what `llama-perplexity --save-all-logits` writes")
        context, _vocabulary, count = np.fromfile(file, np.int32, 3)
        theirs = np.fromfile(file, np.int32, context * count).reshape(count, context)
    same = theirs.shape == windows.shape and (theirs == windows).all()
    if not same:
        raise SystemExit(f"the peer cuts the text into other tokens: {theirs.ravel()[:12]}... {windows.ravel()[:12]}...")


def score(args):
    windows, first = windows_of(args.file, args.text.read_text(encoding="utf-8"), args.context, args.windows)
    if args.peer_logits:
        check_peer(args.peer_logits, windows)
    if first is not None:
        windows[:, 0] = first
    reference, server = Decoder(args.file), Server(args.url, None)
    half, sums = args.context // 2, np.zeros(2)
    for window in windows:
        ids = [int(token) for token in window]
        scores = log_softmax(reference.logits(ids[:-1])[half:])
        sums[0] -= scores[np.arange(len(scores)), ids[half + 1 :]].sum()
        told = server.complete(args.model, ids, max_tokens=0, echo=True, logprobs=1)["logprobs"]
        if told["token_ids"] != ids:
            raise SystemExit(f"the server echoes {told['token_ids'][:8]}..., not the prompt {ids[:8]}...")
        sums[1] -= math.fsum(told["token_logprobs"][half + 1 :])
    count = len(windows) * (args.context - half - 1)
    values = np.exp(sums / count)
    print(json.dumps({"windows": len(windows), "tokens": count, "reference": values[0], "server": values[1]}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    making = verbs.add_parser("make")
    making.add_argument("source", type=Path)
    making.add_argument("target", type=Path)
    making.add_argument("kind", choices=sorted(FILE_TYPE))
    scoring = verbs.add_parser("score")
    scoring.add_argument("file", type=Path)
    scoring.add_argument("text", type=Path)
    scoring.add_argument("--url", required=True)
    scoring.add_argument("--model", required=True)
    scoring.add_argument("--context", type=int, required=True)
    scoring.add_argument("--windows", type=int)
    scoring.add_argument("--peer-logits", type=Path)
    args = parser.parse_args()
    if args.verb == "make":
        make(args.source, args.target, args.kind)
    else:
        score(args)


if __name__ == "__main__":
    main()
