import { afterEach, expect, test, vi } from "vitest";
import { ApiError } from "../src/api/client";
import { Events, events, Lines, LINE_CHARS_MAX, values } from "../src/api/stream";

afterEach(() => vi.unstubAllGlobals());

/** An answer whose body comes in the given pieces, as bytes cut anywhere. */
function answer(pieces: (string | Uint8Array)[], status = 200): void {
  const body = new ReadableStream<Uint8Array>({
    start(control) {
      for (const piece of pieces) control.enqueue(typeof piece === "string" ? new TextEncoder().encode(piece) : piece);
      control.close();
    },
  });
  vi.stubGlobal("fetch", () => Promise.resolve(new Response(body, { status })));
}

async function all<T>(from: AsyncGenerator<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of from) found.push(one);
  return found;
}

test("lines are put together wherever they were cut", () => {
  const lines = new Lines();
  expect(lines.push("a")).toEqual([]);
  expect(lines.push("b\r\nc\n\nd")).toEqual(["ab", "c", ""]);
  expect(lines.push("\n")).toEqual(["d"]);
});

test("a line without an end is not gathered for ever", () => {
  const lines = new Lines();
  expect(() => lines.push("x".repeat(LINE_CHARS_MAX + 1))).toThrow(ApiError);
});

test("an event is what its data lines say together; the rest is passed over", () => {
  const gathered = new Events();
  const told = [": a comment", "event: x", "data: 1", "data:2", "id: 7", "", ""].map((line) => gathered.push(line));
  expect(told).toEqual([null, null, null, null, null, "1\n2", null]);
});

test("signs of several bytes survive being cut", async () => {
  const bytes = new TextEncoder().encode('data: {"text":"Bienenkörbe 🐝"}\n\n');
  answer(Array.from(bytes, (byte) => new Uint8Array([byte])));
  expect(await all(events("x"))).toEqual([{ text: "Bienenkörbe 🐝" }]);
});

test("what follows the end of a stream is not read", async () => {
  answer(['data: {"n":1}\n\n', "data: [DONE]\n\n", 'data: {"n":2}\n\n']);
  expect(await all(events("x"))).toEqual([{ n: 1 }]);
});

test("lines that keep a connection alive are no values", async () => {
  answer(['{"n":1}\n\n', " \n", '{"n":2}\n']);
  expect(await all(values("x"))).toEqual([{ n: 1 }, { n: 2 }]);
});

test("what is no JSON ends the stream with a word", async () => {
  answer(["data: {\n\n"]);
  await expect(all(events("x"))).rejects.toThrow("cannot read");
});

test("a refusal is told in the agent's words", async () => {
  answer([JSON.stringify({ error: { message: "`m` is loaded", code: "model_loaded", hint: "unload it" } })], 409);
  const error = await all(values("x")).catch((why: unknown) => why);
  expect(error).toMatchObject({ status: 409, code: "model_loaded", message: "`m` is loaded.", hint: "Unload it." });
});
