/** Plugins: what there is, and what each may touch. */
import { Boxes, Plus } from "lucide-react";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { usePlugins } from "../api/queries";
import type { Plugin, Signature } from "../api/plugins";
import { plural, size } from "../lib/format";
import { Badge, Button, Card, Empty, Page, State, Trouble, Waiting, Words } from "../ui/basics";
import { AddPlugin } from "./plugin-add";
import { PluginPage } from "./plugin";

const WORLDS: Record<string, string> = {
  engine: "Engines",
  upstream: "Adapters to services elsewhere",
  scheduler: "Schedulers",
  notifier: "Notifiers",
  installer: "Steps of the setup",
};

export function Plugins({ name }: { name: string | null }) {
  const plugins = usePlugins();
  const [adding, setAdding] = useState(false);
  const [, go] = useLocation();
  if (name !== null) return <PluginPage name={name} />;
  const all = plugins.data?.plugins ?? [];
  const worlds = [...new Set([...Object.keys(WORLDS), ...all.map((one) => one.world)])];
  return (
    <Page
      title="Plugins"
      lead="Each runs in a sandbox and touches only what somebody granted."
      actions={<Button look="primary" onClick={() => setAdding(true)}><Plus aria-hidden="true" /> Add a plugin</Button>}
    >
      {plugins.isPending && <Waiting />}
      {plugins.isError && <Trouble error={plugins.error} retry={() => void plugins.refetch()} />}
      {plugins.isSuccess && all.length === 0 && <Empty icon={<Boxes />} title="No plugins" />}
      {worlds.map((world) => {
        const these = all.filter((one) => one.world === world);
        if (these.length === 0) return null;
        return (
          <Card key={world} title={WORLDS[world] ?? world}>
            <ul className="list">{these.map((one) => <One key={one.name} plugin={one} />)}</ul>
          </Card>
        );
      })}
      {adding && <AddPlugin onClose={() => setAdding(false)} onDone={(added) => {
        setAdding(false);
        go(`/plugins/${encodeURIComponent(added)}`);
      }} />}
    </Page>
  );
}

export function Signed({ by }: { by: Signature }) {
  switch (by.state) {
    case "carried":
      return <Badge title="It is part of this agent's program">comes with skep</Badge>;
    case "trusted":
      return <Badge tone="good" title={by.key ?? undefined}>signed by {by.name ?? "somebody trusted"}</Badge>;
    case "unknown":
      return <Badge tone="warn" title={by.key ?? undefined}>signed by somebody unknown</Badge>;
    case "none":
      return <Badge tone="warn">not signed</Badge>;
  }
}

function One({ plugin }: { plugin: Plugin }) {
  const about = [
    plugin.title,
    plugin.grants.length > 0 ? plural(plugin.grants.length, "grant") : null,
    plugin.used_by.length > 0 ? `used by ${plugin.used_by.join(", ")}` : null,
  ].filter(Boolean);
  return (
    <li className="list-item">
      <div className="list-text">
        <p className="list-title"><Link className="title-link" href={`/plugins/${encodeURIComponent(plugin.name)}`}>{plugin.name}</Link> <span className="soft">{plugin.version}</span></p>
        <p className="soft"><Words text={about.join(" · ")} /></p>
      </div>
      {plugin.state === "fetching" && <State tone="info" moving>fetching</State>}
      <Signed by={plugin.signature} />
      <span className="soft plugin-size">{size(plugin.bytes)}</span>
    </li>
  );
}
