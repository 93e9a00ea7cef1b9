"""Drives a running skep server with the official `openai` Python library.

  check_openai.py --url URL [--model NAME] [--embedding-model NAME] [--key KEY] [--require-key]

--model: a text model, by default `tiny`. --embedding-model: an embedder; without it the
embedding checks do not run. --require-key: the server must refuse a wrong key.
What OpenAI's API reference documents is what is expected; texts are never judged, only
their agreement with each other.
"""

import argparse
import base64
import concurrent.futures
import json
import sys
import time

import httpx
import numpy as np
import openai

from report import Checks

PROMPT = "The borrow checker"
MESSAGES = [{"role": "user", "content": PROMPT}]
STREAMS = 16
ABANDONED = 24

# Requests with one wrong field each; the error must name it.
WRONG_CHAT = [
    ("messages", "hello"),
    ("messages", []),
    ("messages", None),
    ("messages", [{"role": "user"}]),
    ("messages", [{"role": "wizard", "content": "x"}]),
    ("messages", [{"content": "x"}]),
    ("temperature", "hot"),
    ("temperature", -1),
    ("temperature", 3),
    ("top_p", 2),
    ("top_p", "x"),
    ("max_tokens", -1),
    ("max_tokens", "many"),
    ("max_completion_tokens", 1.5),
    ("n", 0),
    ("n", "two"),
    ("stop", [1]),
    ("stop", 7),
    ("stream", "yes"),
    ("seed", "x"),
    ("logit_bias", [1]),
    ("logit_bias", {"x": 1}),
    ("logit_bias", {"1": 101}),
    ("logprobs", "x"),
    ("top_logprobs", 99),
    ("presence_penalty", 9),
    ("frequency_penalty", "x"),
    ("stream_options", 1),
    ("model", 7),
    ("model", None),
]
WRONG_COMPLETION = [
    ("prompt", 5),
    ("prompt", [[1], "x"]),
    ("prompt", [10**9]),
    ("prompt", [-1]),
    ("max_tokens", "x"),
    ("logprobs", -1),
    ("logprobs", "x"),
    ("echo", "x"),
    ("stop", {}),
    ("n", 0),
    ("temperature", []),
]
WRONG_EMBEDDING = [("input", 5), ("input", []), ("input", [""]), ("input", {"a": 1}), ("encoding_format", "hex")]


def without_none(body):
    """A field set to None here stands for a field left out."""
    return {key: value for key, value in body.items() if value is not None}


