/** Which page is shown to whom: who is not signed in may look where the agent lets anybody look, and sign in. */
import { useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { Redirect, Route, Switch, useLocation } from "wouter";
import { api, json, whenSignedOut } from "./api/client";
import { useSession } from "./api/queries";
import { administers, type Session } from "./api/types";
import type { Brought } from "./entry";
import { Arrive } from "./pages/arrive";
import { Keys } from "./pages/keys";
import { Logs } from "./pages/logs";
import { Models } from "./pages/models";
import { Nodes } from "./pages/nodes";
import { Overview } from "./pages/overview";
import { Plugins } from "./pages/plugins";
import { Settings } from "./pages/settings";
import { Finished } from "./setup/finished";
import { Shell } from "./shell";
import { SignIn } from "./sign-in";
import { Trouble, Waiting } from "./ui/basics";

// What only some visits need: the reader of Markdown, and the setup.
const Chat = lazy(() => import("./pages/chat").then((page) => ({ default: page.Chat })));
const Wizard = lazy(() => import("./setup/wizard").then((page) => ({ default: page.Wizard })));

export function App({ came }: { came: Brought }) {
  const session = useSession();
  const queries = useQueryClient();
  const entered = useEntered(came);
  useEffect(() => whenSignedOut(() => void queries.invalidateQueries({ queryKey: ["session"] })), [queries]);
  if (came && "join" in came) return <Arrive token={came.join} session={session.data ?? null} />;
  if (session.isPending || entered === "under way") return <main className="alone"><Waiting what="Asking the agent" /></main>;
  if (session.isError) {
    return <main className="alone"><Trouble error={session.error} retry={() => void session.refetch()} /></main>;
  }
  const refused = came && "refused" in came ? new Error(came.refused) : null;
  return <Pages session={session.data} refused={entered === "done" ? refused : entered} />;
}

/** Trades the secret that the address brought for a session, once. */
function useEntered(came: Brought): "under way" | "done" | Error {
  const secret = came && "setup" in came ? came.setup : null;
  const [state, setState] = useState<"under way" | "done" | Error>(secret ? "under way" : "done");
  const begun = useRef(false);
  const queries = useQueryClient();
  useEffect(() => {
    if (!secret || begun.current) return;
    begun.current = true;
    json(api("/session"), { method: "POST", body: { secret } })
      .then(() => setState("done"), (error: unknown) => setState(error instanceof Error ? error : new Error(String(error))))
      .finally(() => void queries.invalidateQueries({ queryKey: ["session"] }));
  }, [secret, queries]);
  return state;
}

function Pages({ session, refused }: { session: Session; refused: Error | null }) {
  const [at] = useLocation();
  const open = session.setup === "open";
  const known = session.signed_in;
  if (!known && (session.needs_key || refused || at === "/sign-in" || (open && (at === "/" || at.startsWith("/setup"))))) {
    return <SignIn session={session} refused={refused} />;
  }
  if (open && known && administers(session) && (at === "/" || at === "/setup" || at.startsWith("/setup/"))) {
    const step = at.split("/")[2];
    return <Suspense fallback={null}><Wizard at={step ?? null} /></Suspense>;
  }
  return (
    <Shell session={session}>
      <Suspense fallback={<Waiting />}>
        <Switch>
          <Route path="/overview" component={Overview} />
          <Route path="/chat" component={Chat} />
          <Route path="/models" component={Models} />
          <Route path="/nodes" component={Nodes} />
          <Route path="/plugins">{() => <Plugins name={null} />}</Route>
          <Route path="/plugins/:name">{({ name }) => <Plugins name={decodeURIComponent(name)} />}</Route>
          <Route path="/keys" component={Keys} />
          <Route path="/settings">{() => <Settings tab="upstreams" />}</Route>
          <Route path="/settings/:tab">{({ tab }) => <Settings tab={tab} />}</Route>
          <Route path="/logs" component={Logs} />
          <Route path="/finished" component={Finished} />
          <Route><Redirect to="/overview" replace /></Route>
        </Switch>
      </Suspense>
    </Shell>
  );
}
