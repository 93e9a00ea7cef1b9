// Makes build/plugin.wasm. Every feature is off: a scheduler may import nothing.
import { componentize } from "@bytecodealliance/componentize-js";
import { mkdir, writeFile } from "node:fs/promises";

const { component } = await componentize({
  sourcePath: "scheduler.js",
  witPath: "wit",
  worldName: "scheduler",
  disableFeatures: ["stdio", "random", "clocks", "http", "fetch-event"],
});
await mkdir("build", { recursive: true });
await writeFile("build/plugin.wasm", component);
