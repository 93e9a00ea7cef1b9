/** What operators set: services elsewhere, who hears of alerts, secrets, the scheduler, and this node itself. */
import { Tabs } from "radix-ui";
import { useEffect } from "react";
import { useLocation } from "wouter";
import { useVersion } from "../api/queries";
import { Card, Copy, Fact, Facts, Page } from "../ui/basics";
import { setTheme, type Theme, useTheme } from "../lib/theme";
import { ChoiceField } from "../ui/fields";
import { NodeSettings } from "./node-settings";
import { Scheduler } from "./scheduler";
import { Secrets } from "./secrets";
import { ServicesPage } from "./services";

const TABS = [
  { id: "upstreams", word: "Upstreams" },
  { id: "notifiers", word: "Notifiers" },
  { id: "secrets", word: "Secrets" },
  { id: "scheduler", word: "Scheduler" },
  { id: "node", word: "This node" },
  { id: "machine", word: "About" },
] as const;

export function Settings({ tab }: { tab: string }) {
  const [, go] = useLocation();
  useEffect(() => {
    // On a phone the list is wider than the window.
    document.querySelector('.tab[data-state="active"]')?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [tab]);
  const at = TABS.some((one) => one.id === tab) ? tab : "upstreams";
  return (
    <Page title="Settings">
      <Tabs.Root value={at} onValueChange={(next) => go(`/settings/${next}`)} className="tabs">
        <Tabs.List className="tab-list" aria-label="Settings">
          {TABS.map((one) => <Tabs.Trigger key={one.id} className="tab" value={one.id}>{one.word}</Tabs.Trigger>)}
        </Tabs.List>
        <Tabs.Content className="tab-content" value="upstreams"><ServicesPage kind="upstreams" /></Tabs.Content>
        <Tabs.Content className="tab-content" value="notifiers"><ServicesPage kind="notifiers" /></Tabs.Content>
        <Tabs.Content className="tab-content" value="secrets"><Secrets /></Tabs.Content>
        <Tabs.Content className="tab-content" value="scheduler"><Scheduler /></Tabs.Content>
        <Tabs.Content className="tab-content" value="node"><NodeSettings /></Tabs.Content>
        <Tabs.Content className="tab-content" value="machine"><Machine /></Tabs.Content>
      </Tabs.Root>
    </Page>
  );
}

function Machine() {
  const version = useVersion();
  const theme = useTheme();
  return (
    <>
      <Card title="About">
        {version.data && (
          <Facts>
            <Fact name="Version">skep {version.data.version}</Fact>
            <Fact name="Commit">{version.data.commit && <code>{version.data.commit}</code>}</Fact>
            <Fact name="Built for">{version.data.target}</Fact>
            <Fact name="Wasmtime">{version.data.wasmtime}</Fact>
            <Fact name="This page"><a href="licences.txt" target="_blank" rel="noreferrer">Libraries and their licences</a></Fact>
          </Facts>
        )}
        <ChoiceField
          label="Colours of this page"
          value={theme}
          onChange={(next) => setTheme(next as Theme)}
          choices={[{ value: "system", label: "As the system has them" }, { value: "light", label: "Light" }, { value: "dark", label: "Dark" }]}
        />
      </Card>
      <Card title="When something is wrong">
        <p>This looks for causes, the likeliest first, each with its evidence and what mends it:</p>
        <Copy text="skep doctor" label="Copy the command" />
      </Card>
    </>
  );
}
