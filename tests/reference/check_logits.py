"""Holds a running skep server's arithmetic against the numpy model, over its OpenAI API.

  check_logits.py --url URL --skep BINARY --models FOLDER --tiny FOLDER [--minilm FOLDER]
                  [--only REGEX] [--key KEY]

--models: made with `make_models.py FOLDER`. --tiny: holds `skep-tiny-*.gguf` and `heldout.txt`. --minilm: made with
`minilm.py FOLDER`. Parts that are not asked for do not run. The environment of BINARY must
name the state folder of the server at URL: models are added with `pull` and removed with `rm`.

Bounds. F32: 1e-3 relative L2 error of the centred logits, over the whole vocabulary. Other
types: weights are known exactly, but an engine may round what it multiplies them by
(`model.round_activations`); the same rounding is simulated on the same file, and the server
may err 1.5 times as much, or 1e-3 if that is more. Measured on these models: F16 5e-4 to
1e-3, BF16 4e-3 to 8e-3, Q8_0 and Q4_0 1.4e-2 to 2.9e-2, K types 2.0e-2 to 4.4e-2. The type's
own rounding is larger (`check_model.py`: Q8_0 3e-2, Q6_K 0.12, Q4_K 0.45), and a wrong
layout or formula gives about 1.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

import make_models
import minilm
from check_model import relative
from model import Bert, Decoder, perplexity
from report import Checks
from skep_server import Server
from tiny_tokenizer import tiny_tokenizer
from variants import VARIANTS, prompt

F32_BOUND = 1e-3
MARGIN = 1.5
COSINE = 0.9999
PERPLEXITY = 0.005
GREEDY_TOKENS = 200
GREEDY_MODELS = ("llama", "qwen3", "gemma3")
# Their two likeliest next tokens never lie closer than 2e-3, so rounding cannot swap them.
GREEDY_PROMPTS = ("The borrow checker", "このメソッドは", "# Panics\n\nPanics if")
SPECIAL = 4  # ids at the end of a random vocabulary that must not end the text


class LogitCheck:
    """The checks, one server, one set of results."""

    def __init__(self, server, checks):
        self.server, self.checks = server, checks

    def with_model(self, path, action, *arguments):
        """Runs `action(name, path, ...)` while the server holds the file under `check-<stem>`."""
        name = f"check-{path.stem}"

        def run():
            self.server.pull(path, name)
            try:
                return action(name, path, *arguments)
            finally:
                self.server.remove(name)

        self.checks.attempt(f"{path.stem}: {action.__name__}", run)

    def distributions(self, name, ids, size):
        """[len(ids) - 1, size] natural-log probabilities of the token after each of `ids` but the last."""
        scores = self.server.complete(name, ids, max_tokens=0, echo=True, logprobs=size)["logprobs"]
        if scores["token_ids"] != list(ids):
            raise ValueError(f"the server echoes {scores['token_ids'][:8]}..., not the prompt {ids[:8]}...")
        out = np.full((len(ids) - 1, size), np.nan)
        for row, tokens, values in zip(out, scores["top_ids"][1:], scores["top_values"][1:], strict=True):
            row[tokens] = values
        if np.isnan(out).any():
            raise ValueError(f"{int(np.isnan(out).sum())} of {out.size} probabilities are missing")
        return out

    def logits(self, name, path, variant):
        ids = prompt(variant)
        size = VARIANTS[variant]["vocab_size"]
        truth = Decoder(path).logits(ids)[:-1]
        value = self.distributions(name, ids, size)
        allowed = max(F32_BOUND, MARGIN * relative(Decoder(path, rounded=True).logits(ids)[:-1], truth))
        self.checks.check(f"{path.stem}: logits", relative(value, truth), allowed)
        sums = np.abs(np.exp(value).sum(axis=-1) - 1).max()
        self.checks.check(f"{path.stem}: probabilities add up to 1", float(sums), 1e-3)

    def embedding(self, name, path, variant):
        """Ids given as they are, then the same as text (a letter is a word of the made-up vocabulary)."""
        reference, ids = Bert(path), prompt(variant)
        allowed = max(F32_BOUND, MARGIN * relative(Bert(path, rounded=True).embed(ids), reference.embed(ids)))
        value = np.array(self.server.embed(name, [ids])[0])
        self.checks.check(f"{path.stem}: embedding of ids", relative(value, reference.embed(ids)), allowed)
        words = reference.file.meta["tokenizer.ggml.tokens"]
        letters = "the quick brown fox".replace(" ", "")
        spelt = [2, *(words.index(f"\u2581{c}") for c in letters), 3]
        value = np.array(self.server.embed(name, [" ".join(letters)])[0])
        self.checks.check(f"{path.stem}: embedding of text", relative(value, reference.embed(spelt)), allowed)

    def greedy_ids(self, name, path, variant):
        """Every token that the server takes must be the reference's likeliest, given the server's own
        text so far (or as likely to within the bound: random weights make near ties)."""
        ids, banned = prompt(variant), range(VARIANTS[variant]["vocab_size"] - SPECIAL, VARIANTS[variant]["vocab_size"])
        choice = self.server.complete(
            name, ids, max_tokens=GREEDY_TOKENS, logprobs=1, logit_bias={str(token): -100 for token in banned}
        )
        taken = choice["logprobs"]["token_ids"]
        if len(taken) != GREEDY_TOKENS:
            raise ValueError(f"{len(taken)} tokens instead of {GREEDY_TOKENS}, ended by {choice['finish_reason']}")
        truth = Decoder(path).logits([*ids, *taken[:-1]])[len(ids) - 1 :]
        truth[:, list(banned)] = -np.inf
        short = truth.max(axis=-1) - truth[np.arange(len(taken)), taken]
        self.checks.check(f"{path.stem}: {GREEDY_TOKENS} greedy tokens", float(short.max()), F32_BOUND)

    def greedy_text(self, name, path, texts):
        """The F32 tiny model's text, token for token; a text may end earlier at the end token."""
        reference, tokens = Decoder(path), tiny_tokenizer(path)
        for text in texts:
            ids = [0, *tokens.encode(text).ids]
            expected = reference.greedy(ids, GREEDY_TOKENS)
            if 0 in expected:
                expected = expected[: expected.index(0)]
            value = self.server.complete(name, ids, max_tokens=GREEDY_TOKENS)["text"]
            same = value == tokens.decode(expected)
            self.checks.verdict(
                f"{path.stem}: greedy text after {text[:20]!r}",
                same,
                f"{len(expected)} tokens" if same else f"got {value[:80]!r}",
            )

    def perplexity(self, name, path, ids):
        """As `model.perplexity`, from the probabilities that the server gives prompt tokens."""
        total, count = 0.0, 0
        for start in range(0, 255 * 40, 255):
            window = [0, *ids[start : start + 255]]
            scores = self.server.complete(name, window, max_tokens=0, echo=True, logprobs=1)["logprobs"]
            total -= sum(scores["token_logprobs"][1:])
            count += len(window) - 1
        value, truth = float(np.exp(total / count)), perplexity(Decoder(path, np.float32), ids, 0)
        self.checks.verdict(
            f"{path.stem}: perplexity",
            abs(value / truth - 1) <= PERPLEXITY,
            f"{value:.4f}, reference {truth:.4f}, {count} tokens",
        )

    def minilm(self, name, _path, truth):
        """Cosine to the original checkpoint's embeddings, text in, one request for all."""
        value = np.array(self.server.embed(name, minilm.SENTENCES))
        cosines = (value * truth).sum(axis=1) / np.linalg.norm(value, axis=1)
        for text, cosine in zip(minilm.SENTENCES, cosines, strict=True):
            self.checks.verdict(f"{name}: {text[:24]!r}", cosine >= COSINE, f"cosine {cosine:.7f}")


