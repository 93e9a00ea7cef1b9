/** Letting another machine in: a token, what to type there, and the same as a code for a phone. */
import { useEffect, useState } from "react";
import { api, json } from "../api/client";
import { useChange, useNodes } from "../api/queries";
import type { Invitation } from "../api/types";
import { ago, until } from "../lib/format";
import { Button, Copy, Notice, State, Trouble } from "../ui/basics";
import { ChoiceField, TextField } from "../ui/fields";
import { Qr } from "../ui/qr";

/** Where a phone finds the page that tells this token, or none when no phone reaches this page. */
export function phoneAddress(token: string, at: Pick<Location, "origin" | "pathname" | "hostname">): string | null {
  const own = at.hostname === "localhost" || at.hostname.endsWith(".localhost") || /^127\.|^\[?::1\]?$/.test(at.hostname);
  return own ? null : `${at.origin}${at.pathname}#join=${encodeURIComponent(token)}`;
}

export function Invite() {
  const [role, setRole] = useState("worker");
  const [name, setName] = useState("");
  const make = useChange(
    () => json<Invitation>(api("/cluster/tokens"), { method: "POST", body: { role, name: name.trim() || null } }),
    ["tokens"],
  );
  if (make.data) return <Invited invitation={make.data} onAgain={() => make.reset()} />;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        make.mutate();
      }}
    >
      <ChoiceField
        label="What it will be"
        value={role}
        onChange={setRole}
        choices={[
          { value: "worker", label: "A worker", help: "It runs models." },
          { value: "voter", label: "A voter", help: "It runs models and keeps the cluster's log, so that others may fail. An odd number is best." },
        ]}
      />
      <TextField label="Only for a machine of this name" help="Leave it empty for any." value={name} onChange={setName} placeholder="any" />
      {make.isError && <Trouble error={make.error} />}
      <div className="buttons"><Button type="submit" look="primary" busy={make.isPending}>Make a token</Button></div>
    </form>
  );
}

export function Invited({ invitation, onAgain }: { invitation: Invitation; onAgain?: () => void }) {
  const phone = phoneAddress(invitation.token, window.location);
  const over = invitation.expires_unix_s * 1000 < Date.now();
  return (
    <div className="invited">
      <div className="invited-text">
        <p>Type this on the other machine. The token is good once, and ends {until(invitation.expires_unix_s)}.</p>
        <Copy block text={invitation.command} label="Copy the command" />
        <Arrival since={invitation.expires_unix_s} />
        {over && <Notice tone="warn" title="This token has ended." actions={onAgain && <Button small onClick={onAgain}>Make another</Button>} />}
        {!phone && (
          <p className="soft">
            This page is open on the machine itself, where no phone reaches it. Listen on the network (<code>skep up --lan</code>) to get a
            code for the camera here.
          </p>
        )}
      </div>
      {phone && (
        <figure className="qr-frame">
          <Qr text={phone} label="Code for a phone: opens a page with this command" />
          <figcaption className="soft">Open on a phone</figcaption>
        </figure>
      )}
    </div>
  );
}

/** Tells when a machine has come that was not there before. */
export function Arrival({ since }: { since: number }) {
  const nodes = useNodes();
  const [before, setBefore] = useState<{ since: number; ids: Set<string> } | null>(null);
  const all = nodes.data?.nodes;
  useEffect(() => {
    if (all && before?.since !== since) setBefore({ since, ids: new Set(all.map((node) => node.id)) });
  }, [all, before, since]);
  const come = before && all ? all.filter((node) => !before.ids.has(node.id)) : [];
  if (nodes.isError) return null;
  return (
    <div role="status" className="arrival">
      {come.length === 0 && <State tone="info" moving>Waiting for it to arrive</State>}
      {come.map((node) => (
        <Notice key={node.id} tone="good" title={`${node.name} has joined ${ago(node.joined_unix_s)}.`}>
          {node.state === "pending" && "It awaits approval, below the cluster's nodes."}
        </Notice>
      ))}
    </div>
  );
}
