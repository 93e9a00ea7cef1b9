/** How else people sign in: a directory, a provider. Each is tried for real before it is kept; its secret goes in and never comes out. */
import { CircleCheck, CircleX } from "lucide-react";
import { useState } from "react";
import { api, json } from "../api/client";
import { useChange, useDoors } from "../api/queries";
import type { Door, DoorTried } from "../api/types";
import { ago } from "../lib/format";
import { Badge, Button, Card, Copy, Notice, Trouble, Waiting, Words } from "../ui/basics";
import { Confirm, Dialog } from "../ui/dialog";
import { FlagField, LinesField, SecretField, TextField } from "../ui/fields";
import { useSay } from "../ui/toast";

type Kind = "ldap" | "oidc";

interface Asked { key: string; label: string; help?: string; note?: string; placeholder?: string; what?: "flag" | "lines" }

const FIELDS: Record<Kind, readonly Asked[]> = {
  ldap: [
    { key: "url", label: "Address", placeholder: "ldaps://ldap.example.org" },
    { key: "starttls", label: "Become TLS by StartTLS", help: "For `ldap://`: no password crosses the network readable.", what: "flag" },
    { key: "bind_dn", label: "Who looks people up", note: "optional", placeholder: "cn=skep,dc=example,dc=org" },
    { key: "base", label: "Below which people are", placeholder: "ou=people,dc=example,dc=org" },
    { key: "filter", label: "What finds one of them", help: "`{name}` is what they typed.", placeholder: "(uid={name})", note: "optional" },
    { key: "admins", label: "Group of administrators", note: "optional", placeholder: "cn=ops,ou=groups,dc=example,dc=org" },
    { key: "members", label: "Group of those who may sign in", note: "optional", help: "Without it, whoever is found." },
    { key: "certificates", label: "Certificate of whoever signed the server's", note: "optional", what: "lines", placeholder: "-----BEGIN CERTIFICATE-----" },
  ],
  oidc: [
    { key: "name", label: "What the button calls it", placeholder: "Example" },
    { key: "issuer", label: "Issuer", placeholder: "https://id.example.org" },
    { key: "client_id", label: "Client's id" },
    { key: "admins", label: "Claim of administrators", note: "optional", placeholder: "groups=skep-admins" },
    { key: "members", label: "Claim of those who may sign in", note: "optional", help: "Without it, whoever the provider lets in." },
    { key: "public_url", label: "Where browsers reach this agent", note: "optional", placeholder: "https://skep.example.org" },
    { key: "certificates", label: "Certificate of whoever signed the provider's", note: "optional", what: "lines", placeholder: "-----BEGIN CERTIFICATE-----" },
  ],
};

const WORDS: Record<Kind, string> = { ldap: "A directory (LDAP)", oidc: "A provider (OpenID Connect)" };

export function Doors() {
  const doors = useDoors();
  const say = useSay();
  const [setting, setSetting] = useState<Kind | null>(null);
  const [removing, setRemoving] = useState<Kind | null>(null);
  const remove = useChange((kind: Kind) => json(api(`/sign-in/${kind}`), { method: "DELETE" }), ["doors", "session", "users"]);
  return (
    <Card title="Other ways to sign in">
      {doors.isPending && <Waiting />}
      {doors.isError && <Trouble error={doors.error} retry={() => void doors.refetch()} />}
      <ul className="list">
        {doors.data && (["ldap", "oidc"] as const).map((kind) => {
          const door = doors.data[kind];
          return (
            <li key={kind} className="list-item">
              <div className="list-text">
                <p className="list-title">{WORDS[kind]} {door && !door.tested && <Badge tone="warn">not tested</Badge>} {door?.secret === "missing" && <Badge tone="warn">no secret here</Badge>}</p>
                <p className="soft">{door ? `${String(door.settings[kind === "ldap" ? "url" : "issuer"])} · set ${ago(door.set_unix_s)} by ${door.set_by}` : "Not set."}</p>
              </div>
              <Button small onClick={() => setSetting(kind)} aria-label={`${door ? "Change" : "Set up"} ${WORDS[kind]}`}>{door ? "Change" : "Set up"}</Button>
              {door && <Button small look="danger" onClick={() => setRemoving(kind)} aria-label={`Remove ${WORDS[kind]}`}>Remove</Button>}
            </li>
          );
        })}
      </ul>
      {setting && <SetDoor kind={setting} door={doors.data?.[setting] ?? null} redirect={doors.data?.redirect_uri ?? ""} onClose={() => setSetting(null)} />}
      {removing && (
        <Confirm title="Sign nobody in by it any more?" verb="Remove" onClose={() => setRemoving(null)} onYes={async () => {
          await remove.mutateAsync(removing);
          say("Nobody signs in by it any more.");
        }}>
          <p>Whoever signed in by it is signed out, and its secret is forgotten here.</p>
        </Confirm>
      )}
    </Card>
  );
}

