import { expect, test } from "vitest";
import type { LogEntry, Top } from "../src/api/types";
import { ago, count, memory, quantity, size, span, took, until } from "../src/lib/format";
import { History, READINGS_MAX } from "../src/lib/history";
import { keepTalks, readTalks, type Talk, TALKS_MAX, titleOf } from "../src/lib/talks";
import { joined } from "../src/pages/logs";
import { followed } from "../src/pages/markdown";
import { place } from "../src/cluster/topology";
import { points } from "../src/ui/spark";

test("figures have the units of the command line", () => {
  expect([size(999), size(4_600_000), memory(45 * 2 ** 20), count(4_200_000)]).toEqual(["999 B", "4.6 MB", "45 MiB", "4.2 M"]);
  expect([span(59), span(3599), span(90_000), span(-5)]).toEqual(["59 s", "59 min", "25 h", "0 s"]);
  expect([took(0.4), took(12), took(1234), took(61_000)]).toEqual(["< 1 ms", "12 ms", "1.2 s", "1 min"]);
  expect([ago(null), ago(100, 102), ago(100, 400), until(400, 100), until(100, 400)]).toEqual(["never", "just now", "5 min ago", "in 5 min", "over"]);
  expect([quantity(2 ** 30, "bytes"), quantity(1, "cores"), quantity(7420, ""), quantity(300, "W")]).toEqual(["1.0 GiB", "1 core", "7420", "300 W"]);
});

const look = (at_unix_ms: number, completion_tokens: number): Top => ({
  at_unix_ms,
  nodes: [],
  replicas: [],
  requests: {
    running: 1, waiting: 1, arrived: 0, refused: 0, answered: 0, failed: 0, cut: 0, prompt_tokens: 0, completion_tokens, latest: [],
  },
});

test("tokens a second are what came between two looks; a fresh agent begins anew", () => {
  const history = new History();
  history.take(look(1000, 500));
  history.take(look(3000, 600));
  // The same look again says nothing new.
  history.take(look(3000, 600));
  history.take(look(5000, 10));
  history.take(look(7000, 30));
  expect(history.of("tokens")).toEqual([50, 10]);
  expect(history.of("running")).toEqual([2, 2, 2, 2]);
});

test("a chart keeps so many readings and no more", () => {
  const history = new History();
  for (let n = 0; n < READINGS_MAX + 5; n += 1) history.add("x", n);
  history.add("x", Number.NaN);
  history.add("x", null);
  expect(history.of("x")).toHaveLength(READINGS_MAX);
  expect(history.of("x").at(-1)).toBe(READINGS_MAX + 4);
  expect(points([0, 50, 100], 100).split(" ").at(-1)).toBe("240.0,1.0");
  expect(points([], 0)).toBe("");
});

const talk = (id: string, at: number, content = "q"): Talk => ({ id, title: id, at, model: "m", messages: [{ role: "user", content }] });

test("conversations are kept within bounds, the newest first; what is damaged is passed over", () => {
  const store = new Map<string, string>();
  const box = { getItem: (key: string) => store.get(key) ?? null, setItem: (key: string, value: string) => void store.set(key, value) };
  keepTalks(box, Array.from({ length: TALKS_MAX + 3 }, (_, n) => talk(String(n), n)));
  expect(readTalks(box)).toHaveLength(TALKS_MAX);
  expect(readTalks(box)[0]?.id).toBe(String(TALKS_MAX + 2));
  const large = keepTalks(box, [talk("old", 1, "x".repeat(1_500_000)), talk("new", 2, "y".repeat(1_500_000))]);
  expect(large.map((one) => one.id)).toEqual(["new"]);
  store.set("skep-talks", '[{"id":1},{"id":"a","title":"t","at":1,"model":"m","messages":[{"role":"system","content":""}]}]');
  expect(readTalks(box)).toEqual([]);
  store.set("skep-talks", "{");
  expect(readTalks(box)).toEqual([]);
  const full = { setItem: () => { throw new Error("full"); } };
  expect(keepTalks(full, [talk("a", 1)])).toHaveLength(1);
  expect(titleOf([{ role: "user", content: ` a\n${"b".repeat(99)}` }])).toHaveLength(60);
});

test("a log that is told again after a break shows no entry twice; an agent that started anew begins anew", () => {
  const entry = (number: number, time_unix_ms: number): LogEntry => ({ number, time_unix_ms, level: "info", target: "t", message: "m" });
  let entries: readonly LogEntry[] = [];
  for (const one of [entry(1, 10), entry(2, 20), entry(1, 10), entry(2, 20), entry(3, 30)]) entries = joined(entries, one);
  expect(entries.map((one) => one.number)).toEqual([1, 2, 3]);
  entries = joined(entries, entry(1, 99));
  expect(entries.map((one) => one.time_unix_ms)).toEqual([99]);
});

test("links of a model's text lead only where a person may want to go", () => {
  expect(followed("https://example.org/a")).toBe("https://example.org/a");
  expect(followed("mailto:a@example.org")).toBe("mailto:a@example.org");
  for (const bad of ["javascript:alert(1)", "JAVASCRIPT:alert(1)", "data:text/html,x", "file:///etc/passwd", "/relative", "vbscript:x", " javascript:x"]) {
    expect(followed(bad), bad).toBeNull();
  }
});

test("the others stand around the middle, none upon another", () => {
  const spots = Array.from({ length: 7 }, (_, n) => place(n, 7));
  for (const [at, one] of spots.entries()) {
    for (const other of spots.slice(at + 1)) expect(Math.hypot(one.x - other.x, one.y - other.y)).toBeGreaterThan(40);
  }
});
