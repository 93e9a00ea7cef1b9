/** Models that are worth a try: those that fit this machine first. */
import { Download } from "lucide-react";
import { useState } from "react";
import { useModelOffers } from "../api/queries";
import type { ModelOffer } from "../api/types";
import { size } from "../lib/format";
import { Badge, Button, Card, State, Trouble, Waiting } from "../ui/basics";

export function Catalogue({ onBring }: { onBring: (source: string) => void }) {
  const offers = useModelOffers();
  const [all, setAll] = useState(false);
  if (offers.isPending) return <Waiting />;
  if (offers.isError) return <Trouble error={offers.error} retry={() => void offers.refetch()} />;
  const missing = offers.data.offers.filter((offer) => !offer.here);
  if (missing.length === 0) return null;
  const fitting = missing.filter((offer) => offer.fits !== null);
  const shown = all ? missing : fitting;
  return (
    <Card title="Worth a try">
      <ul className="list">
        {shown.map((offer) => <Offered key={offer.source} offer={offer} onBring={onBring} />)}
      </ul>
      {shown.length === 0 && <p className="soft">None of these fits into the memory of this machine.</p>}
      {fitting.length < missing.length && (
        <Button look="quiet" small onClick={() => setAll(!all)}>
          {all ? "Only what fits here" : `${missing.length - fitting.length} more that need a larger machine`}
        </Button>
      )}
    </Card>
  );
}

function Offered({ offer, onBring }: { offer: ModelOffer; onBring: (source: string) => void }) {
  return (
    <li className="list-item">
      <div className="list-text">
        <p className="list-title">{offer.title} {offer.purpose !== "chat" && <Badge>{offer.purpose}</Badge>}</p>
        <p className="soft">{offer.about}</p>
        <p className="soft">about {size(offer.about_bytes)} · {offer.licence}</p>
      </div>
      <State tone={offer.fits === "card" ? "good" : offer.fits === null ? "warn" : "none"}>
        {offer.fits === "card" ? "fits the card" : offer.fits === null ? "too large here" : "fits in memory"}
      </State>
      <Button small onClick={() => onBring(offer.source)} aria-label={`Bring ${offer.title}`}><Download aria-hidden="true" /> Bring</Button>
    </li>
  );
}
