/** What `/api/v1/setup` says. */

export type Value = string | number | boolean | string[];
/** A secret is read back as whether there is one. */
export type Answer = Value | { given: boolean } | null;
export type Answers = Record<string, Value | null>;

export type PartState = "todo" | "answered" | "applied" | "skipped" | "failed" | "drifted";
export type StepState = "todo" | "done" | "skipped" | "failed";

export interface Part { id: string; title: string; purpose: string; state: PartState; run: string | null }

export interface Step { id: string; number: number; title: string; purpose: string; state: StepState; parts: Part[] }

export interface Setup {
  state: "open" | "closed";
  current: string | null;
  node: string;
  version: string;
  /** Whether settings were changed that hold from the next start of the agent. */
  restart_needed: boolean;
  steps: Step[];
}

export type Severity = "fine" | "notice" | "warning" | "failure";
export interface Finding { severity: Severity; what: string; evidence: string; remedy: string | null }

export interface Option { value: string; label: string; help: string; recommended: boolean }

export type Kind =
  | { type: "text"; placeholder: string; bytes_max: number }
  | { type: "secret" }
  | { type: "number"; min: number; max: number; step: number; unit: string }
  | { type: "flag" }
  | { type: "choice"; options: Option[] }
  | { type: "several"; options: Option[] }
  | { type: "lines"; placeholder: string; bytes_max: number };

export interface Question {
  id: string;
  label: string;
  help: string;
  kind: Kind;
  default: Value | null;
  advanced: boolean;
  problem: string | null;
  answer: Answer;
}

export interface PartDetails {
  id: string;
  title: string;
  purpose: string;
  state: PartState;
  findings: Finding[];
  questions: Question[];
}

export interface Planned {
  index: number;
  words: string;
  why: string;
  actor: "agent" | "user" | "root";
  state: "needed" | "already" | "conflict";
  conflict: string | null;
  diff: string | null;
  undo: string;
}

export interface Preview {
  digest: string;
  actions: Planned[];
  notes: string[];
  needs_root: boolean;
  root: "available" | "missing";
  command: string | null;
}

export interface RunAction {
  index: number;
  words: string;
  state: "waiting" | "running" | "done" | "already" | "failed" | "undone";
  took_ms: number | null;
  error: string | null;
  /** Whether it changes the agent's own settings, secrets or upstreams, and nothing else. */
  own: boolean;
}

export interface Run {
  id: string;
  part: string;
  state: "running" | "done" | "failed" | "interrupted" | "undoing" | "undone";
  by: string;
  at_unix_s: number;
  actions: RunAction[];
}

export interface Drift { run: string; part: string; index: number; words: string; expected: string; found: string }

export interface Check {
  id: string;
  title: string;
  state: "waiting" | "running" | "passed" | "failed" | "skipped";
  evidence: string[];
  remedy: string | null;
  took_ms: number | null;
}

export const isOver = (run: Run): boolean => run.state !== "running" && run.state !== "undoing";
