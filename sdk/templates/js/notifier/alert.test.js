import assert from "node:assert/strict";
import { test } from "node:test";
import { body, refusal } from "./alert.js";

const alert = {
  id: "7",
  kind: "node.down",
  severity: "critical",
  title: 'node "b" is down',
  text: "",
  cluster: "home",
  node: "b",
  atUnixS: 951782400,
  resolved: false,
  facts: [["since", "2 min"]],
};

test("everything is in the object", () => {
  const made = JSON.parse(body(alert));
  assert.equal(made.title, alert.title);
  assert.equal(made.at, "2000-02-29T00:00:00.000Z");
  assert.deepEqual(made.facts, { since: "2 min" });
});

test("only what may be better later is tried again", () => {
  const again = (status) => ["exhausted", "other"].includes(refusal(status, "no")?.tag);
  for (const status of [408, 429, 500, 503]) assert.ok(again(status), `${status}`);
  for (const status of [301, 400, 401, 404, 413]) assert.ok(!again(status), `${status}`);
  assert.equal(refusal(204, ""), null);
});
