/** Figures as people read them. Decides units and rounding; the same as the command line's. */

function scaled(amount: number, base: number, units: readonly string[]): string {
  let at = 0;
  let rest = amount;
  while (rest >= base && at < units.length - 1) {
    rest /= base;
    at += 1;
  }
  const digits = at > 0 && rest < 9.95 ? 1 : 0;
  return `${rest.toFixed(digits)} ${units[at] ?? ""}`.trim();
}

/** Of files. */
export const size = (bytes: number): string => scaled(bytes, 1000, ["B", "kB", "MB", "GB", "TB"]);
/** Of memory. */
export const memory = (bytes: number): string => scaled(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
export const count = (n: number): string => scaled(n, 1000, ["", "k", "M", "B", "T"]);

export function span(seconds: number): string {
  const s = Math.max(0, seconds);
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 172_800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86_400)} days`;
}

export function ago(unix_s: number | null, now = Date.now() / 1000): string {
  if (unix_s === null) return "never";
  const past = now - unix_s;
  if (past < 5) return "just now";
  return `${span(past)} ago`;
}

export function until(unix_s: number, now = Date.now() / 1000): string {
  return unix_s <= now ? "over" : `in ${span(unix_s - now)}`;
}

export function took(ms: number): string {
  if (ms < 1) return "< 1 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  return span(ms / 1000);
}

export const percent = (share: number): string => `${Math.round(share)} %`;

export function clock(unix_ms: number): string {
  return new Date(unix_ms).toLocaleTimeString([], { hour12: false });
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}

/** A number of a unit that a question names. */
export function quantity(n: number, unit: string): string {
  switch (unit) {
    case "bytes":
      return memory(n);
    case "percent":
      return percent(n);
    case "":
      return String(n);
    case "W":
      return `${n} W`;
    default:
      return `${n.toLocaleString("en")} ${n === 1 ? unit.replace(/s$/, "") : unit}`;
  }
}

/** Enough of a digest to tell two apart. */
export const short = (digest: string): string => digest.replace(/^sha256:/, "").slice(0, 12);
