// What a service's answer says, in the contract's events. What comes may be cut anywhere, wrong or hostile.
// Plain JavaScript, to be tested without a component.

import { decode, quoted } from "./text.js";

const EVENT_BYTES = 1 << 20;
const LINE_BYTES = 64; // What a line takes beside its text.
const DEPTH_MAX = 64;
const NEWLINE = 10;
const ENDLESS = { tag: "malformed", val: "the service sent an event without an end" };

// Server-sent events, as bytes come.
export class Events {
  #rest = new Uint8Array();
  #data = [];
  #held = 0;

  // The data of each event that is whole now.
  push(bytes) {
    const found = [];
    let all = bytes;
    if (this.#rest.length > 0) {
      all = new Uint8Array(this.#rest.length + bytes.length);
      all.set(this.#rest);
      all.set(bytes, this.#rest.length);
    }
    let from = 0;
    for (let end; (end = all.indexOf(NEWLINE, from)) >= 0; from = end + 1) {
      const line = decode(all.subarray(from, end)).replace(/\r$/, "");
      if (line === "") {
        if (this.#data.length > 0) found.push(this.#data.join("\n"));
        this.#data = [];
        this.#held = 0;
      } else if (line.startsWith("data:")) {
        this.#data.push(line.slice(5).replace(/^ /, ""));
        this.#held += line.length + LINE_BYTES;
        if (this.#held > EVENT_BYTES) throw ENDLESS;
      }
    }
    this.#rest = all.slice(from);
    if (this.#held + this.#rest.length > EVENT_BYTES) throw ENDLESS;
    return found;
  }
}

// One answer on its way: `take` and `end` give what to tell the host.
export class Answer {
  #request;
  #over;
  #usage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };

  constructor(request, choices) {
    this.#request = request;
    this.#over = new Array(choices).fill(false);
  }

  take(data) {
    if (data.trim() === "[DONE]") return this.end();
    const chunk = parse(data);
    if (chunk.error) throw { tag: "other", val: `the service failed: ${quoted(message(chunk))}` };
    if (chunk.usage) {
      this.#usage = {
        promptTokens: count(chunk.usage.prompt_tokens),
        cachedTokens: count(chunk.usage.prompt_tokens_details?.cached_tokens),
        completionTokens: count(chunk.usage.completion_tokens),
      };
    }
    const choices = chunk.choices ?? [];
    if (!Array.isArray(choices)) throw malformed(data);
    return choices.flatMap((choice) => this.#gain(choice, data));
  }

  // The service has said all that it will; an answer that is not over was cut.
  end() {
    if (this.#over.includes(false))
      throw { tag: "other", val: "the service ended the answer before it was over" };
    return [{ tag: "done", val: [this.#request, this.#usage] }];
  }

  #gain(choice, data) {
    const index = choice?.index ?? 0;
    const text = choice?.delta?.content ?? choice?.text ?? "";
    if (typeof text !== "string" || this.#over[index] === undefined) throw malformed(data);
    const reason = choice.finish_reason;
    if (reason === "content_filter")
      throw { tag: "other", val: "the service withheld the rest of the answer" };
    const finish = reason ? (reason === "length" ? "length" : "stop") : null;
    if (this.#over[index] || (text === "" && !finish)) return [];
    this.#over[index] = finish !== null;
    const gain = { request: this.#request, choice: index, text, tokens: [], logprobs: [], finish };
    return [{ tag: "gained", val: gain }];
  }
}

// The names of `GET models`.
export function models(text) {
  const list = parse(text).data;
  const names = Array.isArray(list) ? list.map((model) => model?.id) : [undefined];
  if (!names.every((name) => typeof name === "string")) throw malformed(text);
  return names.map((id) => ({ id, info: null }));
}

// What a status other than success means.
export function refusal(status, said, retryAfter) {
  let body = {};
  try {
    body = parse(said);
  } catch {
    // Some say it in plain text.
  }
  const why = quoted(message(body) || said);
  const invalid = (field) => ({ tag: "invalid", val: { field, message: `the service says: ${why}` } });
  if (status >= 300 && status < 400)
    return { tag: "invalid", val: { field: "base-url", message: "the service is elsewhere" } };
  if (status === 413 || body.error?.code === "context_length_exceeded")
    return { tag: "too-long", val: { field: null, message: `the service says: ${why}` } };
  switch (status) {
    case 400:
    case 422:
      return invalid(typeof body.error?.param === "string" ? body.error.param : null);
    case 401:
    case 403:
      return { tag: "denied", val: `the service refused the key: ${why}` };
    case 404:
      return invalid(body.error ? "model" : "base-url");
    case 408:
    case 429:
    case 503: {
      const when = /^\d+$/.test(retryAfter ?? "") ? `in ${retryAfter} s` : "later";
      return { tag: "exhausted", val: `the service asks to come back ${when}: ${why}` };
    }
  }
  return { tag: "other", val: `the service failed (status ${status}): ${why}` };
}

function parse(text) {
  if (isDeep(text)) throw malformed(text);
  try {
    const value = JSON.parse(text);
    if (value !== null && typeof value === "object") return value;
  } catch {
    // Told below.
  }
  throw malformed(text);
}

// A parser that calls itself has little room here, and a service could use it up.
function isDeep(text) {
  let depth = 0;
  let isQuoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') isQuoted = !isQuoted;
    else if (isQuoted && character === "\\") at += 1;
    else if (!isQuoted && "[{".includes(character) && ++depth > DEPTH_MAX) return true;
    else if (!isQuoted && "]}".includes(character)) depth -= 1;
  }
  return false;
}

function malformed(text) {
  return { tag: "malformed", val: `the service sent what is no answer: ${quoted(text)}` };
}

function message(body) {
  const said = body.error?.message ?? body.error ?? body.message;
  return typeof said === "string" ? said : "";
}

function count(value) {
  return Number.isInteger(value) && value >= 0 && value < 2 ** 32 ? value : 0;
}
