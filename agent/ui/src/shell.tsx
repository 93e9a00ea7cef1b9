/** What is around every page: where one can go, which machine this is, who is signed in. */
import {
  Boxes, ChartNoAxesColumn, KeyRound, LogOut, MessageSquare, Package, ScrollText, Server, Settings as Gear, TriangleAlert, WandSparkles, Ellipsis,
} from "lucide-react";
import { useQueryClient } from "@tanstack/react-query";
import { Suspense, type ReactNode, useEffect, useRef } from "react";
import { Link, useLocation } from "wouter";
import { api, json } from "./api/client";
import { useAlerts, useChange } from "./api/queries";
import { administers, type Session } from "./api/types";
import { Wanted } from "./cluster/adopt";
import { Button, Notice } from "./ui/basics";
import { Mark } from "./ui/mark";
import { Menu } from "./ui/menu";
import { ThemeSwitch } from "./ui/theme";

const PLACES = [
  { to: "/overview", word: "Overview", Icon: ChartNoAxesColumn },
  { to: "/chat", word: "Chat", Icon: MessageSquare },
  { to: "/models", word: "Models", Icon: Package },
  { to: "/nodes", word: "Nodes", Icon: Server },
  { to: "/plugins", word: "Plugins", Icon: Boxes },
  { to: "/keys", word: "Keys", Icon: KeyRound },
  { to: "/settings", word: "Settings", Icon: Gear },
  { to: "/logs", word: "Logs", Icon: ScrollText },
] as const;

/** What is for administrators: to others the agent would say no. */
const ADMIN: readonly string[] = ["/plugins", "/settings", "/logs"];

/** On a phone these have a place of their own; the rest is behind a menu. */
const FIRST = 4;

const isAt = (at: string, to: string): boolean => at === to || at.startsWith(`${to}/`);

export function Shell({ session, children }: { session: Session; children: ReactNode }) {
  const [at, go] = useLocation();
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    // Another page is read from its beginning; the very first one is where the browser put us.
    if (first.current) {
      first.current = false;
      return;
    }
    main.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [at]);
  const places = PLACES.filter(({ to }) => session.user?.role !== "member" || !ADMIN.includes(to));
  const rest = places.slice(FIRST);
  const behind = rest.find((place) => isAt(at, place.to));
  return (
    <div className="shell">
      <a className="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        main.current?.focus();
      }}>Skip to the page</a>
      <header className="side">
        <div className="side-head">
          <Link href="/overview" className="brand" aria-label="skep, overview"><Mark /> skep</Link>
          <div className="side-tools"><ThemeSwitch /><Out session={session} phone /></div>
        </div>
        <nav className="places" aria-label="Pages">
          {places.map(({ to, word, Icon }, index) => (
            <Link key={to} href={to} className={index < FIRST ? "place" : "place behind"} aria-current={isAt(at, to) ? "page" : undefined}>
              <Icon aria-hidden="true" /><span>{word}</span>
              {to === "/overview" && <Raised />}
            </Link>
          ))}
          <span className={behind ? "place more-places current" : "place more-places"}>
            <Menu
              label={behind ? `More pages; this is ${behind.word}` : "More pages"}
              trigger={<><Ellipsis aria-hidden="true" /><span>{behind?.word ?? "More"}</span></>}
              verbs={rest.map(({ to, word, Icon }) => ({ label: <><Icon aria-hidden="true" /> {word}</>, onSelect: () => go(to) }))}
            />
          </span>
        </nav>
        <div className="side-foot">
          <p className="side-node"><strong>{session.node}</strong><span className="soft">{session.user ? session.user.name : `skep ${session.version}`}</span></p>
          <Out session={session} />
        </div>
      </header>
      <main id="main" className="main" ref={main} tabIndex={-1}>
        <Above session={session} />
        <Suspense fallback={null}>{children}</Suspense>
      </main>
    </div>
  );
}

function Raised() {
  const alerts = useAlerts();
  const bad = alerts.data?.raised.filter((alert) => alert.severity !== "info").length ?? 0;
  if (bad === 0) return null;
  return <span className="place-count"><TriangleAlert aria-hidden="true" /> {bad}<span className="hidden"> alerts</span></span>;
}

function Above({ session }: { session: Session }) {
  const [at] = useLocation();
  if (!session.signed_in) {
    return (
      <Notice tone="info" actions={<Link href="/sign-in" className="button primary small">Sign in</Link>}>
        You are looking without being signed in: nothing can be changed, and some of it is not shown.
      </Notice>
    );
  }
  return (
    <>
      {session.setup === "open" && administers(session) && at !== "/chat" && (
        <Notice tone="info" actions={<Link href="/setup" className="button primary small"><WandSparkles aria-hidden="true" /> Go on</Link>}>
          The setup of this machine is not finished.
        </Notice>
      )}
      {administers(session) && <Wanted />}
    </>
  );
}

function Out({ session, phone }: { session: Session; phone?: boolean }) {
  const queries = useQueryClient();
  const out = useChange(() => json(api("/session"), { method: "DELETE" }), []);
  if (!session.signed_in) return null;
  return (
    <Button
      look="quiet"
      small
      className={phone ? "phone-only" : "side-out"}
      aria-label="Sign out"
      busy={out.isPending}
      onClick={() => out.mutate(undefined, { onSettled: () => { queries.clear(); location.hash = "#/"; location.reload(); } })}
    >
      <LogOut aria-hidden="true" />{!phone && " Sign out"}
    </Button>
  );
}
