// Every page, on a desk and on a phone, by day and by night: usable by everybody, within its window, without a complaint.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { start } from "./lib/agent.mjs";
import { hold, holdBoth, launch, open, OUT, picture, signedIn as entered } from "./lib/browser.mjs";

let agent;
let browser;
let signedIn;

before(async () => {
  agent = await start();
  browser = await launch();
  const made = JSON.parse(await agent.command("keys", "new", "browser", "--json"));
  const window = await open(browser);
  await window.page.goto(`${agent.url}/#/sign-in`);
  await window.page.getByLabel(/API key/).first().fill(made.secret);
  await window.page.getByRole("button", { name: /^(Sign in|Open the setup)$/ }).click();
  await entered(window.page);
  signedIn = await window.context.storageState();
  await window.context.close();
});
after(async () => {
  await browser?.close();
  await agent?.end();
});

const PAGES = [
  ["overview", "/overview", "Overview"],
  ["chat", "/chat", "Chat"],
  ["models", "/models", "Models"],
  ["nodes", "/nodes", "Nodes"],
  ["plugins", "/plugins", "Plugins"],
  ["plugin", "/plugins/openai", "openai"],
  ["keys", "/keys", "Keys"],
  ["upstreams", "/settings/upstreams", "Settings"],
  ["notifiers", "/settings/notifiers", "Settings"],
  ["secrets", "/settings/secrets", "Settings"],
  ["scheduler", "/settings/scheduler", "Settings"],
  ["node", "/settings/node", "Settings"],
  ["machine", "/settings/machine", "Settings"],
  ["logs", "/logs", "Logs"],
  ["finished", "/finished", "Your cluster is ready"],
];

for (const [size, colours] of [["desktop", "light"], ["desktop", "dark"], ["phone", "light"], ["phone", "dark"]]) {
  test(`each page, ${size}, ${colours}`, async () => {
    const window = await open(browser, { size, colours, storageState: signedIn });
    for (const [name, at, title] of PAGES) {
      await window.page.goto(`${agent.url}/#${at}`);
      await window.page.getByRole("heading", { level: 1, name: title }).waitFor({ state: "attached" });
      await window.page.waitForFunction(() => document.querySelector(".waiting") === null);
      await hold(window, `${name}, ${size}, ${colours}`);
      await picture(window.page, `${name}-${size}-${colours}`);
    }
    await window.context.close();
  });
}

test("a phone that looked at the code of a token sees the command, and no token stays in the address", async () => {
  const window = await open(browser, { size: "phone", colours: "dark" });
  await window.page.goto(`${agent.url}/#join=skep-join-of-a-test`);
  await window.page.getByText("skep join skep-join-of-a-test").waitFor();
  assert.ok(!window.page.url().includes("of-a-test"), window.page.url());
  await hold(window, "join");
  await window.context.close();
});

test("dialogs keep the focus inside, end with Escape and give the focus back", async () => {
  const window = await open(browser, { storageState: signedIn });
  const { page } = window;
  await page.goto(`${agent.url}/#/models`);
  const opener = page.getByRole("button", { name: "Bring a model" });
  await opener.press("Enter");
  await page.getByRole("dialog", { name: "Bring a model" }).waitFor();
  await hold(window, "dialog");
  for (let n = 0; n < 12; n += 1) {
    await page.keyboard.press("Tab");
    // The browser's own bar is the one other place; the page behind is none.
    assert.ok(await page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest("dialog") !== null));
  }
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.ok(await opener.evaluate((element) => element === document.activeElement));
  await window.context.close();
});

