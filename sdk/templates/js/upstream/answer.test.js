import assert from "node:assert/strict";
import { test } from "node:test";
import { Answer, Events, models, refusal } from "./answer.js";
import { encode } from "./text.js";

const stream =
  'data: {"choices":[{"index":0,"delta":{"content":"h\u00e9 \u{1f41d}"}}]}\r\n\r\n: a comment\n' +
  'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n' +
  'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\ndata: [DONE]\n\n';

function follow(bytes, size) {
  const events = new Events();
  const answer = new Answer(7, 1);
  const told = [];
  for (let at = 0; at < bytes.length; at += size)
    for (const data of events.push(bytes.subarray(at, at + size))) told.push(...answer.take(data));
  return told;
}

test("an answer is the same however it is cut", () => {
  for (let size = 1; size < 40; size += 1) {
    const told = follow(encode(stream), size);
    assert.deepEqual(told.map((event) => event.tag), ["gained", "gained", "done"]);
    assert.equal(told[0].val.text, "h\u00e9 \u{1f41d}");
    assert.equal(told[2].val[1].completionTokens, 2);
  }
});

test("an answer that is cut off is not taken for a whole one", () => {
  assert.throws(() => new Answer(7, 1).end(), (error) => error.tag === "other");
});

test("what is wrong is told by its kind", () => {
  for (const text of ["no JSON", "[1]", '{"data":[{"id":7}]}', `{"a":${"[".repeat(99)}${"]".repeat(99)}}`])
    assert.throws(() => models(text), (error) => error.tag === "malformed");
  assert.equal(models(`{"a":"${"[".repeat(99)}\\"","data":[{"id":"b"}]}`)[0].id, "b");
  assert.equal(refusal(429, "", "7").tag, "exhausted");
  assert.equal(refusal(401, "", null).tag, "denied");
  assert.equal(refusal(500, "", null).tag, "other");
  assert.equal(refusal(400, '{"error":{"message":"no","param":"n"}}', null).val.field, "n");
});
