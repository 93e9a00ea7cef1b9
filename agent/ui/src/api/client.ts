/**
 * One way to the agent that served this page, and to nobody else.
 *
 * Decides how a refusal reaches whoever asked: as an `ApiError` with the agent's own words and hint.
 * Refuses to keep a key: the browser's cookie says who asks.
 */

export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    message: string,
    /** 0: there was no answer. */
    readonly status: number,
    readonly code: string | null = null,
    readonly hint: string | null = null,
  ) {
    super(message);
  }
}

/** Called when the agent no longer knows who asks. */
let onSignedOut: () => void = () => undefined;
export function whenSignedOut(listener: () => void): void {
  onSignedOut = listener;
}

export interface Call {
  method?: string;
  body?: unknown;
  /** In place of `body`: sent as it is. */
  raw?: Blob;
  signal?: AbortSignal | undefined;
  headers?: Record<string, string>;
}

/** Sends a request; the answer is a good one, or this throws. `path` is relative to the page. */
export async function send(path: string, call: Call = {}): Promise<Response> {
  const headers: Record<string, string> = { ...call.headers };
  const method = call.method ?? "GET";
  // No page elsewhere can send this field without being asked first.
  if (method !== "GET") headers["x-skep-csrf"] = "1";
  if (call.body !== undefined) headers["content-type"] = "application/json";
  const body = call.raw ?? (call.body === undefined ? null : JSON.stringify(call.body));
  let answer: Response;
  try {
    answer = await fetch(path, { method, headers, body, signal: call.signal ?? null, credentials: "same-origin" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("The agent does not answer. Is it running?", 0, "unreachable", "`skep up` starts it.");
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

export async function json<T>(path: string, call: Call = {}): Promise<T> {
  const answer = await send(path, call);
  if (answer.status === 204) return undefined as T;
  const text = await answer.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

async function refusal(answer: Response): Promise<ApiError> {
  const text = await answer.text().catch(() => "");
  if (answer.status === 401) onSignedOut();
  return read(text, answer.status);
}

/** The agent's shape of an error, wherever it stands. */
export function read(text: string, status: number): ApiError {
  const fallback = `The agent answered ${status}.`;
  try {
    const body: unknown = JSON.parse(text);
    const error = (body as { error?: { message?: unknown; code?: unknown; hint?: unknown } }).error;
    return new ApiError(
      typeof error?.message === "string" ? sentence(error.message) : fallback,
      status,
      typeof error?.code === "string" ? error.code : null,
      typeof error?.hint === "string" ? sentence(error.hint) : null,
    );
  } catch {
    return new ApiError(fallback, status);
  }
}

/** As a sentence by itself: the agent's words may be the end of one. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  if (trimmed === "") return trimmed;
  const first = trimmed[0] ?? "";
  // What is code keeps its case.
  const start = first === "`" ? trimmed : first.toUpperCase() + trimmed.slice(1);
  return /[.!?…:]$/.test(start) ? start : `${start}.`;
}

export const api = (path: string): string => `api/v1${path}`;

/** The `{name}` of a path. */
export const part = (name: string): string => encodeURIComponent(name);
