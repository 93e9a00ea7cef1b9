/** The models at hand: on the disk, in memory, and at services elsewhere. */
import { useQueryClient } from "@tanstack/react-query";
import { Download, TriangleAlert } from "lucide-react";
import { useRef, useState } from "react";
import { Link } from "wouter";
import { ApiError, api, json, part } from "../api/client";
import { useChange, useModels, useTop } from "../api/queries";
import { values } from "../api/stream";
import type { Model, PullEvent, Replica } from "../api/types";
import { replicaTone } from "../cluster/tone";
import { ago, memory, plural, short, size, took } from "../lib/format";
import { Badge, Button, Card, Copy, Empty, Fact, Facts, Notice, Page, State, Trouble, Waiting, Words } from "../ui/basics";
import { Confirm, Dialog } from "../ui/dialog";
import { TextField } from "../ui/fields";
import { Menu } from "../ui/menu";
import { useSay } from "../ui/toast";
import { Catalogue } from "./catalogue";

export function Models() {
  const models = useModels();
  const top = useTop();
  const [pulling, setPulling] = useState<string | null>(null);
  const replicas = top.data?.replicas ?? [];
  return (
    <Page title="Models" actions={<Button look="primary" onClick={() => setPulling("")}><Download aria-hidden="true" /> Bring a model</Button>}>
      {models.isPending && <Waiting />}
      {models.isError && <Trouble error={models.error} retry={() => void models.refetch()} />}
      {models.data && (
        <>
          <Card title="On this machine">
            {models.data.models.length === 0 && <Empty title="No models yet">Bring one of those below, one by its address, or by a path on this machine.</Empty>}
            <ul className="list">
              {models.data.models.map((model) => (
                <One key={model.name} model={model} replicas={replicas.filter((one) => one.model === model.name)} />
              ))}
            </ul>
          </Card>
          {models.data.damaged.length > 0 && (
            <Notice tone="warn" title={`${plural(models.data.damaged.length, "file")} cannot be used`}>
              <ul className="plain-list">{models.data.damaged.map((one) => <li key={one.path}><code>{one.path}</code>: {one.reason}</li>)}</ul>
            </Notice>
          )}
          {models.data.offered.length > 0 && (
            <Card title="At services elsewhere" actions={<Link href="/settings/upstreams" className="link">Upstreams</Link>}>
              <ul className="list">
                {models.data.offered.map((one) => (
                  <li key={`${one.upstream}/${one.name}`} className="list-item">
                    <div className="list-text">
                      <p className="list-title">{one.name}</p>
                      <p className="soft">{one.upstream}, reached by {one.node}{one.why && ` · ${one.why}`}</p>
                    </div>
                    <State tone={replicaTone(one.state)}>{one.state}</State>
                  </li>
                ))}
              </ul>
            </Card>
          )}
          <Catalogue onBring={setPulling} />
        </>
      )}
      {pulling !== null && <Pull from={pulling} onClose={() => setPulling(null)} />}
    </Page>
  );
}

function One({ model, replicas }: { model: Model; replicas: readonly Replica[] }) {
  const say = useSay();
  const [shown, setShown] = useState(false);
  const [removing, setRemoving] = useState(false);
  const here = model.state !== null;
  const move = useChange(
    (verb: "load" | "unload") => json(api(`/models/${part(model.name)}/${verb}`), { method: "POST" }),
    ["models", "top"],
  );
  const remove = useChange(
    () => json<{ freed_bytes: number }>(api(`/models/${part(model.name)}?force=${here}`), { method: "DELETE" }),
    ["models", "top"],
  );
  const loading = move.isPending && move.variables === "load";
  return (
    <li className="list-item">
      <div className="list-text">
        <p className="list-title">
          <button type="button" className="title-link" onClick={() => setShown(true)}>{model.name}</button>
          {model.is_default && <Badge title="Loaded when the agent starts">default</Badge>}
        </p>
        <p className="soft">
          {[size(model.bytes), model.format, model.source === "embedded" ? "comes with skep" : null, where(replicas)].filter(Boolean).join(" · ")}
        </p>
        {move.isError && <Trouble error={move.error} />}
      </div>
      {loading && !here ? <State tone="warn" moving>loading</State> : here
        ? <State tone={replicaTone(model.state ?? "")} moving={model.state === "starting"}>{model.state}</State>
        : <State tone="none">on disk</State>}
      <Button small busy={move.isPending} onClick={() => move.mutate(here ? "unload" : "load")} aria-label={`${here ? "Unload" : "Load"} ${model.name}`}>
        {here ? "Unload" : "Load"}
      </Button>
      <Menu
        label={`More for ${model.name}`}
        verbs={[
          { label: "Where it runs", onSelect: () => setShown(true) },
          { label: "Remove from the disk…", danger: true, onSelect: () => setRemoving(true) },
        ]}
      />
      {shown && <Details model={model} replicas={replicas} onClose={() => setShown(false)} />}
      {removing && (
        <Confirm
          title={`Remove ${model.name}?`}
          verb="Remove"
          onClose={() => setRemoving(false)}
          onYes={async () => {
            const gone = await remove.mutateAsync(undefined);
            say(`${model.name} is gone; ${size(gone.freed_bytes)} are free again.`);
          }}
        >
          <p>Its file is deleted from this machine{here && ", after it was unloaded"}. {model.source !== "embedded" && "Bringing it back means to download it again."}</p>
        </Confirm>
      )}
    </li>
  );
}

function where(replicas: readonly Replica[]): string | null {
  const nodes = [...new Set(replicas.filter((one) => one.state === "ready").map((one) => one.node))];
  return nodes.length === 0 ? null : `on ${nodes.join(", ")}`;
}

