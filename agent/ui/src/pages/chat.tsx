/** Talking with a model. Conversations stay in this browser; the agent keeps neither question nor answer. */
import { ArrowUp, PanelLeft, Plus, Square, Trash2 } from "lucide-react";
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from "react";
import { ApiError } from "../api/client";
import { events } from "../api/stream";
import { useModels, useTop } from "../api/queries";
import { ago } from "../lib/format";
import { keepTalks, type Message, readTalks, type Talk, titleOf } from "../lib/talks";
import { Button, cx, Notice } from "../ui/basics";
import { Mark } from "../ui/mark";
import { Markdown } from "./markdown";

interface Part {
  choices?: { delta?: { content?: string | null } }[];
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
  error?: { message: string };
}

const MODEL = "skep-model";

export function Chat() {
  const [talks, setTalks] = useState<Talk[]>(() => readTalks(localStorage));
  const [open, setOpen] = useState<string | null>(null);
  const [listed, setListed] = useState(false);
  const [model, setModel] = useModel();
  const talk = talks.find((one) => one.id === open) ?? null;
  const ask = useAsk(model.name, (id, messages) => {
    setTalks((before) => {
      const old = before.find((one) => one.id === id);
      const now = { id, title: old?.title ?? titleOf(messages), at: Date.now(), model: model.name, messages };
      return keepTalks(localStorage, [now, ...before.filter((one) => one.id !== id)]);
    });
  });
  useEffect(() => {
    document.title = `${talk?.title ?? "Chat"} · skep`;
  }, [talk?.title]);

  const messages = ask.live?.id === open ? ask.live.messages : talk?.messages ?? [];
  const send = (text: string) => {
    const id = open ?? crypto.randomUUID?.() ?? String(Date.now());
    setOpen(id);
    void ask.begin(id, [...messages.filter((one) => !one.failed), { role: "user", content: text }]);
  };
  const fresh = () => {
    ask.stop();
    setOpen(null);
    setListed(false);
  };
  return (
    <div className={cx("chat", listed && "listed")}>
      <aside className="talks" aria-label="Conversations">
        <Button className="talks-new" onClick={fresh}><Plus aria-hidden="true" /> New chat</Button>
        <ul>
          {talks.map((one) => (
            <li key={one.id} className={one.id === open ? "talk current" : "talk"}>
              <button type="button" className="talk-open" aria-current={one.id === open ? "true" : undefined} onClick={() => {
                ask.stop();
                setOpen(one.id);
                setListed(false);
              }}>
                <span className="talk-title">{one.title}</span>
                <span className="soft">{ago(one.at / 1000)}</span>
              </button>
              <button type="button" className="button quiet small" aria-label={`Delete ${one.title}`} onClick={() => {
                if (one.id === open) fresh();
                setTalks(keepTalks(localStorage, talks.filter((other) => other.id !== one.id)));
              }}><Trash2 aria-hidden="true" /></button>
            </li>
          ))}
        </ul>
        <p className="soft talks-note">Kept in this browser only.</p>
      </aside>
      <section className="chat-main" aria-label="Conversation">
        <header className="chat-head">
          <Button look="quiet" small className="phone-only" aria-expanded={listed} aria-label="Conversations" onClick={() => setListed(!listed)}><PanelLeft aria-hidden="true" /></Button>
          <h1 className="hidden">Chat</h1>
          <label className="chat-model">
            <span className="hidden">Model</span>
            <select className="input" value={model.name} onChange={(event) => setModel(event.target.value)}>
              {model.names.map((name) => <option key={name} value={name}>{name}</option>)}
            </select>
          </label>
          <Button look="quiet" small className="phone-only" aria-label="New chat" onClick={fresh}><Plus aria-hidden="true" /></Button>
        </header>
        <Conversation messages={messages} model={talk?.model ?? model.name} answering={ask.live?.id === open && open !== null}>
          {model.tiny && <p className="chat-tiny soft">This small model comes with skep for trying things out. It continues text in the manner of the Rust documentation, and was not taught to converse.</p>}
          <Ideas tiny={model.tiny} onAsk={send} disabled={model.name === ""} />
        </Conversation>
        {model.none && <Notice tone="warn" title="There is no model to talk with">Bring one on the page of the models.</Notice>}
        <Writing answering={ask.live !== null} disabled={model.name === ""} onSend={send} onStop={ask.stop} />
        <p className="chat-fine soft">{ask.figures || "Enter sends, Shift and Enter begins a line"}</p>
      </section>
    </div>
  );
}

/** Which models can be talked with, and which is chosen. */
function useModel() {
  const models = useModels();
  const top = useTop();
  const [wanted, setWanted] = useState(() => localStorage.getItem(MODEL) ?? "");
  const data = models.data;
  const replicas = top.data?.replicas;
  const found = useMemo(() => {
    const able = (name: string) => {
      const info = replicas?.find((one) => one.model === name)?.info;
      return !info || info.abilities.includes("chat") || info.abilities.includes("complete");
    };
    const names = [...new Set([
      ...(data?.models ?? []).map((one) => one.name),
      ...(data?.offered ?? []).map((one) => one.name),
      ...(replicas ?? []).map((one) => one.model),
    ])].filter(able);
    const usual = data?.models.find((one) => one.is_default)?.name;
    const name = names.includes(wanted) ? wanted : usual !== undefined && names.includes(usual) ? usual : names[0] ?? "";
    const tiny = data?.models.find((one) => one.name === name)?.source === "embedded";
    return { names, name, tiny, none: data !== undefined && names.length === 0 };
  }, [data, replicas, wanted]);
  const choose = (name: string) => {
    setWanted(name);
    localStorage.setItem(MODEL, name);
  };
  return [found, choose] as const;
}

