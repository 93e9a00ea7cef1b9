/** What would be changed, before it is: each action in words, by whom, and how a file would differ. */
import { Check, FileDiff, TriangleAlert } from "lucide-react";
import { useId, useState } from "react";
import type { Planned, Preview as Plan } from "../api/setup";
import { Badge, Button, Copy, cx, Notice, State, Words } from "../ui/basics";
import { diffLines, tally } from "./diff";
import { plural } from "../lib/format";

const ACTOR = {
  agent: { word: "this agent", tone: "none", title: "The agent does it itself, in its own folders." },
  user: { word: "you", tone: "info", title: "Done with the rights of the user who runs the agent." },
  root: { word: "root", tone: "warn", title: "Done by the helper that you start as root." },
} as const;

export function Preview({ plan, onApply, onBack, busy }: {
  plan: Plan;
  onApply: () => void;
  onBack: () => void;
  busy: boolean;
}) {
  const needed = plan.actions.filter((action) => action.state === "needed").length;
  const conflicts = plan.actions.filter((action) => action.state === "conflict").length;
  const rootMissing = plan.needs_root && plan.root === "missing";
  return (
    <div className="preview">
      <p className="preview-sum">
        {plan.actions.length === 0 && "Nothing has to be changed for these answers."}
        {plan.actions.length > 0 && needed === 0 && conflicts === 0 && "Everything is as it should be already; nothing will be changed."}
        {needed > 0 && <>This is what will be done. Nothing was changed so far, and each of it can be undone.</>}
      </p>
      {plan.actions.length > 0 && (
        <ol className="actions">{plan.actions.map((action) => <One key={action.index} action={action} />)}</ol>
      )}
      {plan.notes.length > 0 && (
        <Notice tone="info" title="Good to know">
          <ul className="plain-list">{plan.notes.map((note, at) => <li key={at}><Words text={note} first /></li>)}</ul>
        </Notice>
      )}
      {conflicts > 0 && (
        <Notice tone="bad" title={`${plural(conflicts, "action")} cannot be carried out as things are.`}>
          Mend what is named above, or change your answers; then look again.
        </Notice>
      )}
      {rootMissing && plan.command && (
        <Notice tone="warn" title="Some of this needs root">
          <p>Start the helper in a terminal of this machine. It shows each change there too, and does nothing that is not listed here.</p>
          <Copy text={plan.command} label="Copy the command" />
          <p className="soft" role="status"><State tone="info" moving>Waiting for the helper</State></p>
        </Notice>
      )}
      <div className="buttons">
        <Button onClick={onBack}>Change answers</Button>
        <Button look="primary" busy={busy} disabled={conflicts > 0 || rootMissing} onClick={onApply}>
          {needed > 0 ? `Agree, and make ${plural(needed, "change")}` : "Done"}
        </Button>
      </div>
    </div>
  );
}

function One({ action }: { action: Planned }) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const actor = ACTOR[action.actor];
  const lines = action.diff ? diffLines(action.diff) : [];
  const { added, removed } = tally(lines);
  return (
    <li className={cx("action", action.state)}>
      <div className="action-head">
        <div className="action-text">
          <p className="action-words"><Words text={action.words} first /></p>
          <p className="action-why"><Words text={action.why} first /></p>
        </div>
        <div className="action-marks">
          {action.state === "already" && <Badge tone="good"><Check aria-hidden="true" /> as it should be</Badge>}
          {action.state === "conflict" && <Badge tone="bad"><TriangleAlert aria-hidden="true" /> conflict</Badge>}
          <Badge tone={actor.tone} title={actor.title}>by {actor.word}</Badge>
        </div>
      </div>
      {action.conflict && <p className="action-conflict"><Words text={action.conflict} first /></p>}
      <div className="action-foot">
        {lines.length > 0 && (
          <button type="button" className="link" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)}>
            <FileDiff aria-hidden="true" /> {open ? "Hide the file" : "Show the file"}
            <span className="diff-tally">
              <span className="added">+{added}</span> <span className="removed">−{removed}</span>
            </span>
          </button>
        )}
        {action.undo && action.state === "needed" && <span className="soft">Undoing <Words text={action.undo} /></span>}
      </div>
      {open && (
        <pre className="diff" id={id} tabIndex={0} aria-label="How the file would change">
          {lines.map((line, at) => (
            <span key={at} className={cx("diff-line", line.kind)}>
              <span className="diff-sign" aria-hidden="true">{SIGN[line.kind]}</span>
              {line.text}
              {"\n"}
            </span>
          ))}
        </pre>
      )}
    </li>
  );
}

const SIGN = { added: "+", removed: "−", same: " ", place: " " };
