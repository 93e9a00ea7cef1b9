"""Drives a running skep server with the official `openai` Python library.

  check_openai.py --url URL [--model NAME] [--embedding-model NAME] [--key KEY] [--require-key]

--model: a text model, by default `tiny`. --embedding-model: an embedder; without it the
embedding checks do not run. --require-key: the server must refuse a wrong key.
What OpenAI's API reference documents is what is expected.
"""

import argparse
import base64
import concurrent.futures
import json
import sys
import time

import numpy as np

from openai_errors import ErrorChecks
from openai_session import PROMPT, OpenaiSession
from openai_texts import TextChecks
from report import Checks

STREAMS = 16
ABANDONED = 24


class EmbeddingChecks(OpenaiSession):
    """Here `model` is the embedder."""

    def embedding_forms(self):
        """Floats and base64 hold the same numbers; order and usage hold."""
        texts = ["a first text", "the second one", "a first text"]
        floats = self.client.embeddings.create(model=self.model, input=texts, encoding_format="float")
        packed = self.client.embeddings.create(model=self.model, input=texts, encoding_format="base64")
        assert [entry.index for entry in floats.data] == [0, 1, 2] and floats.object == "list"
        assert floats.usage.prompt_tokens == floats.usage.total_tokens > 0
        values = np.array([entry.embedding for entry in floats.data], dtype=np.float32)
        unpacked = np.stack([np.frombuffer(base64.b64decode(entry.embedding), dtype="<f4") for entry in packed.data])
        assert np.array_equal(values, unpacked), "base64 differs from floats"
        assert np.allclose(np.linalg.norm(values, axis=1), 1, atol=1e-4), "not of length 1"
        assert np.abs(values[0] - values[2]).max() < 1e-5 and np.abs(values[0] - values[1]).max() > 1e-3
        plain = self.client.embeddings.create(model=self.model, input=texts[1])  # the library asks for base64
        assert np.abs(np.array(plain.data[0].embedding) - values[1]).max() < 1e-5


class LoadChecks(OpenaiSession):
    """Many requests at once, and those whose client goes away."""

    def disconnect(self):
        """Streams that clients abandon must not hold the server up."""
        start = time.monotonic()
        self.complete(max_tokens=8)
        alone = time.monotonic() - start
        for _ in range(ABANDONED):
            stream = self.complete(max_tokens=200, stream=True, prompt="Returns the number of")
            next(iter(stream))
            stream.close()
        start = time.monotonic()
        self.complete(max_tokens=8)
        after = time.monotonic() - start
        assert after < 1 + 3 * alone, f"{after:.2f} s after {ABANDONED} abandoned streams, {alone:.2f} s alone"
        return f"{alone * 1000:.0f} ms alone, {after * 1000:.0f} ms after {ABANDONED} abandoned"

    def concurrent_streams(self):
        """Greedy streams of different lengths at once: each the text that it gives alone."""
        requests = [
            {"prompt": f"{PROMPT} and " * (k % 5 + 1) + str(k), "max_tokens": 40 + 4 * k} for k in range(STREAMS)
        ]

        def text(request):
            return "".join(chunk.choices[0].text for chunk in self.complete(stream=True, **request) if chunk.choices)

        start = time.monotonic()
        alone = [text(request) for request in requests]
        middle = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(STREAMS) as pool:
            together = list(pool.map(text, requests))
        end = time.monotonic()
        differ = [k for k in range(STREAMS) if alone[k] != together[k]]
        assert not differ, (
            f"streams {differ} differ: {alone[differ[0]]!r} alone, {together[differ[0]]!r} among {STREAMS}"
        )
        return f"one by one {middle - start:.2f} s, together {end - middle:.2f} s"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--embedding-model")
    parser.add_argument("--key")
    parser.add_argument("--require-key", action="store_true")
    args = parser.parse_args()
    checks, errors = Checks(), ErrorChecks(args.url, args.model, args.key)
    load = LoadChecks(args.url, args.model, args.key)
    actions = [
        *TextChecks(args.url, args.model, args.key).all(),
        *errors.all(),
        load.disconnect,
        load.concurrent_streams,
    ]
    if args.embedding_model:
        actions.append(EmbeddingChecks(args.url, args.embedding_model, args.key).embedding_forms)
    if args.require_key:
        actions.append(errors.bad_key)
    for action in actions:
        checks.attempt(action.__name__, action)
    for path, good, field, value in errors.wrong_fields(args.embedding_model):
        checks.attempt(f"{path} {field}={json.dumps(value)}"[:50], errors.wrong_field, path, good, field, value)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
