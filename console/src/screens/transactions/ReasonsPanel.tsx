import type { Decision } from "~/api/transactions";
import { Panel } from "~/ui/Panel";
import { words } from "~/words/numbers";

/** Why, in words, each said once. */
export function ReasonsPanel({ decision }: { decision: Decision }) {
  const { reasons, decision_reason } = decision.explanation;
  return (
    <Panel title="Reasons">
      {reasons.length === 0 && <p>{words(decision_reason)}: nothing about it is unusual enough to name.</p>}
      <ol className="flex flex-col gap-3" aria-label="Reasons">
        {reasons.map((reason) => (
          <li key={`${reason.code} ${reason.text}`} className="border-l-2 border-l-accent pl-3">
            <p className="break-words">{reason.text}</p>
          </li>
        ))}
      </ol>
    </Panel>
  );
}
