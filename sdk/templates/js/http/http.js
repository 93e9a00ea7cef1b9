// A small client over `wasi:http`. The host connects to nobody whom the operator did not grant, puts secrets in, and limits time and size.
// Interfaces are named without a version here: `skep plugin build` shows the tool a copy of the contract, in `build/wit`.

import types from "wasi:http/types";
import handler from "wasi:http/outgoing-handler";
import secrets from "skep:plugin/secrets";
import { decode, encode } from "./text.js";

const PIECE_BYTES = 16 * 1024;
const WRITE_BYTES = 4096; // The most that the host takes at once.

// The settings of an operator as a map; what was not set is not in it.
export function read(settings) {
  const map = new Map(settings.values);
  return {
    get: (name) => map.get(name),
    need(name) {
      const value = map.get(name);
      if (value) return value;
      throw { tag: "invalid", val: { field: name, message: `the setting \`${name}\` is missing` } };
    },
  };
}

// What stands for a secret in a header: the host puts its text there, and no plugin ever sees it.
export function secret(name, prefix) {
  return attempt(() => {
    const opened = secrets.Secret.open(name);
    const value = opened.headerValue(prefix);
    opened[Symbol.dispose]();
    return value;
  });
}

// Sends a request. `headers` are pairs of texts; the answer's body is read piece by piece.
export function send(method, url, headers, body) {
  const parts = /^(https?):\/\/([^/?#]+)([^#]*)/i.exec(url);
  if (!parts)
    throw { tag: "invalid", val: { field: null, message: `\`${url}\` is no address` } };
  const [, scheme, host, path] = parts;
  const fields = attempt(() =>
    types.Fields.fromList(headers.map(([name, value]) => [name, encode(value)])),
  );
  const request = new types.OutgoingRequest(fields);
  request.setMethod({ tag: method });
  request.setScheme({ tag: scheme.toLowerCase() === "http" ? "HTTP" : "HTTPS" });
  request.setAuthority(host);
  request.setPathWithQuery(path.startsWith("/") ? path : `/${path}`);
  const out = request.body();
  const writing = out.write();
  const coming = attempt(() => handler.handle(request, null), host);
  try {
    for (let at = 0; at < body.length; at += WRITE_BYTES)
      writing.blockingWriteAndFlush(body.subarray(at, at + WRITE_BYTES));
  } catch {
    // Whoever wants no more of it has answered already, or says below why not.
  }
  writing[Symbol.dispose]();
  try {
    types.OutgoingBody.finish(out, null);
  } catch {
    // As above.
  }
  const ready = coming.subscribe();
  ready.block();
  ready[Symbol.dispose]();
  const came = coming.get()?.val;
  if (came?.tag !== "ok") throw lost(came?.val, host);
  return new Answer(came.val, host);
}

export class Answer {
  #host;
  #body;
  #stream;
  #headers;

  constructor(response, host) {
    this.#host = host;
    this.status = response.status();
    this.#headers = response.headers().entries();
    this.#body = response.consume();
    this.#stream = this.#body.stream();
  }

  get isSuccess() {
    return this.status >= 200 && this.status < 300;
  }

  header(name) {
    const found = this.#headers.find(([known]) => known.toLowerCase() === name);
    return found ? decode(Uint8Array.from(found[1])) : null;
  }

  // The next piece; null at the end.
  read() {
    for (;;) {
      try {
        const piece = Uint8Array.from(this.#stream.blockingRead(PIECE_BYTES));
        // Nothing yet is no end.
        if (piece.length > 0) return piece;
      } catch (error) {
        const why = error?.payload ?? error;
        if (why?.tag === "closed") return null;
        throw lost(why?.val && types.httpErrorCode(why.val), this.#host);
      }
    }
  }

  // As much as comes and as fits: of what a service says of a failure, the beginning is enough.
  some(limit) {
    const pieces = [];
    let length = 0;
    try {
      for (let piece; length < limit && (piece = this.read()); length += piece.length) pieces.push(piece);
    } catch {
      // What came is what there is.
    }
    const all = Uint8Array.from(pieces.flatMap((piece) => [...piece]).slice(0, limit));
    try {
      return decode(all);
    } catch {
      return "";
    }
  }

  // All of it, which must not be longer.
  whole(limit) {
    const pieces = [];
    let length = 0;
    for (let piece; (piece = this.read()); ) {
      pieces.push(piece);
      length += piece.length;
      if (length > limit) throw { tag: "malformed", val: `the service sent more than ${limit} bytes` };
    }
    const all = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    return decode(all);
  }
}

// An import's refusal, in the contract's words.
function attempt(call, host) {
  try {
    return call();
  } catch (error) {
    const why = error?.payload ?? error;
    throw host === undefined && ["invalid", "denied", "other"].includes(why?.tag) ? why : lost(why, host);
  }
}

function lost(code, host) {
  const tag = String(code?.tag ?? "").toLowerCase();
  if (tag === "http-request-denied" || tag === "destination-ip-prohibited")
    return { tag: "denied", val: `requests to \`${host}\` are not granted` };
  const why = tag === "" ? "the connection broke" : tag.replaceAll("-", " ");
  return { tag: "other", val: `\`${host ?? "the request"}\` did not answer: ${why}` };
}
