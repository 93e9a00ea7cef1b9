/**
 * Conversations, kept in this browser and nowhere else.
 *
 * Decides how many and how much: when there is no room, the oldest goes.
 */

export interface Message {
  role: "user" | "assistant";
  content: string;
  /** What to say below it: that it was stopped, or why it failed. */
  note?: string;
  failed?: boolean;
}

export interface Talk { id: string; title: string; at: number; model: string; messages: Message[] }

const KEY = "skep-talks";
export const TALKS_MAX = 50;
/** Browsers give a page some five million. */
const CHARS_MAX = 2_000_000;

export function readTalks(store: Pick<Storage, "getItem">): Talk[] {
  try {
    const kept: unknown = JSON.parse(store.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter(isTalk) : [];
  } catch {
    // Damaged, or no store at all.
    return [];
  }
}

export function keepTalks(store: Pick<Storage, "setItem">, talks: readonly Talk[]): Talk[] {
  let kept = [...talks].sort((a, b) => b.at - a.at).slice(0, TALKS_MAX);
  let text = JSON.stringify(kept);
  while (text.length > CHARS_MAX && kept.length > 1) {
    kept = kept.slice(0, -1);
    text = JSON.stringify(kept);
  }
  try {
    store.setItem(KEY, text);
  } catch {
    // It holds until the page is closed.
  }
  return kept;
}

/** The beginning of the first question. */
export function titleOf(messages: readonly Message[]): string {
  const first = messages.find((message) => message.role === "user")?.content.trim().replace(/\s+/g, " ") ?? "";
  return first.length > 60 ? `${first.slice(0, 59)}…` : first || "New chat";
}

function isTalk(value: unknown): value is Talk {
  const talk = value as Partial<Talk> | null;
  return typeof talk?.id === "string" && typeof talk.title === "string" && typeof talk.at === "number"
    && typeof talk.model === "string" && Array.isArray(talk.messages)
    && talk.messages.every((one) => typeof one?.content === "string" && (one.role === "user" || one.role === "assistant"));
}
