/** The machines of the cluster: who leads, who came, who is to go; and letting others in. */
import { Plus } from "lucide-react";
import { Tabs } from "radix-ui";
import { useState } from "react";
import { api, json, part } from "../api/client";
import { useChange, useNodes, useTokens } from "../api/queries";
import type { ClusterNode, JoinToken } from "../api/types";
import { Neighbours } from "../cluster/adopt";
import { Invite } from "../cluster/invite";
import { Join } from "../cluster/join";
import { nodeTone } from "../cluster/tone";
import { Topology } from "../cluster/topology";
import { ago, memory, plural, span, until } from "../lib/format";
import { Badge, Button, Card, Notice, Page, State, Trouble, Waiting, Words } from "../ui/basics";
import { Confirm, Dialog } from "../ui/dialog";
import { TextField } from "../ui/fields";
import { Menu } from "../ui/menu";
import { useSay } from "../ui/toast";

export function Nodes() {
  const nodes = useNodes();
  const [adding, setAdding] = useState(false);
  const all = nodes.data?.nodes ?? [];
  return (
    <Page title="Nodes" actions={<Button look="primary" onClick={() => setAdding(true)}><Plus aria-hidden="true" /> Add a machine</Button>}>
      {nodes.isPending && <Waiting />}
      {nodes.isError && <Trouble error={nodes.error} retry={() => void nodes.refetch()} />}
      {all.length > 0 && (
        <>
          {all.length > 1 && <Card title="Who reaches whom"><Topology nodes={all} /></Card>}
          <Card title={plural(all.length, "machine")}>
            <ul className="list">{all.map((node) => <One key={node.id} node={node} alone={all.length === 1} />)}</ul>
          </Card>
        </>
      )}
      <Tokens />
      {adding && <Add onClose={() => setAdding(false)} />}
    </Page>
  );
}

export function Add({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Add a machine" onClose={onClose} wide>
      <Tabs.Root defaultValue="token" className="tabs">
        <Tabs.List className="tab-list" aria-label="Ways to get other machines">
          <Tabs.Trigger className="tab" value="token">With a token</Tabs.Trigger>
          <Tabs.Trigger className="tab" value="near">On this network</Tabs.Trigger>
          <Tabs.Trigger className="tab" value="join">Join another cluster</Tabs.Trigger>
        </Tabs.List>
        <Tabs.Content className="tab-content" value="token"><Invite /></Tabs.Content>
        <Tabs.Content className="tab-content" value="near"><Neighbours /></Tabs.Content>
        <Tabs.Content className="tab-content" value="join"><Join /></Tabs.Content>
      </Tabs.Root>
    </Dialog>
  );
}

type Verb = "approve" | "drain" | "resume";
const SAID: Record<Verb, string> = {
  approve: "is a member now.",
  drain: "gets no new work; what runs there ends by itself.",
  resume: "gets work again.",
};

