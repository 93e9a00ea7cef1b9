"""Drives skep's plugin `ollama` against a server that speaks as Ollama does and is none of ours.

  check_ollama.py --url URL --skep BINARY

The server is `ollama-proxy-plus` from PyPI, which answers in Ollama's interface for models behind an OpenAI-compatible one.
Behind it is the same agent's `tiny`: what comes through skep, the plugin, that server and skep again must be what comes
from `tiny` itself. Its `pull` gets nothing, so that only the conversation about one is tried.
The environment of BINARY must lead to the agent at URL, as for `check_logits.py`.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
from openai import OpenAI

from report import Checks

MODEL = "near/tiny"
ASK = [{"role": "user", "content": "The borrow checker"}]
SETTINGS = {"temperature": 0, "max_tokens": 24}
PATIENCE_S = 60


class Speaker:
    """The server in between. Ended with its `with` block."""

    def __init__(self, url):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        program = Path(sys.executable).parent / "ollama-proxy"
        behind = {"PROVIDERS_NEAR_API_KEY": "none", "PROVIDERS_NEAR_BASE_URL": f"{url}/v1", "EXTRA_MODELS": MODEL}
        self.child = subprocess.Popen(
            [program, "serve", "--host", "127.0.0.1", "--port", str(self.port)],
            env=os.environ | behind, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and self.child.poll() is None:
            try:
                httpx.get(f"{self.url}/api/version").raise_for_status()
                return self
            except httpx.TransportError:
                time.sleep(0.2)
        raise RuntimeError("the server that speaks as Ollama does did not start")

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait()


class Through:
    """One and the same model, directly and through the server."""

    def __init__(self, url, skep):
        self.client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        self.skep = skep

    def command(self, *arguments):
        run = subprocess.run([self.skep, *arguments], capture_output=True, text=True)
        assert run.returncode == 0, f"{arguments}: {run.stderr}"
        return run.stdout

    def add(self, speaker):
        place = f"127.0.0.1:{speaker.port}"
        self.command("upstream", "add", "speaker", "--plugin", "ollama", "--set", f"base-url={speaker.url}",
                     "--grant", f"http-local:{place}", "--model", "near/*")
        known = [model.id for model in self.client.models.list()]
        assert MODEL in known and not [name for name in known if name.startswith("openai/")], known

    def chat(self):
        def say(model):
            return self.client.chat.completions.create(model=model, messages=ASK, **SETTINGS)
        far, near = say(MODEL), say("tiny")
        assert far.choices[0].message.content == near.choices[0].message.content != ""
        assert far.usage.completion_tokens > 0 and far.model == MODEL

    def stream(self):
        def say(model):
            return list(self.client.chat.completions.create(model=model, messages=ASK, stream=True, **SETTINGS))
        def text(chunks):
            return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        far = say(MODEL)
        assert text(far) == text(say("tiny")) != "" and len(far) > 4, "it did not come in pieces"
        assert [chunk.choices[0].finish_reason for chunk in far if chunk.choices][-1], "it has no end"

    def complete(self):
        said = self.client.completions.create(model=MODEL, prompt="The borrow", **SETTINGS)
        assert said.choices[0].text

    def refuse(self):
        """`tiny` makes no embeddings: the server fails, and whose fault it is is said."""
        try:
            self.client.embeddings.create(model=MODEL, input="one")
        except Exception as error:  # whatever its type, the words count
            assert "upstream `speaker`" in str(error), error
            return
        raise AssertionError("there are embeddings")

    def pull(self):
        assert "pulled" in self.command("upstream", "pull", "speaker", MODEL)

    def missed(self):
        """Nobody asks anything of it, and whoever lists upstreams is told that it is gone."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            one = json.loads(self.command("upstream", "show", "speaker", "--json"))
            if one["state"] == "down":
                return
            time.sleep(0.5)
        raise AssertionError(f"it is not missed: {one}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--skep", required=True, type=Path)
    args = parser.parse_args()
    checks, through = Checks(), Through(args.url, args.skep)
    with Speaker(args.url) as speaker:
        for name in ("add", "chat", "stream", "complete", "refuse", "pull"):
            arguments = [speaker] if name == "add" else []
            checks.attempt(f"ollama: {name}", getattr(through, name), *arguments)
    checks.attempt("ollama: missed", through.missed)
    checks.attempt("ollama: removed", through.command, "upstream", "rm", "speaker")
    sys.exit(checks.finish())


if __name__ == "__main__":
    main()
