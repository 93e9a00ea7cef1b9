/** How everything stands: nodes with their devices, models, requests, alerts. */
import { Activity, CircleCheck, TriangleAlert } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { useAlerts, useTop } from "../api/queries";
import type { Alert, Device, Node, Replica, Requests, Trace } from "../api/types";
import { healthTone, replicaTone } from "../cluster/tone";
import { ago, count, memory, percent, plural, span, took } from "../lib/format";
import { useSeries } from "../lib/history";
import { Badge, Card, Empty, Meter, Page, State, Trouble, Waiting, Words, type Tone } from "../ui/basics";
import { Spark } from "../ui/spark";
import { Why } from "./why";

export function Overview() {
  const top = useTop();
  if (top.isPending) return <Page title="Overview"><Waiting /></Page>;
  if (!top.data) return <Page title="Overview"><Trouble error={top.error} retry={() => void top.refetch()} /></Page>;
  const { nodes, replicas, requests } = top.data;
  const up = nodes.filter((node) => node.health !== "lost").length;
  return (
    <Page title="Overview">
      {top.isError && <Trouble error={top.error} title="The agent is silent; what you see is what it said last." />}
      <div className="figures">
        <Figure name="Nodes" value={`${up}`} note={up === nodes.length ? (nodes.length === 1 ? "up" : "all up") : `of ${nodes.length} are up`} tone={up === nodes.length ? "good" : "bad"} />
        <Figure name="Models loaded" value={String(replicas.filter((one) => one.state === "ready").length)} note={loading(replicas)} />
        <Figure name="Requests now" value={String(requests.running)} note={`${requests.waiting} waiting`} series="running" />
        <Rate />
      </div>
      <Alarms />
      <Card title="Nodes"><ul className="nodes-now">{nodes.map((node) => <NodeNow key={node.id} node={node} />)}</ul></Card>
      <Card title="Models" actions={<Link href="/models" className="link">All models</Link>}>
        {replicas.length === 0
          ? <Empty title="No model is loaded">A request loads the one that it names; <Link href="/models">Models</Link> lists those at hand.</Empty>
          : <ul className="list">{replicas.map((replica) => <ReplicaNow key={`${replica.node}/${replica.id}`} replica={replica} />)}</ul>}
      </Card>
      <Latest requests={requests} />
    </Page>
  );
}

function loading(replicas: readonly Replica[]): string {
  const failed = replicas.filter((one) => one.state === "failed").length;
  if (failed > 0) return `${failed} failed`;
  const starting = replicas.filter((one) => one.state !== "ready").length;
  return starting > 0 ? `${starting} loading` : "ready";
}

function Figure({ name, value, note, tone, series }: { name: string; value: string; note: string; tone?: Tone; series?: string }) {
  return (
    <div className="figure">
      <p className="figure-name">{name}</p>
      <p className="figure-value">{value} <span className={`figure-note ${tone ?? ""}`}>{note}</span></p>
      {series && <Spark series={series} />}
    </div>
  );
}

function Rate() {
  const values = useSeries("tokens");
  const now = values.at(-1) ?? 0;
  return <Figure name="Tokens written" value={count(now)} note="per second" series="tokens" />;
}

const SEVERITY: Record<Alert["severity"], Tone> = { info: "info", warning: "warn", critical: "bad" };