function SetDoor({ kind, door, redirect, onClose }: { kind: Kind; door: Door | null; redirect: string; onClose: () => void }) {
  const [settings, setSettings] = useState<Record<string, unknown>>(door?.settings ?? {});
  const [secret, setSecret] = useState("");
  const [name, setName] = useState("");
  const say = useSay();
  const path = `/sign-in/${kind}`;
  const body = () => ({
    settings: Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== "")),
    ...(secret && { secret }),
    ...(name && { name }),
  });
  const test = useChange(() => json<DoorTried>(api(`${path}/test`), { method: "POST", body: body() }), []);
  const save = useChange(() => json<DoorTried>(api(path), { method: "PUT", body: body() }), ["doors", "session"]);
  const tried = save.data ?? test.data;
  const error = save.error ?? test.error;
  const begin = (what: "test" | "save") => {
    test.reset();
    save.reset();
    if (what === "test") return test.mutate(undefined);
    return save.mutate(undefined, {
      onSuccess: (done) => {
        if (!done.saved) return;
        say("It works, and people may sign in by it.");
        onClose();
      },
    });
  };
  return (
    <Dialog title={WORDS[kind]} onClose={onClose} wide footer={
      <>
        <Button onClick={onClose}>Cancel</Button>
        <Button busy={test.isPending} onClick={() => begin("test")}>Test</Button>
        <Button look="primary" busy={save.isPending} onClick={() => begin("save")}>Test and keep</Button>
      </>
    }>
      {kind === "oidc" && <Notice title="Register this agent there first"><p>The provider sends people back to:</p><Copy text={redirect} label="Copy the address" /></Notice>}
      {FIELDS[kind].map(({ key, what, ...frame }) => {
        const value = settings[key];
        const change = (next: unknown) => setSettings({ ...settings, [key]: next });
        if (what === "flag") return <FlagField key={key} {...frame} value={value === true} onChange={change} />;
        const text = typeof value === "string" ? value : "";
        return what === "lines"
          ? <LinesField key={key} {...frame} value={text} onChange={change} />
          : <TextField key={key} {...frame} value={text} onChange={change} mono />;
      })}
      <SecretField label={kind === "ldap" ? "Password of who looks people up" : "Client's secret"} note="optional" given={door?.secret === "kept"} value={secret} onChange={setSecret} />
      {kind === "ldap" && <TextField label="Somebody to look for in the test" note="optional" value={name} onChange={setName} />}
      <div aria-live="polite">
        {tried && (
          <ul className="list">
            {tried.checks.map((check) => (
              <li key={check.what} className="list-item">
                {check.ok ? <CircleCheck aria-label="good" /> : <CircleX aria-label="failed" />}
                <div className="list-text">
                  <p className="list-title">{check.what}</p>
                  <p className="soft"><Words text={check.evidence} /></p>
                  {check.remedy && <p><Words text={check.remedy} /></p>}
                </div>
              </li>
            ))}
          </ul>
        )}
        {error && <Trouble error={error} />}
      </div>
    </Dialog>
  );
}
