/** People who sign in: who there is, what each may do, and adding one. Passwords go in and never come out. */
import { Plus, UserRound } from "lucide-react";
import { type ReactNode, useState } from "react";
import { api, json, part } from "../api/client";
import { useChange, useUsers } from "../api/queries";
import type { Role, User } from "../api/types";
import { ago } from "../lib/format";
import { Button, Card, Empty, Badge, Trouble, Waiting } from "../ui/basics";
import { Confirm, Dialog } from "../ui/dialog";
import { ChoiceField, SecretField, TextField } from "../ui/fields";
import { Menu } from "../ui/menu";
import { useSay } from "../ui/toast";

type Meant = { user: User; what: "password" | "remove" | "disable" };

const STALE = ["users", "session", "keys"];

export function Users({ me }: { me: string | null }) {
  const users = useUsers(true);
  const say = useSay();
  const [adding, setAdding] = useState(false);
  const [meant, setMeant] = useState<Meant | null>(null);
  const change = useChange(({ user, verb, body }: { user: User; verb: string; body?: object }) =>
    json(api(`/users/${part(user.name)}${verb}`), { method: verb ? "POST" : "DELETE", ...(verb ? { body: body ?? {} } : {}) }), STALE);
  const all = users.data?.users ?? [];
  const role = (user: User) => change.mutate(
    { user, verb: "/role", body: { role: user.role === "admin" ? "member" : "admin" } },
    { onSuccess: () => say(`${user.name} is ${user.role === "admin" ? "a member" : "an administrator"} now.`) },
  );
  const enable = (user: User) => change.mutate({ user, verb: "/enable" }, { onSuccess: () => say(`${user.name} may sign in again.`) });
  return (
    <Card title="People" actions={<Button small look="primary" onClick={() => setAdding(true)}><Plus aria-hidden="true" /> Add a user</Button>}>
      {users.isPending && <Waiting />}
      {users.isError && <Trouble error={users.error} retry={() => void users.refetch()} />}
      {change.isError && <Trouble error={change.error} />}
      {users.isSuccess && all.length === 0 && <Empty icon={<UserRound />} title="Nobody yet">Whoever is added signs in on every machine of the cluster.</Empty>}
      <ul className="list">
        {all.map((user) => (
          <li key={user.name} className="list-item">
            <div className="list-text">
              <p className="list-title">{user.name}{user.name === me && <span className="soft"> (you)</span>} <Badge tone={user.role === "admin" ? "good" : "none"}>{user.role}</Badge>{user.disabled && <> <Badge tone="warn">disabled</Badge></>}</p>
              <p className="soft">{user.display && `${user.display} · `}{KNOWN[user.source]} · added {ago(user.created_unix_s)}</p>
            </div>
            <Menu
              label={`Change ${user.name}`}
              trigger="Change"
              verbs={[
                ...(user.source === "local" ? [
                  { label: user.role === "admin" ? "Make a member" : "Make an administrator", onSelect: () => role(user) },
                  { label: "Set another password", onSelect: () => setMeant({ user, what: "password" }) },
                ] : []),
                user.disabled ? { label: "Let sign in again", onSelect: () => enable(user) } : { label: "Disable", onSelect: () => setMeant({ user, what: "disable" }) },
                { label: "Remove", onSelect: () => setMeant({ user, what: "remove" }) },
              ]}
            />
          </li>
        ))}
      </ul>
      {adding && <AddUser onClose={() => setAdding(false)} />}
      {meant?.what === "password" && <SetPassword name={meant.user.name} onClose={() => setMeant(null)} />}
      {meant?.what === "disable" && (
        <Confirm title={`Disable ${meant.user.name}?`} verb="Disable" onClose={() => setMeant(null)} onYes={async () => {
          await change.mutateAsync({ user: meant.user, verb: "/disable" });
          say(`${meant.user.name} may sign in no more.`);
        }}>
          <p>They are signed out everywhere at once, and their keys let nobody in until they are enabled again.</p>
        </Confirm>
      )}
      {meant?.what === "remove" && (
        <Confirm title={`Remove ${meant.user.name}?`} verb="Remove" onClose={() => setMeant(null)} onYes={async () => {
          await change.mutateAsync({ user: meant.user, verb: "" });
          say(`${meant.user.name} is removed.`);
        }}>
          <p>They are signed out everywhere at once, and their keys are revoked.</p>
        </Confirm>
      )}
    </Card>
  );
}

