/** What the agent says of itself, as it says it. */
import { useEffect, useRef, useState } from "react";
import { api } from "../api/client";
import { values } from "../api/stream";
import type { LogEntry } from "../api/types";
import { clock } from "../lib/format";
import { Button, Page, State, Trouble } from "../ui/basics";
import { SelectField, TextField } from "../ui/fields";

/** As many as one scrolls back over; older ones make room. */
const ENTRIES_MAX = 1000;
const AGAIN_MS = 2000;
const LEVELS = ["error", "warn", "info", "debug", "trace"];

export function Logs() {
  const [entries, setEntries] = useState<readonly LogEntry[]>([]);
  const [error, setError] = useState<unknown>(null);
  const [paused, setPaused] = useState(false);
  const [level, setLevel] = useState("info");
  const [wanted, setWanted] = useState("");
  const frame = useRef<HTMLDivElement>(null);
  const following = useRef(true);

  useEffect(() => {
    if (paused) return undefined;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const listen = async () => {
      try {
        for await (const entry of values<LogEntry>(api("/logs?lines=300&follow=true"), { signal: stop.signal })) {
          setError(null);
          setEntries((before) => joined(before, entry));
        }
      } catch (why) {
        if (!stop.signal.aborted) setError(why);
      }
      if (!stop.signal.aborted) timer = setTimeout(() => void listen(), AGAIN_MS);
    };
    void listen();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [paused]);
  useEffect(() => {
    if (following.current && frame.current) frame.current.scrollTop = frame.current.scrollHeight;
  }, [entries]);

  const most = LEVELS.indexOf(level);
  const text = wanted.toLowerCase();
  const shown = entries.filter((entry) =>
    LEVELS.indexOf(entry.level) <= most && (text === "" || `${entry.target} ${entry.message}`.toLowerCase().includes(text)));
  return (
    <Page
      title="Logs"
      actions={<><State tone={paused || error !== null ? "none" : "good"} moving={!paused && error === null}>{paused ? "paused" : error === null ? "live" : "broken off"}</State><Button onClick={() => setPaused(!paused)}>{paused ? "Go on" : "Pause"}</Button></>}
    >
      <div className="filters">
        <SelectField label="Level" value={level} onChange={setLevel} options={LEVELS.map((one) => ({ value: one, label: `${one} and worse` }))} />
        <TextField label="Holding" value={wanted} onChange={setWanted} placeholder="any text" />
      </div>
      {error !== null && <Trouble error={error} />}
      <div
        ref={frame}
        className="log"
        role="log"
        aria-live="off"
        aria-label="What was logged"
        tabIndex={0}
        onScroll={(event) => {
          const at = event.currentTarget;
          following.current = at.scrollHeight - at.scrollTop - at.clientHeight < 40;
        }}
      >
        {shown.map((entry) => (
          <p key={entry.number} className={`log-line ${entry.level}`}>
            <span className="log-time">{clock(entry.time_unix_ms)}</span>
            <span className="log-level">{entry.level}</span>
            <span className="log-text"><span className="log-target">{entry.target}</span> {entry.message}</span>
          </p>
        ))}
        {shown.length === 0 && error === null && <p className="soft log-none">Nothing of that kind.</p>}
      </div>
    </Page>
  );
}

/** A stream that was taken up again tells some entries a second time. */
export function joined(before: readonly LogEntry[], entry: LogEntry): readonly LogEntry[] {
  const last = before.at(-1);
  // Numbers count from 1 at each start of the agent.
  if (last && entry.number <= last.number && entry.time_unix_ms <= last.time_unix_ms) return before;
  const kept = last && entry.number <= last.number ? [] : before;
  return [...kept, entry].slice(-ENTRIES_MAX);
}