test("a model is loaded and unloaded, a key made and revoked, a token made", async () => {
  const window = await open(browser, { storageState: signedIn });
  const { page } = window;
  await page.goto(`${agent.url}/#/models`);
  await page.getByRole("button", { name: "Unload tiny" }).click();
  await page.getByRole("button", { name: "Load tiny" }).first().click();
  await page.getByRole("button", { name: "Unload tiny" }).waitFor();

  await page.goto(`${agent.url}/#/keys`);
  await page.getByRole("button", { name: "Make a key" }).click();
  await page.getByLabel("Name").fill("laptop");
  await page.getByRole("button", { name: "Make it" }).click();
  const secret = (await page.locator("dialog pre").innerText()).trim();
  const models = await fetch(`${agent.url}/v1/models`, { headers: { authorization: `Bearer ${secret}` } });
  assert.equal(models.status, 200);
  await page.getByRole("button", { name: "I have kept it" }).click();
  await page.getByRole("button", { name: "Revoke laptop" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("button", { name: "Revoke laptop" }).waitFor({ state: "detached" });
  const refused = await fetch(`${agent.url}/v1/models`, { headers: { authorization: `Bearer ${secret}` } });
  assert.equal(refused.status, 401);

  await page.goto(`${agent.url}/#/nodes`);
  await page.getByRole("button", { name: "Add a machine" }).click();
  await page.getByRole("button", { name: "Make a token" }).click();
  await page.getByText(/^skep join skep-join/).waitFor();
  await window.context.close();
});

test("a setting of the node is shown before it changes, and put back, when the setup is finished, too", async () => {
  const window = await open(browser, { storageState: signedIn });
  const { page } = window;
  const settings = () => readFileSync(join(agent.home, "config.toml"), { encoding: "utf8", flag: "a+" });
  const before = settings();
  await page.goto(`${agent.url}/#/settings/node`);
  await page.getByRole("button", { name: "Network", exact: false }).first().click();
  await page.getByRole("switch", { name: /local network/ }).click();
  await page.getByRole("button", { name: "Show what would change" }).click();
  await page.getByText(/cluster\.announce/).first().waitFor();
  assert.equal(settings(), before);
  await holdBoth(window, "a setting before it changes", "node-looked-at");
  const finished = await page.evaluate(async () => (await fetch("/api/v1/setup/finish", { method: "POST", headers: { "x-skep-csrf": "1" } })).status);
  assert.equal(finished, 204);
  await page.getByRole("button", { name: /^Agree, and make/ }).click();
  await page.getByRole("button", { name: "Undo this" }).waitFor();
  assert.match(settings(), /announce = false/);
  await page.getByRole("button", { name: "Look again" }).first().click();
  await page.getByRole("button", { name: /^Undo Network/ }).click();
  const asked = page.getByRole("dialog", { name: "Undo Network?" });
  await asked.getByText(/cluster\.announce/).waitFor();
  await hold(window, "a change that is to be undone");
  await asked.getByRole("button", { name: "Undo it" }).click();
  await page.getByRole("button", { name: /^Undo Network/ }).waitFor({ state: "detached" });
  assert.doesNotMatch(settings(), /announce/);
  await window.context.close();
});

test("the chat is answered as it is written, can be stopped, and stays in this browser", async () => {
  const window = await open(browser, { storageState: signedIn });
  const { page } = window;
  await page.goto(`${agent.url}/#/chat`);
  await page.getByLabel("Your question").fill("The borrow checker");
  await page.getByLabel("Your question").press("Enter");
  await page.getByRole("button", { name: "Send" }).waitFor();
  await page.getByText(/tokens read, \d+ written/).waitFor();
  const answer = await page.locator(".turn.assistant .markdown").innerText();
  assert.ok(answer.length > 20, answer);
  await page.reload();
  await page.locator(".talk-open").first().click();
  assert.equal(await page.locator(".turn.assistant .markdown").innerText(), answer);
  await hold(window, "chat with an answer");
  await page.getByRole("button", { name: /^Delete The borrow checker/ }).click();
  await page.locator(".talk-open").waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => localStorage.getItem("skep-talks")), "[]");
  await window.context.close();
});

test("who is not signed in may look and chat, and is told so", async () => {
  const window = await open(browser);
  const { page } = window;
  await page.goto(`${agent.url}/#/overview`);
  await page.getByText(/without being signed in/).waitFor();
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.getByLabel(/API key/).first().fill("sk-skep-of-nobody");
  await page.getByRole("button", { name: /^(Sign in|Open the setup)$/ }).click();
  await page.getByRole("alert").waitFor();
  await hold(window, "the door");
  await window.context.close();
});

test("the first page can be used soon after it was asked for", async () => {
  const took = [];
  for (let n = 0; n < 3; n += 1) {
    const window = await open(browser, { storageState: signedIn });
    const begun = performance.now();
    await window.page.goto(`${agent.url}/#/overview`, { waitUntil: "commit" });
    await window.page.getByRole("link", { name: "Chat", exact: true }).first().click();
    await window.page.getByLabel("Your question").waitFor();
    took.push(performance.now() - begun);
    await window.context.close();
  }
  took.sort((a, b) => a - b);
  const median = Math.round(took[1]);
  console.log(`# first page asked for, another one opened from it: ${median} ms`);
  if (OUT) writeFileSync(join(OUT, "first.json"), `${JSON.stringify({ first_page_used_ms: median })}\n`);
  // What it should take is a second; how busy the machine is that tests run on, nobody knows.
  assert.ok(median < 10_000);
});
