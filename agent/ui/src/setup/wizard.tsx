/** The setup: eight steps, each of which can be left and taken up again. Where one is, the agent knows. */
import { Check, CircleX, SkipForward } from "lucide-react";
import { useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { api, json, part as name } from "../api/client";
import { useChange, useSetup } from "../api/queries";
import { Wanted } from "../cluster/adopt";
import type { Part as PartLine, Setup, Step } from "../api/setup";
import { Button, Notice, Trouble, Waiting } from "../ui/basics";
import { Mark } from "../ui/mark";
import { ThemeSwitch } from "../ui/theme";
import { Cluster } from "./cluster";
import { FirstAdmin } from "./first-admin";
import { Part } from "./part";
import type { Next } from "./progress";
import { Tests } from "./tests";

const finished = (step: Step): boolean => step.state === "done" || step.state === "skipped";

export function Wizard({ at }: { at: string | null }) {
  const setup = useSetup();
  if (setup.isPending) return <Frame><Waiting what="Asking the agent" /></Frame>;
  if (setup.isError) return <Frame><Trouble error={setup.error} retry={() => void setup.refetch()} /></Frame>;
  const steps = setup.data.steps;
  const current = steps.find((step) => step.id === at)
    ?? steps.find((step) => step.id === setup.data.current)
    ?? steps.find((step) => !finished(step))
    ?? steps[0];
  if (!current) return <Frame><Trouble error={new Error("This agent has no steps of a setup.")} /></Frame>;
  return <At key={current.id} setup={setup.data} step={current} />;
}

function Frame({ children }: { children: React.ReactNode }) {
  return <main className="wizard-alone" id="main">{children}</main>;
}

function At({ setup, step }: { setup: Setup; step: Step }) {
  const [, go] = useLocation();
  const index = setup.steps.indexOf(step);
  const before = setup.steps[index - 1];
  const after = setup.steps[index + 1];
  const to = (other: Step | undefined) => {
    if (other) go(`/setup/${other.id}`);
  };
  useEffect(() => {
    document.title = `${step.number}. ${step.title} · skep`;
    // A new step is read from its beginning, by eye and by ear.
    document.getElementById("step-title")?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [step.number, step.title]);
  const skip = useChange(async () => {
    if (isBuiltIn(step)) await json(api(`/setup/parts/${name(step.id)}/skip`), { method: "POST" });
    for (const part of step.parts) {
      if (part.state === "todo" || part.state === "answered") {
        await json(api(`/setup/parts/${name(part.id)}/skip`), { method: "POST" });
      }
    }
  }, ["setup"]);
  return (
    <div className="wizard">
      <a className="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        document.getElementById("step-title")?.focus();
      }}>Skip to the step</a>
      <Rail setup={setup} step={step} />
      <main className="wizard-main" id="main">
        <div className="wizard-inside">
          <header className="step-head">
            <p className="step-number">Step {step.number} of {setup.steps.length}</p>
            <h1 id="step-title" tabIndex={-1}>{step.title}</h1>
            <p className="lead">{step.purpose}</p>
          </header>
          {setup.restart_needed && !after && (
            <Notice tone="info" title="Some of what you set holds from the agent's next start.">
              When you are through, stop the agent and start it again with <code>skep up</code>, or restart its service.
            </Notice>
          )}
          <Wanted />
          <Body step={step} onwards={after ? () => to(after) : null} />
          {skip.isError && <Trouble error={skip.error} />}
          <nav className="step-foot" aria-label="Steps">
            {before ? <Button onClick={() => to(before)}>Back</Button> : <span />}
            {after && (finished(step)
              ? <Button look="primary" onClick={() => to(after)}>Continue</Button>
              : <Button look="quiet" busy={skip.isPending} onClick={() => skip.mutate(undefined, { onSuccess: () => to(after) })}>Skip this step</Button>)}
          </nav>
          <p className="step-leave soft">
            You can leave at any time: what you answered is kept, and <Link href="/overview">the rest of skep</Link> works meanwhile.
          </p>
        </div>
      </main>
    </div>
  );
}

/** The two that the agent itself does: they have no plugins, and a page of their own here. */
const isBuiltIn = (step: Step): boolean => step.id === "cluster" || step.id === "tests";

function Body({ step, onwards }: { step: Step; onwards: (() => void) | null }) {
  const first = step.parts.find((part) => part.state === "todo" || part.state === "answered" || part.state === "failed");
  const [open, setOpen] = useState<string | null>(first?.id ?? null);
  if (step.id === "cluster") return <Cluster />;
  if (step.id === "tests") return <Tests />;
  const next = (part: PartLine): Next | null => {
    const open = step.parts.find((other) => other.id !== part.id && other.state !== "applied" && other.state !== "skipped");
    if (open) return { title: open.title, go: () => setOpen(open.id) };
    return onwards && { title: "the next step", go: onwards };
  };
  if (step.parts.length === 0) return <Notice title="This agent has no plugin for this step; there is nothing to do." />;
  return (
    <>
      {step.parts.map((part) => (
        <Part
          key={part.id}
          part={part}
          next={next(part)}
          alone={step.parts.length === 1}
          open={open === part.id}
          onToggle={() => setOpen(open === part.id ? null : part.id)}
        />
      ))}
      {step.id === "security" && <FirstAdmin />}
    </>
  );
}

const ICON = { done: Check, skipped: SkipForward, failed: CircleX, todo: null };
const WORD = { done: "done", skipped: "skipped", failed: "failed", todo: "to do" };

function Rail({ setup, step }: { setup: Setup; step: Step }) {
  const over = setup.steps.filter(finished).length;
  return (
    <aside className="rail">
      <div className="rail-head">
        <span className="brand"><Mark /> skep</span>
        <ThemeSwitch />
      </div>
      <p className="rail-node soft">Setting up <strong>{setup.node}</strong></p>
      <progress className="rail-bar" max={setup.steps.length} value={over} aria-label={`${over} of ${setup.steps.length} steps are done`} />
      <nav aria-label="Setup">
        <ol className="rail-steps">
          {setup.steps.map((one) => {
            const Icon = ICON[one.state];
            return (
              <li key={one.id} className={`rail-step ${one.state}`}>
                <Link href={`/setup/${one.id}`} aria-current={one.id === step.id ? "step" : undefined}>
                  <span className="rail-number">{Icon ? <Icon aria-hidden="true" /> : one.number}</span>
                  <span className="rail-title">{one.title}<span className="hidden">, {WORD[one.state]}</span></span>
                </Link>
              </li>
            );
          })}
        </ol>
      </nav>
    </aside>
  );
}
