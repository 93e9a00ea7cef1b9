// A browser without a screen, and what every page of ours is held to.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const OUT = process.env.SKEP_BROWSER_OUT ?? null;
if (OUT) mkdirSync(OUT, { recursive: true });

export const SIZES = { desktop: { width: 1280, height: 820 }, phone: { width: 390, height: 844 } };

export const CHROMIUM = process.env.SKEP_CHROMIUM ?? "/usr/bin/chromium";

export function launch(executablePath = CHROMIUM) {
  return chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
  });
}

/** A window of its own, that remembers what the page complains of. */
export async function open(browser, { size = "desktop", colours = "light", storageState } = {}) {
  const context = await browser.newContext({
    viewport: SIZES[size],
    colorScheme: colours,
    reducedMotion: "reduce",
    ...(storageState ? { storageState } : {}),
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const complaints = [];
  // What the policy forbids is told here, too.
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of (401|403|404|409)/.test(message.text())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  return { context, page, complaints };
}

/** No violation of what axe checks, nothing wider than the window, no complaint. */
export async function hold({ context, page, complaints }, name) {
  const cdp = await context.newCDPSession(page);
  // Past the page's own policy, which lets no test in.
  const { result } = await cdp.send("Runtime.evaluate", {
    expression: `${AXE};axe.run(document,{resultTypes:["violations"]}).then((r)=>JSON.stringify(r.violations.map((v)=>({rule:v.id,of:v.nodes.map((n)=>n.html.slice(0,200))}))))`,
    awaitPromise: true,
    returnByValue: true,
  });
  await cdp.detach();
  assert.equal(typeof result.value, "string", `${name}: axe did not run`);
  assert.deepEqual(JSON.parse(result.value), [], `${name}: what axe found`);
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wider <= 0, `${name}: ${wider} pixels wider than its window`);
  assert.deepEqual(complaints, [], `${name}: what the browser complained of`);
}

/** The same on a desk by day and on a phone by night, without leaving the page. */
export async function holdBoth(window, name, file) {
  const { page } = window;
  await hold(window, name);
  await picture(page, `${file}-desktop`);
  await page.setViewportSize(SIZES.phone);
  await page.emulateMedia({ colorScheme: "dark" });
  await hold(window, `${name}, on a phone`);
  await picture(page, `${file}-phone`);
  await page.setViewportSize(SIZES.desktop);
  await page.emulateMedia({ colorScheme: "light" });
}

export async function picture(page, name) {
  if (OUT) await page.screenshot({ path: join(OUT, `${name}.png`) });
}

/** How the page's browser is known to the agent. */
export const session = (page) => page.evaluate(async () => (await fetch("/api/v1/session")).json());

/** The session, once somebody is signed in. */
export async function signedIn(page) {
  for (let tries = 0; tries < 100; tries += 1) {
    const now = await session(page);
    if (now.signed_in) return now;
    await page.waitForTimeout(100);
  }
  throw new Error("nobody is signed in");
}