function Details({ model, replicas, onClose }: { model: Model; replicas: readonly Replica[]; onClose: () => void }) {
  return (
    <Dialog title={model.name} onClose={onClose} wide>
      <Facts>
        <Fact name="Size">{size(model.bytes)}</Fact>
        <Fact name="Format">{model.format}</Fact>
        <Fact name="From">{model.source}</Fact>
        <Fact name="SHA-256"><code>{short(model.digest)}…</code></Fact>
        <Fact name="Here since">{ago(model.added_unix_s)}</Fact>
      </Facts>
      <h3>Where it runs, and why</h3>
      {replicas.length === 0 && <p className="soft">Nowhere now. The first request for it has the scheduler choose a place.</p>}
      {replicas.map((one) => (
        <section key={`${one.node}/${one.id}`} className="replica">
          <p className="list-title">{one.node || "this machine"} <State tone={replicaTone(one.state)}>{one.state}</State></p>
          {one.why && <p><Words text={one.why} /></p>}
          <Facts>
            <Fact name="Computes on">{one.device}</Fact>
            <Fact name="Placed on">{one.devices.join(", ")}</Fact>
            <Fact name="Plugin">{one.plugin}</Fact>
            <Fact name="Opened in">{one.opened_in_ms === null ? null : took(one.opened_in_ms)}</Fact>
            <Fact name="Memory">{one.resident_bytes === null ? null : memory(one.resident_bytes)}</Fact>
            <Fact name="Context">{one.info ? `${one.info.context_tokens} tokens, of ${one.info.trained_context_tokens} that it was trained for` : null}</Fact>
            <Fact name="Cache">{one.cache_pages > 0 ? `${one.cache_pages_used} of ${one.cache_pages} pages` : null}</Fact>
            <Fact name="Restarts">{one.restarts > 0 ? String(one.restarts) : null}</Fact>
          </Facts>
          {one.causes.map((cause) => <p key={cause.code} className="device-cause"><TriangleAlert className="icon warn" aria-hidden="true" /> {cause.text} <span className="soft">{cause.evidence}</span></p>)}
        </section>
      ))}
      <Copy text={`skep run ${model.name}`} label="Copy the command" />
    </Dialog>
  );
}

interface Far { name: string; done: number; total: number | null; note: string }

function Pull({ from, onClose }: { from: string; onClose: () => void }) {
  const [source, setSource] = useState(from);
  const [name, setName] = useState("");
  const [sha256, setSha256] = useState("");
  const [far, setFar] = useState<Far | null>(null);
  const [error, setError] = useState<unknown>(null);
  const stop = useRef<AbortController>(undefined);
  const queries = useQueryClient();
  const say = useSay();

  const begin = async () => {
    const control = new AbortController();
    stop.current = control;
    setError(null);
    setFar({ name: "", done: 0, total: null, note: "Asking the source" });
    try {
      const body = { source: source.trim(), name: name.trim() || null, sha256: sha256.trim() || null };
      for await (const event of values<PullEvent>(api("/models/pull"), { method: "POST", body, signal: control.signal })) {
        if (event.event === "failed") throw new ApiError(event.error.message, 0, event.error.code, event.error.hint);
        if (event.event === "done") {
          say(`${event.model.name} is here.`);
          onClose();
        } else setFar((before) => told(before, event));
      }
    } catch (why) {
      if (!control.signal.aborted) setError(why);
    }
    setFar(null);
    void queries.invalidateQueries({ queryKey: ["models"] });
  };
  const leave = () => {
    stop.current?.abort();
    onClose();
  };
  return (
    <Dialog
      title="Bring a model"
      onClose={leave}
      footer={far
        ? <Button onClick={leave}>Stop</Button>
        : (
          <>
            <Button onClick={leave}>Cancel</Button>
            <Button look="primary" disabled={source.trim() === ""} onClick={() => void begin()}>Bring it</Button>
          </>
        )}
    >
      {error !== null && <Trouble error={error} />}
      {far
        ? (
          <div role="status">
            <p><strong>{far.name || "…"}</strong> <span className="soft">{far.note}</span></p>
            <progress className="run-bar" max={far.total ?? 1} {...(far.total === null ? {} : { value: far.done })} aria-label="How far it is" />
            <p className="soft">{size(far.done)}{far.total !== null && ` of ${size(far.total)}`}</p>
            <p className="soft">When you stop, what came is kept, and the next try goes on from there.</p>
          </div>
        )
        : (
          <>
            <TextField label="Source" help="A repository as hf:OWNER/NAME, an address of a GGUF file, or an absolute path on the agent's machine." value={source} onChange={setSource} placeholder="hf:Qwen/Qwen3-4B-GGUF:Q4_K_M" mono autoFocus />
            <details className="more">
              <summary>More settings</summary>
              <TextField label="Name" help="By itself, the name of the file." value={name} onChange={setName} />
              <TextField label="SHA-256" help="What the file must hash to." value={sha256} onChange={setSha256} mono />
            </details>
          </>
        )}
    </Dialog>
  );
}

function told(before: Far | null, event: PullEvent): Far {
  const far = before ?? { name: "", done: 0, total: null, note: "" };
  switch (event.event) {
    case "started":
      return { ...far, name: event.name };
    case "progress":
      return { ...far, done: event.done_bytes, total: event.total_bytes, note: event.resumed_bytes > 0 ? "going on from an earlier try" : "" };
    case "checking":
      return { ...far, done: event.done_bytes, total: event.total_bytes, note: "checking what an earlier try left" };
    case "retrying":
      return { ...far, note: `${event.reason}; trying again in ${took(event.pause_ms)}` };
    default:
      return far;
  }
}
