"""A session with a server through the official `openai` library, for the checks that use one.

Holds the clients and the plain requests that most checks start from; judges nothing.
"""

import httpx
import openai

PROMPT = "The borrow checker"
MESSAGES = [{"role": "user", "content": PROMPT}]


class OpenaiSession:
    """`client` is the library's; `http` sends what the library would not."""

    def __init__(self, url, model, key=None):
        self.url, self.model, self.key = url.rstrip("/"), model, key
        self.client = self.make_client(key)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx.Client(base_url=self.url, timeout=120, headers=headers)

    def make_client(self, key):
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key or "none", max_retries=3, timeout=120)

    def chat(self, **settings):
        body = {"model": self.model, "messages": MESSAGES, "temperature": 0, "max_tokens": 24} | settings
        return self.client.chat.completions.create(**body)

    def complete(self, **settings):
        body = {"model": self.model, "prompt": PROMPT, "temperature": 0, "max_tokens": 24} | settings
        return self.client.completions.create(**body)
