/** Adding a plugin from a file: what it wants is shown first, and each thing is agreed to by itself. */
import { ShieldX, Upload } from "lucide-react";
import { Checkbox } from "radix-ui";
import { Check } from "lucide-react";
import { useId, useRef, useState } from "react";
import { api, json } from "../api/client";
import { useChange } from "../api/queries";
import type { PluginOffer } from "../api/plugins";
import { size } from "../lib/format";
import { Badge, Button, Fact, Facts, Notice, Trouble, Words } from "../ui/basics";
import { Dialog } from "../ui/dialog";
import { Signed } from "./plugins";

export function AddPlugin({ onClose, onDone }: { onClose: () => void; onDone: (name: string) => void }) {
  const [offer, setOffer] = useState<PluginOffer | null>(null);
  const [agreed, setAgreed] = useState<ReadonlySet<string>>(new Set());
  const look = useChange(async ({ component, signature }: { component: File; signature: File | null }) => {
    const headers: Record<string, string> = { "content-type": "application/wasm" };
    if (signature) headers["skep-signature"] = btoa(await signature.text());
    return json<PluginOffer>(api("/plugins/-/inspect"), { method: "POST", raw: component, headers });
  }, []);
  const install = useChange(
    (chosen: PluginOffer) =>
      json<{ name: string }>(api("/plugins/-/install"), {
        method: "POST",
        body: {
          digest: chosen.digest,
          grants: chosen.wishes.flatMap((wish) => (wish.capability && (wish.granted || agreed.has(wish.capability)) ? [wish.capability] : [])),
          accepts: chosen.doubts.map((doubt) => doubt.name).filter((name) => agreed.has(name)),
          updates: chosen.present ? chosen.manifest.name : null,
        },
      }),
    ["plugins"],
  );
  const missing = offer
    ? [
      ...offer.doubts.filter((doubt) => !agreed.has(doubt.name)),
      ...offer.wishes.filter((wish) => wish.capability && !wish.optional && !wish.granted && !agreed.has(wish.capability)),
    ]
    : [];
  const turn = (what: string, on: boolean) => {
    const next = new Set(agreed);
    if (on) next.add(what);
    else next.delete(what);
    setAgreed(next);
  };
  return (
    <Dialog
      title={offer ? `Add ${offer.manifest.name}?` : "Add a plugin"}
      onClose={onClose}
      wide
      footer={offer && (
        <>
          <Button onClick={() => setOffer(null)}>Another file</Button>
          <Button
            look="primary"
            disabled={missing.length > 0}
            busy={install.isPending}
            onClick={() => install.mutate(offer, { onSuccess: (added) => onDone(added.name) })}
          >
            {offer.present ? `Replace ${offer.present.version}` : "Agree, and add it"}
          </Button>
        </>
      )}
    >
      {offer
        ? <Offer offer={offer} agreed={agreed} onTurn={turn} />
        : <Choose busy={look.isPending} onLook={(files) => look.mutate(files, { onSuccess: (shown) => {
          setAgreed(new Set());
          setOffer(shown);
        } })} />}
      {look.isError && !offer && <Trouble error={look.error} />}
      {install.isError && <Trouble error={install.error} />}
      {offer && missing.length > 0 && <p className="soft">What it cannot do without has to be agreed to, one by one.</p>}
    </Dialog>
  );
}

function Choose({ busy, onLook }: { busy: boolean; onLook: (files: { component: File; signature: File | null }) => void }) {
  const [component, setComponent] = useState<File | null>(null);
  const [signature, setSignature] = useState<File | null>(null);
  return (
    <form onSubmit={(event) => {
      event.preventDefault();
      if (component) onLook({ component, signature });
    }}>
      <Pick label="Component" help="A file that ends with .wasm." accept=".wasm" file={component} onPick={setComponent} />
      <Pick label="Signature" help="Its .minisig file, if there is one." accept=".minisig" file={signature} onPick={setSignature} />
      <Notice tone="info">Nothing is added yet: first you see what it wants to touch.</Notice>
      <div className="buttons"><Button type="submit" look="primary" busy={busy} disabled={!component}>See what it wants</Button></div>
    </form>
  );
}

