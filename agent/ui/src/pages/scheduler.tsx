/** Who decides where models and requests go, and who is only asked what it would do. */
import { api, json } from "../api/client";
import { useChange, useSchedulers } from "../api/queries";
import type { Scheduler as Policy } from "../api/types";
import { ago, count, plural } from "../lib/format";
import { Badge, Button, Card, Notice, Trouble, Waiting } from "../ui/basics";
import { useSay } from "../ui/toast";

export function Scheduler() {
  const schedulers = useSchedulers();
  const say = useSay();
  const use = useChange((policy: string) => json(api("/scheduler/use"), { method: "POST", body: { policy } }), ["scheduler"]);
  const shadow = useChange((policy: string | null) => json(api("/scheduler/shadow"), { method: "POST", body: { policy } }), ["scheduler"]);
  const data = schedulers.data;
  return (
    <Card title="Scheduler">
      <p className="soft">Decides where a model is loaded and which replica answers. A scheduler in shadow is asked the same, and not heeded.</p>
      {schedulers.isPending && <Waiting />}
      {schedulers.isError && <Trouble error={schedulers.error} retry={() => void schedulers.refetch()} />}
      {use.isError && <Trouble error={use.error} />}
      {shadow.isError && <Trouble error={shadow.error} />}
      {data?.rolled_back && (
        <Notice tone="warn" title={`${data.rolled_back.from} was replaced by ${data.rolled_back.to} ${ago(data.rolled_back.at_unix_s)}.`}>{data.rolled_back.why}</Notice>
      )}
      {data?.awaited && <Notice tone="warn" title={`${data.awaited.name} is to decide, but cannot be had.`}>{data.awaited.why}</Notice>}
      {data?.shadow && (
        <Notice tone="info" title={`${data.shadow.name} is in shadow since ${ago(data.shadow.since_unix_s).replace(" ago", "")}.`}>
          {count(data.shadow.agreed)} of {count(data.shadow.agreed + data.shadow.differed)} decisions would have been the same.
          {data.shadow.ended && ` It is no longer asked: ${data.shadow.ended}`}
        </Notice>
      )}
      <ul className="list">
        {data?.schedulers.map((one) => (
          <li key={one.name} className="list-item">
            <div className="list-text">
              <p className="list-title">{one.name} {one.state === "active" && <Badge tone="good">decides</Badge>}{one.state === "shadow" && <Badge tone="info">in shadow</Badge>}</p>
              <p className="soft">{about(one)}</p>
              {one.last_failure && <p className="form-problem">{one.last_failure}</p>}
            </div>
            {one.state === "shadow" && <Button small busy={shadow.isPending} onClick={() => shadow.mutate(null)}>Out of the shadow</Button>}
            {one.state !== "active" && one.state !== "shadow" && one.source !== "built-in" && (
              <Button small busy={shadow.isPending && shadow.variables === one.name} onClick={() => shadow.mutate(one.name)} aria-label={`Shadow with ${one.name}`}>Shadow</Button>
            )}
            {one.state !== "active" && (
              <Button small busy={use.isPending && use.variables === one.name} onClick={() => use.mutate(one.name, { onSuccess: () => say(`${one.name} decides now.`) })} aria-label={`Use ${one.name}`}>Use</Button>
            )}
          </li>
        ))}
      </ul>
    </Card>
  );
}

function about(one: Policy): string {
  return [one.source, plural(one.decisions, "decision"), one.failures > 0 ? plural(one.failures, "failure") : null].filter(Boolean).join(" · ");
}
