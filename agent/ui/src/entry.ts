/**
 * What the address brings along: a secret of the setup, or a token for another machine.
 *
 * It stands behind the `#`, which browsers send to nobody, and is taken out of the address bar at once, so that it is in no
 * history and in no picture of the screen.
 */

export type Brought = { setup: string } | { join: string } | { refused: string } | null;

/** Reads `#setup=…`, `#join=…` and `#refused=…`, by which a provider's answer comes; any other fragment is a place in the page. */
export function brought(hash: string): Brought {
  const match = /^#(setup|join|refused)=([^&]+)$/.exec(hash);
  const [, kind, raw] = match ?? [];
  if (!kind || !raw) return null;
  let text: string;
  try {
    text = decodeURIComponent(raw);
  } catch {
    return null;
  }
  if (kind === "refused") return { refused: text };
  return kind === "setup" ? { setup: text } : { join: text };
}

/** What this visit brought, taken out of the address. */
export function takeBrought(): Brought {
  const found = brought(location.hash);
  if (found) history.replaceState(null, "", `${location.pathname}${location.search}#${"setup" in found ? "/setup" : "join" in found ? "/join" : "/sign-in"}`);
  return found;
}

/** A key, a secret, or a whole link of the setup, as people paste it. */
export function meant(text: string): { key: string } | { secret: string } | null {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  if (trimmed.startsWith("sk-skep-")) return { key: trimmed };
  const at = trimmed.indexOf("#");
  const link = at >= 0 ? brought(trimmed.slice(at)) : null;
  return { secret: link && "setup" in link ? link.setup : trimmed };
}
