import { Link } from "@tanstack/react-router";
import type { Context, Decision } from "~/api/transactions";
import { Outcome } from "~/ui/Outcome";
import { Panel } from "~/ui/Panel";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { value, words } from "~/words/numbers";

/** The rules that fired, what they asked for, and the values that they read. */
export function RulesPanel({ decision, snoozed = [] }: { decision: Decision; snoozed?: Context["snoozed"] }) {
  const rules = decision.explanation.rules;
  return (
    <Panel title={t("Rules that fired")}>
      {rules.length + snoozed.length === 0 && <p className="text-soft">{t("None: the score decided.")}</p>}
      <ul aria-label={t("Rules that fired")} className="flex flex-col gap-3">
        {rules.map((rule) => (
          <li key={rule.name}>
            <p className="flex flex-wrap items-center gap-2">
              <Link
                to="/rules/$detectorName/$rule"
                params={{ detectorName: decision.detector, rule: rule.name }}
                className="font-medium font-mono text-accent hover:underline"
              >
                {rule.name}
              </Link>
              <Outcome of={rule.action} />
            </p>
            <p className="flex flex-wrap gap-x-4 text-soft text-xs">
              {Object.entries(rule.values ?? {}).map(([name, found]) => (
                <span key={name}>
                  {words(name)} <span className="font-medium text-ink">{value(found)}</span>
                </span>
              ))}
            </p>
          </li>
        ))}
        {snoozed.map(({ rule, entity, key, by, reason, until }) => (
          <li key={`${rule} ${entity}`}>
            <span className="font-medium font-mono">{rule}</span>{" "}
            {t("fired and did not act: {by} snoozed it for {entity} {key} until", { by, entity: words(entity), key })}{" "}
            <Time at={until} form="full" />
            {reason && `: ${reason}`}
          </li>
        ))}
      </ul>
    </Panel>
  );
}