def check_models(run, folder, only):
    missing = []
    for file_name, (variant, _kind, _version) in make_models.plan().items():
        path = folder / file_name
        if only and not re.search(only, file_name):
            continue
        if not path.exists():
            missing.append(file_name)
            continue
        action = run.embedding if VARIANTS[variant]["model_type"] == "bert" else run.logits
        run.with_model(path, action, variant)
        if file_name in (f"{name}-f32.gguf" for name in GREEDY_MODELS):
            run.with_model(path, run.greedy_ids, variant)
    run.checks.verdict(f"models in {folder}", not missing, f"missing: {', '.join(missing)}" if missing else "all there")


def check_tiny(run, folder, only):
    """The folder's own files, and the first of them as F16 and F32 where it has none."""
    paths = sorted(folder.glob("skep-tiny-*.gguf"))
    if not paths:
        run.checks.verdict(f"tiny models in {folder}", False, "no `skep-tiny-*.gguf`")
        return
    ids = tiny_tokenizer(paths[0]).encode((folder / "heldout.txt").read_text(encoding="utf-8")).ids
    with tempfile.TemporaryDirectory() as temporary:
        for kind in ("F16", "F32"):
            made = Path(temporary) / f"skep-tiny-{kind.lower()}.gguf"
            if made.name not in [path.name for path in paths]:
                make_models.rewrite(paths[0], made, kind)
                paths.append(made)
        for path in paths:
            if only and not re.search(only, path.name):
                continue
            if path.stem.endswith("f32"):
                run.with_model(path, run.greedy_text, GREEDY_PROMPTS)
            run.with_model(path, run.perplexity, ids)


def check_minilm(run, folder):
    truth = minilm.embeddings(folder)
    for kind in ("f32", "f16"):
        run.with_model(folder / f"minilm-{kind}.gguf", run.minilm, truth)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--skep", required=True, help="path of the binary")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--tiny", type=Path)
    parser.add_argument("--minilm", type=Path)
    parser.add_argument("--only", help="regular expression that the file name must match")
    parser.add_argument("--key")
    args = parser.parse_args()
    run = LogitCheck(Server(args.url, args.skep, args.key), Checks())
    if args.models:
        check_models(run, args.models, args.only)
    if args.tiny:
        check_tiny(run, args.tiny, args.only)
    if args.minilm:
        check_minilm(run, args.minilm)
    return run.checks.finish()


if __name__ == "__main__":
    sys.exit(main())
