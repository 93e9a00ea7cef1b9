/** Step 8: whether all of it works, tried for real; and the end of the setup. */
import { CircleCheck, CircleDashed, CircleX, LoaderCircle, SkipForward } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useLocation } from "wouter";
import { api, json } from "../api/client";
import { useChange } from "../api/queries";
import type { Check } from "../api/setup";
import { events } from "../api/stream";
import { plural, took } from "../lib/format";
import { Button, Card, Copy, Notice, Trouble, Words } from "../ui/basics";
import { Confirm } from "../ui/dialog";

/** Keeps the latest of each test, in the order in which they were first told. */
export function merged(checks: readonly Check[], told: Check): Check[] {
  return checks.some((check) => check.id === told.id)
    ? checks.map((check) => (check.id === told.id ? told : check))
    : [...checks, told];
}

export function Tests() {
  const [checks, setChecks] = useState<readonly Check[]>([]);
  const [running, setRunning] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [asking, setAsking] = useState(false);
  const stop = useRef<AbortController>(undefined);
  const [, go] = useLocation();
  useEffect(() => () => stop.current?.abort(), []);

  const run = async () => {
    stop.current?.abort();
    const control = new AbortController();
    stop.current = control;
    setChecks([]);
    setError(null);
    setRunning(true);
    try {
      for await (const told of events<Check>(api("/setup/tests"), { method: "POST", signal: control.signal })) {
        setChecks((before) => merged(before, told));
      }
    } catch (why) {
      if (!control.signal.aborted) setError(why);
    }
    if (!control.signal.aborted) setRunning(false);
  };
  const finish = useChange(() => json(api("/setup/finish"), { method: "POST" }), ["session"]);
  const failed = checks.filter((check) => check.state === "failed").length;
  const over = !running && checks.length > 0;
  return (
    <>
      <Card>
        <p>
          Each machine is reached, a model answers on each, this agent's own doors are tried, and processor, disk and
          accelerators are measured for a moment. It takes about a minute.
        </p>
        <div className="buttons start">
          <Button look={over ? "plain" : "primary"} busy={running} onClick={() => void run()}>
            {over ? "Run the tests again" : "Run the tests"}
          </Button>
        </div>
        {error !== null && <Trouble error={error} />}
        {checks.length > 0 && <ul className="checks" aria-live="polite">{checks.map((check) => <One key={check.id} check={check} />)}</ul>}
        {over && failed === 0 && <Notice tone="good" title="Everything that was tried works." />}
        {over && failed > 0 && (
          <Notice tone="warn" title={`${plural(failed, "test")} failed.`}>
            What mends it stands above. You can finish all the same; <code>skep doctor</code> looks again at any time.
          </Notice>
        )}
      </Card>
      <Card title="Finish">
        <p>
          This closes the setup for good: its link lets nobody in any more. You stay signed in, and everything can still be changed
          in the settings.
        </p>
        <div className="buttons start"><Button look={over ? "primary" : "plain"} disabled={running} onClick={() => setAsking(true)}>Finish the setup</Button></div>
        <details className="more cli">
          <summary>The same on the command line</summary>
          <Copy text="skep doctor" label="Copy the command" />
          <Copy text="skep setup --from answers.toml" label="Copy the command" />
        </details>
      </Card>
      {asking && (
        <Confirm
          title="Finish the setup?"
          verb="Finish"
          danger={false}
          onClose={() => setAsking(false)}
          onYes={async () => {
            await finish.mutateAsync();
            go("/finished");
          }}
        >
          <p>{checks.length === 0 ? "The tests were not run. " : failed > 0 ? "Not all tests passed. " : ""}The link of the setup ends with it.</p>
        </Confirm>
      )}
    </>
  );
}

const ICON = { waiting: CircleDashed, running: LoaderCircle, passed: CircleCheck, failed: CircleX, skipped: SkipForward };

function One({ check }: { check: Check }) {
  const Icon = ICON[check.state];
  return (
    <li className={`check ${check.state}`}>
      <Icon className={check.state === "running" ? "icon spin" : "icon"} aria-label={check.state} />
      <div>
        <p className="check-title"><Words text={check.title} /></p>
        {check.evidence.map((line, at) => <p key={at} className="check-evidence"><Words text={line} /></p>)}
        {check.remedy && <p className="finding-remedy"><strong>What to do:</strong> <Words text={check.remedy} first /></p>}
      </div>
      <span className="soft">{check.took_ms === null ? "" : took(check.took_ms)}</span>
    </li>
  );
}
