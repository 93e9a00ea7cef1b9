/** Secrets of this machine: their names. Their texts go in and never come out. */
import { Plus } from "lucide-react";
import { useState } from "react";
import { api, json, part } from "../api/client";
import { useChange, useSecrets } from "../api/queries";
import { ago } from "../lib/format";
import { Button, Card, Empty, Trouble, Waiting } from "../ui/basics";
import { Confirm, Dialog } from "../ui/dialog";
import { SecretField, TextField } from "../ui/fields";
import { useSay } from "../ui/toast";

export function Secrets() {
  const secrets = useSecrets();
  const say = useSay();
  const [setting, setSetting] = useState<string | null>(null);
  const [removing, setRemoving] = useState<string | null>(null);
  const remove = useChange((name: string) => json(api(`/secrets/${part(name)}`), { method: "DELETE" }), ["secrets"]);
  const all = secrets.data?.secrets ?? [];
  return (
    <Card title="Secrets" actions={<Button small look="primary" onClick={() => setSetting("")}><Plus aria-hidden="true" /> Keep a secret</Button>}>
      <p className="soft">Keys and passwords that plugins use where they were granted. A plugin never sees their text.</p>
      {secrets.isPending && <Waiting />}
      {secrets.isError && <Trouble error={secrets.error} retry={() => void secrets.refetch()} />}
      {secrets.isSuccess && all.length === 0 && <Empty title="No secrets" />}
      <ul className="list">
        {all.map((secret) => (
          <li key={secret.name} className="list-item">
            <div className="list-text">
              <p className="list-title"><code>{secret.name}</code></p>
              <p className="soft">set {ago(secret.set_unix_s)}{secret.used_by.length > 0 && ` · used by ${secret.used_by.join(", ")}`}</p>
            </div>
            <Button small onClick={() => setSetting(secret.name)} aria-label={`Replace ${secret.name}`}>Replace</Button>
            <Button small look="danger" disabled={secret.used_by.length > 0} onClick={() => setRemoving(secret.name)} aria-label={`Forget ${secret.name}`}>Forget</Button>
          </li>
        ))}
      </ul>
      {setting !== null && <Keep old={setting} onClose={() => setSetting(null)} />}
      {removing !== null && (
        <Confirm title={`Forget ${removing}?`} verb="Forget it" onClose={() => setRemoving(null)} onYes={async () => {
          await remove.mutateAsync(removing);
          say(`${removing} is forgotten.`);
        }}>
          <p>Nothing uses it. Its text cannot be brought back.</p>
        </Confirm>
      )}
    </Card>
  );
}

function Keep({ old, onClose }: { old: string; onClose: () => void }) {
  const [name, setName] = useState(old);
  const [text, setText] = useState("");
  const keep = useChange(() => json(api(`/secrets/${part(name.trim())}`), { method: "PUT", body: { text } }), ["secrets"]);
  return (
    <Dialog title={old ? `Replace ${old}` : "Keep a secret"} onClose={onClose} footer={
      <>
        <Button onClick={onClose}>Cancel</Button>
        <Button look="primary" busy={keep.isPending} disabled={name.trim() === "" || text === ""} onClick={() => keep.mutate(undefined, { onSuccess: onClose })}>Keep it</Button>
      </>
    }>
      {!old && <TextField label="Name" help="Of small letters, digits and hyphens." value={name} onChange={setName} placeholder="openai-key" mono />}
      <SecretField label="Text" value={text} onChange={setText} />
      {keep.isError && <Trouble error={keep.error} />}
    </Dialog>
  );
}
