// Finishes what vite built: adds the licences of what is in it, and compresses what a browser is sent, once and for all; the
// agent passes the bytes on as they are. By a library and not by Node's own zlib, so that every machine makes the same bytes.
// The document itself stays as it is, for people who look at it with curl; fonts and pictures are compressed already.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { extname, join, resolve } from "node:path";
import { gzipSync } from "fflate";

const DIST = resolve(process.env["SKEP_PAGE_OUT"] ?? "dist");
const TEXT = new Set([".js", ".css", ".svg", ".txt"]);
const LIMIT = 1 << 20;

writeFileSync(join(DIST, "licences.txt"), licences());
let sum = 0;
for (const name of readdirSync(DIST, { recursive: true }).map(String).sort()) {
  const path = join(DIST, name);
  if (!statSync(path).isFile()) continue;
  let bytes = readFileSync(path);
  if (TEXT.has(extname(path))) {
    bytes = gzipSync(bytes, { level: 9, mtime: 0 });
    // Which system packed it.
    bytes[9] = 255;
    writeFileSync(`${path}.gz`, bytes);
    rmSync(path);
  }
  sum += bytes.length;
  console.log(`${String(bytes.length).padStart(8)}  ${name}`);
}
console.log(`${String(sum).padStart(8)}  together; the limit is ${LIMIT}`);
if (sum > LIMIT) process.exit(1);

/** Of every package that may be in what was built. */
function licences() {
  const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"));
  const used = Object.entries(packages).filter(([path, { dev, optional }]) => path !== "" && !dev && !optional);
  const texts = used.map(([path, { version, license }]) => {
    const file = existsSync(path) && readdirSync(path).sort().find((name) => /^licen[cs]e/i.test(name));
    const text = file ? readFileSync(join(path, file), "utf8").replaceAll("\r\n", "\n").trim() : `Licence: ${license ?? "see the package"}`;
    return `${path.replace(/^.*node_modules\//, "")} ${version}\n\n${text}\n`;
  });
  return `This page is built with these libraries.\n\n${texts.join(`\n${"-".repeat(72)}\n\n`)}`;
}
