/** Who may ask: people, and the keys of programs. A key is shown once, when it is made. */
import { KeyRound, Plus } from "lucide-react";
import { useState } from "react";
import { api, json, part } from "../api/client";
import { useChange, useKeys, useSession } from "../api/queries";
import { administers, type Key } from "../api/types";
import { ago } from "../lib/format";
import { Button, Card, Copy, Empty, Notice, Page, Trouble, Waiting } from "../ui/basics";
import { Confirm, Dialog } from "../ui/dialog";
import { TextField } from "../ui/fields";
import { useSay } from "../ui/toast";
import { Connect } from "./connect";
import { Doors } from "./doors";
import { OwnPassword, Users } from "./users";

export function Keys() {
  const keys = useKeys();
  const session = useSession();
  const user = session.data?.user ?? null;
  const admin = session.data !== undefined && administers(session.data);
  const [changing, setChanging] = useState(false);
  const say = useSay();
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<Key | null>(null);
  const revoke = useChange((key: Key) => json(api(`/keys/${part(String(key.id))}`), { method: "DELETE" }), ["keys"]);
  return (
    <Page title="Keys and users" actions={<Button look="primary" onClick={() => setMaking(true)}><Plus aria-hidden="true" /> Make a key</Button>}>
      {user && (
        <Card title="You" actions={user.source === "local" ? <Button small onClick={() => setChanging(true)}>Change your password</Button> : undefined}>
          <p>Signed in as <strong>{user.display || user.name}</strong>{user.role === "admin" ? ", an administrator." : ", a member: you ask models, and keys of yours do the same."}</p>
        </Card>
      )}
      {admin && <Users me={user?.name ?? null} />}
      {admin && <Doors />}
      {keys.isPending && <Waiting />}
      {keys.isError && <Trouble error={keys.error} retry={() => void keys.refetch()} />}
      {keys.data && (
        <Card title="API keys">
          {keys.data.keys.length === 0 && <Empty icon={<KeyRound />} title="No keys">Whoever asks from another machine needs one.</Empty>}
          <ul className="list">
            {keys.data.keys.map((key) => (
              <li key={key.id} className="list-item">
                <div className="list-text">
                  <p className="list-title">{key.name}</p>
                  <p className="soft"><code>{key.prefix}…</code> · made {ago(key.created_unix_s)} · used {ago(key.last_used_unix_s)}{admin && key.owner && ` · of ${key.owner}`}</p>
                </div>
                <Button small look="danger" onClick={() => setRevoking(key)} aria-label={`Revoke ${key.name}`}>Revoke</Button>
              </li>
            ))}
          </ul>
        </Card>
      )}
      <Card title="Connect a program"><Connect /></Card>
      {changing && <OwnPassword onClose={() => setChanging(false)} />}
      {making && <Make member={user?.role === "member"} onClose={() => setMaking(false)} />}
      {revoking && (
        <Confirm title={`Revoke ${revoking.name}?`} verb="Revoke" onClose={() => setRevoking(null)} onYes={async () => {
          await revoke.mutateAsync(revoking);
          say(`${revoking.name} lets nobody in any more.`);
        }}>
          <p>Programs that use it are refused from now on, and browsers that signed in with it are signed out.</p>
        </Confirm>
      )}
    </Page>
  );
}

function Make({ member, onClose }: { member: boolean; onClose: () => void }) {
  const [name, setName] = useState("");
  const make = useChange(() => json<{ secret: string }>(api("/keys"), { method: "POST", body: { name: name.trim() } }), ["keys"]);
  if (make.data) {
    return (
      <Dialog title="Your key" onClose={onClose} footer={<Button look="primary" onClick={onClose}>I have kept it</Button>}>
        <p>This is the only time that it is shown; the agent itself keeps no more than its hash.</p>
        <Copy block text={make.data.secret} label="Copy the key" />
      </Dialog>
    );
  }
  return (
    <Dialog title="Make a key" onClose={onClose} footer={
      <>
        <Button onClick={onClose}>Cancel</Button>
        <Button look="primary" busy={make.isPending} disabled={name.trim() === ""} onClick={() => make.mutate(undefined)}>Make it</Button>
      </>
    }>
      <TextField label="Name" help="Who or what will use it: it is how you find it again." value={name} onChange={setName} placeholder="laptop" autoFocus />
      {make.isError && <Trouble error={make.error} />}
      <Notice tone="info">{member ? "Whoever has it may ask models as you do." : "Whoever has a key may ask models and change this agent."}</Notice>
    </Dialog>
  );
}
