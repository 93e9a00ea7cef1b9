// An agent of its own for a test: in a folder that goes away, on a port of loopback that was free.
import { spawn, execFile } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { inside } from "./network.mjs";

const BIN = process.env.SKEP_BIN;
if (!BIN) throw new Error("SKEP_BIN names no agent; `cargo xtask test browser` sets it");

/** Long for an agent, short for whoever waits. */
const PATIENCE_MS = 60_000;

/** `within`: the network namespace that it is to live in, where every port is free. */
export async function start({ within = null, name = null } = {}) {
  const home = mkdtempSync(join(tmpdir(), "skep-browser-"));
  const port = within ? 7420 : await free();
  const url = `http://127.0.0.1:${port}`;
  const log = join(home, "agent.log");
  const env = { ...process.env, SKEP_HOME: home, SKEP_URL: url, NO_COLOR: "1" };
  delete env.SKEP_API_KEY;
  const out = openSync(log, "w");
  const words = (command) => (within ? inside(within, command) : command);
  if (name) writeFileSync(join(home, "config.toml"), `[node]\nname = "${name}"\n`);
  const [program, ...given] = words([BIN, "up", "--listen", `127.0.0.1:${port}`]);
  const child = spawn(program, given, { env, stdio: ["ignore", out, out] });
  const gone = new Promise((resolve) => child.once("exit", resolve));
  const command = async (...asked) => {
    const [first, ...rest] = words([BIN, ...asked]);
    const { stdout } = await promisify(execFile)(first, rest, { env });
    return stdout;
  };
  // The same with what it reads from its standard input.
  const tell = (text, ...asked) => {
    const [first, ...rest] = words([BIN, ...asked]);
    const told = promisify(execFile)(first, rest, { env });
    told.child.stdin.end(text);
    return told.then(({ stdout }) => stdout);
  };
  const end = async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await gone;
    clearTimeout(timer);
    rmSync(home, { recursive: true, force: true });
  };
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const ready = within
      ? await command("ps", "--json").then(() => true, () => false)
      : await fetch(`${url}/readyz`).then((answer) => answer.ok, () => false);
    if (ready) break;
    if (child.exitCode !== null || Date.now() > until) {
      const said = readFileSync(log, "utf8").slice(-4000);
      await end();
      throw new Error(`the agent did not start:\n${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { url, home, command, tell, end, said: () => readFileSync(log, "utf8") };
}

async function free() {
  const server = createServer();
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