const KNOWN = { local: "by a password", ldap: "by LDAP", oidc: "by OpenID Connect" } as const;

/** Somebody new; `first`: the one who administers from now on. */
export function AddUser({ onClose, first }: { onClose: () => void; first?: boolean }) {
  const [name, setName] = useState("");
  const [display, setDisplay] = useState("");
  const [role, setRole] = useState<Role>(first ? "admin" : "member");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const add = useChange(() => json(api("/users"), { method: "POST", body: { name: name.trim(), display: display.trim(), role, password } }), STALE);
  return (
    <Dialog title={first ? "A first administrator" : "Add a user"} onClose={onClose} footer={
      <>
        <Button onClick={onClose}>Cancel</Button>
        <Button look="primary" busy={add.isPending} disabled={name.trim() === "" || !fits(password, again)} onClick={() => add.mutate(undefined, { onSuccess: onClose })}>Add</Button>
      </>
    }>
      <TextField label="Name" help="What they sign in as: small letters, digits and `._@+-`." value={name} onChange={setName} autoComplete="username" autoFocus />
      <TextField label="Called in full" note="optional" value={display} onChange={setDisplay} />
      {!first && <ChoiceField label="Role" value={role} onChange={(next) => setRole(next as Role)} choices={[
        { value: "member", label: "Member", help: "Asks models, sees how the cluster is, has keys of their own." },
        { value: "admin", label: "Administrator", help: "Does everything." },
      ]} />}
      <Twice password={password} again={again} setPassword={setPassword} setAgain={setAgain} />
      {add.isError && <Trouble error={add.error} />}
    </Dialog>
  );
}

function SetPassword({ name, onClose }: { name: string; onClose: () => void }) {
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const set = useChange(() => json(api(`/users/${part(name)}/password`), { method: "POST", body: { password } }), STALE);
  return (
    <Passwords title={`Another password for ${name}`} onClose={onClose} busy={set.isPending} ready={fits(password, again)} onSet={() => set.mutate(undefined, { onSuccess: onClose })}>
      <p>They are signed out everywhere, and sign in with the new one.</p>
      <Twice password={password} again={again} setPassword={setPassword} setAgain={setAgain} />
      {set.isError && <Trouble error={set.error} />}
    </Passwords>
  );
}

/** What somebody who is signed in does about themselves. */
export function OwnPassword({ onClose }: { onClose: () => void }) {
  const [old, setOld] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const say = useSay();
  const set = useChange(() => json(api("/session/password"), { method: "POST", body: { password: old, new: password } }), ["session"]);
  const done = () => {
    say("Your password is another; other browsers are signed out.");
    onClose();
  };
  return (
    <Passwords title="Change your password" onClose={onClose} busy={set.isPending} ready={old !== "" && fits(password, again)} onSet={() => set.mutate(undefined, { onSuccess: done })}>
      <SecretField label="Password until now" value={old} onChange={setOld} autoComplete="current-password" />
      <Twice password={password} again={again} setPassword={setPassword} setAgain={setAgain} />
      {set.isError && <Trouble error={set.error} />}
    </Passwords>
  );
}

function Passwords({ title, onClose, onSet, busy, ready, children }: { title: string; onClose: () => void; onSet: () => void; busy: boolean; ready: boolean; children: ReactNode }) {
  return (
    <Dialog title={title} onClose={onClose} footer={
      <>
        <Button onClick={onClose}>Cancel</Button>
        <Button look="primary" busy={busy} disabled={!ready} onClick={onSet}>Change it</Button>
      </>
    }>
      {children}
    </Dialog>
  );
}

const LETTERS_MIN = 8;

const fits = (password: string, again: string) => [...password].length >= LETTERS_MIN && password === again;

function Twice({ password, again, setPassword, setAgain }: {
  password: string;
  again: string;
  setPassword: (text: string) => void;
  setAgain: (text: string) => void;
}) {
  return (
    <>
      <SecretField label="Password" help="At least eight letters; a sentence is good." value={password} onChange={setPassword} autoComplete="new-password" />
      <SecretField label="Once more" value={again} onChange={setAgain} autoComplete="new-password" problem={again !== "" && again !== password ? "The two are not the same." : undefined} />
    </>
  );
}
