/** One plugin: what it may and may not touch, its versions, what it takes. */
import { ShieldCheck, ShieldX } from "lucide-react";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { api, json, part } from "../api/client";
import { useChange, usePlugin } from "../api/queries";
import type { PluginDetails } from "../api/plugins";
import { ago, count, memory, short, size } from "../lib/format";
import { Badge, Button, Card, Fact, Facts, Page, Trouble, Waiting, Words } from "../ui/basics";
import { Confirm } from "../ui/dialog";
import { useSay } from "../ui/toast";
import { Signed } from "./plugins";

export function PluginPage({ name }: { name: string }) {
  const plugin = usePlugin(name);
  const [removing, setRemoving] = useState(false);
  const [, go] = useLocation();
  const remove = useChange(
    () => json(api(`/plugins/${part(name)}?force=${(plugin.data?.used_by.length ?? 0) > 0}`), { method: "DELETE" }),
    ["plugins"],
  );
  if (plugin.isPending) return <Page title={name}><Waiting /></Page>;
  if (plugin.isError) return <Page title={name}><Trouble error={plugin.error} retry={() => void plugin.refetch()} /></Page>;
  const it = plugin.data;
  return (
    <Page
      title={it.name}
      lead={it.manifest?.description || it.title}
      actions={it.carried ? null : <Button look="danger" onClick={() => setRemoving(true)}>Remove</Button>}
    >
      <p className="back"><Link href="/plugins" className="link">All plugins</Link></p>
      <Card>
        <Facts>
          <Fact name="Version">{it.version}</Fact>
          <Fact name="Kind">{it.world}</Fact>
          <Fact name="Signature"><Signed by={it.signature} /></Fact>
          <Fact name="Licence">{it.manifest?.licence}</Fact>
          <Fact name="Authors">{it.manifest?.authors.join(", ")}</Fact>
          <Fact name="Size">{size(it.bytes)}</Fact>
          <Fact name="Digest"><code>{short(it.digest)}</code></Fact>
          <Fact name="Used by">{it.used_by.join(", ")}</Fact>
        </Facts>
      </Card>
      <Rights it={it} />
      <Usage it={it} />
      {!it.carried && <Versions it={it} />}
      {it.limits.length > 0 && (
        <Card title="Limits">
          <details className="more">
            <summary>Bounds that hold for it <span className="soft">({it.limits.length})</span></summary>
            <Facts>{it.limits.map((limit) => <Fact key={`${limit.of}${limit.constant}`} name={limit.name}>{limit.value}</Fact>)}</Facts>
          </details>
        </Card>
      )}
      {removing && (
        <Confirm title={`Remove ${it.name}?`} verb="Remove" onClose={() => setRemoving(false)} onYes={async () => {
          await remove.mutateAsync(undefined);
          go("/plugins");
        }}>
          <p>{it.used_by.length > 0 ? `It is in use: ${it.used_by.join(", ")}. That stops.` : "Nothing uses it now."}</p>
        </Confirm>
      )}
    </Page>
  );
}

