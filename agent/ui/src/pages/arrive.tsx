/** What a phone shows after it looked at the code of a join token: the command, and whether the machine has come. */
import { Link } from "wouter";
import type { Session } from "../api/types";
import { Arrival } from "../cluster/invite";
import { Card, Copy, Notice } from "../ui/basics";
import { Mark } from "../ui/mark";

export function Arrive({ token, session }: { token: string; session: Session | null }) {
  const knows = session !== null && (session.signed_in || !session.needs_key);
  return (
    <main className="door" id="main">
      <div className="door-inside">
        <span className="brand"><Mark /> skep</span>
        <h1>Add a machine</h1>
        <p className="lead">Type this on the machine that is to join{session && <> the cluster of <strong>{session.node}</strong></>}.</p>
        <Card>
          <Copy block text={`skep join ${token}`} label="Copy the command" />
          <p className="soft">Whoever has this command can join once. It ends by itself after a short while.</p>
          {knows
            ? <Arrival since={0} />
            : <Notice tone="info">Sign in to see here when it has arrived: <Link href="/sign-in" onClick={() => setTimeout(() => location.reload())}>sign in</Link>.</Notice>}
        </Card>
        <p className="soft door-foot">Does the machine not have skep yet? Start it there first, with <code>skep up</code>.</p>
      </div>
    </main>
  );
}