function One({ node, alone }: { node: ClusterNode; alone: boolean }) {
  const say = useSay();
  const [removing, setRemoving] = useState(false);
  const [renaming, setRenaming] = useState(false);
  const path = `/cluster/nodes/${part(node.id)}`;
  const tell = useChange((verb: Verb) => json(api(`${path}/${verb}`), { method: "POST" }), ["nodes", "top"]);
  const remove = useChange(() => json(api(path), { method: "DELETE" }), ["nodes", "top"]);
  const told = (verb: Verb) => tell.mutate(verb, { onSuccess: () => say(`${node.name} ${SAID[verb]}`) });
  const cards = node.devices.filter((device) => device.kind !== "cpu");
  const about = [
    node.address,
    node.version && `skep ${node.version}`,
    cards.length > 0 ? `${plural(cards.length, "card")}, ${memory(cards.reduce((sum, card) => sum + card.memory_bytes, 0))}` : null,
    node.replicas > 0 && plural(node.replicas, "model"),
    node.running + node.waiting > 0 && `${node.running} running, ${node.waiting} waiting`,
    node.round_trip_us !== null && `${(node.round_trip_us / 1000).toFixed(1)} ms away`,
    node.state === "down" && node.last_seen_s !== null && `last seen ${span(node.last_seen_s)} ago`,
  ].filter(Boolean);
  const verbs = [
    ...(node.state === "up" ? [{ label: "Drain", onSelect: () => told("drain") }] : []),
    ...(node.state === "draining" ? [{ label: "Give it work again", onSelect: () => told("resume") }] : []),
    { label: "Rename…", onSelect: () => setRenaming(true) },
    ...(alone ? [] : [{ label: "Remove from the cluster…", danger: true, onSelect: () => setRemoving(true) }]),
  ];
  return (
    <li className="list-item">
      <div className="list-text">
        <p className="list-title">
          {node.name}
          {node.here && <Badge>this machine</Badge>}
          {node.leads && <Badge tone="info" title="It keeps the order of the cluster's log">leads</Badge>}
          {node.role === "voter" && !node.leads && <Badge>voter</Badge>}
        </p>
        <p className="soft">{about.join(" · ")}</p>
        {node.why && <p className="soft"><Words text={node.why} first /></p>}
        {tell.isError && <Trouble error={tell.error} />}
      </div>
      <State tone={nodeTone(node.state)} moving={node.state === "joining"}>{node.state}</State>
      {node.state === "pending" && <Button small look="primary" busy={tell.isPending} onClick={() => told("approve")}>Approve</Button>}
      <Menu label={`More for ${node.name}`} verbs={verbs} />
      {renaming && <Rename node={node} onClose={() => setRenaming(false)} />}
      {removing && (
        <Confirm title={`Remove ${node.name}?`} verb="Remove" onClose={() => setRemoving(false)} onYes={async () => {
          await remove.mutateAsync(undefined);
          say(`${node.name} is no member any more.`);
        }}>
          <p>Its certificate is believed no more, and requests go elsewhere at once. To come back it needs a new token.</p>
          {node.state === "up" && <Notice tone="warn" title="It still works">Drain it first when requests run there.</Notice>}
        </Confirm>
      )}
    </li>
  );
}

function Rename({ node, onClose }: { node: ClusterNode; onClose: () => void }) {
  const [name, setName] = useState(node.name);
  const rename = useChange(
    () => json(api(`/cluster/nodes/${part(node.id)}/rename`), { method: "POST", body: { name: name.trim() } }),
    ["nodes", "top", "session"],
  );
  return (
    <Dialog title={`Rename ${node.name}`} onClose={onClose} footer={
      <>
        <Button onClick={onClose}>Cancel</Button>
        <Button look="primary" busy={rename.isPending} disabled={name.trim() === ""} onClick={() => rename.mutate(undefined, { onSuccess: onClose })}>Rename</Button>
      </>
    }>
      <TextField label="Name" value={name} onChange={setName} autoFocus />
      {rename.isError && <Trouble error={rename.error} />}
    </Dialog>
  );
}

function Tokens() {
  const tokens = useTokens();
  const revoke = useChange((id: string) => json(api(`/cluster/tokens/${part(id)}`), { method: "DELETE" }), ["tokens"]);
  const all = tokens.data?.tokens ?? [];
  if (all.length === 0) return null;
  return (
    <Card title="Join tokens">
      {revoke.isError && <Trouble error={revoke.error} />}
      <ul className="list">
        {all.map((token) => (
          <li key={token.id} className="list-item">
            <div className="list-text">
              <p className="list-title"><code>{token.id}</code></p>
              <p className="soft">{[token.role, token.name && `for ${token.name}`, ends(token)].filter(Boolean).join(" · ")}</p>
            </div>
            <State tone={token.state === "open" ? "good" : "none"}>{token.state}</State>
            <Button small busy={revoke.isPending && revoke.variables === token.id} onClick={() => revoke.mutate(token.id)} aria-label={`${token.state === "open" ? "Revoke" : "Forget"} the token ${token.id}`}>
              {token.state === "open" ? "Revoke" : "Forget"}
            </Button>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function ends(token: JoinToken): string {
  if (token.state === "used") return token.used_by ? `used by ${token.used_by}` : "used";
  return token.state === "open" ? `ends ${until(token.expires_unix_s)}` : `ended ${ago(token.expires_unix_s)}`;
}