/** One answer at a time. What came of it is kept, also when it was stopped. */
function useAsk(model: string, keep: (id: string, messages: Message[]) => void) {
  const [live, setLive] = useState<{ id: string; messages: Message[] } | null>(null);
  const [figures, setFigures] = useState("");
  const control = useRef<AbortController>(undefined);
  useEffect(() => () => control.current?.abort(), []);

  const begin = async (id: string, messages: Message[]) => {
    const now = new AbortController();
    control.current = now;
    let text = "";
    let frame = 0;
    const answer = (more: Partial<Message> = {}): Message[] => [...messages, { role: "assistant", content: text, ...more }];
    setLive({ id, messages: answer() });
    setFigures("");
    const started = performance.now();
    let first = 0;
    let usage: Part["usage"] = null;
    let end: Partial<Message> = {};
    try {
      const body = {
        model,
        messages: messages.map(({ role, content }) => ({ role, content })),
        stream: true,
        stream_options: { include_usage: true },
      };
      for await (const part of events<Part>("v1/chat/completions", { method: "POST", body, signal: now.signal })) {
        if (part.error) throw new ApiError(part.error.message, 0);
        usage = part.usage ?? usage;
        const gained = part.choices?.[0]?.delta?.content;
        if (!gained) continue;
        if (first === 0) first = performance.now();
        text += gained;
        // Once a frame: models are faster than screens.
        if (frame === 0) {
          frame = requestAnimationFrame(() => {
            frame = 0;
            setLive((before) => (before?.id === id ? { id, messages: answer() } : before));
          });
        }
      }
    } catch (why) {
      end = now.signal.aborted
        ? { note: "stopped" }
        : { failed: true, note: why instanceof Error ? [why.message, why instanceof ApiError ? why.hint : null].filter(Boolean).join(" ") : "It failed." };
    }
    cancelAnimationFrame(frame);
    if (usage) {
      const seconds = (performance.now() - (first || started)) / 1000;
      const rate = usage.completion_tokens > 1 && seconds > 0.02 ? `, ${Math.round(usage.completion_tokens / seconds)} a second` : "";
      setFigures(`${usage.prompt_tokens} tokens read, ${usage.completion_tokens} written${rate}`);
    }
    keep(id, answer(end));
    setLive((before) => (before?.id === id ? null : before));
  };
  return { live, figures, begin, stop: () => control.current?.abort() };
}

function Conversation({ messages, model, answering, children }: {
  messages: readonly Message[];
  model: string;
  answering: boolean;
  /** What stands there while nothing was said. */
  children: React.ReactNode;
}) {
  const frame = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  useEffect(() => {
    if (following.current && frame.current) frame.current.scrollTop = frame.current.scrollHeight;
  }, [messages]);
  return (
    <div
      ref={frame}
      className="conversation"
      role="log"
      aria-label="Conversation"
      aria-live="polite"
      aria-busy={answering}
      tabIndex={0}
      onScroll={(event) => {
        const at = event.currentTarget;
        following.current = at.scrollHeight - at.scrollTop - at.clientHeight < 80;
      }}
    >
      {messages.length === 0 && (
        <div className="chat-empty">
          <Mark />
          <p className="chat-big">Ask your own machines.</p>
          <p className="soft">What you write stays on them.</p>
          {children}
        </div>
      )}
      {messages.map((message, at) => (
        <article key={at} className={cx("turn", message.role, message.failed && "failed")} aria-label={message.role === "user" ? "You" : model}>
          {message.role === "user"
            ? <p className="turn-text">{message.content}</p>
            : (
              <>
                <Markdown text={message.content.trimStart()} />
                {answering && at === messages.length - 1 && <span className="caret" aria-label="writing" role="img" />}
              </>
            )}
          {message.note && <p className={message.failed ? "turn-note bad" : "turn-note"}>{message.note}</p>}
        </article>
      ))}
    </div>
  );
}

const IDEAS = ["Explain ownership in Rust in three sentences.", "Write a limerick about bees.", "What is a skep?"];
const TINY_IDEAS = ["The borrow checker", "A slice is", "This function will return"];

function Ideas({ tiny, onAsk, disabled }: { tiny: boolean; onAsk: (text: string) => void; disabled: boolean }) {
  return (
    <ul className="ideas">
      {(tiny ? TINY_IDEAS : IDEAS).map((idea) => <li key={idea}><Button small disabled={disabled} onClick={() => onAsk(idea)}>{idea}</Button></li>)}
    </ul>
  );
}

function Writing({ answering, disabled, onSend, onStop }: {
  answering: boolean;
  disabled: boolean;
  onSend: (text: string) => void;
  onStop: () => void;
}) {
  const [text, setText] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  const ready = text.trim() !== "" && !answering && !disabled;
  const send = () => {
    if (!ready) return;
    onSend(text.trim());
    setText("");
    field.current?.focus();
  };
  const keys = (event: KeyboardEvent) => {
    // What is being composed, as in Japanese, is not a line yet.
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      send();
    } else if (event.key === "Escape" && answering) onStop();
  };
  return (
    <form className="writing" onSubmit={(event) => {
      event.preventDefault();
      send();
    }}>
      <label className="hidden" htmlFor="question">Your question</label>
      <textarea
        id="question"
        ref={field}
        rows={Math.min(8, text.split("\n").length)}
        value={text}
        placeholder="Write something…"
        autoComplete="off"
        onChange={(event) => setText(event.target.value)}
        onKeyDown={keys}
      />
      {answering
        ? <Button look="primary" aria-label="Stop" onClick={onStop}><Square aria-hidden="true" /></Button>
        : <Button look="primary" type="submit" aria-label="Send" disabled={!ready}><ArrowUp aria-hidden="true" /></Button>}
    </form>
  );
}
