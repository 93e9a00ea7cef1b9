/** What `/api/v1` says of plugins, and of the upstreams, notifiers and secrets that are made with them. */

export interface Signature { state: "trusted" | "unknown" | "none" | "carried"; key: string | null; name: string | null }

export interface Plugin {
  name: string;
  world: string;
  imports: string[];
  bytes: number;
  digest: string;
  runs_in: string;
  version: string;
  title: string;
  carried: boolean;
  state: "ready" | "fetching";
  grants: string[];
  signature: Signature;
  used_by: string[];
}

export interface Wish {
  capability: string | null;
  written: string;
  words: string;
  reason: string;
  optional: boolean;
  granted: boolean;
}

export interface Setting {
  name: string;
  kind?: "text" | "url" | "secret" | "number" | "switch" | "choice";
  title?: string;
  help?: string;
  required?: boolean;
  default?: string;
  choices?: string[];
}

export interface Manifest {
  name: string;
  version: string;
  world: string;
  title: string;
  description: string;
  licence: string;
  authors: string[];
  homepage?: string;
  setting?: Setting[];
}

export interface KeptVersion {
  version: string;
  digest: string;
  bytes: number;
  current: boolean;
  added_unix_s: number;
  added_by: string;
  signature: Signature;
  source: string | null;
  left: string | null;
}

export interface PluginUsage {
  what: string;
  resident_bytes: number | null;
  calls: number | null;
  failures: number | null;
  last_failure: string | null;
  requests_out: number | null;
  refused_out: number | null;
}

export interface PluginDetails extends Plugin {
  manifest: Manifest | null;
  wishes: Wish[];
  granted: {
    capability: string;
    words: string;
    reason: string;
    granted_by: string;
    granted_unix_s: number;
    asked_for: boolean;
  }[];
  revoked: { capability: string; revoked_by: string; revoked_unix_s: number }[];
  gives: string[];
  may_not: string[];
  limits: { of: string; name: string; constant: string; value: string }[];
  versions: KeptVersion[];
  usage: PluginUsage[];
}

export interface PluginOffer {
  digest: string;
  bytes: number;
  world: string;
  manifest: Manifest;
  imports: string[];
  signature: Signature;
  wishes: Wish[];
  gives: string[];
  may_not: string[];
  present: { version: string; digest: string; world: string } | null;
  doubts: { name: string; words: string }[];
  asks: boolean;
}

export interface Want { capability: string; words: string; reason: string; optional: boolean; granted: boolean }

export interface Service {
  name: string;
  kind: string;
  plugin: string;
  settings: Record<string, string>;
  models: string[];
  prefix: boolean;
  timeout_s: number;
  added_unix_s: number;
  state: "up" | "down" | "unknown";
  process: string;
  why: string | null;
  offers: number;
  requests: number;
  answered_unix_s: number | null;
  fault: string | null;
  wants: Want[];
}

export interface Services { services: Service[]; plugins: string[] }

export interface NewService {
  name: string;
  plugin: string;
  settings: Record<string, string>;
  models?: string[];
  prefix?: boolean;
  timeout_s?: number;
  grant?: string[];
}

export interface FoundUpstream {
  base_url: string;
  plugin: string;
  models: string[];
  wants_key: boolean;
  upstream: string | null;
  command: string | null;
}

export interface Secret { name: string; set_unix_s: number; used_by: string[] }
