/** Upstreams and notifiers: both are a plugin with settings, and what it may touch for them. */
import { Plus, Search } from "lucide-react";
import { useState } from "react";
import { api, json, part } from "../api/client";
import { useChange, useServices } from "../api/queries";
import type { FoundUpstream, Service } from "../api/plugins";
import { ago, plural } from "../lib/format";
import { Badge, Button, Card, Empty, State, Trouble, Waiting, Words, type Tone } from "../ui/basics";
import { Confirm, Dialog } from "../ui/dialog";
import { Menu } from "../ui/menu";
import { useSay } from "../ui/toast";
import { type Draft, ServiceForm } from "./service-form";

export type ServiceKind = "upstreams" | "notifiers";

const TEXT = {
  upstreams: {
    title: "Upstreams",
    lead: "Model servers elsewhere, whose models are served as if they were here.",
    none: "No upstream so far",
    add: "Add an upstream",
  },
  notifiers: {
    title: "Notifiers",
    lead: "Ways to tell people that something is wrong.",
    none: "Nobody is told of alerts yet",
    add: "Add a notifier",
  },
} as const;

export function ServicesPage({ kind }: { kind: ServiceKind }) {
  const services = useServices(kind);
  const [draft, setDraft] = useState<Draft | null>(null);
  const [finding, setFinding] = useState(false);
  const text = TEXT[kind];
  const all = services.data?.services ?? [];
  const plugins = services.data?.plugins ?? [];
  return (
    <Card
      title={text.title}
      actions={(
        <>
          {kind === "upstreams" && <Button small onClick={() => setFinding(true)}><Search aria-hidden="true" /> Find servers</Button>}
          <Button small look="primary" disabled={plugins.length === 0} onClick={() => setDraft({ plugin: plugins[0] ?? "" })}><Plus aria-hidden="true" /> {text.add}</Button>
        </>
      )}
    >
      <p className="soft">{text.lead}</p>
      {services.isPending && <Waiting />}
      {services.isError && <Trouble error={services.error} retry={() => void services.refetch()} />}
      {services.isSuccess && all.length === 0 && <Empty title={text.none} />}
      <ul className="list">{all.map((one) => <One key={one.name} kind={kind} service={one} onEdit={() => setDraft({ plugin: one.plugin, old: one })} />)}</ul>
      {draft && <ServiceForm kind={kind} plugins={plugins} draft={draft} onClose={() => setDraft(null)} />}
      {finding && <Find onClose={() => setFinding(false)} onUse={(found) => {
        setFinding(false);
        setDraft({ plugin: found.plugin, baseUrl: found.base_url });
      }} />}
    </Card>
  );
}

const TONE: Record<Service["state"], Tone> = { up: "good", down: "bad", unknown: "none" };

function One({ kind, service, onEdit }: { kind: ServiceKind; service: Service; onEdit: () => void }) {
  const say = useSay();
  const [removing, setRemoving] = useState(false);
  const path = `/${kind}/${part(service.name)}`;
  const test = useChange(() => json<{ models?: unknown[] }>(api(`${path}/test`), { method: "POST" }), [kind]);
  const remove = useChange(() => json(api(path), { method: "DELETE" }), [kind, "models"]);
  const missing = service.wants.filter((want) => !want.granted && !want.optional);
  return (
    <li className="list-item">
      <div className="list-text">
        <p className="list-title">{service.name} <Badge>{service.plugin}</Badge></p>
        <p className="soft">
          {[
            service.settings["base-url"] ?? service.settings["url"],
            kind === "upstreams" && plural(service.offers, "model"),
            service.answered_unix_s !== null && `answered ${ago(service.answered_unix_s)}`,
          ].filter(Boolean).join(" · ")}
        </p>
        {service.why && <p className="soft"><Words text={service.why} /></p>}
        {missing.length > 0 && <p className="form-problem">It lacks {plural(missing.length, "grant")}: {missing.map((want) => want.words).join("; ")}</p>}
        {test.isError && <Trouble error={test.error} />}
      </div>
      <State tone={TONE[service.state]}>{service.state}</State>
      <Button
        small
        busy={test.isPending}
        aria-label={`Try ${service.name}`}
        onClick={() => test.mutate(undefined, {
          onSuccess: (told) => say(told.models ? `${service.name} answers with ${plural(told.models.length, "model")}.` : `${service.name} took the message.`),
        })}
      >
        Try it
      </Button>
      <Menu label={`More for ${service.name}`} verbs={[
        { label: "Change…", onSelect: onEdit },
        { label: "Remove…", danger: true, onSelect: () => setRemoving(true) },
      ]} />
      {removing && (
        <Confirm title={`Remove ${service.name}?`} verb="Remove" onClose={() => setRemoving(false)} onYes={async () => {
          await remove.mutateAsync(undefined);
          say(`${service.name} is gone.`);
        }}>
          <p>Its settings are deleted; what its plugin may touch stays as it is.</p>
        </Confirm>
      )}
    </li>
  );
}

function Find({ onClose, onUse }: { onClose: () => void; onUse: (found: FoundUpstream) => void }) {
  const look = useChange(() => json<{ found: FoundUpstream[] }>(api("/upstreams/-/find"), { method: "POST", body: { hosts: [] } }), []);
  return (
    <Dialog title="Find model servers" onClose={onClose}>
      <p>Looks at the usual ports of this machine and of the cluster's other nodes, and nowhere else.</p>
      <div className="buttons start"><Button look="primary" busy={look.isPending} onClick={() => look.mutate(undefined)}>{look.data ? "Look again" : "Look"}</Button></div>
      {look.isError && <Trouble error={look.error} />}
      {look.data?.found.length === 0 && <Empty title="None answers" />}
      <ul className="list">
        {look.data?.found.map((found) => (
          <li key={found.base_url} className="list-item">
            <div className="list-text">
              <p className="list-title">{found.base_url} <Badge>{found.plugin}</Badge></p>
              <p className="soft">{found.wants_key ? "wants a key" : plural(found.models.length, "model")}{found.models.length > 0 && `: ${found.models.slice(0, 4).join(", ")}`}</p>
            </div>
            {found.upstream ? <Badge tone="good">used as {found.upstream}</Badge> : <Button small onClick={() => onUse(found)}>Use it</Button>}
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
