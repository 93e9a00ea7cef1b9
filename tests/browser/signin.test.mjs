// People who sign in at the page: by a password, and by a provider of others.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { start } from "./lib/agent.mjs";
import { hold, holdBoth, launch, open, session, signedIn } from "./lib/browser.mjs";
import { SECRET, provide } from "./lib/provider.mjs";

const PASSWORD = "correct horse battery";

let agent;
let browser;
let provider;
before(async () => {
  agent = await start();
  browser = await launch();
  provider = await provide(`${agent.url}/api/v1/sign-in/oidc/callback`);
  await agent.command("keys", "new", "operator");
  await agent.tell(PASSWORD, "user", "add", "grace", "--role", "admin", "--password-stdin");
  const file = join(agent.home, "oidc.toml");
  writeFileSync(file, `[oidc]\nname = "Example"\nissuer = "${provider.issuer}"\nclient_id = "skep"\nadmins = "groups=admins"\nmembers = "groups=users"\n`);
  await agent.tell(SECRET, "sign-in", "set", "--from", file, "--secret-stdin");
});
after(async () => {
  await browser?.close();
  await provider?.end();
  await agent?.end();
});

test("a name and a password let in, and a wrong one does not", async () => {
  const window = await open(browser);
  const { page } = window;
  await page.goto(`${agent.url}/#/sign-in`);
  await page.getByLabel("Name").fill("grace");
  await page.getByLabel("Password", { exact: true }).fill("wrong");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("alert").first().waitFor();
  assert.equal((await session(page)).signed_in, false);
  await holdBoth(window, "the door, after a wrong password", "sign-in");
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  assert.equal((await signedIn(page)).user.name, "grace");

  await page.goto(`${agent.url}/#/keys`);
  await page.getByRole("heading", { level: 1, name: "Keys and users" }).waitFor();
  await page.getByText("grace").first().waitFor();
  await holdBoth(window, "keys and users", "keys");

  // With another password nobody stays in.
  await agent.tell("another correct horse", "user", "passwd", "grace", "--password-stdin");
  assert.equal((await session(page)).signed_in, false);
  await window.context.close();
});

test("a provider says who somebody is, and the settings what that one may", async () => {
  for (const [who, role] of [["ada", "admin"], ["bob", "member"]]) {
    provider.is(who);
    const window = await open(browser);
    const { page } = window;
    await page.goto(`${agent.url}/#/sign-in`);
    const back = page.waitForRequest((request) => request.url().includes("/oidc/callback?"));
    await page.getByRole("link", { name: "Sign in with Example" }).click();
    const returned = (await back).url();
    await page.waitForURL((url) => url.origin === agent.url && !url.pathname.startsWith("/api"));
    const { user } = await signedIn(page);
    assert.deepEqual([user.name, user.role], [who, role]);
    await page.goto(`${agent.url}/#/overview`);
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    await hold(window, `the overview of ${who}`);
    const made = await page.evaluate(async () => (await fetch("api/v1/users", { headers: { "x-skep-csrf": "1" } })).status);
    assert.equal(made, role === "admin" ? 200 : 403);

    // Who has seen the address gets in by it neither here nor elsewhere.
    const other = await open(browser);
    await other.page.goto(returned);
    assert.equal((await session(other.page)).signed_in, false);
    await other.context.close();
    await window.context.close();
  }
});

test("whoever the settings give no role stays outside, and is told", async () => {
  provider.is("eve");
  const window = await open(browser, { size: "phone" });
  const { page } = window;
  await page.goto(`${agent.url}/#/sign-in`);
  await page.getByRole("link", { name: "Sign in with Example" }).click();
  await page.getByRole("alert").first().waitFor();
  assert.equal((await session(page)).signed_in, false);
  await hold(window, "the door, for somebody without a role");
  await window.context.close();
});
