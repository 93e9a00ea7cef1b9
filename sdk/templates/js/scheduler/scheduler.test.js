import assert from "node:assert/strict";
import { test } from "node:test";
import { policy } from "./scheduler.js";

test("the one with the fewest requests comes first", () => {
  for (const [id, running] of [[1, 5], [2, 1], [3, 3]])
    policy.observe({
      tag: "replica",
      val: { id, model: "tiny", node: "n1", devices: [], state: "ready", running },
    });
  const choice = policy.route({ model: "tiny" });
  assert.deepEqual(choice.ranked.map((seat) => seat.replica), [2, 3, 1]);
});
