// An engine: it says a prompt back, one word in each step, and embeds a text as its length.
// A real one opens the model's files in `open`, records a graph of operations by `skep:plugin/compute`, and runs it in `step` for
// all requests at once. Plain JavaScript, to be tested without a component.

import { decode, encode } from "./text.js";

const COUNT_MAX = 2 ** 32 - 1;

export class Echo {
  #requests = new Map();

  info() {
    return {
      architecture: "echo",
      name: "Echo",
      parameters: 0,
      quantisation: "none",
      vocabulary: 256,
      contextTokens: 1 << 20,
      trainedContextTokens: 1 << 20,
      embeddingWidth: 1,
      sequences: 4096,
      cacheBytes: 0,
      abilities: { chat: true, complete: true, embed: true },
    };
  }

  submit(id, work) {
    const usage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };
    const request = { usage, started: false };
    if (work.tag === "generate") {
      const { prompt, maxTokens, choices, continued } = work.val;
      if (choices !== 1) throw { tag: "unsupported", val: "an echo gives one answer" };
      const words = text(prompt).match(/[^ ]* |[^ ]+/g) ?? [];
      usage.promptTokens = words.length;
      words.length = Math.min(words.length, maxTokens ?? COUNT_MAX);
      words.reverse();
      // A word is one token, named after how many follow it; what another instance said is said.
      const said = continued[0]?.tokens.length ?? 0;
      words.length = Math.max(0, words.length - said);
      usage.completionTokens = said;
      request.words = words;
    } else {
      request.lengths = work.val.inputs.map((input) => encode(text(input)).length);
      usage.promptTokens = request.lengths.length;
    }
    this.#requests.set(id, request);
  }

  cancel(id) {
    const request = this.#requests.get(id);
    if (request) request.isCancelled = true;
  }

  step() {
    const events = [];
    for (const [id, request] of this.#requests) {
      if (!request.isCancelled && request.words) {
        if (!request.started) events.push({ tag: "started", val: [id, { ...request.usage }] });
        request.started = true;
        const word = request.words.pop();
        const tokens = word === undefined ? [] : [request.words.length];
        request.usage.completionTokens += tokens.length;
        const finish = request.words.length === 0 ? "stop" : null;
        const gain = { request: id, choice: 0, text: word ?? "", tokens, logprobs: [], finish };
        events.push({ tag: "gained", val: gain });
        if (!finish) continue;
      } else if (!request.isCancelled) {
        request.lengths.forEach((length, index) =>
          events.push({ tag: "embedded", val: { request: id, index, values: [length] } }),
        );
      }
      this.#requests.delete(id);
      events.push({ tag: "done", val: [id, request.usage] });
    }
    return events;
  }

  load() {
    const running = this.#requests.size;
    return { running, waiting: 0, cachePages: 0, cachePagesUsed: 0, guessed: 0, guessesKept: 0 };
  }

  tokenize(text) {
    return [...encode(text)];
  }

  detokenize(tokens) {
    // Numbers from 2^31 on may come as negative ones.
    if (tokens.some((token) => token < 0 || token > 255))
      throw { tag: "invalid", val: { field: "tokens", message: "a token is a byte" } };
    return decode(Uint8Array.from(tokens));
  }
}

function text(prompt) {
  if (prompt.tag === "chat") return prompt.val.at(-1)?.content ?? "";
  return prompt.tag === "text" ? prompt.val : [...prompt.val].map((token) => `${token} `).join("");
}
