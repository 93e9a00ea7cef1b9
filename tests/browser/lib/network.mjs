// Two machines on a cable, as two network namespaces. Made here, gone at the end; nothing of the real network is touched.
import { execFileSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Why there can be none here, if so. */
export function lacks() {
  if (process.getuid?.() !== 0) return "network namespaces need root";
  try {
    execFileSync("ip", ["-Version"], { stdio: "ignore" });
    const probe = `skep-p${process.pid}`;
    execFileSync("ip", ["netns", "add", probe], { stdio: "ignore" });
    execFileSync("ip", ["netns", "del", probe], { stdio: "ignore" });
    return null;
  } catch {
    return "network namespaces cannot be made: `ip netns add` fails (package iproute2, and the right to)";
  }
}

export function cable() {
  const names = ["a", "b"].map((end) => `skep-${end}${process.pid}`);
  const ip = (...words) => execFileSync("ip", words, { stdio: ["ignore", "ignore", "inherit"] });
  const end = () => {
    for (const name of names) {
      try {
        execFileSync("ip", ["netns", "del", name], { stdio: "ignore" });
      } catch {
        // It was not made.
      }
    }
  };
  try {
    for (const name of names) ip("netns", "add", name);
    ip("link", "add", "cable", "netns", names[0], "type", "veth", "peer", "name", "cable", "netns", names[1]);
    names.forEach((name, at) => {
      ip("-n", name, "link", "set", "lo", "up");
      ip("-n", name, "address", "add", `10.77.0.${at + 1}/24`, "dev", "cable");
      ip("-n", name, "link", "set", "cable", "up");
      ip("-n", name, "route", "add", "224.0.0.0/4", "dev", "cable");
    });
  } catch (error) {
    end();
    throw error;
  }
  return { names, end };
}

/** What is to be run inside of one. */
export const inside = (name, command) => ["nsenter", `--net=/run/netns/${name}`, "--", ...command];

/** A program that starts another inside, for whoever takes one path. */
export function wrapper(folder, name, program) {
  const path = join(folder, `inside-${name}`);
  writeFileSync(path, `#!/bin/sh\nexec nsenter --net=/run/netns/${name} -- ${program} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}