function Alarms() {
  const alerts = useAlerts();
  const raised = alerts.data?.raised ?? [];
  const past = alerts.data?.past.slice(0, 5) ?? [];
  if (raised.length === 0 && past.length === 0) return null;
  return (
    <Card title="Alerts" actions={<Link href="/settings/notifiers" className="link">Who is told</Link>}>
      {raised.length === 0 && <p className="all-well"><CircleCheck className="icon good" aria-hidden="true" /> Nothing is wrong now.</p>}
      <ul className="list">
        {raised.map((alert) => (
          <li key={alert.id} className="list-item top">
            <div className="list-text">
              <p className="list-title"><TriangleAlert className={`icon ${SEVERITY[alert.severity]}`} aria-label={alert.severity} /> <span><Words text={alert.title} /></span></p>
              <p className="soft"><Words text={alert.text} /></p>
            </div>
            <span className="soft">{ago(alert.raised_unix_s)}</span>
          </li>
        ))}
      </ul>
      {past.length > 0 && (
        <details className="more">
          <summary>Over <span className="soft">({alerts.data?.past.length})</span></summary>
          <ul className="list">
            {past.map((alert) => (
              <li key={`${alert.id}${alert.raised_unix_s}`} className="list-item">
                <span><Words text={alert.title} /></span><span className="soft">{ago(alert.resolved_unix_s ?? alert.raised_unix_s)}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </Card>
  );
}

function NodeNow({ node }: { node: Node }) {
  return (
    <li className="node-now">
      <div className="node-head">
        <p className="list-title">{node.name}</p>
        <State tone={healthTone(node.health)}>{node.health}</State>
        <span className="soft node-about">
          {node.health === "lost" ? node.why : `skep ${node.version} · up ${span(Date.now() / 1000 - node.started_unix_s)}`}
        </span>
      </div>
      {node.why && node.health !== "lost" && <p className="soft">{node.why}</p>}
      <ul className="devices">{node.devices.map((device) => <DeviceNow key={device.id} node={node.id} device={device} />)}</ul>
    </li>
  );
}

function DeviceNow({ node, device }: { node: string; device: Device }) {
  const name = device.name ?? (device.kind === "cpu" ? "Processor" : "Accelerator");
  const busy = device.utilisation_percent;
  const total = device.memory_total_bytes;
  const used = device.memory_used_bytes;
  const further = [
    device.temperature_celsius !== null && `${Math.round(device.temperature_celsius)} °C`,
    device.power_watts !== null && `${Math.round(device.power_watts)} W${device.power_limit_watts === null ? "" : ` of ${Math.round(device.power_limit_watts)}`}`,
    device.processes !== null && device.processes > 0 && plural(device.processes, "process", "processes"),
  ].filter(Boolean);
  return (
    <li className="device">
      <div className="device-head">
        <p className="device-name" title={name}>{name}</p>
        {device.health !== "healthy" && <State tone={healthTone(device.health)}>{device.health}</State>}
      </div>
      <div className="device-chart">
        <Spark series={`${node}/${device.id}/busy`} max={100} />
        <p className="device-busy">{busy === null ? "–" : percent(busy)} <span className="soft">busy</span></p>
      </div>
      {total !== null && used !== null && (
        <Meter
          label="Memory"
          value={(100 * used) / total}
          text={`${memory(used)} of ${memory(total)}`}
          tone={used / total > 0.92 ? "warn" : "none"}
        />
      )}
      {further.length > 0 && <p className="soft device-further">{further.join(" · ")}</p>}
      {device.causes.map((cause) => (
        <p key={cause.code} className="device-cause"><TriangleAlert className="icon warn" aria-hidden="true" /> {cause.text} <span className="soft">{cause.evidence}</span></p>
      ))}
    </li>
  );
}

export function ReplicaNow({ replica }: { replica: Replica }) {
  const about = [
    replica.node && `on ${replica.node}`,
    replica.device,
    replica.info && `${replica.info.architecture} ${count(replica.info.parameters)} ${replica.info.quantisation}`,
    replica.requests > 0 && plural(replica.requests, "request"),
    replica.tokens_per_s !== null && replica.tokens_per_s > 0 && `${Math.round(replica.tokens_per_s)} tokens/s`,
    replica.resident_bytes !== null && memory(replica.resident_bytes),
    replica.card_bytes !== null && `${memory(replica.card_bytes)} on the card`,
    replica.restarts > 0 && `restarted ${replica.restarts}×`,
  ].filter(Boolean);
  return (
    <li className="list-item">
      <div className="list-text">
        <p className="list-title">{replica.model}</p>
        <p className="soft">{about.join(" · ")}</p>
        {replica.why && <p className="soft"><Words text={replica.why} first /></p>}
        {replica.causes.map((cause) => <p key={cause.code} className="device-cause"><TriangleAlert className="icon warn" aria-hidden="true" /> {cause.text}</p>)}
      </div>
      <State tone={replicaTone(replica.state)} moving={replica.state === "starting" || replica.state === "restarting"}>{replica.state}</State>
    </li>
  );
}

const OUTCOME: Record<Trace["outcome"], Tone> = { answered: "good", failed: "bad", cut: "warn" };
/** So many are seen without looking for them. */
const SHOWN = 12;

function Latest({ requests }: { requests: Requests }) {
  const [open, setOpen] = useState<Trace | null>(null);
  const latest = requests.latest.slice(0, SHOWN);
  return (
    <Card
      title="Latest requests"
      actions={<span className="soft">{count(requests.answered)} answered, {count(requests.failed)} failed, {count(requests.refused)} refused</span>}
    >
      {latest.length === 0
        ? <Empty icon={<Activity />} title="No request so far">What is asked of this cluster appears here, with where it went and why. Neither questions nor answers are kept.</Empty>
        : (
          <div className="table-frame" tabIndex={0} role="region" aria-label="Table of the latest requests">
            <table>
              <thead><tr><th>When</th><th>Model</th><th>Node</th><th className="num">First word</th><th className="num">Took</th><th className="num">Tokens</th><th>Outcome</th><th><span className="hidden">Why</span></th></tr></thead>
              <tbody>
                {latest.map((trace) => (
                  <tr key={`${trace.node ?? ""}${trace.request}${trace.at_unix_s}`}>
                    <td>{ago(trace.at_unix_s)}</td>
                    <td className="strong">{trace.model}</td>
                    <td>{trace.node ?? "–"}</td>
                    <td className="num">{trace.first_after_us === null ? "–" : took(trace.first_after_us / 1000)}</td>
                    <td className="num">{took(trace.took_us / 1000)}</td>
                    <td className="num">{trace.prompt_tokens} + {trace.completion_tokens}</td>
                    <td><Badge tone={OUTCOME[trace.outcome]}>{trace.outcome}</Badge></td>
                    <td><button type="button" className="link" onClick={() => setOpen(trace)}>Why there<span className="hidden">: request {trace.request}</span></button></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      {open && <Why trace={open} onClose={() => setOpen(null)} />}
    </Card>
  );
}
