/** The settings of this node, in the setup's parts: shown before they change, and undone from the list of what was changed. */
import { Undo2 } from "lucide-react";
import { useState } from "react";
import { api, json, part as name } from "../api/client";
import { useChange, useDrift, useRuns, useSession, useSetup } from "../api/queries";
import { isOver, type Run } from "../api/setup";
import { ago, plural } from "../lib/format";
import { Part } from "../setup/part";
import { Badge, Button, Card, Empty, Notice, Trouble, Waiting, Words } from "../ui/basics";
import { Confirm } from "../ui/dialog";
import { useSay } from "../ui/toast";

/** How often it is looked whether an undoing is over. */
const LOOK_MS = 300;
const LOOKS_MAX = 200;

/** Only looks at the machine; there is nothing to set. */
const LOOKS_ONLY = "system";

export function NodeSettings() {
  const session = useSession();
  if (session.data?.signed_in !== true) return <Notice title="Sign in to see and change the settings of this node." />;
  return (
    <>
      <Parts />
      <Changes />
      <Drifted />
    </>
  );
}

function Parts() {
  const setup = useSetup();
  const [open, setOpen] = useState<string | null>(null);
  if (setup.isPending) return <Waiting />;
  if (setup.isError) return <Trouble error={setup.error} retry={() => void setup.refetch()} />;
  const parts = setup.data.steps.filter((step) => step.id !== LOOKS_ONLY).flatMap((step) => step.parts);
  return (
    <>
      {setup.data.restart_needed && (
        <Notice title="Some of what was set holds from the agent's next start.">
          Stop the agent and start it again with <code>skep up</code>, or restart its service.
        </Notice>
      )}
      {setup.data.state === "closed" && (
        <p className="soft">The setup is finished: from here the agent's own settings can be changed; what else a part would do takes <code>skep setup</code> on this machine.</p>
      )}
      {parts.map((part) => (
        <Part
          key={part.id}
          part={part}
          next={null}
          anew
          alone={false}
          open={open === part.id}
          onToggle={() => setOpen(open === part.id ? null : part.id)}
        />
      ))}
    </>
  );
}

const STATE = {
  running: ["being carried out", "info"],
  done: ["done", "good"],
  failed: ["failed", "bad"],
  interrupted: ["interrupted", "warn"],
  undoing: ["being undone", "info"],
  undone: ["undone", "none"],
} as const;

function Changes() {
  const runs = useRuns(true);
  const setup = useSetup();
  const say = useSay();
  const [undoing, setUndoing] = useState<Run | null>(null);
  const undo = useChange(async (run: Run) => {
    await json(api(`/setup/runs/${name(run.id)}/undo`), { method: "POST" });
    for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
      const now = await json<Run>(api(`/setup/runs/${name(run.id)}`));
      if (isOver(now)) return now;
      await new Promise((go) => setTimeout(go, LOOK_MS));
    }
    throw new Error("It is still being undone; look again in a while.");
  }, ["setup"]);
  const all = runs.data?.runs ?? [];
  const title = (id: string) => setup.data?.steps.flatMap((step) => step.parts).find((part) => part.id === id)?.title ?? id;
  return (
    <Card title="What was changed" actions={<Button small busy={runs.isFetching} onClick={() => void runs.refetch()}>Look again</Button>}>
      {runs.isPending && <Waiting />}
      {runs.isError && <Trouble error={runs.error} />}
      {runs.isSuccess && all.length === 0 && <Empty title="Nothing so far">What a part changes stands here, with who agreed to it, and can be undone.</Empty>}
      <ul className="list">
        {all.map((run) => {
          const [word, tone] = STATE[run.state];
          return (
            <li key={run.id} className="list-item">
              <div className="list-text">
                <p className="list-title">{title(run.part)} <Badge tone={tone}>{word}</Badge></p>
                <p className="soft">{ago(run.at_unix_s)} by {run.by} · {plural(run.actions.length, "action")}</p>
                <details className="more">
                  <summary>What that was</summary>
                  <ol className="plain-list">{run.actions.map((action) => <li key={action.index}><Words text={action.words} first />{action.error && <span className="run-error"> <Words text={action.error} /></span>}</li>)}</ol>
                </details>
              </div>
              {isOver(run) && run.state !== "undone" && (
                <Button small onClick={() => setUndoing(run)} aria-label={`Undo ${title(run.part)}, ${ago(run.at_unix_s)}`}><Undo2 aria-hidden="true" /> Undo</Button>
              )}
            </li>
          );
        })}
      </ul>
      {undoing && (
        <Confirm title={`Undo ${title(undoing.part)}?`} verb="Undo it" onClose={() => setUndoing(null)} onYes={async () => {
          const now = await undo.mutateAsync(undoing);
          if (now.state !== "undone") throw new Error(now.actions.find((action) => action.error)?.error ?? "It could not all be undone.");
          say(`${title(undoing.part)} is as it was before.`);
        }}>
          <p>Each is put back as it was before, the last first; what others changed since is left alone:</p>
          <ul className="plain-list">{undoing.actions.filter((action) => action.state === "done").reverse().map((action) => <li key={action.index}><Words text={action.words} first /></li>)}</ul>
        </Confirm>
      )}
    </Card>
  );
}

function Drifted() {
  const drift = useDrift(true);
  return (
    <Card title="What others changed since" actions={<Button small busy={drift.isFetching} onClick={() => void drift.refetch()}>Look again</Button>}>
      {drift.isPending && <Waiting />}
      {drift.isError && <Trouble error={drift.error} />}
      {drift.data?.drift.length === 0 && <Empty title="All of it is as it was set up">Changes that others make to it show up here.</Empty>}
      <ul className="list">
        {drift.data?.drift.map((one) => (
          <li key={`${one.run}/${one.index}`} className="list-item">
            <div className="list-text">
              <p className="list-title"><Words text={one.words} /></p>
              <p className="soft">expected: <Words text={one.expected} /> · found: <Words text={one.found} /></p>
            </div>
          </li>
        ))}
      </ul>
    </Card>
  );
}
