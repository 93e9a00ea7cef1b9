import { expect, test } from "vitest";
import type { Question } from "../src/api/setup";
import { answersFile, kept, problems, scale, shown, toSend } from "../src/setup/answers";
import { diffLines, tally } from "../src/setup/diff";
import { merged } from "../src/setup/tests";

const question = (more: Partial<Question> & Pick<Question, "id" | "kind">): Question => ({
  label: more.id, help: "", default: null, advanced: false, problem: null, answer: null, ...more,
});
const text = { type: "text", placeholder: "", bytes_max: 10 } as const;
const port = question({ id: "port", kind: { type: "number", min: 1, max: 65535, step: 1, unit: "" }, default: 7420 });
const name = question({ id: "name", kind: text, default: "box", answer: "attic" });
const key = question({ id: "key", kind: { type: "secret" }, answer: { given: true } });

test("only what was typed or kept is sent; a default stays the step's to change", () => {
  expect(toSend([port, name, key], {})).toEqual({ name: "attic" });
  expect(toSend([port, name, key], { port: 80, key: "s" })).toEqual({ name: "attic", port: 80, key: "s" });
});

test("a secret that was typed and taken back leaves the one that is kept", () => {
  expect(toSend([key], { key: "" })).toEqual({});
  expect(kept([key])).toEqual({});
});

test("a field shows what was typed, then what was kept, then the default, then nothing of its kind", () => {
  expect(shown(name, { name: "cellar" })).toBe("cellar");
  expect(shown(name, {})).toBe("attic");
  expect(shown(name, { name: null })).toBe("box");
  expect(shown(port, {})).toBe(7420);
  expect(shown(question({ id: "s", kind: { type: "several", options: [] } }), {})).toEqual([]);
  expect(shown(question({ id: "f", kind: { type: "flag" } }), {})).toBe(false);
  expect(shown(question({ id: "n", kind: { type: "number", min: 3, max: 9, step: 1, unit: "W" } }), {})).toBe(3);
  expect(shown(key, {})).toBe("");
});

test("the answers file says the same as the form, and never a secret", () => {
  const lines = question({ id: "nodes", kind: { type: "lines", placeholder: "", bytes_max: 99 } });
  const many = question({ id: "ways", kind: { type: "several", options: [] }, default: ["mdns"] });
  const file = answersFile("step-network", [port, name, key, lines, many], { nodes: 'a\n"b"\\', key: "s3cret" });
  expect(file).toBe([
    "finish = false",
    "tests = false",
    "",
    "[step-network]",
    "# port = 7420  # as it is by itself",
    'name = "attic"',
    'key = { env = "NAME" }',
    'nodes = "a\\n\\"b\\"\\\\"',
    '# ways = ["mdns"]  # as it is by itself',
  ].join("\n"));
});

test("problems stop, and only they", () => {
  const wrong = question({ id: "w", kind: text, problem: "no" });
  expect(problems([port, wrong])).toEqual([wrong]);
});

test("large numbers of bytes are typed in something larger", () => {
  expect(scale("bytes", 64 * 2 ** 30)).toEqual({ by: 2 ** 30, unit: "GiB" });
  expect(scale("bytes", 2 ** 29)).toEqual({ by: 2 ** 20, unit: "MiB" });
  expect(scale("percent", 100)).toEqual({ by: 1, unit: "%" });
});

test("a unified diff is read line by line; names of files and missing line ends are no lines", () => {
  const lines = diffLines("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n same\n-old\n+new\n+++ a list's mark\n\\ No newline at end of file\n");
  expect(lines.map((line) => line.kind)).toEqual(["place", "same", "removed", "added"]);
  expect(tally(lines)).toEqual({ added: 1, removed: 1 });
});

test("tests keep their order while their states change", () => {
  const check = (id: string, state: "waiting" | "passed") => ({ id, title: id, state, evidence: [], remedy: null, took_ms: null });
  const told = [check("a", "waiting"), check("b", "waiting"), check("a", "passed")].reduce(merged, [] as ReturnType<typeof check>[]);
  expect(told.map((one) => `${one.id} ${one.state}`)).toEqual(["a passed", "b waiting"]);
});
