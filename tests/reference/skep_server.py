"""Talks to a running skep server for the checks: adds and removes models, posts JSON.

Knows the HTTP and command-line surface alone; judges nothing.
"""

import subprocess
import time

import httpx

LOAD_SECONDS = 120


class Server:
    """`url` as in `http://127.0.0.1:7420`; `skep` the binary whose environment names the state."""

    def __init__(self, url, skep, key=None):
        self.skep = skep
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=300)

    def command(self, *arguments):
        """Runs the binary; an error carries what it printed."""
        done = subprocess.run([self.skep, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=300, check=False)
        if done.returncode:
            raise RuntimeError(f"`skep {' '.join(map(str, arguments))}` failed: {(done.stderr or done.stdout).strip()}")

    def pull(self, path, name):
        """Adds a model file under a name."""
        self.command("pull", path.resolve(), "--name", name)

    def remove(self, name):
        """Removes a model that `pull` added."""
        self.command("rm", "--force", name)

    def post(self, path, body):
        """The answer to a JSON request; waits while the server says that the model still loads."""
        deadline = time.monotonic() + LOAD_SECONDS
        while True:
            answer = self.http.post(path, json=body)
            if answer.status_code != 503 or time.monotonic() > deadline:
                break
            time.sleep(min(float(answer.headers.get("retry-after", 1)), 5))
        if answer.status_code != 200:
            raise RuntimeError(f"{path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json()

    def complete(self, model, ids, **settings):
        """The single choice of a completion of token ids, greedy unless told otherwise."""
        body = {"model": model, "prompt": ids, "temperature": 0, **settings}
        return self.post("/v1/completions", body)["choices"][0]

    def embed(self, model, inputs):
        """The embeddings of several texts, in their order."""
        data = self.post("/v1/embeddings", {"model": model, "input": inputs})["data"]
        return [entry["embedding"] for entry in sorted(data, key=lambda entry: entry["index"])]
