/** Step 7: other machines. There may be none: one machine is a cluster, too. */
import { Tabs } from "radix-ui";
import { useState } from "react";
import { api } from "../api/client";
import { useNodes } from "../api/queries";
import { Neighbours } from "../cluster/adopt";
import { Invite } from "../cluster/invite";
import { Join } from "../cluster/join";
import { Card, Copy, State } from "../ui/basics";
import { nodeTone } from "../cluster/tone";

export function Cluster() {
  return (
    <>
      <Members />
      <Card title="Other machines">
        <Tabs.Root defaultValue="near" className="tabs">
          <Tabs.List className="tab-list" aria-label="Ways to get other machines">
            <Tabs.Trigger className="tab" value="near">On this network</Tabs.Trigger>
            <Tabs.Trigger className="tab" value="token">With a token</Tabs.Trigger>
            <Tabs.Trigger className="tab" value="join">Join another cluster</Tabs.Trigger>
          </Tabs.List>
          <Tabs.Content className="tab-content" value="near"><Neighbours /></Tabs.Content>
          <Tabs.Content className="tab-content" value="token"><Invite /></Tabs.Content>
          <Tabs.Content className="tab-content" value="join"><Join /></Tabs.Content>
        </Tabs.Root>
        <details className="more cli">
          <summary>The same on the command line</summary>
          <Copy text="skep discover" label="Copy: who is on this network" />
          <Copy text="skep token new" label="Copy: let a machine in" />
          <Copy text="skep join TOKEN" label="Copy: join a cluster" />
        </details>
      </Card>
      <Phone />
    </>
  );
}

function Members() {
  const nodes = useNodes();
  const all = nodes.data?.nodes ?? [];
  if (all.length === 0) return null;
  return (
    <Card title="In this cluster">
      <ul className="list">
        {all.map((node) => (
          <li key={node.id} className="list-item">
            <div className="list-text">
              <p className="list-title">{node.name}{node.here && <span className="soft"> · this machine</span>}</p>
              {node.why && <p className="soft">{node.why}</p>}
            </div>
            <State tone={nodeTone(node.state)}>{node.state}</State>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Phone() {
  const [open, setOpen] = useState(false);
  const [failed, setFailed] = useState(false);
  return (
    <Card title="Your phone">
      <p>Open this page on a phone, to watch the cluster or to go on with the setup there.</p>
      <details className="more" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>Show the code for the camera</summary>
        {open && !failed && (
          <figure className="qr-frame">
            <img
              className="qr"
              src={api("/setup/qr?for=phone")}
              alt="Code for a phone: opens this page"
              onError={() => setFailed(true)}
            />
            <figcaption className="soft">Sign in there with an API key, or with a link that <code>skep setup link</code> makes.</figcaption>
          </figure>
        )}
        {failed && (
          <p className="soft">
            No phone reaches this machine yet: the agent listens to itself only. <code>skep up --lan</code> has it listen on the network, over TLS.
          </p>
        )}
      </details>
    </Card>
  );
}
