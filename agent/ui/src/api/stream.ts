/**
 * Answers that come bit by bit: server-sent events and lines of JSON.
 *
 * Decides where one value ends. A value that is no JSON, or is longer than anything that the agent sends, ends the stream.
 */
import { ApiError, send, type Call } from "./client";

/** No line of the agent's is longer. */
export const LINE_CHARS_MAX = 4 << 20;

/** Cuts text that comes in pieces into lines. `\r\n` and `\n` end one. */
export class Lines {
  private rest = "";

  push(text: string): string[] {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    if (this.rest.length > LINE_CHARS_MAX) throw new ApiError("The agent sent a line without an end.", 0, "broken_stream");
    return lines.map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
  }
}

/** Puts the lines of an event stream together. */
export class Events {
  private data: string[] = [];

  /** The data of the event that this line ends, if it ends one. */
  push(line: string): string | null {
    if (line === "") {
      const data = this.data;
      this.data = [];
      return data.length > 0 ? data.join("\n") : null;
    }
    if (line.startsWith("data:")) this.data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
    return null;
  }
}

async function* pieces(answer: Response): AsyncGenerator<string> {
  if (!answer.body) return;
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      yield decoder.decode(value, { stream: true });
    }
    yield decoder.decode();
  } finally {
    // Whoever leaves early tells the agent so.
    void reader.cancel().catch(() => undefined);
  }
}

function parse<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new ApiError("The agent sent something that this page cannot read.", 0, "broken_stream");
  }
}

/** The data of each event, until the stream ends or says `[DONE]`. */
export async function* events<T>(path: string, call: Call = {}): AsyncGenerator<T> {
  const answer = await send(path, { ...call, headers: { accept: "text/event-stream", ...call.headers } });
  const lines = new Lines();
  const gathered = new Events();
  for await (const piece of pieces(answer)) {
    for (const line of lines.push(piece)) {
      const data = gathered.push(line);
      if (data === "[DONE]") return;
      if (data !== null) yield parse<T>(data);
    }
  }
}

/** Each line's value. */
export async function* values<T>(path: string, call: Call = {}): AsyncGenerator<T> {
  const answer = await send(path, call);
  const lines = new Lines();
  for await (const piece of pieces(answer)) {
    for (const line of lines.push(piece)) {
      if (line.trim() !== "") yield parse<T>(line);
    }
  }
}
