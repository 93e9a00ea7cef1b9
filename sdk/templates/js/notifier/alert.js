// What an alert looks like at the receiver, and what its answer means. Plain JavaScript, to be tested without a component.

import { quoted } from "./text.js";

export function body(alert) {
  return JSON.stringify({
    id: alert.id,
    kind: alert.kind,
    severity: alert.severity,
    resolved: alert.resolved,
    title: alert.title,
    text: alert.text,
    cluster: alert.cluster,
    node: alert.node ?? null,
    at: new Date(Math.min(alert.atUnixS, 253402300799) * 1000).toISOString(),
    facts: Object.fromEntries(alert.facts),
  });
}

// Null when the alert was taken. The host tries again after `exhausted` and `other`, and never after any other error.
export function refusal(status, said) {
  if (status >= 200 && status < 300) return null;
  const why = quoted(said);
  if (status >= 300 && status < 400)
    return invalid("the receiver is elsewhere: set `url` to where it answers itself");
  switch (status) {
    case 401:
    case 403:
      return { tag: "denied", val: `the receiver refused the key: ${why}` };
    case 404:
    case 410:
      return invalid(`there is nothing where \`url\` points: ${why}`);
    case 408:
    case 425:
    case 429:
    case 503:
      return { tag: "exhausted", val: `the receiver asks to come back later: ${why}` };
  }
  return status < 500
    ? { tag: "unsupported", val: `the receiver refused it (status ${status}): ${why}` }
    : { tag: "other", val: `the receiver failed (status ${status}): ${why}` };
}

function invalid(message) {
  return { tag: "invalid", val: { field: "url", message } };
}
