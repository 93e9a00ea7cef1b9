/**
 * One part of a step, from what was found to what was done: questions, preview, consent, progress.
 *
 * Refuses to keep answers itself: the agent has them, so a page that is closed loses only what is being typed.
 */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Check, CircleDashed, CircleX, SkipForward, TriangleAlert } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { ApiError, api, json, part as name } from "../api/client";
import { useChange, usePart } from "../api/queries";
import type { Answers, Part as Summary, PartDetails, PartState, Preview as Plan, Question } from "../api/setup";
import { Button, Copy, Notice, Trouble, Waiting } from "../ui/basics";
import { answersFile, problems, toSend } from "./answers";
import { Findings } from "./findings";
import { Preview } from "./preview";
import { type Next, Progress, Settled } from "./progress";
import { Questions } from "./questions";

/** A pause in typing. */
const ASK_AFTER_MS = 300;
/** How often it is looked whether the helper is there. */
const ROOT_MS = 2500;

const STATE: Record<PartState, { word: string; tone: string; Icon: typeof Check }> = {
  todo: { word: "to do", tone: "none", Icon: CircleDashed },
  answered: { word: "answered", tone: "info", Icon: CircleDashed },
  applied: { word: "done", tone: "good", Icon: Check },
  skipped: { word: "skipped", tone: "none", Icon: SkipForward },
  failed: { word: "failed", tone: "bad", Icon: CircleX },
  drifted: { word: "changed since", tone: "warn", Icon: TriangleAlert },
};

export function PartMark({ state }: { state: PartState }) {
  const { word, tone, Icon } = STATE[state];
  return <span className={`badge ${tone}`}><Icon aria-hidden="true" /> {word}</span>;
}

export function Part({ part, open, alone, next, anew = false, onToggle }: {
  part: Summary;
  open: boolean;
  next: Next | null;
  /** Begin with the questions, whatever was done before. */
  anew?: boolean;
  /** The only part of its step: then its title would say the step's again. */
  alone: boolean;
  onToggle: () => void;
}) {
  if (alone) return <section className="card part" aria-label={part.title}><Inside part={part} next={next} anew={anew} /></section>;
  return (
    <section className="card part">
      <h2 className="part-head">
        <button type="button" aria-expanded={open} onClick={onToggle}>
          <span className="part-title">{part.title}</span>
          <PartMark state={part.state} />
        </button>
      </h2>
      {open && <><p className="part-purpose">{part.purpose}</p><Inside part={part} next={next} anew={anew} /></>}
    </section>
  );
}

function Inside({ part, next, anew }: { part: Summary; next: Next | null; anew: boolean }) {
  const details = usePart(part.id, true);
  if (details.isPending) return <Waiting what="Looking at this machine" />;
  if (details.isError) return <Trouble error={details.error} retry={() => void details.refetch()} />;
  return <Steps key={part.id} part={part} next={next} anew={anew} details={details.data} look={() => details.refetch()} looking={details.isFetching} />;
}

type Stage = "form" | "preview" | "run";

