import { afterEach, expect, test, vi } from "vitest";
import { ApiError, json, read, sentence } from "../src/api/client";
import { brought, meant } from "../src/entry";
import { phoneAddress } from "../src/cluster/invite";

afterEach(() => vi.unstubAllGlobals());

function sent(): { method: string; headers: Record<string, string> }[] {
  const calls: { method: string; headers: Record<string, string> }[] = [];
  vi.stubGlobal("fetch", (_: string, init: { method: string; headers: Record<string, string> }) => {
    calls.push(init);
    return Promise.resolve(new Response(null, { status: 204 }));
  });
  return calls;
}

test("whatever changes something says that our page asks, and nothing else does", async () => {
  const calls = sent();
  await json("a");
  await json("a", { method: "POST", body: {} });
  await json("a", { method: "DELETE" });
  expect(calls.map((call) => call.headers["x-skep-csrf"])).toEqual([undefined, "1", "1"]);
});

test("an agent that is not there is said to be so", async () => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("network")));
  await expect(json("a")).rejects.toMatchObject({ status: 0, code: "unreachable" });
});

test("an error that is no JSON has at least its status", () => {
  expect(read("<html>", 502)).toMatchObject({ message: "The agent answered 502.", status: 502 });
  expect(read('{"error":{"message":7}}', 500).message).toBe("The agent answered 500.");
  expect(read("null", 500)).toBeInstanceOf(ApiError);
});

test("words become a sentence, code keeps its case", () => {
  expect(sentence("the key is wrong")).toBe("The key is wrong.");
  expect(sentence("`tiny` is loaded!")).toBe("`tiny` is loaded!");
  expect(sentence("  ")).toBe("");
});

test("only the two things that an address brings are read from it", () => {
  expect(brought("#setup=abc%2Bd")).toEqual({ setup: "abc+d" });
  expect(brought("#join=skep-join-x")).toEqual({ join: "skep-join-x" });
  for (const other of ["", "#/nodes", "#setup=", "#setup=a&b=c", "#setup=%E0%A4%A", "#other=x"]) expect(brought(other), other).toBeNull();
});

test("at the door, a key, a secret and a whole link are told apart", () => {
  expect(meant(" sk-skep-abc ")).toEqual({ key: "sk-skep-abc" });
  expect(meant("http://127.0.0.1:7420/#setup=s3cret")).toEqual({ secret: "s3cret" });
  expect(meant("s3cret")).toEqual({ secret: "s3cret" });
  expect(meant("  ")).toBeNull();
});

test("a phone is not sent to an address that only this machine has", () => {
  const at = (hostname: string) => ({ origin: `https://${hostname}:7420`, pathname: "/", hostname });
  for (const own of ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "a.localhost"]) expect(phoneAddress("t", at(own)), own).toBeNull();
  expect(phoneAddress("t+1", at("10.0.0.7"))).toBe("https://10.0.0.7:7420/#join=t%2B1");
});
