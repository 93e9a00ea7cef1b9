// Two machines that never met, on one cable: the page of each, the codes compared, and a chat that the second one answers.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { start } from "./lib/agent.mjs";
import { CHROMIUM, hold, launch, open, picture } from "./lib/browser.mjs";
import { cable, lacks, wrapper } from "./lib/network.mjs";

const lack = lacks();

test("a second machine is adopted by comparing codes, and answers a chat", { skip: lack ?? false, timeout: 300_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "skep-cable-"));
  const network = cable();
  const ends = [];
  try {
    const machines = [];
    for (const [at, name] of ["attic", "cellar"].entries()) {
      const agent = await start({ within: network.names[at], name });
      ends.push(agent.end);
      const browser = await launch(wrapper(folder, network.names[at], CHROMIUM));
      ends.push(() => browser.close());
      machines.push({ agent, window: await open(browser) });
    }
    const [attic, cellar] = machines;
    for (const { agent, window } of machines) {
      const { url } = JSON.parse(await agent.command("setup", "link", "--json"));
      await window.page.goto(url.replace(/^https?:\/\/[^/]+/, agent.url));
      await window.page.getByText(/^Step \d of 8$/).waitFor();
      await window.page.goto(`${agent.url}/#/setup/cluster`);
      await window.page.getByRole("heading", { level: 1, name: "Cluster" }).waitFor();
    }

    await cellar.window.page.getByRole("tab", { name: "Join another cluster" }).click();
    await cellar.window.page.getByRole("button", { name: "Wait to be adopted" }).click();
    await cellar.window.page.getByText("Waiting to be adopted").waitFor();
    await hold(cellar.window, "waiting to be adopted");

    await attic.window.page.getByRole("button", { name: "Adopt" }).click();
    const code = (window) => window.page.locator(".code-big");
    await code(attic.window).waitFor();
    await cellar.window.page.getByRole("button", { name: "Compare the codes" }).click();
    await code(cellar.window).waitFor();
    const shown = await Promise.all(machines.map(({ window }) => code(window).innerText()));
    assert.match(shown[0], /^\d{3} \d{3}$/);
    assert.equal(shown[0], shown[1]);
    await hold(attic.window, "comparing");
    await picture(attic.window.page, "setup-7-adopt-desktop");
    for (const { window } of machines) await window.page.getByRole("button", { name: "They are the same" }).click();
    await attic.window.page.getByText(/in one cluster now/).waitFor();
    await attic.window.page.getByRole("dialog").getByRole("button", { name: "Close" }).last().click();
    await attic.window.page.getByRole("listitem").filter({ hasText: "cellar" }).filter({ hasText: "up" }).first().waitFor();

    // What is asked of the first goes to the second once the first gets no new work.
    const { page } = attic.window;
    await page.goto(`${attic.agent.url}/#/nodes`);
    await page.getByRole("button", { name: "More for attic" }).click();
    await page.getByRole("menuitem", { name: "Drain" }).click();
    await page.getByText("draining", { exact: true }).first().waitFor();
    await hold(attic.window, "two nodes");
    await picture(page, "nodes-two-desktop");
    await page.goto(`${attic.agent.url}/#/chat`);
    await page.getByLabel("Your question").fill("A slice is");
    await page.getByLabel("Your question").press("Enter");
    await page.getByText(/tokens read, \d+ written/).waitFor({ timeout: 60_000 });
    await page.goto(`${attic.agent.url}/#/overview`);
    await page.getByRole("row").filter({ hasText: "tiny" }).filter({ hasText: "cellar" }).first().waitFor();
    await picture(page, "overview-two-desktop");
  } finally {
    for (const end of ends.reverse()) await end().catch(() => undefined);
    network.end();
    rmSync(folder, { recursive: true, force: true });
  }
});