function Rights({ it }: { it: PluginDetails }) {
  const say = useSay();
  const change = useChange(
    ({ verb, grant }: { verb: "grant" | "revoke"; grant: string }) =>
      json(api(`/plugins/${part(it.name)}/${verb}`), { method: "POST", body: { grants: [grant] } }),
    ["plugins", "upstreams", "notifiers"],
  );
  const tell = (verb: "grant" | "revoke", grant: string) =>
    change.mutate({ verb, grant }, { onSuccess: () => say(verb === "grant" ? "Granted." : "Taken away.") });
  const wishes = it.wishes.filter((wish) => !wish.granted);
  return (
    <Card title="What it may touch">
      {change.isError && <Trouble error={change.error} />}
      {it.gives.length > 0 && <ul className="rights">{it.gives.map((right) => <li key={right}><ShieldCheck className="icon soft" aria-hidden="true" /> <span>It may <Words text={right} /></span></li>)}</ul>}
      {it.granted.length > 0 && (
        <ul className="list">
          {it.granted.map((grant) => (
            <li key={grant.capability} className="list-item">
              <div className="list-text">
                <p><ShieldCheck className="icon good" aria-label="granted" /> It may <Words text={grant.words} /></p>
                <p className="soft">{grant.reason} · granted by {grant.granted_by} {ago(grant.granted_unix_s)}{!grant.asked_for && " · no longer asked for"}</p>
              </div>
              <Button small look="danger" busy={change.isPending && change.variables.grant === grant.capability} onClick={() => tell("revoke", grant.capability)} aria-label={`Revoke: ${grant.words}`}>Revoke</Button>
            </li>
          ))}
        </ul>
      )}
      {wishes.length > 0 && (
        <>
          <h3>It asks for</h3>
          <ul className="list">
            {wishes.map((wish) => (
              <li key={wish.written} className="list-item">
                <div className="list-text">
                  <p>To <Words text={wish.words} /> {wish.optional && <Badge>works without</Badge>}</p>
                  <p className="soft"><Words text={wish.reason} first /></p>
                </div>
                {wish.capability && <Button small onClick={() => tell("grant", wish.capability ?? "")} aria-label={`Grant: ${wish.words}`}>Grant</Button>}
              </li>
            ))}
          </ul>
        </>
      )}
      {it.may_not.length > 0 && (
        <details className="more">
          <summary>What it may not <span className="soft">({it.may_not.length})</span></summary>
          <ul className="rights">{it.may_not.map((right) => <li key={right}><ShieldX className="icon soft" aria-hidden="true" /> <span>It may not touch <Words text={right} /></span></li>)}</ul>
        </details>
      )}
    </Card>
  );
}

function Usage({ it }: { it: PluginDetails }) {
  if (it.usage.length === 0) return null;
  return (
    <Card title="What it takes on this machine">
      {it.usage.map((use) => (
        <section key={use.what} className="replica">
          <p className="list-title">{use.what}</p>
          <Facts>
            <Fact name="Memory">{use.resident_bytes === null ? null : memory(use.resident_bytes)}</Fact>
            <Fact name="Calls">{use.calls === null ? null : count(use.calls)}</Fact>
            <Fact name="Failures">{use.failures === null ? null : String(use.failures)}</Fact>
            <Fact name="Last failure">{use.last_failure}</Fact>
            <Fact name="Requests sent out">{use.requests_out === null ? null : `${use.requests_out}, ${use.refused_out ?? 0} refused`}</Fact>
          </Facts>
        </section>
      ))}
    </Card>
  );
}

function Versions({ it }: { it: PluginDetails }) {
  const say = useSay();
  const [back, setBack] = useState<string | null>(null);
  const roll = useChange(
    (to: string) => json<{ from: string; to: string }>(api(`/plugins/${part(it.name)}/rollback`), { method: "POST", body: { to } }),
    ["plugins"],
  );
  return (
    <Card title="Versions">
      <ul className="list">
        {it.versions.map((version) => (
          <li key={version.digest} className="list-item">
            <div className="list-text">
              <p className="list-title">{version.version} <code className="soft">{short(version.digest)}</code> {version.current && <Badge tone="good">runs</Badge>}</p>
              <p className="soft">added by {version.added_by} {ago(version.added_unix_s)}{version.source && ` · ${version.source}`}</p>
              {version.left && <p className="form-problem">The cluster went back from it: {version.left}</p>}
            </div>
            {!version.current && <Button small onClick={() => setBack(version.digest)}>Go back<span className="hidden"> to {version.version}</span></Button>}
          </li>
        ))}
      </ul>
      {back !== null && (
        <Confirm title="Go back to this version?" verb="Go back" danger={false} onClose={() => setBack(null)} onYes={async () => {
          const gone = await roll.mutateAsync(back.replace(/^sha256:/, ""));
          say(`${it.name} ${gone.to} runs now.`);
        }}>
          <p>The version that runs now stays here, so that you can come back to it.</p>
        </Confirm>
      )}
    </Card>
  );
}
