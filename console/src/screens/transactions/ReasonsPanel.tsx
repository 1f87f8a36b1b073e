import type { Decision } from "~/api/transactions";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { words } from "~/words/numbers";

/** Why, in words, each said once. */
export function ReasonsPanel({ decision }: { decision: Decision }) {
  const { reasons, decision_reason } = decision.explanation;
  return (
    <Panel title={t("Reasons")}>
      {reasons.length === 0 && (
        <p>
          {t("{decision_reason}: nothing about it is unusual enough to name.", {
            decision_reason: words(decision_reason),
          })}
        </p>
      )}
      <ol className="flex flex-col gap-3" aria-label={t("Reasons")}>
        {reasons.map((reason) => (
          <li key={`${reason.code} ${reason.text}`} className="border-l-2 border-l-accent pl-3">
            <p className="break-words">{reason.text}</p>
          </li>
        ))}
      </ol>
    </Panel>
  );
}
