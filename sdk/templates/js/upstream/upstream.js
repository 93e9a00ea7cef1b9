// An adapter to a service that speaks as OpenAI's does. The component's face, which the host calls; an error is thrown.

import { Answer, Events, models, refusal } from "./answer.js";
import { ask } from "./ask.js";
import { read, secret, send } from "./http.js";
import { encode } from "./text.js";

const MODELS_BYTES = 1 << 20;
const REFUSAL_BYTES = 64 * 1024;

// One request in flight: an instance each, so that what it holds goes with it.
class Exchange {
  #reply;
  #events = new Events();
  #answer;
  #told = [];
  #isOver = false;

  constructor(reply, answer) {
    this.#reply = reply;
    this.#answer = answer;
  }

  static start(settings, model, request, work) {
    const { path, body } = ask(model, work);
    const reply = call(settings, "post", path, encode(body));
    return new Exchange(reply, new Answer(request, work.val.choices));
  }

  next() {
    while (this.#told.length === 0) {
      if (this.#isOver) return null;
      const piece = this.#reply.read();
      if (piece === null) {
        this.#told.push(...this.#answer.end());
        break;
      }
      for (const data of this.#events.push(piece)) {
        this.#told.push(...this.#answer.take(data));
        if (this.#told.at(-1)?.tag === "done") break;
      }
    }
    const event = this.#told.shift();
    if (event.tag === "done") this.#isOver = true;
    return event;
  }
}

class Pull {
  static start() {
    throw { tag: "unsupported", val: "this service cannot be asked to get a model" };
  }

  next() {
    return null;
  }
}

export const adapter = {
  models(settings) {
    return models(call(settings, "get", "models", new Uint8Array()).whole(MODELS_BYTES));
  },
  Exchange,
  Pull,
};

function call(settings, method, path, body) {
  const { get, need } = read(settings);
  const headers = [["accept", "text/event-stream, application/json"]];
  if (body.length > 0) headers.push(["content-type", "application/json"]);
  if (get("key")) headers.push(["authorization", secret(get("key"), "Bearer ")]);
  const url = `${need("base-url").replace(/\/+$/, "")}/${path}`;
  const reply = send(method, url, headers, body);
  if (!reply.isSuccess)
    throw refusal(reply.status, reply.some(REFUSAL_BYTES), reply.header("retry-after"));
  return reply;
}
