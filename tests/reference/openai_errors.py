"""What a server must answer to requests that are wrong, in OpenAI's shape of errors.

Each wrong field must be named in `param`; unknown models are not found; broken JSON is refused.
"""

import httpx
import openai

from openai_session import MESSAGES, OpenaiSession

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


def expect(kind, action, param=None):
    """The error that `action` must raise, in OpenAI's shape, naming `param`."""
    try:
        action()
    except kind as error:
        body = error.body
        assert isinstance(body, dict) and body.get("message") and body.get("type"), f"not OpenAI's error shape: {body}"
        assert {"param", "code"} <= set(body), f"`param` or `code` is absent: {body}"
        named = body["param"] or ""
        assert param is None or named.split(".")[0].split("[")[0] == param, f"param is {body['param']!r}, not {param!r}"
        return error
    raise AssertionError(f"no {kind.__name__}")


class ErrorChecks(OpenaiSession):
    """Each method is one check; `wrong_fields` lists those of one field each."""

    def all(self):
        return [self.unknown_model, self.bad_json, self.too_long, self.unknown_path]

    def wrong_fields(self, embedder):
        """(path, good body, field, wrong value) of every case."""
        cases = [
            ("/chat/completions", {"messages": MESSAGES, "max_tokens": 2}, self.model, WRONG_CHAT),
            ("/completions", {"prompt": "x", "max_tokens": 2}, self.model, WRONG_COMPLETION),
        ]
        if embedder:
            cases.append(("/embeddings", {"input": "x"}, embedder, WRONG_EMBEDDING))
        for path, good, model, wrong in cases:
            for field, value in wrong:
                yield path, {"model": model, **good}, field, value

    def unknown_model(self):
        expect(openai.NotFoundError, lambda: self.chat(model="no-such-model"))
        expect(openai.NotFoundError, lambda: self.complete(model="no-such-model"))
        expect(openai.NotFoundError, lambda: self.client.embeddings.create(model="no-such-model", input="x"))

    def wrong_field(self, path, good, field, value):
        body = without_none(good | {field: value})
        expect(openai.BadRequestError, lambda: self.client.post(path, body=body, cast_to=object), field)

    def bad_json(self):
        for content in (b"{", b"", b"[]", b"null", b"\xff\xfe", b'{"model": "\xff"}', b"[" * 5000, b'{"a":' * 5000):
            answer = self.http.post(
                "/v1/chat/completions", content=content, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 400, f"{content[:12]!r} gives {answer.status_code}"
            assert answer.json()["error"]["message"]

    def too_long(self):
        long = [{"role": "user", "content": "word " * 20000}]
        error = expect(openai.BadRequestError, lambda: self.chat(messages=long), "messages")
        assert error.code == "context_length_exceeded", error.body

    def unknown_path(self):
        assert self.http.get("/v1/nothing").status_code == 404
        assert self.http.get("/v1/chat/completions").status_code == 405

    def bad_key(self):
        expect(openai.AuthenticationError, lambda: self.make_client("sk-wrong").models.list())
        assert httpx.get(f"{self.url}/v1/models").status_code == 401
