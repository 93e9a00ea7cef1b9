// The setup in a browser, from the printed link to the finished page. Nothing of this machine is changed by it: each part is
// looked at up to its preview, and carried out only where all of it is the agent's own.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { start } from "./lib/agent.mjs";
import { hold, holdBoth, launch, open } from "./lib/browser.mjs";

let agent;
let browser;
before(async () => {
  agent = await start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await agent?.end();
});

const link = async () => JSON.parse(await agent.command("setup", "link", "--json")).url.replace(/^https?:\/\/[^/]+/, agent.url);

test("the link lets one browser in, once, and does not stay in the address", async () => {
  const url = await link();
  const window = await open(browser);
  await window.page.goto(url);
  await window.page.getByText(/^Step \d of 8$/).waitFor();
  assert.ok(!window.page.url().includes("setup="), window.page.url());
  await window.context.close();

  const second = await open(browser, { size: "phone" });
  await second.page.goto(url);
  await second.page.getByText("That did not let you in.").waitFor();
  await hold(second, "a link that was used");
  await second.context.close();
});

test("from the link through eight steps to the finished page", async () => {
  const window = await open(browser);
  const { page } = window;
  await page.goto(await link());
  await page.getByText(/^Step \d of 8$/).waitFor();
  await page.goto(`${agent.url}/#/setup/system`);
  const { steps } = await page.evaluate(async () => (await fetch("api/v1/setup")).json());
  assert.equal(steps.length, 8);
  for (const step of steps) {
    await page.getByRole("heading", { level: 1, name: step.title }).waitFor();
    await page.waitForFunction(() => document.querySelector(".waiting") === null);
    await holdBoth(window, step.title, `setup-${step.number}-${step.id}`);
    for (const part of step.parts) await lookThrough(window, step, part);
    if (step.id === "tests") break;
    const onwards = page.getByRole("button", { name: /^(Continue|Skip this step)$/ });
    await onwards.click();
  }
  await page.getByRole("button", { name: "Run the tests" }).click();
  await page.getByRole("button", { name: "Run the tests again" }).waitFor({ timeout: 120_000 });
  await holdBoth(window, "tests that ran", "setup-8-tests-ran");
  await page.getByRole("button", { name: "Finish the setup" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Finish" }).click();
  await page.getByRole("heading", { level: 1, name: "Your cluster is ready" }).waitFor();
  await hold(window, "the finished page");
  const session = await page.evaluate(async () => (await fetch("api/v1/session")).json());
  assert.equal(session.setup, "closed");
  assert.equal(session.signed_in, true);
  await page.goto(`${agent.url}/#/setup`);
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await window.context.close();
});

/** Opens a part, answers nothing, and looks at what it would do. */
async function lookThrough(window, step, part) {
  const { page } = window;
  const head = page.getByRole("button", { name: new RegExp(`^${part.title}`) });
  if (step.parts.length > 1 && (await head.getAttribute("aria-expanded")) === "false") await head.click();
  const show = page.getByRole("button", { name: /^(Show what would change|See what would be done)$/ });
  await show.waitFor();
  await show.click();
  const agree = page.getByRole("button", { name: /^(Agree, and make|Done)/ });
  await agree.or(page.getByText("Something above is not right yet.")).or(page.getByRole("button", { name: "Try again" })).first().waitFor();
  await holdBoth(window, `${part.title}, looked at`, `setup-${step.number}-${part.id}-looked-at`);
  if (!(await agree.isVisible())) return;
  const by = await page.locator(".action:not(.already) .action-marks .badge:last-child").allInnerTexts();
  const own = by.every((who) => who === "by this agent");
  if (own && (await agree.isEnabled())) {
    await agree.click();
    await page.getByText("Done", { exact: true }).first().waitFor();
    await hold(window, `${part.title}, carried out`);
  } else {
    await page.getByRole("button", { name: "Change answers" }).click();
    await show.waitFor();
  }
}
