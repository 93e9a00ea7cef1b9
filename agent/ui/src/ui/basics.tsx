/** The small parts that every page is made of. They know how things look, and nothing of what they mean. */
import { Check, Copy as CopyIcon, LoaderCircle } from "lucide-react";
import {
  type ButtonHTMLAttributes, type HTMLAttributes, type ReactNode, useEffect, useId, useRef, useState,
} from "react";
import { ApiError, sentence } from "../api/client";

export function cx(...names: (string | false | null | undefined)[]): string {
  return names.filter(Boolean).join(" ");
}

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: "primary" | "plain" | "quiet" | "danger";
  small?: boolean;
  busy?: boolean;
}

export function Button({ look = "plain", small, busy, className, children, disabled, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      className={cx("button", look, small && "small", className)}
      disabled={disabled || busy}
      aria-busy={busy || undefined}
      {...rest}
    >
      {busy && <LoaderCircle className="spin" aria-hidden="true" />}
      {children}
    </button>
  );
}

export function Card({ title, actions, children, className, ...rest }: {
  title?: ReactNode;
  actions?: ReactNode;
} & Omit<HTMLAttributes<HTMLElement>, "title">) {
  const id = useId();
  return (
    <section className={cx("card", className)} aria-labelledby={title ? id : undefined} {...rest}>
      {(title || actions) && (
        <header className="card-head">
          {title && <h2 id={id}>{title}</h2>}
          {actions && <div className="card-actions">{actions}</div>}
        </header>
      )}
      {children}
    </section>
  );
}

export type Tone = "good" | "warn" | "bad" | "info" | "none";

export function Badge({ tone = "none", children, title }: { tone?: Tone; children: ReactNode; title?: string | undefined }) {
  return <span className={cx("badge", tone)} title={title}>{children}</span>;
}

/** What something is, by a colour and a word. */
export function State({ tone, children, moving }: { tone: Tone; children: ReactNode; moving?: boolean }) {
  return (
    <span className={cx("state", tone)}>
      <span className={cx("dot", moving && "pulse")} aria-hidden="true" />
      {children}
    </span>
  );
}

export function Meter({ label, value, text, tone = "none" }: { label: string; value: number; text: string; tone?: Tone }) {
  const share = Math.min(100, Math.max(0, value));
  return (
    <div className={cx("meter", tone)}>
      <span className="meter-label">{label}</span>
      <span className="meter-text">{text}</span>
      <progress max={100} value={share} aria-label={`${label}: ${text}`} />
    </div>
  );
}

export function Notice({ tone = "info", title, children, actions }: {
  tone?: Tone;
  title?: ReactNode;
  children?: ReactNode;
  actions?: ReactNode;
}) {
  return (
    <div className={cx("notice", tone)} role={tone === "bad" ? "alert" : undefined}>
      <div className="notice-text">
        {title && <p className="notice-title">{title}</p>}
        {children && <div>{children}</div>}
      </div>
      {actions && <div className="notice-actions">{actions}</div>}
    </div>
  );
}

/** What went wrong and what to do about it. */
export function Trouble({ error, retry, title }: { error: unknown; retry?: (() => void) | undefined; title?: string }) {
  const known = error instanceof ApiError ? error : null;
  const message = error instanceof Error ? sentence(error.message) : "Something went wrong.";
  return (
    <Notice
      tone="bad"
      title={title ?? message}
      actions={retry && <Button small onClick={retry}>Try again</Button>}
    >
      {title && <p>{message}</p>}
      {known?.hint && <p><Words text={known.hint} /></p>}
    </Notice>
  );
}

/** Text in which what stands between backticks is code. `first`: it begins a sentence, though it may have been written as its end. */
export function Words({ text, first }: { text: string; first?: boolean }) {
  const shown = first ? (text[0] ?? "").toUpperCase() + text.slice(1) : text;
  return <>{shown.split(/`([^`\n]+)`/).map((piece, at) => (at % 2 ? <code key={at}>{piece}</code> : piece))}</>;
}

export function Empty({ title, children, icon, action }: {
  title: string;
  children?: ReactNode;
  icon?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className="empty">
      {icon && <span className="empty-icon" aria-hidden="true">{icon}</span>}
      <p className="empty-title">{title}</p>
      {children && <p className="soft">{children}</p>}
      {action}
    </div>
  );
}

/** Waiting, said after a moment: what comes at once needs no word. */
export function Waiting({ what = "Loading" }: { what?: string }) {
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), 250);
    return () => clearTimeout(timer);
  }, []);
  return <p className="waiting" role="status">{shown && <><LoaderCircle className="spin" aria-hidden="true" /> {what}…</>}</p>;
}

export function useCopy(): [boolean, (text: string) => void] {
  const [copied, setCopied] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = (text: string) => {
    void put(text).then((done) => {
      setCopied(done);
      clearTimeout(timer.current);
      timer.current = setTimeout(() => setCopied(false), 1600);
    });
  };
  return [copied, copy];
}

/** Browsers give the clipboard to pages of this machine or over TLS; elsewhere the old way still works. */
async function put(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "hidden";
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

/** Text to be taken elsewhere. */
export function Copy({ text, label = "Copy", block }: { text: string; label?: string; block?: boolean }) {
  const [copied, copy] = useCopy();
  return (
    <div className={cx("copy", block && "block")}>
      {block
        ? <pre tabIndex={0} aria-label={label.replace(/^Copy/, "Text")}><code>{text}</code></pre>
        : <code tabIndex={0} className="copy-text">{text}</code>}
      <Button small look="quiet" onClick={() => copy(text)} aria-label={copied ? "Copied" : label}>
        {copied ? <Check aria-hidden="true" /> : <CopyIcon aria-hidden="true" />}
        <span className="copy-word" aria-hidden="true">{copied ? "Copied" : "Copy"}</span>
      </Button>
    </div>
  );
}

export function Facts({ children }: { children: ReactNode }) {
  return <dl className="facts">{children}</dl>;
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  if (children === null || children === undefined || children === "") return null;
  return <div><dt>{name}</dt><dd>{children}</dd></div>;
}

export function Page({ title, lead, actions, children }: {
  title: string;
  lead?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  useEffect(() => {
    document.title = `${title} · skep`;
  }, [title]);
  return (
    <div className="page">
      <header className="page-head">
        <div>
          <h1 tabIndex={-1}>{title}</h1>
          {lead && <p className="lead">{lead}</p>}
        </div>
        {actions && <div className="page-actions">{actions}</div>}
      </header>
      {children}
    </div>
  );
}