function Steps({ part, next, anew, details, look, looking }: {
  part: Summary;
  next: Next | null;
  anew: boolean;
  details: PartDetails;
  look: () => Promise<unknown>;
  looking: boolean;
}) {
  const queries = useQueryClient();
  // A run that nobody has looked at since is where somebody left off.
  const [stage, setStage] = useState<Stage>(part.run && part.state !== "drifted" && !anew ? "run" : "form");
  const [run, setRun] = useState(part.run);
  const [edits, setEdits] = useState<Answers>({});
  const [strict, setStrict] = useState(false);
  const [moved, setMoved] = useState(false);
  const asked = useAsked(details, edits);
  const form = useRef<HTMLDivElement>(null);

  const keep = useChange(
    (answers: Answers) => json<PartDetails>(api(`/setup/parts/${name(part.id)}/answers`), { method: "PUT", body: { answers } }),
    [],
  );
  const apply = useChange(
    (digest: string) => json<{ run: string | null }>(api(`/setup/parts/${name(part.id)}/apply`), { method: "POST", body: { digest } }),
    [],
  );

  const toPreview = () => {
    setStrict(true);
    keep.mutate(toSend(asked.questions, edits), {
      onSuccess: (now) => {
        queries.setQueryData(["setup", "part", part.id], now);
        const wrong = problems(now.questions);
        if (wrong.length === 0) {
          setEdits({});
          setMoved(false);
          setStage("preview");
        } else {
          requestAnimationFrame(() => form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
        }
        void queries.invalidateQueries({ queryKey: ["setup"], exact: true });
      },
    });
  };
  const agree = (plan: Plan) => {
    apply.mutate(plan.digest, {
      onSuccess: (begun) => {
        setRun(begun.run);
        setStage("run");
        void queries.invalidateQueries({ queryKey: ["setup"], exact: true });
      },
      onError: (error) => {
        if (error instanceof ApiError && error.status === 409) {
          setMoved(true);
          void queries.invalidateQueries({ queryKey: ["setup", "plan", part.id] });
        }
      },
    });
  };

  if (stage === "run") {
    const onBack = () => setStage("form");
    return run ? <Progress id={run} next={next} onBack={onBack} /> : <Settled next={next} onBack={onBack} />;
  }
  if (stage === "preview") {
    return (
      <>
        {moved && <Notice tone="warn" title="The machine has changed since the preview. This is what would be done now." />}
        {apply.isError && !moved && <Trouble error={apply.error} />}
        <Previewed id={part.id} busy={apply.isPending} onApply={agree} onBack={() => setStage("form")} />
      </>
    );
  }
  const wrong = problems(asked.questions).length > 0;
  return (
    <div ref={form}>
      <Findings findings={details.findings} onRetry={() => void look()} busy={looking} />
      {part.state === "drifted" && (
        <Notice tone="warn" title="Something that was set up here was changed by somebody else since.">
          Carrying it out again puts it right; the preview shows how.
        </Notice>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          toPreview();
        }}
      >
        <Questions
          questions={asked.questions}
          edits={edits}
          strict={strict}
          onEdit={(id, value) => setEdits((before) => ({ ...before, [id]: value }))}
        />
        {asked.error !== null && <Trouble error={asked.error} />}
        {keep.isError && <Trouble error={keep.error} />}
        {strict && wrong && <p className="form-problem" role="alert">Something above is not right yet.</p>}
        <div className="buttons">
          <Button type="submit" look="primary" busy={keep.isPending}>
            {details.questions.length > 0 ? "Show what would change" : "See what would be done"}
          </Button>
        </div>
      </form>
      <OnCommandLine id={details.id} questions={asked.questions} edits={edits} />
    </div>
  );
}

/** The questions as the answers so far make them, asked for anew in each pause of typing. */
function useAsked(details: PartDetails, edits: Answers): { questions: readonly Question[]; error: unknown } {
  const [answer, setAnswer] = useState<{ for: PartDetails; questions: readonly Question[] } | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    if (Object.keys(edits).length === 0) return undefined;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      json<{ questions: Question[] }>(api(`/setup/parts/${name(details.id)}/ask`), {
        method: "POST",
        body: { answers: toSend(details.questions, edits) },
        signal: stop.signal,
      }).then(
        (now) => {
          setAnswer({ for: details, questions: now.questions });
          setError(null);
        },
        (why: unknown) => {
          if (!stop.signal.aborted) setError(why);
        },
      );
    }, ASK_AFTER_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [details, edits]);
  return { questions: answer?.for === details ? answer.questions : details.questions, error };
}

function Previewed({ id, busy, onApply, onBack }: {
  id: string;
  busy: boolean;
  onApply: (plan: Plan) => void;
  onBack: () => void;
}) {
  const plan = useQuery<Plan>({
    queryKey: ["setup", "plan", id],
    queryFn: ({ signal }) => json<Plan>(api(`/setup/parts/${name(id)}/plan`), { method: "POST", signal }),
    gcTime: 0,
    staleTime: 0,
    refetchInterval: (query) => {
      const now = query.state.data;
      return now && now.needs_root && now.root === "missing" ? ROOT_MS : false;
    },
  });
  if (plan.isPending) return <Waiting what="Working out what would change" />;
  if (plan.isError) {
    return (
      <>
        <Trouble error={plan.error} retry={() => void plan.refetch()} />
        <div className="buttons"><Button onClick={onBack}>Change answers</Button></div>
      </>
    );
  }
  return <Preview plan={plan.data} busy={busy} onApply={() => onApply(plan.data)} onBack={onBack} />;
}

function OnCommandLine({ id, questions, edits }: { id: string; questions: readonly Question[]; edits: Answers }) {
  return (
    <details className="more cli">
      <summary>The same on the command line</summary>
      <p className="soft">Put this into a file and hand it over; <code>skep setup</code> alone asks one by one.</p>
      <Copy block text={answersFile(id, questions, edits)} label="Copy the answers" />
      <Copy text="skep setup --from answers.toml" label="Copy the command" />
    </details>
  );
}
