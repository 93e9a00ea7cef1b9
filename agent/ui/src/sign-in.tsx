/** The door: by name and password where there are users, by the link of the setup while it is open, by a key at any time. */
import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { api, json } from "./api/client";
import type { Session } from "./api/types";
import { meant } from "./entry";
import { Button, Copy, Notice, Trouble } from "./ui/basics";
import { SecretField, TextField } from "./ui/fields";
import { Mark } from "./ui/mark";
import { ThemeSwitch } from "./ui/theme";

export function SignIn({ session, refused }: { session: Session; refused: Error | null }) {
  const open = session.setup === "open";
  const [byKey, setByKey] = useState(!session.users);
  const [error, setError] = useState<unknown>(refused);
  const [busy, setBusy] = useState(false);
  const [, go] = useLocation();
  const queries = useQueryClient();
  useEffect(() => {
    document.title = "Sign in · skep";
  }, []);
  const enter = (body: object) => {
    setBusy(true);
    setError(null);
    json(api("/session"), { method: "POST", body })
      .then(
        async () => {
          await queries.invalidateQueries();
          go(open ? "/setup" : "/overview", { replace: true });
        },
        (why: unknown) => setError(why),
      )
      .finally(() => setBusy(false));
  };
  return (
    <main className="door" id="main">
      <div className="door-inside">
        <div className="row-between"><span className="brand"><Mark /> skep</span><ThemeSwitch /></div>
        <h1>{open ? "Welcome" : "Sign in"}</h1>
        <p className="lead">
          {open
            ? <>The agent on <strong>{session.node}</strong> runs and is not set up yet. Its link opens the setup; it stands in the terminal in which the agent was started.</>
            : <>This is the agent on <strong>{session.node}</strong>.{!session.users && " It knows you by an API key."}</>}
        </p>
        {error !== null && <Trouble error={error} {...(open ? { title: "That did not let you in." } : {})} />}
        {session.provider && (
          <div className="buttons"><a className="button primary" href="/api/v1/sign-in/oidc/start">Sign in with {session.provider}</a></div>
        )}
        {byKey ? <ByKey open={open} busy={busy} enter={enter} /> : <ByName busy={busy} enter={enter} />}
        {session.users && (
          <p className="soft door-foot">
            <Button look="quiet" small onClick={() => setByKey(!byKey)}>{byKey ? "Use a name and a password" : open ? "Use the link of the setup or an API key" : "Use an API key"}</Button>
          </p>
        )}
        {open && (
          <Notice title="No link at hand?">
            <p>A link is good for one browser, once. In a terminal of that machine, this makes another:</p>
            <Copy text="skep setup link" label="Copy the command" />
          </Notice>
        )}
        {!session.needs_key && <p className="soft door-foot">Or <Link href="/chat">try the chat</Link> and <Link href="/overview">look around</Link> without signing in.</p>}
      </div>
    </main>
  );
}

function ByName({ busy, enter }: { busy: boolean; enter: (body: object) => void }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  return (
    <Form onEnter={() => enter({ name: name.trim(), password })} busy={busy} ready={name.trim() !== "" && password !== ""} verb="Sign in">
      <TextField label="Name" value={name} onChange={setName} autoComplete="username" />
      <SecretField label="Password" value={password} onChange={setPassword} autoComplete="current-password" />
    </Form>
  );
}

function ByKey({ open, busy, enter }: { open: boolean; busy: boolean; enter: (body: object) => void }) {
  const [text, setText] = useState("");
  const begin = () => {
    const body = meant(text);
    if (body) enter(body);
  };
  return (
    <Form onEnter={begin} busy={busy} ready={text.trim() !== ""} verb={open ? "Open the setup" : "Sign in"}>
      <SecretField
        label={open ? "Link of the setup, or an API key" : "API key"}
        help={open ? undefined : "`skep keys new NAME` makes one, in a terminal of that machine."}
        value={text}
        onChange={setText}
        placeholder={open ? `${location.origin}/#setup=…` : "sk-skep-…"}
      />
    </Form>
  );
}

function Form({ onEnter, busy, ready, verb, children }: { onEnter: () => void; busy: boolean; ready: boolean; verb: string; children: ReactNode }) {
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onEnter();
      }}
    >
      {children}
      <div className="buttons"><Button type="submit" look="primary" busy={busy} disabled={!ready}>{verb}</Button></div>
    </form>
  );
}
