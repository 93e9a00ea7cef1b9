/** What `/api/v1` says; the names and units are those of `agent/src/wire`. Only what the page shows. */

export interface Session {
  signed_in: boolean;
  setup: "open" | "closed";
  node: string;
  version: string;
  needs_key: boolean;
  user: { name: string; display: string; role: Role; source: Source } | null;
  /** Whether a name and a password are worth asking for. */
  users: boolean;
  /** What the OpenID provider is called, where people sign in by one. */
  provider: string | null;
}

export type Role = "admin" | "member";
export type Source = "local" | "ldap" | "oidc";

export interface User {
  name: string;
  display: string;
  role: Role;
  source: Source;
  known_as: string | null;
  disabled: boolean;
  created_unix_s: number;
  added_by: string | null;
  keys: number;
}

/** Another way to sign in, as it is set. */
export interface Door {
  settings: Record<string, unknown>;
  tested: boolean;
  set_by: string;
  set_unix_s: number;
  secret: "kept" | "missing" | "not_needed";
}

export interface Doors { ldap: Door | null; oidc: Door | null; redirect_uri: string }

export interface DoorTried {
  ok: boolean;
  saved: boolean;
  checks: { what: string; ok: boolean; evidence: string; remedy: string | null }[];
}

/** Whether all may be done: a member sees and has less. */
export const administers = (session: Session): boolean => session.signed_in && session.user?.role !== "member";

export interface Cause { code: string; health: string; text: string; evidence: string }

export interface Device {
  id: string;
  kind: string;
  index: number | null;
  name: string | null;
  health: string;
  since_unix_s: number | null;
  causes: Cause[];
  read_ms_ago: number | null;
  utilisation_percent: number | null;
  memory_total_bytes: number | null;
  memory_used_bytes: number | null;
  temperature_celsius: number | null;
  power_watts: number | null;
  power_limit_watts: number | null;
  processes: number | null;
}

export interface Node {
  id: string;
  name: string;
  version: string;
  pid: number;
  started_unix_s: number;
  url: string;
  key_required: boolean;
  computes_on: string;
  resident_bytes: number | null;
  health: string;
  why: string | null;
  devices: Device[];
}

export interface ModelInfo {
  architecture: string;
  name: string;
  parameters: number;
  quantisation: string;
  context_tokens: number;
  trained_context_tokens: number;
  sequences: number;
  cache_bytes: number;
  abilities: string[];
}

export interface Replica {
  id: number;
  model: string;
  plugin: string;
  state: string;
  why: string | null;
  since_unix_s: number;
  requests: number;
  running: number;
  waiting: number;
  cache_pages: number;
  cache_pages_used: number;
  tokens_per_s: number | null;
  resident_bytes: number | null;
  restarts: number;
  opened_in_ms: number | null;
  card_bytes: number | null;
  device: string;
  node: string;
  devices: string[];
  health: string;
  causes: Cause[];
  info: ModelInfo | null;
}

export interface Considered { replica: number; node: string | null; why: string; refused: string | null }

export interface Trace {
  request: number;
  id: string | null;
  at_unix_s: number;
  key: number;
  model: string;
  replica: number;
  node: string | null;
  policy: string;
  fault: string | null;
  why: string;
  ranked: Considered[];
  passed_over: Considered[];
  admitted_after_us: number;
  decided_in_us: number;
  first_after_us: number | null;
  took_us: number;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  moves: { after_us: number; from: number; to: number; why: string }[];
  outcome: "answered" | "failed" | "cut";
}

export interface Requests {
  running: number;
  waiting: number;
  arrived: number;
  refused: number;
  answered: number;
  failed: number;
  cut: number;
  prompt_tokens: number;
  completion_tokens: number;
  latest: Trace[];
}

export interface Top { at_unix_ms: number; nodes: Node[]; replicas: Replica[]; requests: Requests }

export interface Model {
  name: string;
  digest: string;
  bytes: number;
  format: string;
  source: string;
  added_unix_s: number;
  state: string | null;
  is_default: boolean;
}

