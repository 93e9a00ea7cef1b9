/**
 * Machines of the local network, and taking one in by comparing a code.
 *
 * Two people, or one with two screens, look at two codes; that they are the same is all that makes the other machine the right one.
 */
import { Radar } from "lucide-react";
import { useState } from "react";
import { api, json, part } from "../api/client";
import { useAdoptions, useChange, useNeighbours, useNodes } from "../api/queries";
import { until } from "../lib/format";
import type { Adoption, Neighbour, Offer } from "../api/types";
import { Badge, Button, Empty, Notice, State, Trouble, Waiting, Words } from "../ui/basics";
import { Dialog } from "../ui/dialog";
import { useSay } from "../ui/toast";

export function Neighbours() {
  const [looking, setLooking] = useState(true);
  const neighbours = useNeighbours(looking);
  const [adopting, setAdopting] = useState<Adoption | null>(null);
  const begin = useChange(
    (neighbour: Neighbour) =>
      json<Adoption>(api("/cluster/adoptions"), { method: "POST", body: { neighbour: neighbour.node ?? neighbour.name } }),
    ["adoptions"],
  );
  const nodes = useNodes();
  const here = nodes.data?.nodes.find((node) => node.here)?.id;
  const found = (neighbours.data?.neighbours ?? []).filter((one) => one.node === null || one.node !== here);
  return (
    <div className="neighbours">
      <div className="row-between">
        <p role="status">
          {looking ? <State tone="info" moving>Looking on the local network</State> : <State tone="none">Not looking</State>}
        </p>
        <Button small onClick={() => setLooking(!looking)}>{looking ? "Stop looking" : "Look again"}</Button>
      </div>
      {neighbours.isPending && looking && <Waiting what="Listening" />}
      {neighbours.isError && <Trouble error={neighbours.error} retry={() => void neighbours.refetch()} />}
      {neighbours.isSuccess && found.length === 0 && (
        <Empty icon={<Radar />} title="Nobody is heard yet">
          Start <code>skep up</code> on another machine of this network, and have it wait to be adopted; it appears here by itself. Where
          a network carries no multicast, use a token instead.
        </Empty>
      )}
      <ul className="list">
        {found.map((one) => (
          <li key={one.node ?? one.name} className="list-item">
            <div className="list-text">
              <p className="list-title">{one.name} {one.usable && <Badge tone="good">member</Badge>}</p>
              <p className="soft">{[one.addresses[0], one.version && `skep ${one.version}`].filter(Boolean).join(" · ")}</p>
              {one.why && !one.adoptable && <p className="soft"><Words text={one.why} first /></p>}
            </div>
            {one.adoptable && (
              <Button
                small
                look="primary"
                busy={begin.isPending && begin.variables === one}
                onClick={() => begin.mutate(one, { onSuccess: setAdopting })}
              >
                Adopt
              </Button>
            )}
          </li>
        ))}
      </ul>
      {begin.isError && <Trouble error={begin.error} />}
      {adopting && <Compare adoption={adopting} onClose={() => setAdopting(null)} />}
    </div>
  );
}

/** Having this machine wait for another to adopt it. */
export function WaitForAdoption() {
  const adoptions = useAdoptions();
  const offer = adoptions.data?.offer;
  const change = useChange(
    (open: boolean) => (open
      ? json<Offer>(api("/cluster/offer"), { method: "PUT", body: {} })
      : json<Offer>(api("/cluster/offer"), { method: "DELETE" })),
    ["adoptions"],
  );
  return (
    <>
      <p>Have this machine wait, then choose it on a machine of that cluster. Both show a code, and you compare.</p>
      {offer?.open && (
        <p role="status"><State tone="info" moving>Waiting to be adopted{offer.until_unix_s !== null && `; this ends ${until(offer.until_unix_s)}`}</State></p>
      )}
      {!offer?.open && offer?.why && <p className="soft"><Words text={offer.why} first /></p>}
      {change.isError && <Trouble error={change.error} />}
      <div className="buttons start">
        <Button look={offer?.open ? "plain" : "primary"} busy={change.isPending} onClick={() => change.mutate(!offer?.open)}>
          {offer?.open ? "Stop waiting" : "Wait to be adopted"}
        </Button>
      </div>
    </>
  );
}

/** Word that another machine wants this one, wherever in the page one is. */
export function Wanted() {
  const adoptions = useAdoptions();
  const [open, setOpen] = useState<Adoption | null>(null);
  const wanted = adoptions.data?.adoptions.find((one) => one.role === "adopted" && one.state === "comparing");
  return (
    <>
      {wanted && !open && (
        <Notice
          tone="info"
          title={`${wanted.name} wants to take this machine into its cluster.`}
          actions={<Button small look="primary" onClick={() => setOpen(wanted)}>Compare the codes</Button>}
        />
      )}
      {open && <Compare adoption={open} onClose={() => setOpen(null)} />}
    </>
  );
}

function Compare({ adoption, onClose }: { adoption: Adoption; onClose: () => void }) {
  const say = useSay();
  const all = useAdoptions();
  const now = all.data?.adoptions.find((one) => one.id === adoption.id) ?? adoption;
  const confirm = useChange(
    () => json(api(`/cluster/adoptions/${part(adoption.id)}/confirm`), { method: "POST" }),
    ["adoptions", "nodes", "neighbours"],
  );
  const refuse = useChange(() => json(api(`/cluster/adoptions/${part(adoption.id)}`), { method: "DELETE" }), ["adoptions"]);
  const over = now.state === "joined" || now.state === "refused" || now.state === "failed";
  const leave = () => {
    if (over || now.state === "confirmed") onClose();
    else refuse.mutate(undefined, { onSettled: onClose });
  };
  return (
    <Dialog
      title={now.role === "adopted" ? `Join the cluster of ${now.name}?` : `Adopt ${now.name}?`}
      onClose={leave}
      footer={over || now.state === "confirmed"
        ? <Button look="primary" onClick={onClose}>Close</Button>
        : (
          <>
            <Button onClick={leave} busy={refuse.isPending}>They differ</Button>
            <Button
              look="primary"
              disabled={now.state !== "comparing"}
              busy={confirm.isPending}
              onClick={() => confirm.mutate(undefined, { onSuccess: () => say("Confirmed here. Confirm on the other machine, too.") })}
            >
              They are the same
            </Button>
          </>
        )}
    >
      <Told now={now} />
      {confirm.isError && <Trouble error={confirm.error} />}
    </Dialog>
  );
}

function Told({ now }: { now: Adoption }) {
  switch (now.state) {
    case "comparing":
    case "confirmed":
      return (
        <>
          <p>Look at the page or the terminal of <strong>{now.name}</strong>{now.address && ` (${now.address})`}. It shows this code:</p>
          <p className="code-big" aria-label={`Code ${now.code}`}>{now.code}</p>
          {now.state === "confirmed"
            ? <p role="status"><State tone="info" moving>{now.confirmed_there ? "Both sides confirmed it; joining" : "Confirmed here; confirm it on the other machine, too"}</State></p>
            : <p className="soft">Another code means that somebody stands between the two machines. Then refuse.</p>}
        </>
      );
    case "joined":
      return <Notice tone="good" title={`${now.name} and this machine are in one cluster now.`} />;
    case "refused":
      return <Notice tone="warn" title="It was refused.">{now.why && <Words text={now.why} first />}</Notice>;
    case "failed":
      return <Notice tone="bad" title="It did not work."><Words text={now.why ?? "Try again, or use the command with a token."} first /></Notice>;
  }
}
