"""An engine: it says a prompt back, one word in each step, and embeds a text as its length.

A real one opens the model's files in `open`, records a graph of operations by `skep:plugin/compute`, and runs it in `step` for all
requests at once. Plain Python, to be tested without a component: events are tuples that `model.py` puts into the contract's types.
"""

import re

VOCABULARY = 256


class Echo:
    def __init__(self):
        self.requests = {}

    def generate(self, identity, text, max_tokens, said):
        """`said` is how many words another instance said already."""
        words = re.findall(r"[^ ]* |[^ ]+", text)
        prompt = len(words)
        words = words[:max_tokens]
        # A word is one token, named after how many follow it; the last is said first.
        words = words[said:][::-1]
        self.requests[identity] = {"words": words, "prompt": prompt, "said": said, "started": False}

    def embed(self, identity, texts):
        lengths = [float(len(text.encode())) for text in texts]
        self.requests[identity] = {"lengths": lengths, "prompt": len(texts), "said": 0}

    def cancel(self, identity):
        if request := self.requests.get(identity):
            request["cancelled"] = True

    def step(self):
        events = []
        for identity, request in list(self.requests.items()):
            usage = (request["prompt"], 0)
            if "cancelled" not in request and "words" in request:
                if not request["started"]:
                    request["started"] = True
                    events.append(("started", identity, (*usage, request["said"])))
                words = request["words"]
                word = words.pop() if words else None
                tokens = [] if word is None else [len(words)]
                request["said"] += len(tokens)
                events.append(("gained", identity, word or "", tokens, not words))
                if words:
                    continue
            elif "cancelled" not in request:
                for index, length in enumerate(request["lengths"]):
                    events.append(("embedded", identity, index, [length]))
            del self.requests[identity]
            events.append(("done", identity, (*usage, request["said"])))
        return events