export interface OfferedModel { name: string; upstream: string; node: string; state: string; why: string | null }

export interface Models { models: Model[]; damaged: { path: string; reason: string }[]; offered: OfferedModel[] }

export interface ModelOffer {
  source: string;
  name: string;
  title: string;
  parameters: number;
  about_bytes: number;
  licence: string;
  purpose: string;
  about: string;
  fits: "card" | "memory" | null;
  here: boolean;
}

export interface ErrorBody { message: string; code: string | null; hint: string | null }

export type PullEvent =
  | { event: "started"; name: string }
  | { event: "progress"; done_bytes: number; total_bytes: number | null; resumed_bytes: number }
  | { event: "checking"; done_bytes: number; total_bytes: number }
  | { event: "retrying"; attempt: number; pause_ms: number; reason: string }
  | { event: "done"; model: Model }
  | { event: "failed"; error: ErrorBody };

export interface DeviceFacts {
  id: string;
  kind: string;
  health: string;
  why: string | null;
  memory_bytes: number;
  memory_free_bytes: number;
}

export interface ClusterNode {
  id: string;
  name: string;
  state: "up" | "draining" | "pending" | "joining" | "down";
  why: string;
  role: string;
  here: boolean;
  leads: boolean;
  version: string | null;
  address: string | null;
  labels: Record<string, string>;
  devices: DeviceFacts[];
  replicas: number;
  running: number;
  waiting: number;
  last_seen_s: number | null;
  round_trip_us: number | null;
  joined_unix_s: number;
}

export interface Invitation {
  token: string;
  id: string;
  command: string;
  role: string;
  name: string | null;
  expires_unix_s: number;
  addresses: string[];
}

export interface JoinToken {
  id: string;
  role: string;
  name: string | null;
  state: "open" | "used" | "expired";
  expires_unix_s: number;
  used_by: string | null;
}

export interface Neighbour {
  name: string;
  node: string | null;
  cluster: string | null;
  version: string | null;
  addresses: string[];
  usable: boolean;
  adoptable: boolean;
  why: string;
}

export interface Adoption {
  id: string;
  role: "adopter" | "adopted";
  state: "comparing" | "confirmed" | "joined" | "refused" | "failed";
  code: string;
  name: string;
  address: string;
  version: string;
  started_unix_s: number;
  confirmed_here: boolean;
  confirmed_there: boolean;
  why: string | null;
}

/** Whether this node waits to be adopted. */
export interface Offer { open: boolean; until_unix_s: number | null; tries_left: number; why: string | null }

export interface Joined { cluster: string; at: string; pending: boolean; set_aside: string | null }

export interface Key {
  id: number;
  name: string;
  prefix: string;
  created_unix_s: number;
  last_used_unix_s: number | null;
  owner: string | null;
}

export interface LogEntry { number: number; time_unix_ms: number; level: string; target: string; message: string }

export interface Alert {
  id: string;
  kind: string;
  severity: "info" | "warning" | "critical";
  title: string;
  text: string;
  node: string | null;
  raised_unix_s: number;
  resolved_unix_s: number | null;
  facts: Record<string, string>;
}

export interface Alerts {
  raised: Alert[];
  past: Alert[];
  waiting: Record<string, { count: number; dropped: number; why: string | null }>;
}

export interface Scheduler {
  name: string;
  state: string;
  source: string | null;
  decisions: number;
  failures: number;
  last_failure: string | null;
}

export interface Schedulers {
  schedulers: Scheduler[];
  rolled_back: { from: string; to: string; why: string; at_unix_s: number } | null;
  shadow: {
    name: string;
    since_unix_s: number;
    agreed: number;
    differed: number;
    failures: number;
    ended: string | null;
  } | null;
  awaited: { name: string; why: string } | null;
}

export interface Version {
  version: string;
  commit: string | null;
  target: string;
  wasmtime: string;
}
