/** Adding or changing an upstream or a notifier: its plugin's settings, what it would touch, consent. */
import { useState } from "react";
import { api, json, part } from "../api/client";
import { useChange, usePlugin, useSecrets } from "../api/queries";
import type { NewService, Service, Setting, Want } from "../api/plugins";
import { Badge, Button, Trouble, Waiting, Words } from "../ui/basics";
import { Dialog } from "../ui/dialog";
import { FlagField, SecretField, SelectField, TextField } from "../ui/fields";
import { useSay } from "../ui/toast";

export interface Draft { plugin: string; old?: Service; baseUrl?: string }

/** In place of a secret's name: the text is typed here and kept under a new one. */
const NEW = "\u0000new";

export function ServiceForm({ kind, plugins, draft, onClose }: {
  kind: "upstreams" | "notifiers";
  plugins: readonly string[];
  draft: Draft;
  onClose: () => void;
}) {
  const say = useSay();
  const [plugin, setPlugin] = useState(draft.plugin);
  const [name, setName] = useState(draft.old?.name ?? "");
  const [settings, setSettings] = useState<Record<string, string>>(
    draft.old?.settings ?? (draft.baseUrl ? { "base-url": draft.baseUrl } : {}),
  );
  const [typed, setTyped] = useState<Record<string, string>>({});
  const [wants, setWants] = useState<Want[] | null>(null);
  const details = usePlugin(plugin);
  const wish = async (): Promise<NewService> => {
    const set: Record<string, string> = {};
    for (const [key, value] of Object.entries(settings)) {
      if (value === NEW) {
        const kept = `${name.trim()}-${key}`;
        await json(api(`/secrets/${part(kept)}`), { method: "PUT", body: { text: typed[key] ?? "" } });
        set[key] = kept;
      } else if (value.trim() !== "") set[key] = value.trim();
    }
    return {
      name: name.trim(),
      plugin,
      settings: set,
      ...(draft.old ? { models: draft.old.models, prefix: draft.old.prefix, timeout_s: draft.old.timeout_s } : {}),
    };
  };
  const check = useChange(async () => {
    const wished = await wish();
    // A text that was typed is a secret of the node by now.
    setSettings(wished.settings);
    return json<{ wants: Want[] }>(api(`/${kind}/check`), { method: "POST", body: wished });
  }, ["secrets"]);
  const put = useChange(async (grant: string[]) => {
    const body = { ...(await wish()), grant };
    return draft.old
      ? json(api(`/${kind}/${part(draft.old.name)}`), { method: "PUT", body })
      : json(api(`/${kind}`), { method: "POST", body });
  }, [kind, "models", "plugins"]);
  const finish = (asked: readonly Want[]) =>
    put.mutate(asked.filter((want) => !want.granted).map((want) => want.capability), {
      onSuccess: () => {
        say(`${name.trim()} is set up.`);
        onClose();
      },
    });
  const next = () => check.mutate(undefined, {
    onSuccess: ({ wants: asked }) => (asked.some((want) => !want.granted) ? setWants(asked) : finish(asked)),
  });
  const singular = kind === "upstreams" ? "an upstream" : "a notifier";
  const asked = details.data?.manifest?.setting ?? [];
  return (
    <Dialog
      title={draft.old ? `Change ${draft.old.name}` : `Add ${singular}`}
      onClose={onClose}
      footer={wants
        ? (
          <>
            <Button onClick={() => setWants(null)}>Back</Button>
            <Button look="primary" busy={put.isPending} onClick={() => finish(wants)}>Agree, and {draft.old ? "change it" : "add it"}</Button>
          </>
        )
        : (
          <>
            <Button onClick={onClose}>Cancel</Button>
            <Button look="primary" disabled={name.trim() === ""} busy={check.isPending || put.isPending} onClick={next}>Next</Button>
          </>
        )}
    >
      {wants
        ? (
          <>
            <p>For this, the plugin <strong>{plugin}</strong> has to touch something that it may not yet:</p>
            <ul className="rights">
              {wants.filter((want) => !want.granted).map((want) => (
                <li key={want.capability}><span>It may <Words text={want.words} /> {want.optional && <Badge>works without</Badge>}<br /><span className="soft">{want.reason}</span></span></li>
              ))}
            </ul>
          </>
        )
        : (
          <>
            {!draft.old && plugins.length > 1 && <SelectField label="Plugin" value={plugin} onChange={setPlugin} options={plugins.map((one) => ({ value: one, label: one }))} />}
            {!draft.old && <TextField label="Name" help="Short, of letters, digits and hyphens." value={name} onChange={setName} placeholder="office" />}
            {details.isPending && <Waiting />}
            {asked.map((setting) => (
              <One
                key={setting.name}
                setting={setting}
                value={settings[setting.name] ?? ""}
                typed={typed[setting.name] ?? ""}
                onChange={(value) => setSettings((before) => ({ ...before, [setting.name]: value }))}
                onType={(text) => setTyped((before) => ({ ...before, [setting.name]: text }))}
              />
            ))}
          </>
        )}
      {check.isError && <Trouble error={check.error} />}
      {put.isError && <Trouble error={put.error} />}
    </Dialog>
  );
}

function One({ setting, value, typed, onChange, onType }: {
  setting: Setting;
  value: string;
  typed: string;
  onChange: (value: string) => void;
  onType: (text: string) => void;
}) {
  const secrets = useSecrets();
  const label = `${setting.title || setting.name}${setting.required ? "" : " (optional)"}`;
  const frame = { label, help: setting.help || undefined };
  switch (setting.kind) {
    case "secret":
      return (
        <>
          <SelectField
            {...frame}
            value={value}
            onChange={onChange}
            options={[
              { value: "", label: "none" },
              ...(secrets.data?.secrets ?? []).map((secret) => ({ value: secret.name, label: secret.name })),
              { value: NEW, label: "a new one…" },
            ]}
          />
          {value === NEW && <SecretField label="Its text" help="Kept on this machine, readable by its agent alone, and never shown again." value={typed} onChange={onType} />}
        </>
      );
    case "switch":
      return <FlagField {...frame} value={(value || setting.default) === "true"} onChange={(on) => onChange(String(on))} />;
    case "choice":
      return <SelectField {...frame} value={value || setting.default || ""} onChange={onChange} options={["", ...(setting.choices ?? [])].map((one) => ({ value: one, label: one || "as it is by itself" }))} />;
    default:
      return <TextField {...frame} value={value} onChange={onChange} placeholder={setting.default} mono={setting.kind === "url"} />;
  }
}
