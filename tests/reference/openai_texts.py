"""What the official `openai` library must get for models, chats and completions.

Texts are never judged, only their agreement with each other and with what was asked for.
"""

import numpy as np
import openai

from openai_errors import expect
from openai_session import MESSAGES, PROMPT, OpenaiSession


class TextChecks(OpenaiSession):
    """Each method is one check: it raises where the server differs, and may return a remark."""

    def all(self):
        return [
            self.models_list,
            self.models_retrieve,
            self.models_retrieve_unknown,
            self.chat_whole,
            self.chat_stream,
            self.chat_stream_usage,
            self.chat_content_parts,
            self.chat_roles,
            self.chat_max_completion_tokens,
            self.chat_n,
            self.chat_n_stream,
            self.chat_logprobs,
            self.chat_logprobs_stream,
            self.completion_whole,
            self.completion_echo,
            self.completion_prompts,
            self.completion_logprobs,
            self.completion_token_ids,
            self.stop_strings,
            self.seed,
            self.logit_bias,
            self.penalties,
            self.unknown_fields,
        ]

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
        expect(openai.NotFoundError, lambda: self.client.models.retrieve("no-such-model"))

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