class OpenaiCheck:
    """Each method is one check: it raises where the server differs, and may return a remark."""

    def __init__(self, args):
        self.url, self.model, self.embedder, self.key = args.url.rstrip("/"), args.model, args.embedding_model, args.key
        self.client = self.make_client(args.key)
        self.http = httpx.Client(
            base_url=self.url, timeout=120, headers={"Authorization": f"Bearer {args.key}"} if args.key else {}
        )

    def make_client(self, key):
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key or "none", max_retries=3, timeout=120)

    def chat(self, **settings):
        body = {"model": self.model, "messages": MESSAGES, "temperature": 0, "max_tokens": 24} | settings
        return self.client.chat.completions.create(**body)

    def complete(self, **settings):
        body = {"model": self.model, "prompt": PROMPT, "temperature": 0, "max_tokens": 24} | settings
        return self.client.completions.create(**body)

    # Models.

    def models_list(self):
        listed = self.client.models.list()
        assert listed.object == "list"
        assert self.model in [model.id for model in listed.data], f"`{self.model}` is not listed"
        assert all(model.object == "model" and model.created > 0 and model.owned_by for model in listed.data)
        return f"{len(listed.data)} models"

    def models_retrieve(self):
        assert self.client.models.retrieve(self.model).id == self.model

    def models_retrieve_unknown(self):
        self.expect(openai.NotFoundError, lambda: self.client.models.retrieve("no-such-model"))

    # Chat.

    def chat_whole(self):
        answer = self.chat()
        choice = answer.choices[0]
        assert answer.object == "chat.completion" and answer.id and answer.created > 0 and answer.model
        assert choice.message.role == "assistant" and choice.message.content
        assert choice.finish_reason in ("stop", "length") and choice.index == 0
        usage = answer.usage
        assert 0 < usage.completion_tokens <= 24 and usage.prompt_tokens > 0
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        assert self.chat().choices[0].message.content == choice.message.content, "greedy twice gives two texts"
        return repr(choice.message.content[:40])

    def chat_stream(self):
        whole, text, reasons = self.chat(), "", []
        chunks = list(self.chat(stream=True))
        assert chunks[0].object == "chat.completion.chunk" and len({chunk.id for chunk in chunks}) == 1
        assert chunks[0].choices[0].delta.role == "assistant"
        for chunk in chunks:
            assert chunk.usage is None, "usage without being asked"
            text += chunk.choices[0].delta.content or ""
            reasons.append(chunk.choices[0].finish_reason)
        assert text == whole.choices[0].message.content, f"stream gives {text!r}"
        assert reasons[-1] == whole.choices[0].finish_reason and not any(reasons[:-1])
        assert len(chunks) > 8, f"only {len(chunks)} chunks for 24 tokens"
        return f"{len(chunks)} chunks"

    def chat_stream_usage(self):
        chunks = list(self.chat(stream=True, stream_options={"include_usage": True}))
        assert chunks[-1].choices == [] and chunks[-1].usage == self.chat().usage, f"last chunk {chunks[-1]}"
        assert all(chunk.usage is None for chunk in chunks[:-1])

    def chat_content_parts(self):
        parts = [{"role": "user", "content": [{"type": "text", "text": PROMPT}]}]
        assert self.chat(messages=parts).choices[0].message.content == self.chat().choices[0].message.content

    def chat_roles(self):
        turns = [
            {"role": "system", "content": "Be brief."},
            *MESSAGES,
            {"role": "assistant", "content": "Yes."},
            *MESSAGES,
        ]
        assert self.chat(messages=turns).usage.prompt_tokens > self.chat().usage.prompt_tokens

    def chat_max_completion_tokens(self):
        body = {"model": self.model, "messages": MESSAGES, "temperature": 0, "max_completion_tokens": 5}
        answer = self.client.chat.completions.create(**body)
        assert answer.usage.completion_tokens <= 5
        assert answer.choices[0].finish_reason == ("length" if answer.usage.completion_tokens == 5 else "stop")

    def chat_n(self):
        answer = self.chat(n=3)
        assert [choice.index for choice in answer.choices] == [0, 1, 2]
        assert len({choice.message.content for choice in answer.choices}) == 1, "greedy choices differ"
        one = self.chat().usage
        assert (
            answer.usage.completion_tokens == 3 * one.completion_tokens
            and answer.usage.prompt_tokens == one.prompt_tokens
        )
        varied = self.chat(n=3, temperature=1.5, seed=7)
        assert len({choice.message.content for choice in varied.choices}) > 1, "sampled choices are all the same"

    def chat_n_stream(self):
        texts = {}
        for chunk in self.chat(n=3, stream=True):
            for choice in chunk.choices:
                texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
        assert texts == dict.fromkeys(range(3), self.chat().choices[0].message.content), f"got {texts}"

    def chat_logprobs(self):
        answer = self.chat(logprobs=True, top_logprobs=5)
        entries = answer.choices[0].logprobs.content
        assert len(entries) == answer.usage.completion_tokens
        for entry in entries:
            values = [top.logprob for top in entry.top_logprobs]
            assert len(values) == 5 and values == sorted(values, reverse=True) and values[0] <= 0
            assert np.exp(values).sum() <= 1.0001
            assert abs(entry.logprob - values[0]) < 1e-6 and entry.token == entry.top_logprobs[0].token
        raw = b"".join(bytes(entry.bytes) for entry in entries)
        assert raw.decode("utf-8", "ignore").strip() == answer.choices[0].message.content.replace("\ufffd", "").strip()

    def chat_logprobs_stream(self):
        count = 0
        for chunk in self.chat(logprobs=True, top_logprobs=2, stream=True):
            logprobs = chunk.choices[0].logprobs
            count += len(logprobs.content or []) if logprobs else 0
        assert count == self.chat().usage.completion_tokens, f"{count} tokens carry logprobs"

    # Completions.

    def completion_whole(self):
        answer = self.complete()
        assert answer.object == "text_completion" and answer.choices[0].text
        text = "".join(chunk.choices[0].text for chunk in self.complete(stream=True) if chunk.choices)
        assert text == answer.choices[0].text, f"stream gives {text!r}"

    def completion_echo(self):
        assert self.complete(echo=True).choices[0].text == PROMPT + self.complete().choices[0].text

    def completion_prompts(self):
        prompts = [PROMPT, "Returns the number of"]
        answer = self.complete(prompt=prompts)
        alone = [self.complete(prompt=prompt) for prompt in prompts]
        assert [choice.index for choice in answer.choices] == [0, 1]
        assert [choice.text for choice in answer.choices] == [one.choices[0].text for one in alone]
        assert answer.usage.total_tokens == sum(one.usage.total_tokens for one in alone)

    def completion_logprobs(self):
        choice = self.complete(logprobs=3).choices[0]
        scores = choice.logprobs
        assert len(scores.tokens) == len(scores.token_logprobs) == len(scores.top_logprobs) == len(scores.text_offset)
        assert "".join(scores.tokens) == choice.text
        assert all(len(top) in (3, 4) for top in scores.top_logprobs)
        lengths = [len(token) for token in scores.tokens]
        steps = np.diff(scores.text_offset)
        assert list(steps) == lengths[:-1], "text_offset does not follow the tokens"
        return f"first offset {scores.text_offset[0]}"

    def completion_token_ids(self):
        """A prompt of token ids, and scores of the prompt alone."""
        scores = self.complete(max_tokens=0, echo=True, logprobs=1).choices[0]
        ids = scores.logprobs.token_ids
        assert scores.logprobs.token_logprobs[0] is None and all(v <= 0 for v in scores.logprobs.token_logprobs[1:])
        again = self.complete(prompt=ids, max_tokens=0, echo=True, logprobs=1).choices[0]
        assert again.logprobs.token_ids == ids and again.logprobs.token_logprobs == scores.logprobs.token_logprobs
        assert self.complete(prompt=ids).choices[0].text == self.complete().choices[0].text

    # Sampling and stopping.

    def stop_strings(self):
        """Stops inside one token and across token borders, in whole answers and in streams."""
        choice = self.complete(max_tokens=32, logprobs=0).choices[0]
        text, tokens, tried = choice.text, choice.logprobs.tokens, 0
        for k in range(3, len(tokens) - 2):
            stop = (tokens[k][-1:] + tokens[k + 1] + tokens[k + 2][:1]) if k % 2 else tokens[k][:2]
            if not stop or "\ufffd" in stop or tried == 6:
                continue
            tried += 1
            expected = text[: text.index(stop)]
            whole = self.complete(max_tokens=32, stop=stop).choices[0]
            assert whole.text == expected and whole.finish_reason == "stop", (
                f"stop {stop!r}: {whole.text!r}, not {expected!r}"
            )
            chunks = [chunk.choices[0] for chunk in self.complete(max_tokens=32, stop=["\x00never", stop], stream=True)]
            streamed = "".join(chunk.text for chunk in chunks)
            assert streamed == expected and chunks[-1].finish_reason == "stop", f"stop {stop!r} streams {streamed!r}"
        assert tried == 6, f"only {tried} stops could be tried"

    def seed(self):
        texts = [self.complete(temperature=1.2, seed=seed).choices[0].text for seed in (1, 2, 3, 1, 2, 3)]
        assert texts[:3] == texts[3:], "the same seed gives two texts"
        assert len(set(texts[:3])) > 1, "three seeds give one text"

    def logit_bias(self):
        first = self.complete(logprobs=0).choices[0]
        token, name = first.logprobs.token_ids[0], first.logprobs.tokens[0]
        without = self.complete(logit_bias={str(token): -100}, logprobs=0).choices[0]
        assert token not in without.logprobs.token_ids, "a token biased by -100 came all the same"
        only = self.complete(logit_bias={str(token): 100}, temperature=1, max_tokens=8).choices[0]
        assert only.text == name * 8, f"a bias of 100 gives {only.text!r}, not {name!r} eight times"

    def penalties(self):
        plain = self.complete(max_tokens=64, logprobs=0).choices[0].logprobs.token_ids
        varied = (
            self.complete(max_tokens=64, logprobs=0, frequency_penalty=2, presence_penalty=2)
            .choices[0]
            .logprobs.token_ids
        )
        assert len(set(varied)) / len(varied) > len(set(plain)) / len(plain), (
            "penalties do not make the text more varied"
        )

    def unknown_fields(self):
        answer = self.chat(user="someone", metadata={"a": "b"}, extra_body={"frobnicate": {"deep": [1]}, "top_k": 40})
        assert answer.choices[0].message.content

    # Embeddings.

    def embedding_forms(self):
        """Floats and base64 hold the same numbers; order and usage hold."""
        texts = ["a first text", "the second one", "a first text"]
        floats = self.client.embeddings.create(model=self.embedder, input=texts, encoding_format="float")
        packed = self.client.embeddings.create(model=self.embedder, input=texts, encoding_format="base64")
        assert [entry.index for entry in floats.data] == [0, 1, 2] and floats.object == "list"
        assert floats.usage.prompt_tokens == floats.usage.total_tokens > 0
        values = np.array([entry.embedding for entry in floats.data], dtype=np.float32)
        unpacked = np.stack([np.frombuffer(base64.b64decode(entry.embedding), dtype="<f4") for entry in packed.data])
        assert np.array_equal(values, unpacked), "base64 differs from floats"
        assert np.allclose(np.linalg.norm(values, axis=1), 1, atol=1e-4), "not of length 1"
        assert np.abs(values[0] - values[2]).max() < 1e-5 and np.abs(values[0] - values[1]).max() > 1e-3
        plain = self.client.embeddings.create(model=self.embedder, input=texts[1])  # the library asks for base64
        assert np.abs(np.array(plain.data[0].embedding) - values[1]).max() < 1e-5

    # Errors.

    def expect(self, kind, action, param=None):
        """The error that `action` must raise, in OpenAI's shape, naming `param`."""
        try:
            action()
        except kind as error:
            body = error.body
            assert isinstance(body, dict) and body.get("message") and body.get("type"), (
                f"not OpenAI's error shape: {body}"
            )
            assert {"param", "code"} <= set(body), f"`param` or `code` is absent: {body}"
            named = body["param"] or ""
            assert param is None or named.split(".")[0].split("[")[0] == param, (
                f"param is {body['param']!r}, not {param!r}"
            )
            return error
        raise AssertionError(f"no {kind.__name__}")

    def unknown_model(self):
        self.expect(openai.NotFoundError, lambda: self.chat(model="no-such-model"))
        self.expect(openai.NotFoundError, lambda: self.complete(model="no-such-model"))
        self.expect(openai.NotFoundError, lambda: self.client.embeddings.create(model="no-such-model", input="x"))

    def wrong_field(self, path, good, field, value):
        body = without_none(good | {field: value})
        self.expect(openai.BadRequestError, lambda: self.client.post(path, body=body, cast_to=object), field)

    def bad_json(self):
        for content in (b"{", b"", b"[]", b"null", b"\xff\xfe", b'{"model": "\xff"}', b"[" * 5000, b'{"a":' * 5000):
            answer = self.http.post(
                "/v1/chat/completions", content=content, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 400, f"{content[:12]!r} gives {answer.status_code}"
            assert answer.json()["error"]["message"]

    def too_long(self):
        error = self.expect(
            openai.BadRequestError, lambda: self.chat(messages=[{"role": "user", "content": "word " * 20000}])
        )
        assert error.body["code"] == "context_length_exceeded", f"code {error.body['code']!r}"

    def unknown_path(self):
        assert self.http.get("/v1/nothing").status_code == 404
        assert self.http.get("/v1/chat/completions").status_code == 405

    def bad_key(self):
        self.expect(openai.AuthenticationError, lambda: self.make_client("sk-wrong").models.list())
        assert httpx.get(f"{self.url}/v1/models").status_code == 401

    # Many at once.

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
    run, checks = OpenaiCheck(args), Checks()
    for action in (
        run.models_list,
        run.models_retrieve,
        run.models_retrieve_unknown,
        run.chat_whole,
        run.chat_stream,
        run.chat_stream_usage,
        run.chat_content_parts,
        run.chat_roles,
        run.chat_max_completion_tokens,
        run.chat_n,
        run.chat_n_stream,
        run.chat_logprobs,
        run.chat_logprobs_stream,
        run.completion_whole,
        run.completion_echo,
        run.completion_prompts,
        run.completion_logprobs,
        run.completion_token_ids,
        run.stop_strings,
        run.seed,
        run.logit_bias,
        run.penalties,
        run.unknown_fields,
        run.unknown_model,
        run.bad_json,
        run.too_long,
        run.unknown_path,
        run.disconnect,
        run.concurrent_streams,
    ):
        checks.attempt(action.__name__, action)
    wrong = [
        ("/chat/completions", {"model": args.model, "messages": MESSAGES, "max_tokens": 2}, WRONG_CHAT),
        ("/completions", {"model": args.model, "prompt": "x", "max_tokens": 2}, WRONG_COMPLETION),
    ]
    if args.embedding_model:
        checks.attempt("embedding_forms", run.embedding_forms)
        wrong.append(("/embeddings", {"model": args.embedding_model, "input": "x"}, WRONG_EMBEDDING))
    for path, good, cases in wrong:
        for field, value in cases:
            checks.attempt(f"{path} {field}={json.dumps(value)}"[:50], run.wrong_field, path, good, field, value)
    if args.require_key:
        checks.attempt("bad_key", run.bad_key)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
