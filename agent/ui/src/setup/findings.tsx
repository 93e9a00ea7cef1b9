/** What a step found on this machine: what is wrong first, with what mends it; what is well only counted. */
import { CircleAlert, CircleCheck, CircleX, Info } from "lucide-react";
import type { Finding, Severity } from "../api/setup";
import { plural } from "../lib/format";
import { Button, Words } from "../ui/basics";

const ORDER: readonly Severity[] = ["failure", "warning", "notice", "fine"];
const ICON = { failure: CircleX, warning: CircleAlert, notice: Info, fine: CircleCheck };
const WORD = { failure: "Failure", warning: "Warning", notice: "Notice", fine: "Fine" };

export function Findings({ findings, onRetry, busy }: {
  findings: readonly Finding[];
  onRetry?: (() => void) | undefined;
  busy?: boolean;
}) {
  if (findings.length === 0) return null;
  const sorted = [...findings].sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity));
  const fine = sorted.filter((finding) => finding.severity === "fine");
  const rest = sorted.filter((finding) => finding.severity !== "fine");
  const retries = onRetry && rest.some((finding) => finding.severity === "failure" || finding.severity === "warning");
  return (
    <div className="findings">
      {rest.length > 0 && <ul className="finding-list">{rest.map((finding, at) => <One key={at} finding={finding} />)}</ul>}
      {fine.length > 0 && (
        <details className="fine-list">
          <summary>
            <CircleCheck className="icon good" aria-hidden="true" />
            {plural(fine.length, "check")} {fine.length === 1 ? "is" : "are"} fine
          </summary>
          <ul className="finding-list">{fine.map((finding, at) => <One key={at} finding={finding} />)}</ul>
        </details>
      )}
      {retries && <Button small onClick={onRetry} busy={busy ?? false}>Look again</Button>}
    </div>
  );
}

function One({ finding }: { finding: Finding }) {
  const Icon = ICON[finding.severity];
  return (
    <li className={`finding is-${finding.severity}`}>
      <Icon className="icon" aria-label={WORD[finding.severity]} />
      <div>
        <p className="finding-what"><Words text={finding.what} first /></p>
        {finding.evidence && <p className="finding-evidence"><Words text={finding.evidence} /></p>}
        {finding.remedy && <p className="finding-remedy"><strong>What to do:</strong> <Words text={finding.remedy} first /></p>}
      </div>
    </li>
  );
}