function Pick({ label, help, accept, file, onPick }: {
  label: string;
  help: string;
  accept: string;
  file: File | null;
  onPick: (file: File | null) => void;
}) {
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  return (
    <div className="field">
      <label className="field-label" htmlFor={id}>{label}</label>
      <p className="field-help" id={`${id}h`}>{help}</p>
      <div className="pick">
        <input id={id} ref={field} type="file" accept={accept} aria-describedby={`${id}h`} onChange={(event) => onPick(event.target.files?.[0] ?? null)} />
        <span className="pick-face" aria-hidden="true"><Upload /> {file ? `${file.name} · ${size(file.size)}` : "Choose a file, or drop one here"}</span>
      </div>
    </div>
  );
}

function Offer({ offer, agreed, onTurn }: { offer: PluginOffer; agreed: ReadonlySet<string>; onTurn: (what: string, on: boolean) => void }) {
  const { manifest } = offer;
  return (
    <>
      <p>{manifest.description || manifest.title}</p>
      <Facts>
        <Fact name="Version">{manifest.version}{offer.present && `, in place of ${offer.present.version}`}</Fact>
        <Fact name="Kind">{offer.world}</Fact>
        <Fact name="Signature"><Signed by={offer.signature} /></Fact>
        <Fact name="Licence">{manifest.licence}</Fact>
        <Fact name="Authors">{manifest.authors.join(", ")}</Fact>
        <Fact name="Size">{size(offer.bytes)}</Fact>
      </Facts>
      {offer.doubts.length > 0 && (
        <>
          <h3>What speaks against it</h3>
          <ul className="agree">{offer.doubts.map((doubt) => <Agree key={doubt.name} id={doubt.name} on={agreed.has(doubt.name)} onTurn={onTurn} title={<Words text={doubt.words} />}>I accept that</Agree>)}</ul>
        </>
      )}
      <h3>What it wants to touch</h3>
      {offer.wishes.length === 0 && <p className="soft">Nothing.</p>}
      <ul className="agree">
        {offer.wishes.map((wish) => wish.capability && !wish.granted
          ? <Agree key={wish.written} id={wish.capability} on={agreed.has(wish.capability)} onTurn={onTurn} title={<>It may <Words text={wish.words} /> {wish.optional && <Badge>works without</Badge>}</>}>{wish.reason}</Agree>
          : <li key={wish.written} className="agree-fixed"><p>It may <Words text={wish.words} /> {wish.granted && <Badge tone="good">granted already</Badge>}</p><p className="soft">{wish.reason}</p></li>)}
      </ul>
      <details className="more">
        <summary>What it may not <span className="soft">({offer.may_not.length})</span></summary>
        <ul className="rights">{offer.may_not.map((right) => <li key={right}><ShieldX className="icon soft" aria-hidden="true" /> <span>It may not touch {right}</span></li>)}</ul>
      </details>
    </>
  );
}

function Agree({ id, on, onTurn, title, children }: {
  id: string;
  on: boolean;
  onTurn: (what: string, on: boolean) => void;
  title: React.ReactNode;
  children: React.ReactNode;
}) {
  const field = useId();
  return (
    <li>
      <label className="choice" htmlFor={field}>
        <Checkbox.Root id={field} className="checkbox" checked={on} onCheckedChange={(now) => onTurn(id, now === true)}>
          <Checkbox.Indicator className="checkbox-mark"><Check aria-hidden="true" /></Checkbox.Indicator>
        </Checkbox.Root>
        <span className="choice-text"><span className="choice-label">{title}</span><span className="choice-help">{children}</span></span>
      </label>
    </li>
  );
}
