"""What a service's answer says. What comes may be cut anywhere, wrong or hostile. Plain Python, to be tested without a component.

A `Refusal` has a case of the contract's errors; events are tuples that `adapter.py` puts into the contract's types.
"""

import json
import re

DEPTH_MAX = 64  # Of brackets within brackets. In a component the stack ends before the interpreter's own limit of depth.
MARKS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')
EVENT_BYTES = 1 << 20
LINE_BYTES = 64  # What a line takes beside its text.


class Refusal(Exception):
    def __init__(self, case, sentence, field=None):
        super().__init__(sentence)
        self.case, self.sentence, self.field = case, sentence, field


class Events:
    """Server-sent events, as bytes come."""

    def __init__(self):
        self.rest = b""
        self.data = []
        self.held = 0

    def push(self, piece):
        """The data of each event that is whole now."""
        found = []
        *lines, self.rest = (self.rest + piece).split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if not line:
                if self.data:
                    found.append(text(b"\n".join(self.data)))
                self.data, self.held = [], 0
            elif line.startswith(b"data:"):
                self.data.append(line[5:].removeprefix(b" "))
                self.held += len(line) + LINE_BYTES
        if len(self.rest) + self.held > EVENT_BYTES:
            raise Refusal("malformed", "the service sent an event without an end")
        return found


class Answer:
    """One answer on its way: `take` and `end` give what to tell the host."""

    def __init__(self, choices):
        self.over = [False] * choices
        self.usage = (0, 0, 0)

    def take(self, data):
        if data.strip() == "[DONE]":
            return self.end()
        chunk = parse(data)
        if chunk.get("error"):
            raise Refusal("other", f"the service failed: {quoted(message(chunk))}")
        if isinstance(used := chunk.get("usage"), dict):
            details = used.get("prompt_tokens_details")
            cached = details.get("cached_tokens") if isinstance(details, dict) else 0
            self.usage = tuple(map(count, (used.get("prompt_tokens"), cached, used.get("completion_tokens"))))
        choices = chunk.get("choices") or []
        if not isinstance(choices, list):
            raise malformed(data)
        return [gain for choice in choices for gain in self.gain(choice, data)]

    def end(self):
        """The service has said all that it will; an answer that is not over was cut."""
        if not all(self.over):
            raise Refusal("other", "the service ended the answer before it was over")
        return [("done", self.usage)]

    def gain(self, choice, data):
        try:
            index = choice.get("index") or 0
            said = (choice.get("delta") or {}).get("content") or choice.get("text") or ""
            is_over = self.over[index]
        except (AttributeError, IndexError, TypeError):
            raise malformed(data) from None
        if not isinstance(said, str) or index < 0:
            raise malformed(data)
        reason = choice.get("finish_reason")
        if reason == "content_filter":
            raise Refusal("other", "the service withheld the rest of the answer")
        finish = None if not reason else "length" if reason == "length" else "stop"
        if is_over or not (said or finish):
            return []
        self.over[index] = finish is not None
        return [("gained", index, said, finish)]


def models(body):
    """The names of `GET models`."""
    listed = parse(text(body)).get("data")
    if not isinstance(listed, list):
        raise malformed(text(body))
    names = [model.get("id") if isinstance(model, dict) else None for model in listed]
    if not all(isinstance(name, str) for name in names):
        raise malformed(text(body))
    return names


def refusal(status, said, retry_after):
    """What a status other than success means."""
    try:
        body = parse(said)
    except Refusal:
        body = {}  # Some say it in plain text.
    error = body.get("error") if isinstance(body.get("error"), dict) else {}
    why = quoted(message(body) or said)
    if 300 <= status < 400:
        return Refusal("invalid", "the service is elsewhere", "base-url")
    if status == 413 or error.get("code") == "context_length_exceeded":
        return Refusal("too_long", f"the service says: {why}")
    if status in (400, 422):
        field = error.get("param")
        return Refusal("invalid", f"the service says: {why}", field if isinstance(field, str) else None)
    if status in (401, 403):
        return Refusal("denied", f"the service refused the key: {why}")
    if status == 404:
        return Refusal("invalid", f"the service says: {why}", "model" if error else "base-url")
    if status in (408, 429, 503):
        when = f"in {retry_after} s" if (retry_after or "").isdecimal() else "later"
        return Refusal("exhausted", f"the service asks to come back {when}: {why}")
    return Refusal("other", f"the service failed (status {status}): {why}")


def parse(said):
    if too_deep(said):
        raise malformed(said)
    try:
        value = json.loads(said)
    except ValueError:
        raise malformed(said) from None
    if not isinstance(value, dict):
        raise malformed(said)
    return value


def too_deep(said):
    if said.count("[") + said.count("{") <= DEPTH_MAX:
        return False
    depth = 0
    for mark in MARKS.finditer(said):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark[0], 0)
        if depth > DEPTH_MAX:
            return True
    return False


def text(data):
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refusal("malformed", "the service sent what is no text") from None


def malformed(said):
    return Refusal("malformed", f"the service sent what is no answer: {quoted(said)}")


def message(body):
    error = body.get("error")
    said = error.get("message") if isinstance(error, dict) else error or body.get("message")
    return said if isinstance(said, str) else ""


def quoted(said):
    """Fit for a sentence: one line, at most 300 characters."""
    return " ".join(said[:2000].split())[:300] or "nothing"


def count(value):
    return value if isinstance(value, int) and 0 <= value < 2**32 else 0
