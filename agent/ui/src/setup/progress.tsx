/** A run while it runs: each action in turn, and what can be done when one fails. */
import { Ban, Check, Circle, CircleX, LoaderCircle, Undo2 } from "lucide-react";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { ApiError, api, json, part } from "../api/client";
import { useChange } from "../api/queries";
import { isOver, type Run, type RunAction } from "../api/setup";
import { events } from "../api/stream";
import { plural, took } from "../lib/format";
import { Button, Notice, Trouble, Waiting, Words } from "../ui/basics";

/** How long to wait before listening again after the stream broke. */
const AGAIN_MS = 1000;

/** A run as it is now, followed until it is over. `turn` changes when it goes on anew. */
export function useFollowed(id: string, turn: number): { run: Run | null; error: unknown } {
  const [run, setRun] = useState<Run | null>(null);
  const [error, setError] = useState<unknown>(null);
  const queries = useQueryClient();
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const listen = async () => {
      let last: Run | null = null;
      try {
        for await (const now of events<Run>(api(`/setup/runs/${part(id)}/events`), { signal: stop.signal })) {
          last = now;
          setRun(now);
          setError(null);
        }
      } catch (why) {
        if (stop.signal.aborted) return;
        setError(why);
        if (why instanceof ApiError && why.status >= 400 && why.status < 500) return;
      }
      if (stop.signal.aborted) return;
      if (last && isOver(last)) {
        void queries.invalidateQueries({ queryKey: ["setup"] });
        return;
      }
      timer = setTimeout(() => void listen(), AGAIN_MS);
    };
    void listen();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [id, turn, queries]);
  return { run, error };
}

/** Where one goes from a part that is done. */
export interface Next { title: string; go: () => void }

const HEAD = {
  running: "Being carried out",
  done: "Done",
  failed: "An action failed",
  interrupted: "This was interrupted",
  undoing: "Being undone",
  undone: "Everything is as it was before",
} as const;

export function Progress({ id, onBack, next }: { id: string; onBack: () => void; next: Next | null }) {
  const [turn, setTurn] = useState(0);
  const { run, error } = useFollowed(id, turn);
  const again = useChange((verb: "resume" | "undo") => json(api(`/setup/runs/${part(id)}/${verb}`), { method: "POST" }), ["setup"]);
  if (!run) return error ? <Trouble error={error} retry={() => setTurn(turn + 1)} /> : <Waiting what="Asking how far it is" />;
  const tell = (verb: "resume" | "undo") => again.mutate(verb, { onSuccess: () => setTurn(turn + 1) });
  const over = run.actions.filter((action) => action.state === "done" || action.state === "already").length;
  const stopped = run.state === "failed" || run.state === "interrupted";
  return (
    <div className="run">
      <p className="run-head" role="status">
        <strong>{HEAD[run.state]}</strong>
        <span className="soft">{over} of {plural(run.actions.length, "action")}</span>
      </p>
      <progress className="run-bar" max={Math.max(1, run.actions.length)} value={over} aria-label="Actions done" />
      <ol className="run-actions">{run.actions.map((action) => <One key={action.index} action={action} />)}</ol>
      {error !== null && !isOver(run) && <Notice tone="warn" title="The agent is silent for a moment; listening again." />}
      {again.isError && <Trouble error={again.error} />}
      {run.state === "interrupted" && (
        <Notice tone="warn" title="The agent stopped in the middle of this.">
          What was begun is written down. Go on where it stopped, or put everything back.
        </Notice>
      )}
      {(stopped || run.state === "undone") && (
        <div className="buttons">
          <Button onClick={onBack}>Change answers</Button>
          {stopped && <Button busy={again.isPending} onClick={() => tell("undo")}><Undo2 aria-hidden="true" /> Undo everything</Button>}
          {stopped && <Button look="primary" busy={again.isPending} onClick={() => tell("resume")}>Try again from here</Button>}
        </div>
      )}
      {run.state === "done" && (
        <div className="buttons">
          <Button onClick={onBack}>Change answers</Button>
          <Button look="quiet" busy={again.isPending} onClick={() => tell("undo")}><Undo2 aria-hidden="true" /> Undo this</Button>
          <Onwards next={next} />
        </div>
      )}
    </div>
  );
}

/** The end of a part for which nothing had to be done, and of which there is no run. */
export function Settled({ onBack, next }: { onBack: () => void; next: Next | null }) {
  return (
    <div className="run">
      <p className="run-head" role="status">
        <strong>{HEAD.done}</strong>
        <span className="soft">Everything is as it should be</span>
      </p>
      <div className="buttons">
        <Button onClick={onBack}>Change answers</Button>
        <Onwards next={next} />
      </div>
    </div>
  );
}

function Onwards({ next }: { next: Next | null }) {
  if (!next) return null;
  return <Button look="primary" onClick={next.go}>Continue<span className="hidden"> with {next.title}</span></Button>;
}

const ICON = { waiting: Circle, running: LoaderCircle, done: Check, already: Check, failed: CircleX, undone: Ban };
const WORD = {
  waiting: "waiting", running: "running", done: "done", already: "was so already", failed: "failed", undone: "undone",
};

function One({ action }: { action: RunAction }) {
  const Icon = ICON[action.state];
  return (
    <li className={`run-action ${action.state}`}>
      <Icon className={action.state === "running" ? "icon spin" : "icon"} aria-label={WORD[action.state]} />
      <div>
        <p><Words text={action.words} first /></p>
        {action.error && <p className="run-error"><Words text={action.error} first /></p>}
      </div>
      <span className="soft run-took">
        {action.state === "already" ? WORD.already : action.took_ms !== null ? took(action.took_ms) : ""}
      </span>
    </li>
  );
}
