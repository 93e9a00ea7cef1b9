/** Why a request went where it did, in the scheduler's own words. */
import type { Considered, Trace } from "../api/types";
import { took } from "../lib/format";
import { Copy, Fact, Facts, Words } from "../ui/basics";
import { Dialog } from "../ui/dialog";

export function Why({ trace, onClose }: { trace: Trace; onClose: () => void }) {
  return (
    <Dialog title={`Why ${trace.node ?? "nowhere"}`} onClose={onClose} wide>
      <p><Words text={trace.why} /></p>
      {trace.fault && <p className="form-problem">The scheduler failed, and the built-in rule decided: {trace.fault}</p>}
      <Facts>
        <Fact name="Model">{trace.model}</Fact>
        <Fact name="Decided by">{trace.policy} in {took(trace.decided_in_us / 1000)}</Fact>
        <Fact name="Waited for its place">{took(trace.admitted_after_us / 1000)}</Fact>
        <Fact name="First word after">{trace.first_after_us === null ? null : took(trace.first_after_us / 1000)}</Fact>
        <Fact name="Took">{took(trace.took_us / 1000)}</Fact>
        <Fact name="Tokens">{`${trace.prompt_tokens} read (${trace.cached_tokens} of them known already), ${trace.completion_tokens} written`}</Fact>
      </Facts>
      <Places title="Could have taken it, best first" places={trace.ranked} />
      <Places title="Passed over" places={trace.passed_over} />
      {trace.moves.length > 0 && (
        <>
          <h3>It went on elsewhere</h3>
          <ul className="plain-list">{trace.moves.map((move, at) => <li key={at}>after {took(move.after_us / 1000)}: {move.why}</li>)}</ul>
        </>
      )}
      {trace.id && <Copy text={`skep explain ${trace.id}`} label="Copy the command" />}
    </Dialog>
  );
}

function Places({ title, places }: { title: string; places: readonly Considered[] }) {
  if (places.length === 0) return null;
  return (
    <>
      <h3>{title}</h3>
      <ul className="plain-list">
        {places.map((place) => (
          <li key={place.replica}>
            <strong>{place.node ?? `replica ${place.replica}`}</strong> <span className="soft">{place.why}</span>
            {place.refused && <span className="soft"> · refused: {place.refused}</span>}
          </li>
        ))}
      </ul>
    </>
  );
}
