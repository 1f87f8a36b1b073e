import { Link } from "@tanstack/react-router";
import type { Decision } from "~/api/transactions";
import { Outcome } from "~/ui/Outcome";
import { Panel } from "~/ui/Panel";
import { value, words } from "~/words/numbers";

/** The rules that fired, what they asked for, and the values that they read. */
export function RulesPanel({ decision }: { decision: Decision }) {
  const rules = decision.explanation.rules;
  return (
    <Panel title="Rules that fired">
      {rules.length === 0 && <p className="text-soft">None: the score decided.</p>}
      <ul aria-label="Rules that fired" className="flex flex-col gap-3">
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
      </ul>
    </Panel>
  );
}
