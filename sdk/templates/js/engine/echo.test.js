import assert from "node:assert/strict";
import { test } from "node:test";
import { Echo } from "./echo.js";

const say = (words, more) => ({
  tag: "generate",
  val: { prompt: { tag: "text", val: words }, maxTokens: null, choices: 1, continued: [], ...more },
});

function run(echo) {
  const events = [];
  for (let step; (step = echo.step()).length > 0; ) events.push(...step);
  return events;
}

test("a prompt comes back word by word", () => {
  const echo = new Echo();
  echo.submit(1, say("one two three"));
  echo.submit(2, say("uno dos", { maxTokens: 1 }));
  const events = run(echo);
  const text = (id) =>
    events.filter((e) => e.tag === "gained" && e.val.request === id).map((e) => e.val.text).join("");
  assert.equal(text(1), "one two three");
  assert.equal(text(2), "uno ");
  assert.equal(echo.load().running, 0);
});

test("the length of a text is its embedding", () => {
  const echo = new Echo();
  echo.submit(7, { tag: "embed", val: { inputs: [{ tag: "text", val: "four" }] } });
  assert.deepEqual(run(echo).map((event) => event.tag), ["embedded", "done"]);
});

test("what is cancelled is done with the next step", () => {
  const echo = new Echo();
  echo.submit(1, say("one two three"));
  echo.cancel(1);
  assert.deepEqual(run(echo).map((event) => event.tag), ["done"]);
});
